"""The contract that every source keeps: fixture → index → scan → plan → encode → ``load_dataset``."""

from __future__ import annotations

import shutil
import statistics
import zipfile
from collections.abc import Iterator
from pathlib import Path

import datasets
import pytest
from source_fixture import SLUGS, Mutation, SourceFixture, load_fixture, write_mutated

from med_mat.build import BuildResult, build
from med_mat.configs import config_names
from med_mat.errors import LayoutError
from med_mat.index import Index, index_source
from med_mat.raw import RawRoot
from med_mat.registry import Registry
from med_mat.schema import features
from med_mat.trees import write_tree
from med_mat.vocabulary import catalogue

SPLITS = ("train", "validation", "test")
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module", params=SLUGS)
def fixture(request: pytest.FixtureRequest) -> SourceFixture:
    return load_fixture(request.param)


@pytest.fixture(scope="module")
def tree(fixture: SourceFixture, sources: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("tree") / fixture.slug
    write_tree(fixture.contents(), folder, sources[fixture.slug].card)
    yield folder
    shutil.rmtree(folder)


def _index(sources: Registry, slug: str, location: Path, cache: Path) -> Index:
    with RawRoot.open(location, cache=cache) as raw:
        return index_source(sources[slug], raw, allow_missing=True)


def test_index_finds_what_the_fixture_says(
    fixture: SourceFixture, tree: Path, sources: Registry, tmp_path: Path
) -> None:
    index = _index(sources, fixture.slug, tree, tmp_path)
    found = [
        {
            "path": line["raw_path"],
            **{name: line[name] for name in ("key", "labels", "uncertain", "split", "group", "ties", "frame")},
            "extra": {name: value for name, value in line["extra"].items() if value is not None},
        }
        for line in index.table.to_pylist()
    ]
    assert sorted(found, key=lambda row: (row["key"], row["frame"] or 0)) == sorted(
        fixture.expected(), key=lambda row: (row["key"], row["frame"] or 0)
    )
    assert index.missing.total == fixture.missing
    assert sum(index.left_out.values()) == fixture.left_out
    assert [(oddity.kind, oddity.path) for oddity in index.odd] == [
        (oddity.kind, fixture.place(oddity.path)) for oddity in fixture.odd
    ]
    assert index.exit_code == 0, index.undeclared


def test_ids_do_not_depend_on_how_the_download_lies_on_disk(
    fixture: SourceFixture, tree: Path, sources: Registry, tmp_path: Path
) -> None:
    def keys(location: Path) -> list[tuple[str, int | None, tuple[str, ...]]]:
        index = _index(sources, fixture.slug, location, tmp_path / "cache")
        return [(line["key"], line["frame"], tuple(line["labels"])) for line in index.table.to_pylist()]

    packed = tmp_path / "archive.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(tree.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(tree))
    wrapped = tmp_path / "wrapped"
    shutil.copytree(tree, wrapped / "some wrapper" / "another")
    plain = keys(tree)
    assert plain
    assert keys(packed) == plain
    assert keys(wrapped) == plain


def _mutations() -> list[tuple[str, Mutation]]:
    return [(slug, mutation) for slug in SLUGS for mutation in load_fixture(slug).mutations]


@pytest.mark.parametrize(
    ("slug", "mutation"),
    [pytest.param(*case, id=f"{case[0]}-{number}") for number, case in enumerate(_mutations())],
)
def test_a_changed_layout_fails_loudly(slug: str, mutation: Mutation, sources: Registry, tmp_path: Path) -> None:
    write_mutated(load_fixture(slug), mutation, tmp_path / "tree", sources[slug].card)
    try:
        outcome = _index(sources, slug, tmp_path / "tree", tmp_path / "cache").exit_code
    except LayoutError as error:
        outcome = str(error)
    assert outcome == 1 or str(tmp_path / "tree") in str(outcome)


def test_card_agrees_with_the_catalogue(fixture: SourceFixture, sources: Registry) -> None:
    card = sources[fixture.slug].card
    row = catalogue()[fixture.slug]
    assert (card.number, card.kind, card.subset, card.raw_slug) == (
        row.number,
        row.kind,
        row.subset,
        row.download_of or row.slug,
    )
    published = card.published_triplet
    assert (published.modality, published.anatomy, published.task) == (row.modality, row.anatomy, row.task)


@pytest.fixture(scope="session")
def whole_build(sources: Registry, tmp_path_factory: pytest.TempPathFactory) -> BuildResult:
    folder = tmp_path_factory.mktemp("whole")
    for slug in SLUGS:
        write_tree(load_fixture(slug).contents(), folder / "raw" / slug, sources[slug].card)
    return build(sources, folder / "raw", folder / "med-mat", salt=b"test", cache=folder / "cache")


def test_whole_build_is_as_the_cards_say(whole_build: BuildResult) -> None:
    assert {source.slug: source.failure for source in whole_build.sources} == dict.fromkeys(
        (source.slug for source in whole_build.sources), None
    )
    assert {source.slug: source.undeclared for source in whole_build.sources if source.undeclared} == {}
    assert whole_build.exit_code == 0


def test_nothing_is_lost_without_a_reason(whole_build: BuildResult) -> None:
    for slug, entry in whole_build.manifest["sources"].items():
        after_index = sum(
            number
            for reason, number in entry["left_out"].items()
            if reason in {loss.reason for source in whole_build.sources if source.plan for loss in source.plan.losses}
        )
        assert entry["rows"] + after_index == entry["samples"], slug


def test_rows_of_each_source(fixture: SourceFixture, sources: Registry, whole_build: BuildResult) -> None:
    card = sources[fixture.slug].card
    rows = datasets.load_dataset(str(whole_build.out), fixture.slug)
    ids: set[str] = set()
    for split, part in rows.items():
        assert split in SPLITS
        assert part.features == features()
        for row in part:
            ids.add(row["id"])
            _check_row(row, card.clean_labels)
            assert row["source"] == fixture.slug
    assert len(ids) == sum(part.num_rows for part in rows.values())
    streamed = datasets.load_dataset(str(whole_build.out), fixture.slug, streaming=True)
    assert {row["id"] for part in streamed.values() for row in part} == ids


def _check_row(row: dict, labels: tuple[str, ...]) -> None:
    image = row["image"]
    image.load()
    assert (image.width, image.height) == (row["width"], row["height"])
    assert image.convert("RGB").getextrema() is not None
    assert not image.info.keys() & {"exif", "comment", "xmp", "parsed_exif"}
    assert set(row["labels"]) <= set(labels)
    assert row["labels"]
    for question in [row, *row["more_questions"]]:
        assert question["question"].endswith("?")
        if question["options"]:
            assert 2 <= len(question["options"]) <= 4
            assert len(set(question["options"])) == len(question["options"])
            assert question["options"][question["answer_index"]] == question["answer"]
    for name in ("modality", "anatomy", "task", "published_modality", "licence", "group", "key", "raw_sha256"):
        assert row[name], name


def test_every_config_loads(whole_build: BuildResult, sources: Registry) -> None:
    names = {config.name for config in whole_build.configs}
    assert names == {"default", "everything"} | {
        name for source in whole_build.sources for name in config_names(sources[source.slug].card)
    }
    assert {f"subset_{number:02d}" for number in range(1, 38)} <= names
    total = whole_build.manifest["rows"]
    for name in sorted(names):
        rows = datasets.load_dataset(str(whole_build.out), name)
        number = sum(part.num_rows for part in rows.values())
        expected = sum(
            entry["rows"]
            for slug, entry in whole_build.manifest["sources"].items()
            if name in ("default", "everything", *config_names(sources[slug].card))
        )
        assert number == expected <= total


def test_every_loader_has_card_fixture_and_place_in_the_ledger(sources: Registry) -> None:
    loaders = sorted(path.stem for path in (ROOT / "loaders").glob("*.py") if path.stem != "__init__")
    cards = sorted(path.stem for path in (ROOT / "cards").glob("*.md"))
    assert loaders == cards == SLUGS
    assert sorted(source.slug for source in sources) == loaders


def test_the_ledger_admits_what_the_catalogue_has() -> None:
    ledger = (ROOT / "cards" / "LEDGER").read_text(encoding="utf-8").split()
    assert sorted(ledger) == sorted(catalogue())


def test_loaders_stay_short() -> None:
    lengths = []
    for path in (ROOT / "loaders").glob("[!_]*.py"):
        body = path.read_text(encoding="utf-8").split('"""', 2)[2]
        lengths.append(
            sum(bool(line.strip()) and not line.startswith(("import ", "from ")) for line in body.splitlines())
        )
    assert statistics.median(lengths) < 25
