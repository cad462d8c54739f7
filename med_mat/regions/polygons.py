"""Polygons: rings of points, filled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask

from med_mat.errors import ImageError
from med_mat.regions.boxes import SLACK, Box
from med_mat.regions.components import Mask
from med_mat.regions.runs import decode_coco_runs

Ring = Sequence[tuple[float, float]]
Points = Literal["edges", "pixels"]


def polygon_mask(rings: Iterable[Ring], width: int, height: int, *, points: Points) -> Mask:
    """The pixels inside any of several rings.

    Args:
        rings: Points ``(x, y)`` of each ring, in either direction; the last is joined to the first, whether the
            source repeats it or not. Rings are united: one within another is no hole, as in COCO. What lies outside
            the picture by no more than a pixel is cut off.
        width: Width of the picture in pixels.
        height: Height of the picture in pixels.
        points: ``edges``: coordinates of the plane, (0, 0) the upper left corner of the first pixel; filled as
            COCO's own tools fill, which give a pixel to the ring if its centre is inside, to a fifth of a pixel or
            so. ``pixels``: whole numbers of columns and rows that belong to the region themselves, as contour
            followers write; the outline is part of the region.

    Returns:
        Shape (height, width).

    Raises:
        ImageError: Fewer than three points, coordinates that are not finite (or not whole for ``pixels``), or
            outside the picture by more than a pixel.
    """
    mask = np.zeros((height, width), dtype=np.bool_)
    for ring in rings:
        corners = _checked(ring, width, height, points)
        mask |= _by_edges(corners, width, height) if points == "edges" else _by_pixels(corners, width, height)
    return mask


def ring_box(ring: Ring) -> Box:
    """The tight box around a ring's points, in the unit of the points.

    Args:
        ring: Points ``(x, y)``; at least one.
    """
    xs, ys = [x for x, _ in ring], [y for _, y in ring]
    return float(min(xs)), float(min(ys)), float(max(xs)), float(max(ys))


def ring_of_numbers(numbers: Sequence[float]) -> list[tuple[float, float]]:
    """A ring from a flat list ``x y x y ...``, as COCO writes.

    Raises:
        ImageError: An odd number of numbers.
    """
    if len(numbers) % 2:
        raise ImageError(f"a ring of {len(numbers)} numbers: expected pairs x, y")
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _checked(ring: Ring, width: int, height: int, points: Points) -> npt.NDArray[np.float64]:
    corners = np.array(ring, dtype=np.float64)
    if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3:
        raise ImageError(f"a ring of shape {corners.shape}: expected at least three points (x, y)")
    if not np.isfinite(corners).all() or (points == "pixels" and (corners != np.rint(corners)).any()):
        raise ImageError(
            "a ring of points that are not finite"
            if points == "edges"
            else "a ring of pixel numbers: expected whole numbers; read fractions as edges"
        )
    last = np.array((width, height)) - (0 if points == "edges" else 1)
    if (corners < -SLACK).any() or (corners > last + SLACK).any():
        (xmin, ymin), (xmax, ymax) = corners.min(axis=0), corners.max(axis=0)
        raise ImageError(
            f"a ring from ({xmin:g}, {ymin:g}) to ({xmax:g}, {ymax:g}) leaves its picture of {width} x {height} "
            "pixels; see whether it belongs to another size of the picture"
        )
    clipped: npt.NDArray[np.float64] = np.clip(corners, 0, last)
    return clipped


def _by_edges(corners: npt.NDArray[np.float64], width: int, height: int) -> Mask:
    (runs,) = coco_mask.frPyObjects([corners.ravel().tolist()], height, width)
    return decode_coco_runs(runs, width, height)


def _by_pixels(corners: npt.NDArray[np.float64], width: int, height: int) -> Mask:
    # Pillow draws the outline only: its filled polygons leave out pixels of sides that are nearly level, and reach
    # beyond sharp corners.
    outline = Image.new("1", (width, height))
    whole = [(int(x), int(y)) for x, y in corners]
    ImageDraw.Draw(outline).line([*whole, whole[0]], fill=1)
    return _by_edges(corners + 0.5, width, height) | np.array(outline, dtype=np.bool_)
