"""Boxes of masks, beside another library's components."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage import measure

from med_mat.regions import Box, components, from_relative, mask_boxes, speck_limit

Mask = npt.NDArray[np.bool_]


def _filled(boxes: list[Box], width: int, height: int) -> Mask:
    mask = np.zeros((height, width), dtype=np.bool_)
    for box in boxes:
        xmin, ymin, xmax, ymax = (round(value) for value in from_relative(box, width, height))
        mask[ymin:ymax, xmin:xmax] = True
    return mask


@st.composite
def separated_rectangles(draw: st.DrawFn) -> Mask:
    # One rectangle of 16 pixels or more within each of some cells; cells are a pixel apart.
    rows, columns = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    mask = np.zeros((rows * 21, columns * 31), dtype=np.bool_)
    for row in range(rows):
        for column in range(columns):
            if draw(st.booleans()):
                width, height = draw(st.integers(4, 30)), draw(st.integers(4, 20))
                left, top = draw(st.integers(0, 30 - width)), draw(st.integers(0, 20 - height))
                y, x = row * 21 + top, column * 31 + left
                mask[y : y + height, x : x + width] = True
    return mask


@given(separated_rectangles())
def test_separated_rectangles_come_back_from_their_boxes(mask: Mask) -> None:
    height, width = mask.shape
    assert np.array_equal(_filled(mask_boxes(mask), width, height), mask)


@given(hnp.arrays(np.bool_, st.tuples(st.integers(1, 24), st.integers(1, 24))))
def test_components_beside_another_library(mask: Mask) -> None:
    reference = sorted(
        (tuple(map(float, (x0, y0, x1, y1))), int(region.area))
        for region in measure.regionprops(measure.label(mask, connectivity=2))
        for y0, x0, y1, x1 in [region.bbox]
    )
    found = components(mask)
    assert sorted((item.box, item.area) for item in found) == reference
    assert sum(item.area for item in found) == mask.sum()
    corners = [(item.box[1], item.box[0]) for item in found]
    assert corners == sorted(corners)


def test_corners_connect() -> None:
    mask = np.eye(16, dtype=np.bool_)
    assert mask_boxes(mask) == [(0.0, 0.0, 1.0, 1.0)]


def test_specks_have_no_box() -> None:
    mask = np.zeros((100, 100), dtype=np.bool_)
    mask[0:3, 0:5] = True  # 15 pixels
    mask[50:54, 50:54] = True  # 16
    assert [item.area for item in components(mask)] == [15, 16]
    assert mask_boxes(mask) == [pytest.approx((0.5, 0.5, 0.54, 0.54))]
    assert mask_boxes(mask[:10]) == []
    assert mask_boxes(np.zeros((10, 10), dtype=np.bool_)) == []


def test_specks_grow_with_the_picture() -> None:
    assert speck_limit(224, 224) == 16
    assert speck_limit(1000, 800) == 16
    assert speck_limit(1000, 850) == 17
    assert speck_limit(2048, 2048) == 84
    mask = np.zeros((2048, 2048), dtype=np.bool_)
    mask[100, 100:183] = True
    assert mask_boxes(mask) == []
    mask[100, 183] = True
    assert len(mask_boxes(mask)) == 1


def test_reading_order() -> None:
    mask = np.zeros((40, 40), dtype=np.bool_)
    for top, left in ((20, 0), (0, 30), (0, 0), (20, 20)):
        mask[top : top + 5, left : left + 5] = True
    assert [(box[1], box[0]) for box in mask_boxes(mask)] == [(0, 0), (0, 0.75), (0.5, 0), (0.5, 0.5)]
