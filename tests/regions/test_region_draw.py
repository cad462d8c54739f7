"""Annotations of any form, drawn: what the files store, how pictures are turned, what a row holds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import PurePosixPath
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from med_mat.annotations import named_labels, raw_labels, region_files, to_json
from med_mat.errors import ImageError
from med_mat.images import pixels
from med_mat.images.exif import upright
from med_mat.phantoms import encode
from med_mat.raw import RawFile
from med_mat.regions import (
    SIIM_ACR,
    Box,
    Rules,
    draw,
    encode_runs,
    label_map,
    label_masks,
    mask_hash,
    mask_png,
    orientation_of,
    speck_limit,
    stored_values,
    undo_orientation,
)
from med_mat.sample import Annotation, BinaryMask, ClassMask, Outline, Region, RunLengths

LABELS = ("nodule", "vessel", "lung")
RULES = Rules(LABELS)
ORIENTATIONS = range(1, 9)


def masks(shape: tuple[int, int] = (20, 30)) -> st.SearchStrategy[npt.NDArray[np.bool_]]:
    return hnp.arrays(np.bool_, shape)


def _png(array: npt.NDArray[Any]) -> bytes:
    stream = BytesIO()
    Image.fromarray(array).save(stream, "PNG")
    return stream.getvalue()


def _file(name: str) -> RawFile:
    return RawFile(PurePosixPath(f"masks/{name}"), PurePosixPath(name), size=1, mtime_ns=0)


def _in_pixels(box: Sequence[float]) -> Box:
    xmin, ymin, xmax, ymax = box
    return xmin * 30, ymin * 20, xmax * 30, ymax * 20


def _none(path: str) -> bytes:
    raise AssertionError(f"{path} is read although nothing names it")


@given(maps=hnp.arrays(np.uint8, (20, 30), elements=st.integers(0, 3)))
def test_a_label_map_comes_out_as_it_went_in(maps: npt.NDArray[np.uint8]) -> None:
    entry = ClassMask(_file("a.png"), {0: None, 1: "nodule", 2: "vessel", 3: "lung"})
    drawn = draw(to_json([entry], str), (30, 20), RULES, lambda _: _png(maps))
    assert drawn.mask is not None
    assert np.array_equal(drawn.mask, maps)
    assert drawn.areas == {
        label: pytest.approx(np.count_nonzero(maps == value) / maps.size)
        for value, label in enumerate(LABELS, start=1)
        if (maps == value).any()
    }
    with Image.open(BytesIO(mask_png(drawn.mask))) as image:
        assert image.mode == "L"
        assert np.array_equal(np.asarray(image), maps)
        again = np.asarray(image)
    assert mask_hash(again) == mask_hash(drawn.mask)
    assert mask_png(again) == mask_png(drawn.mask)


@given(mask=masks())
def test_boxes_of_a_mask_drawn_again_hold_all_of_it_but_specks(mask: npt.NDArray[np.bool_]) -> None:
    entry = BinaryMask(_file("a.png"), "nodule")
    drawn = draw(to_json([entry], str), (30, 20), RULES, lambda _: _png(mask.astype(np.uint8)))
    boxes = [Region("nodule", _in_pixels(found["bbox"])) for found in drawn.objects]
    covered = np.zeros_like(mask)
    for box in boxes:
        xmin, ymin, xmax, ymax = (round(side) for side in box.box)
        covered[ymin:ymax, xmin:xmax] = True
    outside = int(np.count_nonzero(mask & ~covered))
    assert outside <= drawn.specks.get("nodule", 0) * (speck_limit(30, 20) - 1)
    again = draw(to_json(boxes, str), (30, 20), RULES, _none)
    assert again.mask is None
    assert again.objects == drawn.objects


@given(mask=masks())
def test_runs_say_what_a_mask_says(mask: npt.NDArray[np.bool_]) -> None:
    runs = RunLengths("lung", encode_runs(mask, SIIM_ACR), "siim_acr", 30, 20)
    of_file = draw(to_json([BinaryMask(_file("a"), "lung")], str), (30, 20), RULES, lambda _: _png(mask.astype("u1")))
    of_runs = draw(to_json([runs], str), (30, 20), RULES, _none)
    assert of_runs.objects == of_file.objects
    assert of_runs.mask is not None
    assert np.array_equal(of_runs.mask, of_file.mask)


@given(mask=masks((7, 5)), orientation=st.sampled_from(ORIENTATIONS))
def test_turning_is_what_happens_to_the_picture(mask: npt.NDArray[np.bool_], orientation: int) -> None:
    picture = upright(Image.fromarray(mask.astype(np.uint8)), orientation)
    assert np.array_equal(undo_orientation(mask, orientation), np.asarray(picture) > 0)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_boxes_turn_as_masks_do(orientation: int) -> None:
    mask = np.zeros((20, 30), np.uint8)
    mask[3:9, 5:22] = 1
    size = (20, 30) if orientation >= 5 else (30, 20)
    rules = Rules(LABELS, drawn_on="stored")
    by_mask = draw(
        to_json([BinaryMask(_file("a"), "lung")], str), size, rules, lambda _: _png(mask), orientation=orientation
    )
    by_box = draw(to_json([Region("lung", (5, 3, 22, 9))], str), size, rules, _none, orientation=orientation)
    assert by_box.objects == by_mask.objects
    assert by_mask.mask is not None
    assert np.array_equal(by_mask.mask > 0, undo_orientation(mask > 0, orientation))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_the_orientation_is_the_one_that_publishing_undoes(form: str, orientation: int) -> None:
    picture = np.zeros((16, 24), np.uint8)
    picture[:8, :12] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = BytesIO()
    options = {"tiffinfo": {0x0112: orientation}} if form == "TIFF" else {"exif": exif}
    Image.fromarray(picture).save(stream, form, **options)
    found = orientation_of(stream.getvalue())
    assert found == orientation
    published = np.asarray(pixels(stream.getvalue()).convert("L")) > 127
    assert np.array_equal(published, undo_orientation(picture > 127, found))


def test_a_silent_card_refuses_regions_of_a_turned_picture() -> None:
    with pytest.raises(ImageError, match="drawn_on"):
        draw(to_json([Region("lung", (1, 1, 9, 9))], str), (30, 20), RULES, _none, orientation=6)
    assert draw("[]", (30, 20), RULES, _none, orientation=6).objects == []


@pytest.mark.parametrize("top", [1, 255, 4095])
def test_a_mask_in_dicom_is_read_as_it_is_stored(top: int) -> None:
    mask = np.zeros((20, 30), np.uint16 if top > 255 else np.uint8)
    mask[4:12, 6:20] = top
    data = encode(Image.fromarray(mask), "mask.dicom")
    assert np.array_equal(stored_values(data), mask)
    drawn = draw(to_json([BinaryMask(_file("a"), "lung", threshold=0)], str), (30, 20), RULES, lambda _: data)
    assert drawn.mask is not None
    assert np.array_equal(drawn.mask > 0, mask > 0)


@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, 1), (1, -1, -1)])
def test_a_slice_of_a_volume_lies_as_its_picture_does(flips: tuple[int, int, int]) -> None:
    values = np.zeros((12, 9, 4), np.int16)
    values[2:5, 1:8, 2] = 3
    affine = np.diag([*flips, 1.0])
    volume: Any = nibabel
    data = volume.Nifti1Image(values, affine).to_bytes()
    frame = 2 if flips[2] == 1 else 1
    shown = np.asarray(pixels(data, frame=frame).convert("L")) > 0
    found = stored_values(data, frame=frame)
    assert set(np.unique(found).tolist()) == {0, 3}
    assert np.array_equal(found > 0, shown)
    with pytest.raises(ImageError):
        stored_values(data)


def test_colours_that_are_not_named_are_errors_or_background() -> None:
    picture = np.zeros((20, 30, 3), np.uint8)
    picture[2:9, 3:14] = (255, 0, 0)
    picture[2:9, 14] = (128, 0, 0)
    classes = {(0, 0, 0): None, (255, 0, 0): "lung"}
    with pytest.raises(ImageError, match=r"masks/a\.png: a mask in colours: .*\(128, 0, 0\)"):
        draw(to_json([ClassMask(_file("a.png"), classes)], str), (30, 20), RULES, lambda _: _png(picture))
    lenient = ClassMask(_file("a.png"), classes, unnamed="background")
    drawn = draw(to_json([lenient], str), (30, 20), RULES, lambda _: _png(picture))
    assert [_in_pixels(found["bbox"]) for found in drawn.objects] == [pytest.approx((3, 2, 14, 9), abs=1e-5)]
    values = np.zeros((20, 30), np.uint8)
    values[2:9, 3:14], values[2:9, 14] = 1, 77
    gray = ClassMask(_file("a.png"), {0: None, 1: "lung"}, unnamed="background")
    by_value = draw(to_json([gray], str), (30, 20), RULES, lambda _: _png(values))
    assert by_value.objects == drawn.objects


def test_label_maps_with_equal_channels_and_gray_colours_are_understood() -> None:
    values = np.zeros((20, 30), np.uint8)
    values[2:9, 3:14] = 1
    by_value = ClassMask(_file("a.png"), {0: None, 1: "lung"})
    by_colour = ClassMask(_file("a.png"), {(0, 0, 0): None, (1, 1, 1): "lung"})
    thrice = np.repeat(values[..., None], 3, axis=2)
    for entry, array in ((by_value, thrice), (by_colour, values)):
        drawn = draw(to_json([entry], str), (30, 20), RULES, lambda _, array=array: _png(array))
        assert drawn.mask is not None
        assert np.array_equal(drawn.mask == 3, values == 1)


def test_a_mask_of_another_size_is_fitted_if_it_has_the_proportions() -> None:
    small = np.zeros((10, 15), np.uint8)
    small[2:5, 3:7] = 255
    entry = to_json([BinaryMask(_file("a.png"), "lung")], str)
    drawn = draw(entry, (30, 20), RULES, lambda _: _png(small))
    assert drawn.mask is not None
    assert np.array_equal(drawn.mask > 0, np.kron(small > 0, np.ones((2, 2), bool)))
    with pytest.raises(ImageError, match="same proportions"):
        draw(entry, (30, 30), RULES, lambda _: _png(small))


@given(
    boxes=st.lists(
        st.tuples(st.integers(0, 28), st.integers(0, 18), st.integers(1, 12), st.integers(1, 12)),
        min_size=1,
        max_size=6,
    )
)
def test_the_area_of_boxes_is_that_of_the_pixels_under_any(boxes: list[tuple[int, int, int, int]]) -> None:
    regions = [Region("lung", (x, y, min(x + w, 30), min(y + h, 20))) for x, y, w, h in boxes]
    covered = np.zeros((20, 30), bool)
    for region in regions:
        xmin, ymin, xmax, ymax = (int(side) for side in region.box)
        covered[ymin:ymax, xmin:xmax] = True
    drawn = draw(to_json(regions, str), (30, 20), RULES, _none)
    assert drawn.areas == {"lung": pytest.approx(covered.mean(), abs=1e-6)}


def test_a_negative_has_an_empty_mask_only_where_the_source_draws_all() -> None:
    assert draw("[]", (30, 20), RULES, _none).mask is None
    always = Rules(LABELS, always_masked=True)
    drawn = draw("[]", (30, 20), always, _none)
    assert drawn.mask is not None
    assert not drawn.mask.any()
    assert draw(to_json([Region("lung", (1, 1, 9, 9))], str), (30, 20), always, _none).mask is None


@given(first=masks(), second=masks(), order=st.permutations(LABELS[:2]))
def test_priority_decides_every_shared_pixel(
    first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_], order: list[str]
) -> None:
    files = {"masks/n.png": first, "masks/v.png": second}
    entries = to_json([BinaryMask(_file("n.png"), "nodule"), BinaryMask(_file("v.png"), "vessel")], str)
    drawn = draw(entries, (30, 20), Rules(LABELS, tuple(order)), lambda path: _png(files[path].astype(np.uint8)))
    assert drawn.mask is not None
    winner = label_masks(drawn.mask, LABELS).get(order[0], np.zeros((20, 30), bool))
    assert np.array_equal(winner, {"nodule": first, "vessel": second}[order[0]])
    assert np.array_equal(drawn.mask > 0, first | second)
    assert np.array_equal(drawn.mask, label_map({"nodule": first, "vessel": second}, LABELS, priority=order))


def test_annotations_are_kept_with_clean_labels() -> None:
    entries: list[Annotation] = [
        Region("N", (1, 2, 3.5, 4)),
        Region("scale", (1, 2, 3, 4)),
        Outline("V", [[(1, 1), (2, 1), (2, 2)]], "pixels"),
        RunLengths("L", "1 2", "kaggle_rows", 3, 4),
        BinaryMask(_file("n.png"), "N", threshold=127, inverted=True, frame=2),
        ClassMask(_file("c.png"), {0: None, 1: "N", 2: "scale"}),
    ]
    clean = {"N": "nodule", "V": "vessel", "L": "lung", "scale": None}
    text = to_json(entries, clean.__getitem__)
    said = json.loads(text)
    assert [entry["form"] for entry in said] == ["box", "outline", "runs", "binary", "classes"]
    assert said[-1]["classes"] == [[0, None], [1, "nodule"], [2, None]]
    assert named_labels(text) == ["nodule", "vessel", "lung"]
    assert list(raw_labels(entries)) == ["N", "scale", "V", "L", "N", "N", "scale"]
    assert [file.name for file in region_files(entries)] == ["n.png", "c.png"]
    assert "\n" not in text
