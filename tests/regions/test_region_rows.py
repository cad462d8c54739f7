"""What a row holds of an annotation: objects and the label map."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from med_mat.errors import ImageError
from med_mat.regions import Regions, fit_mask, label_map, label_masks, united
from med_mat.sample import Region
from med_mat.schema import OBJECT

Mask = npt.NDArray[np.bool_]


def _rectangle(xmin: int, ymin: int, xmax: int, ymax: int, width: int = 64, height: int = 32) -> Mask:
    mask = np.zeros((height, width), dtype=np.bool_)
    mask[ymin:ymax, xmin:xmax] = True
    return mask


def test_objects_of_masks_and_boxes() -> None:
    masks = {"cup": _rectangle(16, 8, 32, 16), "disc": _rectangle(8, 4, 40, 20)}
    regions = Regions(64, 32, masks, [Region("disc", (8, 0, 16, 16)), Region("nodule", (0, 4, 8, 8))])
    assert regions.objects() == [
        {"label": "disc", "bbox": [0.125, 0.0, 0.25, 0.5]},
        {"label": "nodule", "bbox": [0.0, 0.125, 0.125, 0.25]},
        {"label": "cup", "bbox": [0.25, 0.25, 0.5, 0.5]},
    ]


def test_objects_fit_the_schema_without_loss() -> None:
    import pyarrow as pa

    objects = Regions(300, 700, {}, [Region("a", (1, 2, 299, 698))]).objects()
    assert pa.array(objects, OBJECT).to_pylist() == objects


def test_overlapping_objects_are_all_kept() -> None:
    box = (0.0, 0.0, 32.0, 16.0)
    objects = Regions(64, 32, {}, [Region("b", box), Region("a", box), Region("a", box)]).objects()
    assert [item["label"] for item in objects] == ["a", "a", "b"]


def test_boxes_only_have_no_mask() -> None:
    regions = Regions(64, 32, boxes=[Region("a", (0, 0, 8, 8))])
    assert regions.label_map(["a"]) is None
    assert Regions(64, 32).objects() == []


def test_masks_of_another_size_or_type() -> None:
    for mask in (np.zeros((64, 32), dtype=np.bool_), np.zeros((32, 64), dtype=np.uint8)):
        with pytest.raises(ImageError, match=r"expected booleans of shape \(32, 64\)"):
            Regions(64, 32, {"a": mask})


def test_boxes_outside_the_picture() -> None:
    with pytest.raises(ImageError, match="leaves its picture"):
        Regions(64, 32, boxes=[Region("a", (0, 0, 80, 8))]).objects()


def test_several_files_of_a_class() -> None:
    first, second, other = _rectangle(0, 0, 8, 8), _rectangle(20, 0, 28, 8), _rectangle(40, 0, 48, 8)
    masks = united([("b", first), ("a", other), ("b", second)])
    assert list(masks) == ["b", "a"]
    assert np.array_equal(masks["b"], first | second)
    assert first.sum() == 64, "the parts stay as they were"
    with pytest.raises(ImageError, match="expected one shape"):
        united([("a", first), ("a", first.T)])


def test_overlap_goes_by_priority() -> None:
    masks = {"disc": _rectangle(0, 0, 8, 8), "cup": _rectangle(2, 2, 4, 4), "lesion": _rectangle(3, 3, 20, 5)}
    found = label_map(masks, ["disc", "cup", "lesion", "vessel"], priority=["cup", "lesion"])
    assert found.dtype == np.uint8
    assert found[3, 3] == 2  # all three
    assert found[3, 5] == 3  # disc and lesion
    assert found[7, 7] == 1
    assert found[30, 60] == 0
    assert list(label_masks(found, ["disc", "cup", "lesion", "vessel"])) == ["disc", "cup", "lesion"]


def test_overlap_that_nobody_decides_is_an_error() -> None:
    masks = {"disc": _rectangle(0, 0, 8, 8), "cup": _rectangle(2, 2, 4, 4)}
    with pytest.raises(ImageError, match=r"'cup' and \['disc'\] share 4 pixels"):
        label_map(masks, ["disc", "cup"])


@given(st.permutations(["a", "b", "c"]), hnp.arrays(np.bool_, (3, 6, 7)))
def test_the_first_of_the_priority_wins(priority: list[str], stack: npt.NDArray[np.bool_]) -> None:
    masks = dict(zip("abc", stack, strict=True))
    found = label_map(masks, ["a", "b", "c"], priority=priority)
    for at in np.ndindex(found.shape):
        winner = next((label for label in priority if masks[label][at]), None)
        assert found[at] == (0 if winner is None else "abc".index(winner) + 1)


def test_label_maps_that_cannot_be() -> None:
    mask = _rectangle(0, 0, 8, 8)
    with pytest.raises(ImageError, match="expected labels among"):
        label_map({"x": mask}, ["a"])
    with pytest.raises(ImageError, match="expected labels among"):
        label_map({"a": mask}, ["a"], priority=["x"])
    with pytest.raises(ImageError, match="expected one shape"):
        label_map({"a": mask, "b": mask.T}, ["a", "b"])
    with pytest.raises(ImageError, match="none of them twice"):
        label_map({"a": mask}, ["a", "a"])
    names = [f"label {number}" for number in range(256)]
    with pytest.raises(ImageError, match="at most 255"):
        label_map({names[0]: mask}, names)
    assert label_map({names[254]: mask}, names[:255]).max() == 255
    with pytest.raises(ImageError, match=r"expected values up to 1, found 3 \(2 pixels\)"):
        label_masks(np.array([[0, 1, 3, 3]], dtype=np.uint8), ["a"])


@given(hnp.arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))), st.integers(1, 5))
def test_whole_scales_repeat_pixels(mask: Mask, scale: int) -> None:
    height, width = mask.shape
    found = fit_mask(mask, width * scale, height * scale)
    assert np.array_equal(found, mask.repeat(scale, axis=0).repeat(scale, axis=1))
    assert np.array_equal(fit_mask(found, width, height), mask)


@given(hnp.arrays(np.bool_, st.tuples(st.integers(4, 20), st.integers(4, 20))), st.fractions(Fraction(1, 3), 3))
def test_nearest_pixel_under_the_centre(mask: Mask, scale: Fraction) -> None:
    rows, columns = mask.shape
    width, height = max(1, round(columns * scale)), max(1, round(rows * scale))
    found = fit_mask(mask, width, height)
    for y, x in np.ndindex(height, width):
        under = int((y + Fraction(1, 2)) * rows / height), int((x + Fraction(1, 2)) * columns / width)
        assert found[y, x] == mask[under]


def test_masks_in_other_proportions_are_an_error() -> None:
    assert fit_mask(np.zeros((584, 565), dtype=np.bool_), 1130, 1167).shape == (1167, 1130)
    with pytest.raises(ImageError, match="mask of 565 x 584 on a picture of 600 x 584"):
        fit_mask(np.zeros((584, 565), dtype=np.bool_), 600, 584)
    with pytest.raises(ImageError, match="turned by 90 degrees"):
        fit_mask(np.zeros((32, 64), dtype=np.bool_), 32, 64)
