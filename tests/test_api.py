"""What readers call: lists of sources and subsets, and load with pictures from their own downloads."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import pytest
from test_attach import stored, strip
from tiny import Row, add_source, registry_of, write_raw

import med_mat
from med_mat.attach import AttachError, EmptyRowsWarning
from med_mat.build import build
from med_mat.errors import MedMatError
from med_mat.publication import publication_files
from med_mat.vocabulary import catalogue
from med_mat.vocabulary import subsets as published_subsets


class Published:
    """A build as it would stand on the Hub: pictures of ``closed`` are not there."""

    def __init__(self, folder: Path) -> None:
        self.loaders, self.raw = [folder / "loaders"], folder / "raw"
        triplets = {
            "open_ct": {"modality": "ct", "anatomy": "kidney"},
            "open_mri": {"modality": "mri", "anatomy": "kidney"},
            "closed": {"modality": "ct", "anatomy": "liver", "redistribution": "annotations"},
            "other": {"modality": "ct", "anatomy": "liver", "redistribution": "annotations", "subset": "05"},
        }
        for slug, card in triplets.items():
            add_source(self.loaders[0], slug, **card)
            write_raw(self.raw / slug, [Row(f"{slug} {n}.png", ("cyst", "stone")[n % 2]) for n in range(20)])
        self.full, self.out = folder / "full", folder / "published"
        sources = registry_of(self.loaders[0])
        build(sources, self.raw, self.full)
        strip(self.full, self.out, ["closed", "other"])
        for name, text in publication_files(sources, self.out, published=True).items():
            (self.out / name).write_text(text, encoding="utf-8")

    def load(self, config: str = "default", **options: Any) -> Any:
        return med_mat.load(config, **{"dataset": self.out, "loaders": self.loaders, **options})

    def number(self, *slugs: str, split: str = "train") -> int:
        rows = datasets.load_dataset(str(self.full), "everything", split=split)
        return sum(row["source"] in slugs for row in rows)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    return Published(tmp_path_factory.mktemp("api"))


def test_a_config_loads_as_load_dataset_loads_it(published: Published) -> None:
    expected = datasets.load_dataset(str(published.full), "open_ct")
    for found in (published.load("open_ct"), published.load("open_ct", dataset=published.full)):
        assert list(found) == list(expected)
        assert all(stored(found[split]) == stored(expected[split]) for split in expected)
    assert isinstance(published.load("open_ct", split="test"), datasets.Dataset)
    assert isinstance(published.load("open_ct", split="test", streaming=True), datasets.IterableDataset)


def test_default_has_pictures_without_any_download(published: Published, recwarn: pytest.WarningsRecorder) -> None:
    rows = published.load(split="train")
    assert set(rows["source"]) == {"open_ct", "open_mri"}
    assert all(row["image"] is not None for row in rows)
    assert not [warning for warning in recwarn if issubclass(warning.category, EmptyRowsWarning)]


@pytest.mark.parametrize("streaming", [False, True])
def test_pictures_come_from_the_readers_download(published: Published, streaming: bool) -> None:
    raw = {slug: published.raw / slug for slug in ("closed", "other")}
    found = published.load("everything", split="train", streaming=streaming, raw=raw, empty="error")
    expected = datasets.load_dataset(str(published.full), "everything", split="train")
    assert [(row["id"], row["image"].tobytes()) for row in found] == [
        (row["id"], row["image"].tobytes()) for row in expected
    ]


@pytest.mark.parametrize("streaming", [False, True])
def test_rows_that_stay_empty_are_dropped_and_counted(published: Published, streaming: bool) -> None:
    number = published.number("other")
    raw = {"closed": published.raw / "closed"}
    with pytest.warns(EmptyRowsWarning) as told:
        found = list(published.load("everything", split="train", streaming=streaming, raw=raw))
    assert str(told[0].message).startswith(f"{number} rows ")
    assert "other" in str(told[0].message)
    assert "closed" not in str(told[0].message)
    assert {row["source"] for row in found} == {"open_ct", "open_mri", "closed"}
    assert all(row["image"] is not None for row in found)


def test_a_null_picture_comes_only_when_asked_for(published: Published) -> None:
    with pytest.warns(EmptyRowsWarning, match="null image"):
        kept = published.load("closed", split="train", empty="keep")
    assert kept["image"][:] == [None] * published.number("closed")
    for streaming in (False, True):
        with pytest.raises(AttachError, match="closed"):
            published.load("closed", empty="error", streaming=streaming)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("config", "filters", "expected"),
    [
        ("everything", {"modality": "ct"}, {"open_ct", "closed", "other"}),
        ("default", {"modality": "ct"}, {"open_ct"}),
        ("everything", {"modality": "CT", "anatomy": "liver"}, {"closed", "other"}),
        ("subset_02", {"anatomy": "liver"}, {"closed"}),
        ("modality_ct", {"anatomy": "kidney", "task": "disease classification"}, {"open_ct"}),
        ("everything", {"kind": "classification", "modality": "mri"}, {"open_mri"}),
    ],
)
def test_filters_choose_sources_by_their_triplet(
    published: Published, config: str, filters: dict[str, str], expected: set[str], streaming: bool
) -> None:
    raw = {slug: published.raw / slug for slug in ("closed", "other")}
    rows = published.load(config, split="train", raw=raw, streaming=streaming, empty="error", **filters)
    found = list(rows)
    assert {row["source"] for row in found} == expected
    assert len(found) == published.number(*expected)


def test_filters_load_every_split(published: Published) -> None:
    rows = published.load("everything", dataset=published.full, modality="mri")
    expected = datasets.load_dataset(str(published.full), "open_mri")
    assert {split: part["id"][:] for split, part in rows.items()} == {
        split: part["id"][:] for split, part in expected.items()
    }


def test_a_choice_of_nothing_is_an_error(published: Published, tmp_path: Path) -> None:
    with pytest.raises(MedMatError, match=r"no source of config 'open_ct' has modality='mri'.*open_ct"):
        published.load("open_ct", modality="mri")
    with pytest.raises(MedMatError, match="none of open_mri has rows in split 'validation'"):
        published.load("everything", split="validation", modality="mri")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MedMatError, match=r"manifest\.json: not there"):
        med_mat.load("everything", dataset=tmp_path / "empty", modality="mri")
    with pytest.raises(MedMatError, match="no card of: closed, open_ct, open_mri, other"):
        med_mat.load("everything", dataset=published.full, modality="mri")


def test_sources_can_be_narrowed_by_every_column() -> None:
    every: Any = med_mat.sources()
    assert [row["slug"] for row in every][: len(catalogue())] == list(catalogue())
    for name in ("modality", "anatomy", "task", "subset", "kind", "access", "redistribution", "status"):
        value = every[-1][name]
        assert med_mat.sources(**{name: value}) == [row for row in every if row[name] == value]
    both = med_mat.sources(modality="X-ray", status="ready")
    assert both == [row for row in every if row["modality"] == "xray" and row["status"] == "ready"]


def test_subsets_are_the_published_ones() -> None:
    every = med_mat.subsets()
    assert [row["number"] for row in every] == list(published_subsets())
    assert {slug for row in every for slug in row["sources"]} == set(catalogue())
    for row in every:
        assert row["config"] == f"subset_{row['number']}"
        assert set(row["ready"]) <= set(row["sources"])
    element = every[1]["elements"][0]
    assert med_mat.subsets(element=element) == [row for row in every if element in row["elements"]]
    assert [row["number"] for row in med_mat.subsets(modality="ct", anatomy="Kidney")] == ["02"]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: med_mat.sources(anatomy="kidny"), r"anatomy='kidny': nothing has that; there are: .*kidney"),
        (lambda: med_mat.subsets(element="Smell"), r"element='Smell': nothing has that; there are: "),
    ],
)
def test_a_misspelling_is_an_error_that_shows_what_there_is(call: Any, told: str) -> None:
    with pytest.raises(MedMatError, match=told):
        call()


def test_the_examples_of_the_functions_are_right() -> None:
    result = doctest.testmod(med_mat, optionflags=doctest.ELLIPSIS)
    assert result.attempted >= 3
    assert not result.failed


def test_public_names_are_there_without_loading_datasets() -> None:
    code = "import sys, med_mat; med_mat.subsets(number='02'); assert 'datasets' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert set(med_mat.__all__) - {"__version__"} == {
        name for name in med_mat.__all__ if callable(getattr(med_mat, name))
    }
