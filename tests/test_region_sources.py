"""Sources of boxes and masks through the whole pipeline: planted regions come out where they were put."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from tiny import add_source, make_card, noise, noise_bytes, registry_of

from med_mat import explode, prompt
from med_mat.build import BuildResult, build, raw_location
from med_mat.errors import CardError, MedMatError, RawChangedError
from med_mat.index import Index, index_source
from med_mat.preview import preview_index, preview_rows
from med_mat.raw import RawRoot
from med_mat.regions import KAGGLE_ROWS, decode_runs, label_masks, parse_boxes, ring_box
from med_mat.registry import Registry
from med_mat.trees import Content, CopyOf, Mask, Picture, planted, write_tree

SIZE = (60, 40)

LOADER = '''\
"""Pictures with regions that a JSON file lists."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import json_file
from med_mat.sample import BinaryMask, ClassMask, Outline, Region, RunLengths, Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    images, masks = raw.find("images/*.{png,jpg}"), raw.find("masks/*.png")
    for name, entry in json_file(raw, "regions.json").items():
        regions = [Region(label, tuple(box)) for label, box in entry.get("boxes", [])]
        regions += [Outline(label, rings, "edges") for label, rings in entry.get("outlines", [])]
        regions += [RunLengths(label, runs, "kaggle_rows", 60, 40) for label, runs in entry.get("runs", [])]
        regions += [BinaryMask(masks["masks/" + file], label) for label, file in entry.get("binary", [])]
        for file, classes in entry.get("classes", []):
            regions.append(ClassMask(masks["masks/" + file], {int(value): label for value, label in classes.items()}))
        yield Sample(
            images["images/" + name],
            labels=entry.get("labels", []),
            uncertain=entry.get("uncertain", []),
            key=name,
            regions=regions,
        )
