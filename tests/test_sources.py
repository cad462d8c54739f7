"""The contract that every source keeps: fixture → index → scan → plan → encode → ``load_dataset``.

``med_mat.contribute.contract`` says what it is; ``med-mat check`` runs the same on one source.
"""

from __future__ import annotations

import statistics
from pathlib import Path

import datasets
import pytest
from source_fixture import SLUGS, load_fixture

from med_mat.build import BuildResult
from med_mat.configs import config_names
from med_mat.contribute.contract import (
    build_problems,
    catalogue_problems,
    index_problems,
    index_tree,
    mutation_problem,
    place_problems,
    row_problems,
)
from med_mat.contribute.paper import code_lines
from med_mat.fixtures import Mutation, SourceFixture
from med_mat.registry import Registry
from med_mat.vocabulary import catalogue

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.usefixtures("_folders_resolved_once")


@pytest.fixture(scope="module", params=SLUGS)
def fixture(request: pytest.FixtureRequest) -> SourceFixture:
    return load_fixture(request.param)


@pytest.fixture
def tree(fixture: SourceFixture, raw_trees: Path) -> Path:
    return raw_trees / fixture.slug


def test_index_finds_what_the_fixture_says(
    fixture: SourceFixture, tree: Path, sources: Registry, tmp_path: Path
) -> None:
    assert list(index_problems(fixture, index_tree(sources[fixture.slug], tree, tmp_path))) == []


def test_ids_do_not_depend_on_how_the_download_lies_on_disk(
    fixture: SourceFixture, tree: Path, sources: Registry, tmp_path: Path
) -> None:
    assert list(place_problems(sources[fixture.slug], tree, tmp_path)) == []


def _mutations() -> list[tuple[str, Mutation]]:
    return [(slug, mutation) for slug in SLUGS for mutation in load_fixture(slug).mutations]


@pytest.mark.parametrize(
    ("slug", "mutation"),
    [pytest.param(*case, id=f"{case[0]}-{number}") for number, case in enumerate(_mutations())],
)
def test_a_changed_layout_fails_loudly(slug: str, mutation: Mutation, sources: Registry, tmp_path: Path) -> None:
    assert mutation_problem(sources[slug], load_fixture(slug), mutation, tmp_path) is None


def test_card_agrees_with_the_catalogue(fixture: SourceFixture, sources: Registry) -> None:
    assert fixture.slug in catalogue()
    assert list(catalogue_problems(sources[fixture.slug].card)) == []


def test_whole_build_is_as_the_cards_say_and_loses_nothing_without_a_reason(whole_build: BuildResult) -> None:
    assert [source.slug for source in whole_build.sources if source.plan is None] == []
    assert list(build_problems(whole_build)) == []
    assert whole_build.exit_code == 0


def test_rows_of_each_source(fixture: SourceFixture, sources: Registry, whole_build: BuildResult) -> None:
    assert list(row_problems(whole_build, fixture, sources[fixture.slug].card)) == []


def test_every_config_loads(whole_build: BuildResult, sources: Registry) -> None:
    names = {config.name for config in whole_build.configs}
    assert names == {"default", "everything"} | {
        name for source in whole_build.sources for name in config_names(sources[source.slug].card)
    }
    assert {f"subset_{number:02d}" for number in range(1, 54)} <= names
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
    loaders = (ROOT / "loaders").glob("[!_]*.py")
    assert statistics.median(code_lines(path.read_text(encoding="utf-8")) for path in loaders) < 25
