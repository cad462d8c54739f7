"""Boxes there and back in every form, and the errors of those that are none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from med_mat.errors import ImageError
from med_mat.regions import (
    Box,
    Form,
    Style,
    canonical,
    edges,
    format_boxes,
    from_relative,
    from_xyxy,
    parse_boxes,
    to_xyxy,
)

STYLES: tuple[Style, ...] = ("unit", "permille", "percent", "pixels")
FORMS: tuple[Form, ...] = ("xyxy", "xywh", "cxcywh")
STEPS = {"unit": 1000, "permille": 1000, "percent": 100}


@st.composite
def pixel_boxes(draw: st.DrawFn) -> tuple[Box, int, int]:
    width, height = draw(st.integers(1, 5000)), draw(st.integers(1, 5000))
    xmin, ymin = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    xmax, ymax = draw(st.integers(xmin + 1, width)), draw(st.integers(ymin + 1, height))
    return (xmin, ymin, xmax, ymax), width, height


@given(pixel_boxes(), st.sampled_from(FORMS))
def test_forms_there_and_back(case: tuple[Box, int, int], form: Form) -> None:
    box, _, _ = case
    assert to_xyxy(from_xyxy(box, form), form) == box  # halves and whole numbers are exact


def test_forms_by_example() -> None:
    assert to_xyxy((10, 20, 30, 40), "xywh") == (10, 20, 40, 60)
    assert to_xyxy((10, 20, 30, 40), "cxcywh") == (-5, 0, 25, 40)
    assert to_xyxy((10, 20, 30, 40), "xyxy") == (10, 20, 30, 40)
    assert from_relative((0.25, 0.5, 0.5, 1.0), 400, 100) == (100, 50, 200, 100)


def test_edges_of_numbered_pixels() -> None:
    # The first four columns and two rows, as four conventions write them.
    assert edges((0, 0, 4, 2), first=0, inclusive=False) == (0, 0, 4, 2)
    assert edges((0, 0, 3, 1), first=0, inclusive=True) == (0, 0, 4, 2)
    assert edges((1, 1, 4, 2), first=1, inclusive=True) == (0, 0, 4, 2)
    assert edges((1, 1, 5, 3), first=1, inclusive=False) == (0, 0, 4, 2)


@given(pixel_boxes())
def test_canonical_pixels_come_back_exactly_through_float32(case: tuple[Box, int, int]) -> None:
    box, width, height = case
    found = canonical(box, width, height)
    assert all(float(np.float32(value)) == value and 0.0 <= value <= 1.0 for value in found)
    assert tuple(round(value) for value in from_relative(found, width, height)) == box


def test_a_pixel_too_much_is_cut_off() -> None:
    assert canonical((-1, -0.5, 101, 50.5), 100, 50) == (0.0, 0.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("box", "told"),
    [
        ((-1.5, 0, 10, 10), "leaves its picture of 100 x 50"),
        ((0, 0, 10, 51.5), "leaves its picture of 100 x 50"),
        ((10, 5, 10, 20), "empty or turned over"),
        ((10, 20, 30, 5), "empty or turned over"),
        ((0, 0, math.nan, 10), "finite"),
        ((0, 0, math.inf, 10), "finite"),
        ((100, 0, 101, 10), "nothing of it is inside"),
    ],
)
def test_boxes_that_are_none(box: Box, told: str) -> None:
    with pytest.raises(ImageError, match=told):
        canonical(box, 100, 50)


def test_spelling_by_example() -> None:
    boxes = [(0.125, 0.25, 0.5, 0.75), (0.0, 0.0, 1.0, 1.0)]
    assert format_boxes(boxes, "unit") == "[0.125, 0.250, 0.500, 0.750] [0.000, 0.000, 1.000, 1.000]"
    assert format_boxes(boxes, "permille") == "<box>(125,250),(500,750)</box> <box>(0,0),(1000,1000)</box>"
    assert format_boxes(boxes, "percent") == "{<13><25><50><75>}<delim>{<0><0><100><100>}"
    assert format_boxes(boxes, "pixels", size=(640, 480)) == "[80, 120, 320, 360] [0, 0, 640, 480]"
    assert format_boxes([], "percent") == ""


@given(st.lists(pixel_boxes(), max_size=4), st.sampled_from(STYLES))
def test_spelling_there_and_back_within_its_step(cases: list[tuple[Box, int, int]], style: Style) -> None:
    boxes = [canonical(*case) for case in cases]
    size = (777, 333) if style == "pixels" else None
    text = format_boxes(boxes, style, size=size)
    back = parse_boxes(text, style, size=size)
    assert len(back) == len(boxes)
    width, height = size or (STEPS[style], STEPS[style])
    for box, found in zip(boxes, back, strict=True):
        assert found is not None
        for low, high, steps in ((0, 2, width), (1, 3, height)):
            # Half a step; a whole one where both sides met on one step and were moved apart.
            thin = box[high] - box[low] < 1 / steps
            for side in (low, high):
                assert abs(found[side] - box[side]) <= (1.0 if thin else 0.5) / steps + 1e-6
    assert format_boxes([box for box in back if box is not None], style, size=size) == text


@pytest.mark.parametrize("box", [(0.5, 0.5, 0.5001, 0.5001), (0.9999, 0.9999, 1.0, 1.0), (0.0, 0.0, 1e-6, 1e-6)])
@pytest.mark.parametrize("style", STEPS)
def test_no_spelled_box_is_empty(box: Box, style: Style) -> None:
    assert parse_boxes(format_boxes([box], style), style)[0] is not None


def test_answers_of_models() -> None:
    said = "The nodule is at {<10> <20><30><40>} and, perhaps, {<50><50><40><90>} or {<0><0><101><50>}."
    first, turned, outside = parse_boxes(said, "percent")
    assert first == pytest.approx((0.1, 0.2, 0.3, 0.4))
    assert turned is None
    assert outside is None
    assert parse_boxes("<box>(100, 200), (300, 400)</box>", "permille") == [pytest.approx((0.1, 0.2, 0.3, 0.4))]
    assert parse_boxes("(100,200),(300,400)", "permille") == [pytest.approx((0.1, 0.2, 0.3, 0.4))]
    assert parse_boxes("[64.0,48,128,96]", "pixels", size=(640, 480)) == [pytest.approx((0.1, 0.1, 0.2, 0.2))]
    assert parse_boxes("[-0.1, 0, 0.5, 0.5]", "unit") == [None]
    assert parse_boxes(f"[0, 0, {'9' * 5000}, 0.5]", "unit") == [None]
    assert parse_boxes("There is none: [0.1, 0.2, 0.3]", "unit") == []


def test_pixels_need_a_size_and_nothing_else_does() -> None:
    with pytest.raises(ValueError, match="needs it"):
        format_boxes([(0, 0, 1, 1)], "pixels")
    with pytest.raises(ValueError, match="size is for"):
        parse_boxes("", "percent", size=(10, 10))
