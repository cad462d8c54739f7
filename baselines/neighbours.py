"""Whether training holds a copy of a test picture, told from small grey pictures of both.

Thumbnails are compared by how their grey levels go together, not by the levels themselves: a copy that was made
brighter or of more contrast is still a copy, and pictures of one device are alike in brightness without being copies.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from med_mat.baselines.controls import Thumbnails
from med_mat.baselines.errors import BaselineError

NEAR = 0.06
"""Distance below which a picture is taken for a copy of another.

Measured by ``benchmarks/neighbours.py`` on slices of 18 official downloads, 657 pictures; chosen on ten of the sources,
by hash of their slugs, and reported on the other eight. On these it finds all copies saved as JPEG of quality 75 or 30,
99% of those of half the size, all darkened by 20% or of 30% more contrast, 51% of those brightened by 30%, whose bright
parts are clipped, and 4% of those cut by 2% at each side. None of their 300 pictures has one of another group of its
source below it, pairs that nobody can tell apart left out. How near these come differs by source: the nearest in 45
photographs of the fundus is at 0.09, in CT and radiographs at 0.2 and more. The more pictures, the nearer they come,
so the line is not drawn higher; a picture taken wrongly for a copy costs little, since the verdict compares within
labels.
"""

_FAINT = 1.0  # standard deviation in grey levels below which a thumbnail shows nothing that could be recognised
_AT_ONCE = 256
_TRAIN_AT_ONCE = 4096  # 32 MB as float64

Distances = npt.NDArray[np.float64]


def neighbour_distance(train_pixels: Thumbnails, test_pixels: Thumbnails) -> Distances:
    """Returns how far each test picture is from the training picture that it is most like.

    Args:
        train_pixels: Shape (M, pixels), of ``controls.thumbnails``; M from 1.
        test_pixels: Shape (N, pixels), of ``controls.thumbnails``.

    Returns:
        Shape (N,): ``sqrt((1 - r) / 2)`` with the largest correlation r of grey levels, so 0 for pictures that differ
        in brightness and contrast at most, 0.71 for unrelated ones, 1 for negatives. A picture of one grey is like
        none: 1.

    Raises:
        BaselineError: There are no training pictures.
    """
    if not len(train_pixels):
        raise BaselineError("no training pictures to be near to: expected one or more")
    likest = np.full(len(test_pixels), -1.0)
    for first in range(0, len(train_pixels), _TRAIN_AT_ONCE):
        there, shown = _standardised(train_pixels[first : first + _TRAIN_AT_ONCE])
        there = there[shown]
        if not len(there):
            continue
        for place, here in _blocks(test_pixels):
            lines, seen = _standardised(here)
            found = np.where(seen, (lines @ there.T).max(axis=1), -1.0)
            np.maximum(likest[place : place + len(here)], found, out=likest[place : place + len(here)])
    distance: Distances = np.sqrt(np.clip(1 - likest, 0, 2) / 2)
    return distance


def near(train_pixels: Thumbnails, test_pixels: Thumbnails) -> list[bool]:
    """Tells which test pictures have a copy in training: those nearer than ``NEAR``.

    Args:
        train_pixels: As for ``neighbour_distance``.
        test_pixels: As for ``neighbour_distance``.

    Raises:
        BaselineError: There are no training pictures.
    """
    return [bool(each) for each in neighbour_distance(train_pixels, test_pixels) < NEAR]


def _blocks(pixels: Thumbnails) -> Iterator[tuple[int, Thumbnails]]:
    for start in range(0, len(pixels), _AT_ONCE):
        yield start, pixels[start : start + _AT_ONCE]


def _standardised(pixels: Thumbnails) -> tuple[Distances, npt.NDArray[np.bool_]]:
    """Returns lines of mean 0 and length 1, and which of them show anything; the others are 0."""
    lines = pixels.astype(np.float64)
    lines -= lines.mean(axis=1, keepdims=True)
    shown = lines.std(axis=1) >= _FAINT
    lengths = np.where(shown, np.linalg.norm(lines, axis=1), 1.0)
    return np.where(shown[:, None], lines / lengths[:, None], 0.0), shown
