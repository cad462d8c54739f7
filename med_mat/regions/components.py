"""Boxes of a mask: the tight box of each connected component."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from med_mat.regions.boxes import Box, canonical, reading_order

Mask = npt.NDArray[np.bool_]
"""Shape (H, W); True where the label applies."""

SPECK_PIXELS = 16
"""A component of fewer pixels has no box. Below 4 x 4 pixels a stray click, an edge left by thresholding or the noise
of JPEG cannot be told from a finding."""

SPECK_SHARE = 2e-5
"""A component of a smaller share of the picture has no box either. A square of this share is 0.45 % of the picture's
side long: less than half the step in which boxes are spelled in percent, so no answer could name it. It takes over
from ``SPECK_PIXELS`` above 800 000 pixels."""

_EIGHT = np.ones((3, 3), dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class Component:
    """A connected component of a mask.

    Attributes:
        box: Tight box in pixels, at edges.
        area: Pixels in it.
    """

    box: Box
    area: int


def speck_limit(width: int, height: int) -> int:
    """Fewest pixels with which a component of a picture of this size gets a box."""
    # Rounded first: 2e-5 is no binary fraction, and 16.000000000000004 pixels are 16.
    return max(SPECK_PIXELS, math.ceil(round(SPECK_SHARE * width * height, 6)))


def components(mask: Mask) -> list[Component]:
    """All connected components of a mask, specks too.

    Pixels that touch at a corner are connected (8-connectivity): outlines drawn one pixel wide, vessels and the
    saw-tooth borders of filled polygons hold together by corners, and would fall apart under 4-connectivity.

    Args:
        mask: Shape (H, W).

    Returns:
        From top to bottom, then from left to right, by upper left corners of their boxes.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return []
    # Labels take four bytes a pixel, so only the part that holds something is labelled.
    top, left = int(rows[0]), int(columns[0])
    numbered, _ = ndimage.label(mask[top : rows[-1] + 1, left : columns[-1] + 1], structure=_EIGHT)
    areas = np.bincount(numbered.ravel())[1:]
    found = []
    for area, (vertical, horizontal) in zip(areas, ndimage.find_objects(numbered), strict=True):
        box = left + horizontal.start, top + vertical.start, left + horizontal.stop, top + vertical.stop
        found.append(Component((float(box[0]), float(box[1]), float(box[2]), float(box[3])), int(area)))
    return sorted(found, key=lambda component: (reading_order(component.box), component.area))


def mask_boxes(mask: Mask, *, smallest: float | None = None) -> list[Box]:
    """Canonical boxes of a mask's components, without specks (see ``SPECK_PIXELS``, ``SPECK_SHARE``).

    Args:
        mask: Shape (H, W).
        smallest: Share of the picture below which a component is a speck too; None for the package's limit alone.

    Returns:
        From top to bottom, then from left to right. Empty if the mask is empty or holds specks only.
    """
    height, width = mask.shape
    limit = max(speck_limit(width, height), math.ceil(round((smallest or 0.0) * width * height, 6)))
    return [canonical(found.box, width, height) for found in components(mask) if found.area >= limit]
