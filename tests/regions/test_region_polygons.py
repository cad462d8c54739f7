"""Filled polygons beside another library's."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage import draw

from med_mat.errors import ImageError
from med_mat.regions import polygon_mask, ring_box, ring_of_numbers

WIDTH, HEIGHT = 48, 32
Mask = npt.NDArray[np.bool_]
WHOLE = st.lists(st.tuples(st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1)), min_size=3, max_size=8)
EDGES = st.lists(st.tuples(st.floats(0, WIDTH, width=32), st.floats(0, HEIGHT, width=32)), min_size=3, max_size=8)


def _distance(ring: list[tuple[float, float]]) -> npt.NDArray[np.float64]:
    """From the centre of each pixel to the nearest side of a ring, in pixels."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    nearest = np.full((HEIGHT, WIDTH), np.inf)
    for (x0, y0), (x1, y1) in zip(ring, [*ring[1:], ring[0]], strict=True):
        dx, dy = x1 - x0, y1 - y0
        length = dx * dx + dy * dy
        along = np.clip(((x - x0) * dx + (y - y0) * dy) / length, 0, 1) if length else np.zeros_like(x)
        nearest = np.minimum(nearest, np.hypot(x - x0 - along * dx, y - y0 - along * dy))
    return nearest


def _inside(ring: list[tuple[float, float]]) -> Mask:
    # The reference measures at centres of pixels: its (0, 0) is our (1/2, 1/2).
    return draw.polygon2mask((HEIGHT, WIDTH), [(y - 0.5, x - 0.5) for x, y in ring])


@given(EDGES)
def test_edges_fill_what_is_inside(ring: list[tuple[float, float]]) -> None:
    found = polygon_mask([ring], WIDTH, HEIGHT, points="edges")
    differs = found != _inside(ring)
    assert not (differs & (_distance(ring) > 0.25)).any()


@given(WHOLE)
def test_pixels_fill_what_is_inside_and_the_outline(ring: list[tuple[int, int]]) -> None:
    found = polygon_mask([ring], WIDTH, HEIGHT, points="pixels")
    assert all(found[y, x] for x, y in ring)
    centred = [(x + 0.5, y + 0.5) for x, y in ring]
    outline = np.zeros_like(found)
    for (x0, y0), (x1, y1) in zip(ring, [*ring[1:], ring[0]], strict=True):
        outline[draw.line(y0, x0, y1, x1)] = True
    differs = found != (_inside(centred) | outline)
    assert not (differs & (_distance(centred) > 0.75)).any()
    assert found.sum() >= _inside(centred).sum()


@given(st.integers(0, 40), st.integers(0, 20), st.integers(1, 8), st.integers(1, 12), st.booleans(), st.booleans())
def test_rectangles_are_exact(x: int, y: int, width: int, height: int, turned: bool, closed: bool) -> None:
    expected = np.zeros((HEIGHT, WIDTH), dtype=np.bool_)
    expected[y : y + height, x : x + width] = True
    for points, more in (("edges", 0), ("pixels", 1)):
        right, bottom = x + width - more, y + height - more
        ring = [(x, y), (right, y), (right, bottom), (x, bottom)]
        ring = ring[::-1] if turned else ring
        ring = [*ring, ring[0]] if closed else ring
        assert np.array_equal(polygon_mask([ring], WIDTH, HEIGHT, points=points), expected)


def test_rings_are_united() -> None:
    outer, inner, apart = (
        [(0, 0), (20, 0), (20, 20), (0, 20)],
        [(5, 5), (9, 5), (9, 9), (5, 9)],
        [(30, 1), (34, 1), (34, 5)],
    )
    found = polygon_mask([outer, inner, apart], WIDTH, HEIGHT, points="edges")
    assert found[:20, :20].all()
    assert found[2, 33]
    assert not polygon_mask([], WIDTH, HEIGHT, points="edges").any()


def test_a_pixel_too_much_is_cut_off() -> None:
    ring = [(-1, -1), (WIDTH + 1, -1), (WIDTH + 1, HEIGHT + 1), (-1, HEIGHT + 1)]
    assert polygon_mask([ring], WIDTH, HEIGHT, points="edges").all()
    assert polygon_mask([[(0, 0), (WIDTH, 0), (WIDTH, HEIGHT), (0, HEIGHT)]], WIDTH, HEIGHT, points="pixels").all()


@pytest.mark.parametrize(
    ("ring", "told"),
    [
        ([(0, 0), (5, 5)], "at least three points"),
        ([], "at least three points"),
        ([(0, 0), (5, 5), (math.nan, 3)], "finite"),
        ([(0, 0), (5, 5), (60, 3)], "leaves its picture of 48 x 32"),
        ([(0, -2), (5, 5), (6, 3)], "leaves its picture of 48 x 32"),
    ],
)
def test_rings_that_are_none(ring: list[tuple[float, float]], told: str) -> None:
    with pytest.raises(ImageError, match=told):
        polygon_mask([ring], WIDTH, HEIGHT, points="edges")


def test_pixels_are_whole_numbers() -> None:
    with pytest.raises(ImageError, match="read fractions as edges"):
        polygon_mask([[(0, 0), (5.5, 5), (6, 3)]], WIDTH, HEIGHT, points="pixels")


def test_flat_lists() -> None:
    assert ring_of_numbers([1, 2, 3, 4, 5, 6]) == [(1, 2), (3, 4), (5, 6)]
    assert ring_box([(1, 2), (3, -4), (5, 6)]) == (1, -4, 5, 6)
    with pytest.raises(ImageError, match="pairs x, y"):
        ring_of_numbers([1, 2, 3])
