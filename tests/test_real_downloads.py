"""Loaders and cards against slices of official downloads, where ``MED_MAT_RAW`` names a folder that holds some.

What is right is said by ``real_oracle``, which reads the same folders without the package. Without the variable there
is nothing to collect: the slices hold pictures that may not travel with the code.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import datasets
import pytest
from real_oracle import ORACLE, TRUNCATED, Expected, Labels

from med_mat.build import BuildResult
from med_mat.card import Card
from med_mat.index import Index, index_source
from med_mat.plan import UNREADABLE
from med_mat.raw import RawRoot
from med_mat.registry import Registry, registry
from med_mat.schema import features

RAW = Path(os.environ["MED_MAT_RAW"]) if "MED_MAT_RAW" in os.environ else None
SLUGS = [slug for slug in ORACLE if (RAW / slug).is_dir() and slug in registry()] if RAW is not None else []

__test__ = bool(SLUGS)

pytestmark = pytest.mark.usefixtures("_folders_resolved_once")


def _folder(slug: str) -> Path:
    assert RAW is not None
    return RAW / slug


def _index(sources: Registry, slug: str, cache: Path) -> Index:
    with RawRoot.open(_folder(slug), cache=cache) as raw:
        return index_source(sources[slug], raw, allow_missing=True)


def _clean(card: Card, labels: Labels) -> Labels:
    unknown = labels - card.labels.keys()
    assert not unknown, f"raw labels {sorted(unknown)} are not in the card; it has {list(card.labels)}"
    return frozenset(clean for clean in (card.labels[label].label for label in labels) if clean is not None)


def _clean_samples(card: Card, expected: Expected) -> dict[str, tuple[Labels, str | None]]:
    cleaned = {path: (_clean(card, labels), split) for path, (labels, split) in expected.found.items()}
    return {path: (labels, split) for path, (labels, split) in cleaned.items() if labels}


def _clean_missing(card: Card, expected: Expected) -> Counter[str]:
    return Counter(label for labels in expected.missing.elements() for label in _clean(card, labels))


@pytest.mark.parametrize("slug", SLUGS)
def test_index_is_what_the_release_says(slug: str, sources: Registry, tmp_path: Path) -> None:
    index = _index(sources, slug, tmp_path)
    card = sources[slug].card
    expected = ORACLE[slug](_folder(slug))
    assert index.exit_code == 0, "\n".join(f"{odd.kind} {odd.path}: {odd.detail}" for odd in index.undeclared[:20])
    found = {row["raw_path"]: (frozenset(row["labels"]), row["split"]) for row in index.table.to_pylist()}
    assert len(found) == index.table.num_rows
    assert found == _clean_samples(card, expected)
    assert index.missing.by_label == _clean_missing(card, expected)


@pytest.fixture
def built(real_build: BuildResult) -> BuildResult:
    return real_build


@pytest.mark.slow
def test_build_has_nothing_undeclared(built: BuildResult) -> None:
    problems = {
        source.slug: source.failure or [f"{odd.kind} {odd.path}: {odd.detail}" for odd in source.undeclared]
        for source in built.sources
        if source.failure or source.undeclared
    }
    assert (built.exit_code, problems) == (0, {})
    assert [source.slug for source in built.sources] == [
        source.slug for source in registry() if _folder(source.slug).is_dir()
    ]


@pytest.mark.slow
def test_every_sample_is_a_row_or_a_loss(built: BuildResult) -> None:
    for source in built.sources:
        assert source.index is not None
        assert source.plan is not None
        rows = source.plan.table["raw_path"].to_pylist()
        lost = [loss.raw_path for loss in source.plan.losses]
        assert sorted(rows + lost) == sorted(source.index.table["raw_path"].to_pylist()), source.slug
        assert len(rows) == sum(built.manifest["sources"][source.slug]["splits"].values())


@pytest.mark.slow
def test_truncated_pictures_are_the_only_unreadable_ones(built: BuildResult) -> None:
    unreadable = {
        source.slug: {loss.raw_path for loss in source.plan.losses if loss.reason == UNREADABLE}
        for source in built.sources
        if source.plan is not None
    }
    assert unreadable == {slug: TRUNCATED.get(slug, set()) for slug in unreadable}


@pytest.mark.slow
def test_every_config_loads_and_streams(built: BuildResult) -> None:
    rows = {source.slug: source.plan.table.num_rows for source in built.sources if source.plan is not None}
    names = {config.name for config in built.configs}
    assert {"everything"} | {slug for slug, number in rows.items() if number} <= names
    for config in built.configs:
        loaded = datasets.load_dataset(str(built.out), config.name)
        streamed = datasets.load_dataset(str(built.out), config.name, streaming=True)
        assert set(loaded) == set(streamed) == set(config.globs)
        for split in loaded:
            assert loaded[split].features == streamed[split].features == features()
            ids = loaded[split]["id"][:]
            assert [row["id"] for row in streamed[split].select_columns(["id"])] == ids
            assert len(set(ids)) == len(ids)
        if config.name in rows:
            assert sum(loaded[split].num_rows for split in loaded) == rows[config.name]
        if config.name == "everything":
            assert sum(loaded[split].num_rows for split in loaded) == sum(rows.values())


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


@pytest.mark.slow
def test_every_picture_decodes_as_its_row_says(built: BuildResult) -> None:
    for rows in datasets.load_dataset(str(built.out), "everything").values():
        for row in rows:
            assert row["image"].size == (row["width"], row["height"]), row["id"]
    for rows in datasets.load_dataset(str(built.out), "everything").values():
        for row in rows.cast_column("image", datasets.Image(decode=False)):
            features().encode_example(row)


@pytest.mark.slow
def test_no_row_tells_where_it_was_built(built: BuildResult) -> None:
    places = (str(RAW), str(built.out.parent))
    for rows in datasets.load_dataset(str(built.out), "everything").values():
        for row in rows.cast_column("image", datasets.Image(decode=False)):
            for text in _strings(row):
                assert not any(place in text for place in places), (row["id"], text)
                assert not PurePosixPath(text).is_absolute(), (row["id"], text)
                assert not PureWindowsPath(text).drive, (row["id"], text)