'''

LABELS: dict[str, Any] = {
    "N": {"label": "nodule", "meaning": "a nodule"},
    "V": {"label": "vessel", "meaning": "a vessel"},
    "C": {"label": "calcification", "meaning": "a calcification"},
    "scale": {"label": None, "meaning": "the scale at the side"},
    "normal": {"label": "normal thyroid", "meaning": "nothing", "no_finding": True},
}

CARD: dict[str, Any] = {
    "kind": "segmentation",
    "subset": "44",
    "modality": "us",
    "anatomy": "thyroid",
    "task": "lesion segmentation",
    "labels": LABELS,
}


def _mask(*boxes: tuple[int, int, int, int], value: int = 255, size: tuple[int, int] = SIZE) -> npt.NDArray[np.uint8]:
    pixels = np.zeros((size[1], size[0]), np.uint8)
    for xmin, ymin, xmax, ymax in boxes:
        pixels[ymin:ymax, xmin:xmax] = value
    return pixels


class Raw:
    """A raw root that is written as its regions are named."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.entries: dict[str, dict[str, Any]] = {}
        for name in ("images", "masks"):
            (folder / name).mkdir(parents=True)

    def add(self, name: str, *, masks: Mapping[str, npt.NDArray[np.uint8]] | None = None, **entry: Any) -> None:
        (self.folder / "images" / name).write_bytes(noise_bytes(name, name, SIZE))
        for file, pixels in (masks or {}).items():
            Image.fromarray(pixels).save(self.folder / "masks" / file)
        self.entries[name] = entry
        (self.folder / "regions.json").write_text(json.dumps(self.entries), encoding="utf-8")


@pytest.fixture
def raw(tmp_path: Path) -> Raw:
    return Raw(tmp_path / "raw" / "tiny")


def _sources(tmp_path: Path, **fields: Any) -> Registry:
    add_source(tmp_path / "loaders", "tiny", LOADER, **{**CARD, **fields})
    return registry_of(tmp_path / "loaders")


def _build(tmp_path: Path, **fields: Any) -> BuildResult:
    return build(_sources(tmp_path, **fields), tmp_path / "raw", tmp_path / "out")


def _rows(result: BuildResult) -> dict[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    if result.manifest["rows"]:
        for part in _loaded(result).values():
            rows |= {row["key"]: row for row in part}
    return rows


def _loaded(result: BuildResult) -> datasets.DatasetDict:
    # A cache of its own: tests write other rows of equal size under one name within a tick of the clock.
    with tempfile.TemporaryDirectory(dir=result.out.parent) as cache:
        return datasets.load_dataset(str(result.out), "tiny", cache_dir=cache, keep_in_memory=True)


def _losses(result: BuildResult) -> dict[str, tuple[str, str]]:
    (source,) = result.sources
    assert source.plan is not None
    return {loss.raw_path: (loss.kind, loss.detail) for loss in source.plan.losses}


def _index(tmp_path: Path, *, allow_missing: bool = False, **fields: Any) -> Index:
    with RawRoot.open(tmp_path / "raw" / "tiny", cache=tmp_path / "cache") as root:
        return index_source(_sources(tmp_path, **fields)["tiny"], root, allow_missing=allow_missing)


def _objects(row: Mapping[str, Any]) -> list[tuple[str, list[int]]]:
    """Objects in whole pixels."""
    return [
        (found["label"], [round(side * SIZE[place % 2]) for place, side in enumerate(found["bbox"])])
        for found in row["objects"]
    ]


def _questions(row: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    return [question for question in row["more_questions"] if question["kind"] == kind]


def test_a_mask_comes_out_as_it_was_planted(tmp_path: Path, raw: Raw) -> None:
    nodules, vessel = _mask((5, 6, 15, 18), (30, 10, 40, 20)), _mask((45, 2, 58, 39))
    raw.add("a.png", masks={"a_n.png": nodules, "a_v.png": vessel}, binary=[["N", "a_n.png"], ["V", "a_v.png"]])
    result = _build(tmp_path)
    row = _rows(result)["a.png"]
    assert row["mask"].mode == "L"
    assert row["mask"].size == SIZE
    assert row["mask_labels"] == ["nodule", "vessel", "calcification"]
    found = label_masks(np.asarray(row["mask"]), row["mask_labels"])
    assert {label: mask.tolist() for label, mask in found.items()} == {
        "nodule": (nodules > 0).tolist(),
        "vessel": (vessel > 0).tolist(),
    }
    assert _objects(row) == [
        ("vessel", [45, 2, 58, 39]),
        ("nodule", [5, 6, 15, 18]),
        ("nodule", [30, 10, 40, 20]),
    ]
    assert row["labels"] == ["nodule", "vessel"]
    assert result.exit_code == 0
    assert result.manifest["sources"]["tiny"]["files"] == 3


def test_a_class_mask_runs_and_outlines_come_out_as_they_were_planted(tmp_path: Path, raw: Raw) -> None:
    values = _mask((5, 6, 15, 18), value=1) + _mask((30, 10, 40, 20), value=7)
    raw.add("classes.png", masks={"c.png": values}, classes=[["c.png", {"0": None, "1": "N", "7": "scale", "3": "V"}]])
    raw.add("runs.png", runs=[["C", " ".join(f"{60 * row + 11} 20" for row in range(5, 15))]])
    touching = [[[4, 4], [20, 4], [20, 20], [4, 20]]], [[[20, 4], [40, 4], [40, 20], [20, 20]]]
    raw.add("outlines.png", outlines=[["N", rings] for rings in touching])
    rows = _rows(_build(tmp_path))
    assert _objects(rows["classes.png"]) == [("nodule", [5, 6, 15, 18])]
    assert np.array_equal(np.asarray(rows["classes.png"]["mask"]), (values == 1).astype(np.uint8))
    assert _objects(rows["runs.png"]) == [("calcification", [10, 5, 30, 15])]
    assert np.array_equal(np.asarray(rows["runs.png"]["mask"]), _mask((10, 5, 30, 15), value=3))
    # Each outline is an object of its own, also where two touch.
    assert _objects(rows["outlines.png"]) == [("nodule", [4, 4, 20, 20]), ("nodule", [20, 4, 40, 20])]
    assert np.array_equal(np.asarray(rows["outlines.png"]["mask"]), _mask((4, 4, 40, 20), value=1))


def test_boxes_of_the_release_win_over_boxes_of_its_masks(tmp_path: Path, raw: Raw) -> None:
    whole = _mask((5, 5, 30, 20))
    raw.add(
        "a.png",
        masks={"a.png": whole},
        binary=[["N", "a.png"]],
        boxes=[["N", [5, 5, 17, 20]], ["N", [17, 5, 30, 20]], ["N", [17, 5, 30, 20]]],
    )
    row = _rows(_build(tmp_path))["a.png"]
    assert _objects(row) == [("nodule", [5, 5, 17, 20]), ("nodule", [17, 5, 30, 20])]
    assert np.array_equal(np.asarray(row["mask"]) > 0, whole > 0)


def test_a_source_of_boxes_has_no_mask(tmp_path: Path, raw: Raw) -> None:
    raw.add("a.png", boxes=[["N", [5, 5, 17, 20]]])
    raw.add("none.png")
    rows = _rows(_build(tmp_path, kind="detection", subset="49", modality="xray"))
    assert {(row["mask"], tuple(row["mask_labels"])) for row in rows.values()} == {(None, ())}
    assert _objects(rows["a.png"]) == [("nodule", [5, 5, 17, 20])]
    assert rows["none.png"]["labels"] == []
    assert (rows["none.png"]["options"], rows["none.png"]["answer"]) == (["yes", "no"], "no")


def test_where_is_asked_of_the_largest_label_first(tmp_path: Path, raw: Raw) -> None:
    raw.add(
        "a.png", boxes=[["C", [40, 20, 50, 30]], ["N", [30, 2, 35, 7]], ["N", [0, 2, 5, 7]], ["V", [10, 10, 36, 30]]]
    )
    for number in range(4):
        raw.add(f"n{number}.png", labels=["normal"])
    rows = _rows(_build(tmp_path))
    row = rows["a.png"]
    assert "vessel" in row["question"]
    assert row["options"] == []
    assert row["answer_index"] == -1
    assert row["answer"] == "[0.167, 0.250, 0.600, 0.750]"
    assert [question["answer"] for question in _questions(row, "where")] == [
        "[0.667, 0.500, 0.833, 0.750]",
        "[0.000, 0.050, 0.083, 0.175] [0.500, 0.050, 0.583, 0.175]",
    ]

    assert sorted(question["answer"] for question in _questions(row, "count")) == ["1", "1", "2"]
    kinds = Counter(question["answer"] for shown in rows.values() for question in _questions(shown, "presence"))
    assert kinds["yes"] == 3
    assert prompt(row).startswith(row["question"] + "\nAnswer with one box [xmin, ymin, xmax, ymax]")


def test_presence_is_balanced_and_negatives_have_it_alone(tmp_path: Path, raw: Raw) -> None:
    for number in range(30):
        if number % 3:
            raw.add(f"{number}.png", labels=["normal"])
        else:
            raw.add(f"{number}.png", boxes=[["N", [5, 5, 17, 20]]])
    result = _build(tmp_path)
    exploded = explode(_loaded(result))
    asked: Counter[tuple[str, str, str]] = Counter()
    for split, part in exploded.items():
        for row in part:
            if row["question_kind"] == "presence" and "nodule" in row["question"]:
                asked[split, "normal" if row["labels"] == ["normal thyroid"] else "nodule", row["answer"]] += 1
            if row["labels"] == ["normal thyroid"]:
                assert row["question_kind"] == "presence"
                assert row["answer"] == "no"
            if row["question_kind"] in ("where", "count"):
                assert prompt(row).splitlines()[0] == row["question"]
    assert sum(number for (_, shown, answer), number in asked.items() if (shown, answer) == ("nodule", "yes")) == 10
    assert not any((shown, answer) in [("nodule", "no"), ("normal", "yes")] for _, shown, answer in asked)


def test_a_negative_of_a_segmentation_source_has_an_empty_mask(tmp_path: Path, raw: Raw) -> None:
    raw.add("a.png", masks={"a.png": _mask((5, 5, 20, 20))}, binary=[["N", "a.png"]])
    raw.add("none.png", labels=["normal"])
    raw.add("black.png", masks={"b.png": _mask()}, binary=[["N", "b.png"]])
    rows = _rows(_build(tmp_path))
    for name in ("none.png", "black.png"):
        assert rows[name]["mask"].getextrema() == (0, 0)
        assert rows[name]["objects"] == []
        assert rows[name]["answer"] == "no"
    assert rows["none.png"]["labels"] == ["normal thyroid"]
    assert rows["black.png"]["labels"] == []


def test_what_is_there_in_specks_only_is_never_asked(tmp_path: Path, raw: Raw) -> None:
    speck = _mask((5, 5, 8, 8))
    raw.add("a.png", masks={"a.png": speck + _mask((30, 5, 50, 20))}, binary=[["V", "a.png"]])
    raw.add(
        "b.png",
        masks={"b_n.png": speck, "b_v.png": _mask((30, 5, 50, 20))},
        binary=[["N", "b_n.png"], ["V", "b_v.png"]],
    )
    raw.add("c.png", boxes=[["N", [1, 1, 9, 9]]])
    rows = _rows(_build(tmp_path))
    assert _objects(rows["a.png"]) == [("vessel", [30, 5, 50, 20])]
    # How many vessels there are is in doubt beside a speck of one.
    assert _questions(rows["a.png"], "count") == []
    assert rows["b.png"]["labels"] == ["vessel"]
    assert [question["answer"] for question in _questions(rows["b.png"], "count")] == ["1"]
    assert not any("nodule" in question["question"] for question in rows["b.png"]["more_questions"])


def test_a_picture_of_specks_alone_is_left_out(tmp_path: Path, raw: Raw) -> None:
    labels = {name: LABELS[name] for name in ("N", "normal")}
    raw.add("a.png", masks={"a.png": _mask((5, 5, 8, 8))}, binary=[["N", "a.png"]])
    raw.add("b.png", boxes=[["N", [1, 1, 9, 9]]])
    result = _build(tmp_path, labels=labels)
    assert set(_rows(result)) == {"b.png"}
    assert _losses(result) == {"images/a.png": ("region", "of nodule")}


def test_the_card_can_raise_the_limit_of_specks(tmp_path: Path, raw: Raw) -> None:
    raw.add("a.png", masks={"a.png": _mask((5, 5, 10, 10)) + _mask((30, 5, 50, 20))}, binary=[["N", "a.png"]])
    assert len(_rows(_build(tmp_path))["a.png"]["objects"]) == 2
    again = _rows(_build(tmp_path, smallest_region=0.02))["a.png"]
    assert _objects(again) == [("nodule", [30, 5, 50, 20])]
    assert np.count_nonzero(np.asarray(again["mask"])) == 25 + 300


def test_the_card_says_which_of_two_labels_gets_a_pixel(tmp_path: Path, raw: Raw) -> None:
    inner, outer = _mask((10, 10, 20, 20)), _mask((5, 5, 30, 30))
    raw.add("a.png", masks={"i.png": inner, "o.png": outer}, binary=[["V", "o.png"], ["N", "i.png"]])
    undecided = _build(tmp_path)
    assert "share 100 pixels" in _losses(undecided)["images/a.png"][1]
    assert [oddity.kind for source in undecided.sources for oddity in source.undeclared] == ["region"]
    row = _rows(_build(tmp_path, overlap_priority=["nodule", "vessel"]))["a.png"]
    assert np.array_equal(np.asarray(row["mask"]) == 1, inner > 0)
    assert np.array_equal(np.asarray(row["mask"]) == 2, (outer > 0) & (inner == 0))
    assert _objects(row) == [("vessel", [5, 5, 30, 30]), ("nodule", [10, 10, 20, 20])]


@pytest.mark.parametrize(
    ("masks", "entry", "complaint"),
    [
        (
            {"a.png": _mask((5, 5, 20, 20), value=200)},
            {"binary": [["N", "a.png"]]},
            "masks/a.png: a mask of two values",
        ),
        ({"a.png": _mask(size=(40, 60))}, {"binary": [["N", "a.png"]]}, "fits if turned by 90 degrees"),
        ({"a.png": _mask((1, 1, 9, 9), value=9)}, {"classes": [["a.png", {"0": None}]]}, "found also 9"),
        ({}, {"boxes": [["N", [10, 10, 70, 20]]]}, "leaves its picture"),
        ({}, {"boxes": [["N", [10, 10, 5, 20]]]}, "empty or turned over"),
        ({}, {"runs": [["N", "2399 9"]]}, "the last run ends"),
        ({}, {"labels": ["normal"], "boxes": [["N", [1, 1, 9, 9]]]}, "normal thyroid against boxes of nodule"),
    ],
)
def test_regions_that_do_not_fit_keep_the_picture_out(
    tmp_path: Path, raw: Raw, masks: dict[str, Any], entry: dict[str, Any], complaint: str
) -> None:
    raw.add("a.png", masks=masks, **entry)
    raw.add("b.png", boxes=[["N", [1, 1, 9, 9]]])
    result = _build(tmp_path)
    assert set(_rows(result)) == {"b.png"}
    assert complaint in _losses(result)["images/a.png"][1]
    assert result.exit_code == 1
    assert complaint in json.dumps(result.manifest["sources"]["tiny"]["losses"])


def test_a_truncated_mask_keeps_the_picture_out_and_is_tried_again(tmp_path: Path, raw: Raw) -> None:
    raw.add("a.png", masks={"a.png": _mask((5, 5, 20, 20))}, binary=[["N", "a.png"]])
    file = raw.folder / "masks" / "a.png"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert "masks/a.png" in _losses(_build(tmp_path))["images/a.png"][1]
    file.write_bytes(whole)
    assert set(_rows(_build(tmp_path))) == {"a.png"}


def test_a_changed_mask_is_scanned_again(tmp_path: Path, raw: Raw) -> None:
    raw.add("a.png", masks={"a.png": _mask((5, 5, 20, 20))}, binary=[["N", "a.png"]])
    assert _objects(_rows(_build(tmp_path))["a.png"]) == [("nodule", [5, 5, 20, 20])]
    raw.add("a.png", masks={"a.png": _mask((5, 5, 30, 25))}, binary=[["N", "a.png"]])
    again = _build(tmp_path)
    assert _objects(_rows(again)["a.png"]) == [("nodule", [5, 5, 30, 25])]
    assert sum(source.written for source in again.sources) == 1
    # Nothing changes: nothing is written, to the byte.
    before = {path: path.read_bytes() for path in again.out.glob("data/**/*.parquet")}
    last = _build(tmp_path)
    assert sum(source.written for source in last.sources) == 0
    assert {path: path.read_bytes() for path in last.out.glob("data/**/*.parquet")} == before


def test_a_mask_that_changes_between_scan_and_writing_stops_the_build(
    tmp_path: Path, raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw.add("a.png", masks={"a.png": _mask((5, 5, 20, 20))}, binary=[["N", "a.png"]])
    from med_mat import build as module

    planned = module.plan

    def tampered(*arguments: Any, **options: Any) -> Any:
        Image.fromarray(_mask((6, 5, 20, 20))).save(raw.folder / "masks" / "a.png")
        return planned(*arguments, **options)

    monkeypatch.setattr(module, "plan", tampered)
    with pytest.raises(RawChangedError, match=r"a mask of images/a\.png changed"):
        _build(tmp_path)


def _rotated(raw: Raw, name: str, orientation: int, upright: npt.NDArray[np.uint8]) -> None:
    """Writes a JPEG whose EXIF orientation turns it, as a camera does that was held sideways."""
    image = noise(name, (upright.shape[1], upright.shape[0]))
    undo = {6: Image.Transpose.ROTATE_90, 3: Image.Transpose.ROTATE_180}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.transpose(undo).save(raw.folder / "images" / name, quality=95, exif=exif)


@pytest.mark.parametrize("orientation", [3, 6])
def test_regions_of_a_turned_picture_follow_what_the_card_says(tmp_path: Path, raw: Raw, orientation: int) -> None:
    shown = _mask((5, 6, 25, 12)) + _mask((40, 20, 52, 36))
    stored = np.rot90(shown, {6: 1, 3: 2}[orientation])
    raw.add("shown.jpg", masks={"shown.png": shown}, binary=[["N", "shown.png"]])
    _rotated(raw, "shown.jpg", orientation, shown)
    silent = _build(tmp_path)
    assert "drawn_on" in _losses(silent)["images/shown.jpg"][1]
    wanted = [("nodule", [5, 6, 25, 12]), ("nodule", [40, 20, 52, 36])]
    assert _objects(_rows(_build(tmp_path, drawn_on="displayed"))["shown.jpg"]) == wanted
    raw.add("shown.jpg", masks={"shown.png": np.ascontiguousarray(stored)}, binary=[["N", "shown.png"]])
    _rotated(raw, "shown.jpg", orientation, shown)
    row = _rows(_build(tmp_path, drawn_on="stored"))["shown.jpg"]
    assert _objects(row) == wanted
    assert np.array_equal(np.asarray(row["mask"]) > 0, shown > 0)
    # Boxes turn as masks do.
    (top, left), (bottom, right) = (
        np.argwhere(stored[:, : stored.shape[1]] > 0).min(0),
        np.argwhere(stored > 0).max(0) + 1,
    )
    raw.add("shown.jpg", boxes=[["N", [int(left), int(top), int(right), int(bottom)]]])
    _rotated(raw, "shown.jpg", orientation, shown)
    assert _objects(_rows(_build(tmp_path, drawn_on="stored"))["shown.jpg"]) == [("nodule", [5, 6, 52, 36])]


# Index ----------------------------------------------------------------------------------------------------------


def test_masks_are_claimed_and_missing_ones_are_told(tmp_path: Path, raw: Raw) -> None:
    raw.add("a.png", masks={"a.png": _mask((5, 5, 20, 20))}, binary=[["N", "a.png"]])
    raw.add("b.png", binary=[["N", "absent.png"]])
    raw.add("gone.png", masks={"gone.png": _mask((5, 5, 20, 20))}, binary=[["N", "gone.png"]])
    (raw.folder / "images" / "gone.png").unlink()
    found = _index(tmp_path)
    assert [(oddity.kind, oddity.path) for oddity in found.odd] == [
        ("missing_image", "images/gone.png"),
        ("missing_mask", "masks/absent.png"),
    ]
    assert [line["key"] for line in found.table.to_pylist()] == ["a.png"]
    assert found.left_out == {
        "its mask is not in the raw root": 1,
        "mask of a picture that is no sample or not in the raw root": 1,
    }
    slice_of_it = _index(tmp_path, allow_missing=True)
    assert slice_of_it.odd == ()
    declared = _index(
        tmp_path,
        known_defects=[
            {"kind": "missing_mask", "paths": ["absent.png"], "why": "never released"},
            {"kind": "missing_image", "why": "never released"},
        ],
    )
    assert declared.exit_code == 0


def test_unknown_labels_of_regions_are_odd(tmp_path: Path, raw: Raw) -> None:
    raw.add("a.png", boxes=[["X", [1, 1, 9, 9]]])
    raw.add("b.png", masks={"b.png": _mask()}, classes=[["b.png", {"0": None, "1": "Y"}]])
    assert [(oddity.kind, oddity.path) for oddity in _index(tmp_path).odd] == [
        ("unknown_label", "images/a.png"),
        ("unknown_label", "images/b.png"),
    ]


def test_a_label_that_is_none_leaves_the_sample_out_whatever_its_regions(tmp_path: Path, raw: Raw) -> None:
    raw.add("a.png", labels=["scale"], masks={"a.png": _mask()}, binary=[["N", "a.png"]])
    found = _index(tmp_path)
    assert found.table.num_rows == 0
    assert found.left_out["mask of a picture that is no sample or not in the raw root"] == 1
    assert sum(found.left_out.values()) == 2
    assert found.odd == ()


def test_pictures_are_counted_by_the_labels_of_their_regions(tmp_path: Path, raw: Raw) -> None:
    labels = {**LABELS, "N": {**LABELS["N"], "count": 2}, "V": {**LABELS["V"], "count": 5}}
    raw.add("a.png", boxes=[["N", [1, 1, 9, 9]], ["N", [11, 1, 19, 9]]])
    raw.add("b.png", masks={"b.png": _mask()}, classes=[["b.png", {"0": None, "1": "V"}]])
    found = _index(tmp_path, labels=labels)
    assert found.found.by_label == {"nodule": 1}
    # How many pictures show what a class mask may hold is not known before its pixels are.
    assert [(oddity.kind, oddity.path) for oddity in found.odd] == [("count", "nodule")]


def test_regions_of_a_source_of_another_kind_are_refused(tmp_path: Path, raw: Raw) -> None:
    raw.add("a.png", labels=["N"], boxes=[["N", [1, 1, 9, 9]]])
    with pytest.raises(CardError, match="has no regions"):
        _index(tmp_path, kind="classification", subset="02", task="disease classification")


def test_a_region_of_no_finding_is_refused(tmp_path: Path, raw: Raw) -> None:
    raw.add("a.png", boxes=[["normal", [1, 1, 9, 9]]])
    with pytest.raises(CardError, match="no region can bear it"):
        _index(tmp_path)


# Sheets ---------------------------------------------------------------------------------------------------------


def _coloured(sheet: Image.Image) -> int:
    pixels = np.asarray(sheet).astype(int)
    return int(np.count_nonzero(pixels.max(axis=2) - pixels.min(axis=2) > 40))


def test_sheets_show_regions_and_why_there_are_none(tmp_path: Path, raw: Raw) -> None:
    raw.add("a.png")
    with RawRoot.open(tmp_path / "raw" / "tiny", cache=tmp_path / "cache") as root:
        bare = preview_index(_index(tmp_path), root)
    raw.add("a.png", masks={"a.png": _mask((5, 5, 20, 20))}, binary=[["N", "a.png"]])
    raw.add("wrong.png", boxes=[["N", [10, 10, 5, 20]]])
    with RawRoot.open(tmp_path / "raw" / "tiny", cache=tmp_path / "cache") as root:
        sheet = preview_index(_index(tmp_path), root)
    assert _coloured(bare) == 0
    assert _coloured(sheet) > 3_000
    rows = list(_rows(_build(tmp_path)).values())
    assert _coloured(preview_rows(rows, title="rows")) > 1_000


def test_answers_are_boxes_that_can_be_read(tmp_path: Path, raw: Raw) -> None:
    boxes: Sequence[list[Any]] = [["N", [3 * place, 2 * place, 3 * place + 7, 2 * place + 9]] for place in range(10)]
    raw.add("a.png", boxes=boxes)
    row = _rows(_build(tmp_path))["a.png"]
    read = parse_boxes(row["answer"], "unit")
    assert len(read) == 10
    for box, found in zip(read, row["objects"], strict=True):
        assert box == pytest.approx(found["bbox"], abs=5.1e-4)


def test_a_root_of_its_own_name_wins_over_that_of_the_download(tmp_path: Path, raw: Raw) -> None:
    raw.add("a.png", boxes=[["N", [1, 1, 9, 9]]])
    card = _sources(tmp_path, download_of="whole")["tiny"].card
    folder = tmp_path / "raw"
    assert raw_location(folder, card) == folder / "tiny"
    (folder / "whole.zip").touch()
    assert raw_location(folder, card) == folder / "tiny"
    raw.folder.rename(tmp_path / "elsewhere")
    assert raw_location(folder, card) == folder / "whole.zip"


def test_one_picture_under_different_labels_of_regions_is_a_contradiction(tmp_path: Path, raw: Raw) -> None:
    raw.add("a.png", boxes=[["N", [1, 1, 9, 9]]])
    raw.add("b.png", boxes=[["V", [1, 1, 9, 9]]])
    raw.add("c.png", boxes=[["V", [1, 1, 9, 9]]])
    (raw.folder / "images" / "b.png").write_bytes((raw.folder / "images" / "a.png").read_bytes())
    result = _build(tmp_path)
    assert set(_rows(result)) == {"c.png"}
    assert set(_losses(result).values()) == {("contradiction", "nodule against vessel")}


# Trees ----------------------------------------------------------------------------------------------------------


def test_a_tree_draws_masks_and_places_of_its_lesions(tmp_path: Path) -> None:
    card = make_card(**{**CARD, "labels": {name: LABELS[name] for name in ("N", "V")}})
    picture = Picture(("N", "N", "V"), size=(120, 96))
    tree: dict[str, Content] = {
        "a.png": picture,
        "copy.png": CopyOf("a.png"),
        "map.png": Mask("copy.png", {"N": 1, "V": 2}),
        "second.png": Mask("a.png", {"N": (9, 8, 7)}, background=(1, 1, 1), nth=1, mode="RGB"),
        "palette.png": Mask("a.png", {"V": 5}, mode="P"),
        "small.png": Mask("a.png", {"V": 255}, size=(60, 48)),
        "bit.png": Mask("a.png", {"V": 1}, mode="1"),
        "places.txt": "<<xmin|a.png|V>> <<ymin-1|a.png|V>> <<xmax+1|a.png|V>> <<ymax|a.png|V>> <<width|a.png|N|1>>",
        "runs.txt": "<<kaggle_rows|a.png|V>>",
        "ring.txt": "<<ring|a.png|V>>",
    }
    write_tree(tree, tmp_path, card)
    first, second = planted("a.png", picture, card).lesions["N"]
    (vessel,) = planted("a.png", picture, card).lesions["V"]
    inside = {name: np.asarray(lesion.mask) > 0 for name, lesion in [("1", first), ("2", second), ("v", vessel)]}
    whole = np.asarray(Image.open(tmp_path / "map.png"))
    assert np.array_equal(whole == 1, inside["1"] | inside["2"])
    assert np.array_equal(whole == 2, inside["v"])
    coloured = np.asarray(Image.open(tmp_path / "second.png"))
    assert np.array_equal((coloured == (9, 8, 7)).all(axis=2), inside["2"])
    assert np.array_equal((coloured == (1, 1, 1)).all(axis=2), ~inside["2"])
    with Image.open(tmp_path / "palette.png") as palette:
        assert palette.mode == "P"
        assert np.array_equal(np.asarray(palette) == 5, inside["v"])
    assert Image.open(tmp_path / "small.png").size == (60, 48)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "bit.png")), inside["v"])
    xmin, ymin, xmax, ymax = vessel.box
    wide = second.box[2] - second.box[0]
    assert (tmp_path / "places.txt").read_text().split() == list(map(str, [xmin, ymin - 1, xmax + 1, ymax, wide]))
    runs = decode_runs((tmp_path / "runs.txt").read_text(), 120, 96, KAGGLE_ROWS)
    assert np.array_equal(runs, inside["v"])
    assert ring_box(json.loads((tmp_path / "ring.txt").read_text())) == (xmin, ymin, xmax - 1, ymax - 1)


@pytest.mark.parametrize(
    "content",
    [
        "<<xmin|none.png|V>>",
        "<<xmin|a.png|none>>",
        "<<middle|a.png|V>>",
        "<<xmin|a.png|V|1>>",
        Mask("none.png", {"V": 1}),
        Mask("a.png", {"V": 1}, nth=3),
    ],
)
def test_a_tree_refuses_what_is_not_drawn(tmp_path: Path, content: Content) -> None:
    card = make_card(**{**CARD, "labels": {"V": LABELS["V"], "N": LABELS["N"]}})
    with pytest.raises(MedMatError):
        write_tree({"a.png": Picture(("V",)), "b.png": content}, tmp_path, card)
