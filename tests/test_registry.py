"""Where sources come from: the package, folders, installed packages; their order; and what is told when it is wrong."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tiny import LOADER, add_source, card_text, registry_of

from med_mat.errors import CardError
from med_mat.registry import Registry, registry

ROOT = Path(__file__).parent.parent


def test_the_package_has_its_sources_in_the_order_of_the_ledger(sources: Registry) -> None:
    ledger = (ROOT / "cards" / "LEDGER").read_text(encoding="utf-8").split()
    assert [source.slug for source in registry()] == [slug for slug in ledger if slug in sources]
    assert len(registry()) == len(sources) >= 4


def test_a_folder_adds_sources_after_those_of_the_package(sources: Registry, tmp_path: Path) -> None:
    for slug in ("zebra", "aardvark"):
        add_source(tmp_path, slug)
    (tmp_path / "_helper.py").write_text("raise RuntimeError\n", encoding="utf-8")
    found = registry([tmp_path])
    assert [source.slug for source in found] == [*(source.slug for source in sources), "zebra", "aardvark"]
    source = found["zebra"]
    assert source.card.slug == "zebra"
    assert source.module_path == tmp_path / "zebra.py"
    assert source.samples.__name__ == "samples"
    assert "zebra" in found
    assert "quagga" not in found


def test_without_a_ledger_the_order_is_that_of_names(tmp_path: Path) -> None:
    for slug in ("zebra", "aardvark"):
        add_source(tmp_path, slug)
    (tmp_path / "LEDGER").unlink()
    assert [source.slug for source in registry_of(tmp_path)] == ["aardvark", "zebra"]


def test_a_withdrawn_source_keeps_its_line(tmp_path: Path) -> None:
    for slug in ("one", "two", "three"):
        add_source(tmp_path, slug)
    (tmp_path / "two.py").unlink()
    assert [source.slug for source in registry_of(tmp_path)] == ["one", "three"]


@pytest.mark.parametrize(
    ("ledger", "expected"),
    [
        ("one\n", ["append: two", "named twice: nothing"]),
        ("one\ntwo\none\n", ["append: nothing", "named twice: one"]),
        ("", ["append: one, two"]),
    ],
)
def test_a_ledger_names_each_loader_once(tmp_path: Path, ledger: str, expected: list[str]) -> None:
    add_source(tmp_path, "one")
    add_source(tmp_path, "two")
    (tmp_path / "LEDGER").write_text(ledger, encoding="utf-8")
    with pytest.raises(CardError) as caught:
        registry([tmp_path])
    assert str(tmp_path / "LEDGER") in str(caught.value)
    for text in expected:
        assert text in str(caught.value)


def test_two_folders_may_not_have_one_slug(tmp_path: Path) -> None:
    add_source(tmp_path / "a", "zebra")
    add_source(tmp_path / "b", "zebra")
    with pytest.raises(CardError, match="source zebra is defined twice") as caught:
        registry([tmp_path / "a", tmp_path / "b"])
    for folder in "ab":
        assert str(tmp_path / folder / "zebra.py") in str(caught.value)


def test_nor_may_a_folder_take_a_slug_of_the_package(tmp_path: Path) -> None:
    add_source(tmp_path, "ct_kidney")
    with pytest.raises(CardError, match="source ct_kidney is defined twice"):
        registry([tmp_path])


def test_two_folders_may_have_modules_that_differ(tmp_path: Path) -> None:
    add_source(tmp_path / "a", "zebra", loader="def samples(raw):\n    'first'\n    yield\n")
    add_source(tmp_path / "b", "zebra", loader="def samples(raw):\n    'second'\n    yield\n")
    assert registry_of(tmp_path / "a")["zebra"].samples.__doc__ == "first"
    assert registry_of(tmp_path / "b")["zebra"].samples.__doc__ == "second"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CardError, match=r"--loaders .*/absent: no such folder"):
        registry([tmp_path / "absent"])


def test_a_loader_without_a_card_is_told_when_the_card_is_asked_for(tmp_path: Path) -> None:
    add_source(tmp_path, "zebra")
    (tmp_path / "zebra.md").unlink()
    source = registry_of(tmp_path)["zebra"]
    with pytest.raises(CardError, match=r"source zebra: loader .*zebra.py has no card; expected .*zebra.md"):
        _ = source.card


def test_a_module_without_samples(tmp_path: Path) -> None:
    add_source(tmp_path, "zebra", loader="def sample(raw):\n    yield\n")
    with pytest.raises(CardError, match=r"source zebra: .*zebra.py must define samples\(raw\)"):
        _ = registry_of(tmp_path)["zebra"].samples


def test_a_module_that_breaks_breaks_each_time(tmp_path: Path) -> None:
    add_source(tmp_path, "zebra", loader=f"{LOADER}\nimport a_module_that_nobody_has\n")
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="a_module_that_nobody_has"):
            _ = registry_of(tmp_path)["zebra"].samples


def test_an_unknown_slug_gets_a_hint(sources: Registry) -> None:
    with pytest.raises(KeyError, match="no source 'ct_kidny'; did you mean ct_kidney"):
        sources["ct_kidny"]
    with pytest.raises(KeyError, match="no source 'xyzzy'; `med-mat sources` lists them"):
        sources["xyzzy"]


def _install(site: Path, entry_points: str, name: str = "zoo") -> None:
    """An installed distribution, as an installer leaves it."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[med_mat.loaders]\n{entry_points}\n", encoding="utf-8")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path / "site")
    yield tmp_path / "site"
    for name in set(sys.modules) - before:
        if name.startswith("med_mat_zoo"):
            del sys.modules[name]


