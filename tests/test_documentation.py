"""Examples in the documentation are run, and pages that are generated are up to date."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

import med_mat
from med_mat import errata
from med_mat.build import build
from med_mat.demo import TREES, write_raw_trees
from med_mat.registry import Registry

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_doctests() -> None:
    result = doctest.testmod(med_mat)
    assert result.attempted
    assert not result.failed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_loader_of_the_guide_is_the_real_one() -> None:
    guide = (ROOT / "docs" / "adding-a-source.md").read_text(encoding="utf-8")
    example = re.search(r"```python\n(.*?)```", guide, re.DOTALL)
    assert example
    assert example[1] == (ROOT / "loaders" / "ct_kidney.py").read_text(encoding="utf-8")


def test_the_guide_names_every_field_of_a_card(sources: Registry) -> None:
    guide = (ROOT / "docs" / "adding-a-source.md").read_text(encoding="utf-8")
    fields = set(type(sources["ct_kidney"].card).model_fields) - {"slug", "prose"}
    missing = {field for field in fields if f"`{field}`" not in guide}
    assert not missing


def test_the_readme_shows_what_its_example_prints(
    sources: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    example = re.search(r"<!-- example: load -->\n```python\n(.*?)```\n\n```\n(.*?)```", readme, re.DOTALL)
    assert example
    assert [slug for slug, _ in write_raw_trees(sources, tmp_path / "demo-raw")] == list(TREES)
    build(sources, tmp_path / "demo-raw", tmp_path / "med-mat")
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    exec(compile(example[1], "README.md", "exec"), {})
    assert capsys.readouterr().out == example[2]


def test_the_page_of_errata_is_up_to_date(sources: Registry) -> None:
    assert (ROOT / "docs" / "errata.md").read_text(encoding="utf-8") == errata.markdown(
        source.card for source in sources
    )
