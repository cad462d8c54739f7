"""Files found are rows published and files listed with a reason, in every build; and what breaks that is seen."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from accounting import unaccounted
from source_fixture import SLUGS
from tiny import noise_bytes
from world import LOADER, World, good, odd, world

from med_mat.build import BuildResult
from med_mat.registry import Registry

RAW = Path(os.environ["MED_MAT_RAW"]) if "MED_MAT_RAW" in os.environ else None


def test_all_fixtures_of_sources(whole_build: BuildResult, raw_trees: Path) -> None:
    assert {source.slug for source in whole_build.sources} == set(SLUGS)
    assert unaccounted(Path(whole_build.out), raw_trees) == []


if RAW is not None:

    @pytest.mark.slow
    def test_all_real_samples(real_build: BuildResult, sources: Registry) -> None:
        assert RAW is not None
        slugs = [source.slug for source in sources if (RAW / source.slug).is_dir()]
        assert [source.slug for source in real_build.sources] == slugs
        assert [source.failure for source in real_build.sources if source.failure] == []
        assert unaccounted(Path(real_build.out), RAW) == []


# Loaders that lose something


def changed(old: str, new: str) -> str:
    assert old in LOADER
    return LOADER.replace(old, new)


YIELD = "        yield Sample(image, labels=[image.parent.name])\n"
DROPS = changed(YIELD, f"        if image.name != 'good 1.png':\n    {YIELD}")
UNLABELLED = changed("[image.parent.name]", "[image.parent.name] if image.name != 'good 1.png' else []")
ONE_KEY = changed("[image.parent.name])", "[image.parent.name], key=image.parent.name)")
TWICE = changed(YIELD, f"{YIELD}{YIELD.replace('image.parent.name', repr('cyst'))}")

CASES: dict[str, tuple[str, dict[str, bytes], set[tuple[str, str]]]] = {
    "a file that the loader passes over": (
        DROPS,
        {},
        {("unread_file", f"{label}/good 1.png") for label in ("cyst", "stone", "tumor", "normal")},
    ),
    "a file outside the folders that the loader knows": (
        LOADER,
        {"cysts/a.png": noise_bytes("a", "x.png")},
        {("unread_file", "cysts/a.png")},
    ),
    "a file of a format that the loader does not ask for": (
        LOADER,
        {"cyst/a.jfif": b""},
        {("unread_file", "cyst/a.jfif")},
    ),
    "a file without label": (
        UNLABELLED,
        {},
        {("no_label", f"{label}/good 1.png") for label in ("cyst", "stone", "tumor", "normal")},
    ),
    "files of one key": (
        ONE_KEY,
        {},
        {("duplicate_sample", f"{label}/good 1.png") for label in ("cyst", "stone", "tumor", "normal")},
    ),
    "a file that is named twice": (
        TWICE,
        {},
        {("duplicate_sample", path) for path in good()},
    ),
    "a file that does not decode": (LOADER, {"cyst/a.png": b"\x89PNG"}, {("unreadable_image", "cyst/a.png")}),
    "two files of one name": (
        LOADER,
        {"copy/cyst/good 0.png": noise_bytes("another", "x.png", (40, 40))},
        {("key_clash", "copy/cyst/good 0.png")},
    ),
    "one picture under two labels": (
        LOADER,
        {f"{label}/same.png": noise_bytes("same", "x.png") for label in ("cyst", "stone")},
        {("contradiction", "cyst/same.png"), ("contradiction", "stone/same.png")},
    ),
    "an archive that cannot be read": (LOADER, {"more.zip": b""}, {("skipped_file", "more.zip")}),
}


@pytest.mark.parametrize("name", CASES)
def test_what_a_build_loses_is_listed_and_costs_the_exit_code(name: str, tmp_path: Path) -> None:
    loader, tree, expected = CASES[name]
    place = world(tmp_path, loader)
    place.put({**good(), **tree})
    result = place.build()
    assert (result.exit_code, odd(result)) == (1, expected)
    assert sum(result.manifest["sources"]["tiny"]["undeclared"].values()) >= len(expected)

    # What the card declares is counted, and no fault.
    kinds = sorted({kind for kind, _ in expected})
    declared = world(tmp_path, loader, known_defects=[{"kind": kind, "why": "drawn so"} for kind in kinds])
    result = declared.build()
    assert (result.exit_code, odd(result)) == (0, set())
    counted = result.manifest["sources"]["tiny"]
    assert sum(counted["odd"].values()) + len(counted["losses"]) >= len(expected)


def test_a_card_may_say_of_files_that_they_are_no_samples(tmp_path: Path) -> None:
    place = world(tmp_path, DROPS, unread=[{"paths": ["good 1.png"], "why": "the second is a thumbnail"}])
    place.put(good())
    result = place.build()
    assert (result.exit_code, result.manifest["sources"]["tiny"]["left_out"]) == (0, {"the second is a thumbnail": 4})


@pytest.mark.parametrize(
    "fault",
    [
        "raise KeyError(image.name)",
        "raise OSError(5, 'Input/output error', str(image.path))",
        "1 / 0",
        "image.missing = 1",
    ],
)
def test_a_loader_that_stops_fails_its_source(fault: str, tmp_path: Path) -> None:
    place = world(tmp_path, changed(YIELD, f"{YIELD}        {fault}\n"))
    place.put(good())
    result = place.build()
    (source,) = result.sources
    assert (result.exit_code, result.manifest["rows"]) == (2, 0)
    assert source.failure is not None
    assert source.failure.startswith("tiny: ")


# The check itself


@pytest.fixture
def built(tmp_path: Path) -> World:
    place = world(tmp_path)
    place.put({**good(), "cyst/cut.png": b"\x89PNG"})
    place.build()
    return place


def _edit(path: Path, change: Callable[[Any], object]) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def _manifest(change: Callable[[Any], object]) -> Callable[[World], None]:
    return lambda place: _edit(place.out / "manifest.json", lambda content: change(content["sources"]["tiny"]))


def _less(name: str) -> Callable[[World], None]:
    def cut(place: World) -> None:
        path = next(place.out.glob(name))
        table = pq.read_table(path)
        pq.write_table(table.slice(1), path)

    return cut


BREAKS: dict[str, Callable[[World], None]] = {
    "a file on the disk that nobody saw": lambda place: place.put({"cyst/late.png": b""}),
    "a file of which the index says nothing": lambda place: _edit(
        place.out / ".med-mat/index/tiny.json", lambda content: content.update(files=content["files"] + 1)
    ),
    "a sample gone from the index": _less(".med-mat/index/tiny.parquet"),
    "a picture that was not scanned": _less(".med-mat/scan/tiny.parquet"),
    "a row gone from the plan": _less(".med-mat/plan/tiny.parquet"),
    "a row gone from a shard": _less("data/tiny/train-*.parquet"),
    "a shard gone": lambda place: _manifest(lambda entry: entry["shards"].popitem())(place),
    "a loss without its reason": _manifest(lambda entry: entry["left_out"].clear()),
    "a loss without its name": _manifest(lambda entry: entry["losses"].__setitem__(0, ["cyst/x.png", "", ""])),
    "a number of rows that is not true": _manifest(lambda entry: entry.update(rows=1)),
    "a number of files that is not true": _manifest(lambda entry: entry.update(files=1)),
    "a source gone from the manifest": lambda place: _edit(
        place.out / "manifest.json", lambda content: content["sources"].clear()
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_the_check_sees_what_is_lost(name: str, built: World) -> None:
    assert unaccounted(built.out, built.folder / "raw") == []
    BREAKS[name](built)
    assert unaccounted(built.out, built.folder / "raw")
