"""Whether two pictures with near fingerprints are one picture: their details are laid over each other and compared.

Neighbouring slices, two films of one patient and two eyes have the same outlines and differ in texture. So outlines do
not count: both pictures are reduced to fine detail (what a slight blur takes away), cut into small blocks, and compared
block by block. Copies agree in nearly every block, whatever was done to size, brightness, contrast or coding; two
slices of one body agree in most, where its outline runs, and differ in some, so what the worst blocks say counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import gaussian_filter

from med_mat.images.hashes import Box, canonical, windows

SAME = 0.45
"""Agreement from which two pictures are one. Chosen on half of the sources at hand and tested on the other half; the
figures stand in ``docs/overlaps.md``."""

SHORTER_SIDE = 256  # pixels, at least, to which large pictures are averaged before they are compared
_GRID, _BLOCK = 128, 15
_EDGE = 4  # lines of the grid at each side that do not count: scaling and thin frames change them
_COARSE = 64
_BLUR = 1.5
_WORST = 0.05  # share of blocks that may agree less
_STEPS = (0.04, 0.02, 0.01, 0.005, 0.0025)
_ROUNDS = 6
_HOPELESS = 0.3  # correlation below which, after the first step, two pictures are not one
_SMALLEST = 0.3  # share of a side that the common part has at least
_FEWEST_BLOCKS = 6
_FAINT = 1.0  # standard deviation in gray levels below which a block has no detail

Pixels = npt.NDArray[np.float32]

_ORIENT: tuple[tuple[Image.Transpose, ...], ...] = (
    (),
    (Image.Transpose.FLIP_LEFT_RIGHT,),
    (Image.Transpose.FLIP_TOP_BOTTOM,),
    (Image.Transpose.ROTATE_180,),
    (Image.Transpose.TRANSPOSE,),
    (Image.Transpose.ROTATE_270,),
    (Image.Transpose.ROTATE_90,),
    (Image.Transpose.TRANSVERSE,),
)


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well two pictures agree.

    Attributes:
        detail: Correlation of details that 19 of 20 blocks reach, -1 to 1. The measure.
        outline: Correlation of the pictures as they are.
        first_part: Part of the first picture that the second shows: left, top, right, bottom as shares.
        second_part: Part of the second that the first shows, after it was oriented.
    """

    detail: float
    outline: float
    first_part: Box
    second_part: Box

    @property
    def same(self) -> bool:
        """Whether the two are one picture."""
        return self.detail >= SAME


def small(image: Image.Image) -> Image.Image:
    """A picture as it is compared: gray, averaged in whole blocks to a shorter side of 256 to 511 if it is larger.

    Args:
        image: A published picture.
    """
    plain = canonical(image)[0]
    factor = min(plain.size) // SHORTER_SIDE
    return (plain.reduce(factor) if factor > 1 else plain).convert("L")


def compare(
    first: Image.Image, second: Image.Image, *, orientation: int = 0, first_window: int = 0, second_window: int = 0
) -> Agreement:
    """Compares two pictures of which fingerprints say that they may be one.

    Args:
        first: As ``small`` gives it.
        second: The same.
        orientation: Index in ``bands.ORIENTATIONS``: what brings the second into the orientation of the first.
        first_window: Which part of the first resembles the second, an index in ``images.hashes.WINDOWS``.
        second_window: Which part of the second resembles the first.
    """
    for step in _ORIENT[orientation]:
        second = second.transpose(step)
    first_box, second_box = windows(first)[first_window], windows(second)[second_window]
    # Which of the two was cut is not known: each is moved to fit the other.
    one, moved_first = _fit(first, first_box, second, second_box)
    other, moved_second = _fit(second, second_box, first, first_box)
    if one >= other:
        first_box = moved_first
    else:
        second_box = moved_second
    a, b = _grid(first, first_box, _GRID), _grid(second, second_box, _GRID)
    return Agreement(_detail(a, b), _correlation(a, b), _share(first, first_box), _share(second, second_box))


def _fit(moving: Image.Image, box: Box, still: Image.Image, still_box: Box) -> tuple[float, Box]:
    """Moves the edges of a box until its content looks most like that of another picture's box."""
    target = _sharp(_grid(still, still_box, _COARSE))
    width, height = moving.size
    best = _correlation(_sharp(_grid(moving, box, _COARSE)), target)
    for step in _STEPS:
        dx, dy = step * width, step * height
        moves = [(dx, 0, 0, 0), (0, dy, 0, 0), (0, 0, dx, 0), (0, 0, 0, dy), (dx, 0, dx, 0), (0, dy, 0, dy)]
        for _ in range(_ROUNDS):
            before = best
            for left, top, right, bottom in moves:
                for sign in (1, -1):
                    tried = (
                        max(0.0, box[0] + sign * left),
                        max(0.0, box[1] + sign * top),
                        min(float(width), box[2] + sign * right),
                        min(float(height), box[3] + sign * bottom),
                    )
                    if tried[2] - tried[0] < _SMALLEST * width or tried[3] - tried[1] < _SMALLEST * height:
                        continue
                    value = _correlation(_sharp(_grid(moving, tried, _COARSE)), target)
                    if value > best + 1e-4:
                        best, box = value, tried
            if best == before:
                break
        if best < _HOPELESS:
            break
    return best, box


def _grid(image: Image.Image, box: Box, side: int) -> Pixels:
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR, box=box), np.float32)


def _sharp(pixels: Pixels) -> Pixels:
    sharp: Pixels = pixels - gaussian_filter(pixels, _COARSE / 16)
    return sharp


def _correlation(one: Pixels, other: Pixels) -> float:
    one, other = one - one.mean(), other - other.mean()
    size = float(np.sqrt((one * one).sum(dtype=np.float64) * (other * other).sum(dtype=np.float64)))
    return float((one * other).sum(dtype=np.float64)) / size if size > 0 else 0.0


def _detail(one: Pixels, other: Pixels) -> float:
    details = [pixels - gaussian_filter(pixels, _BLUR) for pixels in (one, other)]
    a, b = (_blocks(detail) for detail in details)
    spread_a, spread_b = a.std(axis=1), b.std(axis=1)
    # A block counts if either picture shows something there: what only one of them shows is a difference.
    counts = (spread_a > np.median(spread_a) / 2) | (spread_b > np.median(spread_b) / 2)
    counts &= np.maximum(spread_a, spread_b) > _FAINT
    if counts.sum() < _FEWEST_BLOCKS:
        return _correlation(*details)
    agreement = (a * b).mean(axis=1)[counts] / (spread_a * spread_b + 1e-6)[counts]
    return float(np.quantile(agreement, _WORST))


def _blocks(pixels: Pixels) -> Pixels:
    pixels = pixels[_EDGE:-_EDGE, _EDGE:-_EDGE]
    number = len(pixels) // _BLOCK
    blocks = pixels.reshape(number, _BLOCK, number, _BLOCK).transpose(0, 2, 1, 3).reshape(number * number, -1)
    centred: Pixels = blocks - blocks.mean(axis=1, keepdims=True)
    return centred


def _share(image: Image.Image, box: Box) -> Box:
    return box[0] / image.width, box[1] / image.height, box[2] / image.width, box[3] / image.height