def test_an_installed_package_brings_a_folder_of_sources(site: Path, sources: Registry) -> None:
    package = site / "med_mat_zoo"
    add_source(package, "zebra")
    add_source(package, "aardvark")
    (package / "__init__.py").write_text("", encoding="utf-8")
    _install(site, "zoo = med_mat_zoo")
    found = registry()
    assert [source.slug for source in found] == [*(source.slug for source in sources), "zebra", "aardvark"]
    assert found["zebra"].card.title == "Tiny"
    # Imported as a module of its own package, so that it may import its neighbours.
    assert found["zebra"].samples.__module__ == "med_mat_zoo.zebra"


def test_an_installed_module_is_one_source(site: Path, sources: Registry) -> None:
    site.mkdir()
    (site / "med_mat_zoo_zebra.py").write_text(LOADER, encoding="utf-8")
    (site / "med_mat_zoo_zebra.md").write_text(card_text(title="From outside"), encoding="utf-8")
    _install(site, "zebra = med_mat_zoo_zebra")
    assert registry()["med_mat_zoo_zebra"].card.title == "From outside"
    assert len(registry()) == len(sources) + 1


@pytest.mark.parametrize(
    ("code", "target", "expected"),
    [
        ("import a_module_that_nobody_has\n", "med_mat_zoo", "cannot be loaded: ModuleNotFoundError"),
        ("1 +\n", "med_mat_zoo", "cannot be loaded: SyntaxError"),
        ("def samples(raw): yield\n", "med_mat_zoo:samples", "must name a module or package: med_mat_zoo:samples"),
        ("", "med_mat_zoo_elsewhere", "cannot be loaded: ModuleNotFoundError"),
    ],
)
def test_a_broken_package_is_named(site: Path, code: str, target: str, expected: str) -> None:
    site.mkdir()
    (site / "med_mat_zoo.py").write_text(code, encoding="utf-8")
    _install(site, f"broken = {target}")
    with pytest.raises(CardError, match=r"entry point broken of med_mat.loaders") as caught:
        registry()
    assert expected in str(caught.value)


def test_an_installed_package_may_not_take_a_slug_of_the_package(site: Path) -> None:
    package = site / "med_mat_zoo"
    add_source(package, "ct_kidney")
    (package / "__init__.py").write_text("", encoding="utf-8")
    _install(site, "zoo = med_mat_zoo")
    with pytest.raises(CardError, match="source ct_kidney is defined twice"):
        registry()
