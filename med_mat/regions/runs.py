"""Run lengths: the dialects of competitions, and COCO's."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from med_mat.errors import ImageError
from med_mat.regions.components import Mask


@dataclass(frozen=True, slots=True)
class RunDialect:
    """How a release writes runs of pixels as ``start length start length ...``.

    Attributes:
        first: Number of the first pixel.
        relative: A start counts from the end of the run before it, not from the first pixel.
        by_columns: Pixels are numbered down the columns, else along the rows.
        empty: What stands for a mask without pixels.
    """

    first: int
    relative: bool
    by_columns: bool
    empty: str


KAGGLE_COLUMNS = RunDialect(first=1, relative=False, by_columns=True, empty="")
"""Kaggle's usual form."""
KAGGLE_ROWS = RunDialect(first=1, relative=False, by_columns=False, empty="")
"""UW-Madison GI Tract: its organisers' tools fill a (height, width) array in C order."""
SIIM_ACR = RunDialect(first=0, relative=True, by_columns=True, empty="-1")
"""SIIM-ACR Pneumothorax: offsets from the end of the last run, 1024 x 1024 down the columns."""

_RUNS = re.compile(r"[0-9]{1,10} [0-9]{1,10}(?: [0-9]{1,10} [0-9]{1,10})*")
_LARGEST_COUNT_CHARS = 7  # of 5 bits each: more than any count of 32 bits needs


def decode_runs(text: str, width: int, height: int, dialect: RunDialect) -> Mask:
    """The mask that run lengths describe.

    Args:
        text: Numbers with blanks between them.
        width: Width of the picture in pixels.
        height: Height of the picture in pixels.
        dialect: How to read them.

    Returns:
        Shape (height, width).

    Raises:
        ImageError: No pairs of whole numbers; a run is empty, starts inside the one before it, or leaves the picture.
    """
    text = " ".join(text.split())
    if text == dialect.empty:
        return np.zeros((height, width), dtype=np.bool_)
    if not _RUNS.fullmatch(text):
        raise ImageError(
            f"run lengths {_cut(text)!r}: expected pairs of whole numbers, or {dialect.empty!r} for an empty mask"
        )
    numbers = np.array(text.split(" "), dtype=np.int64)
    starts, lengths = numbers[::2], numbers[1::2]
    if dialect.relative:
        starts = np.cumsum(starts) + np.concatenate(([0], np.cumsum(lengths)[:-1]))
    starts = starts - dialect.first
    ends = starts + lengths
    if lengths.min() < 1:
        raise ImageError(f"run lengths {_cut(text)!r}: run {int(lengths.argmin()) + 1} has no pixels")
    if starts[0] < 0 or (starts[1:] < ends[:-1]).any():
        raise ImageError(
            f"run lengths {_cut(text)!r}: a run starts before pixel {dialect.first} or inside the one before it; see "
            "whether the source writes relative offsets"
        )
    if ends[-1] > width * height:
        raise ImageError(
            f"run lengths {_cut(text)!r}: the last run ends at pixel {ends[-1]}, but a picture of {width} x {height} "
            f"has {width * height}"
        )
    return _filled(starts, ends, width, height, by_columns=dialect.by_columns)


def encode_runs(mask: Mask, dialect: RunDialect) -> str:
    """The inverse of :func:`decode_runs`, with the fewest runs.

    Args:
        mask: Shape (H, W).
        dialect: How to write them.

    Returns:
        Numbers with single blanks between them, or the dialect's word for an empty mask.
    """
    flat = (mask.T if dialect.by_columns else mask).ravel()
    bounds = np.flatnonzero(np.diff(flat.astype(np.int8), prepend=0, append=0))
    starts, ends = bounds[::2], bounds[1::2]
    if not starts.size:
        return dialect.empty
    written = starts + dialect.first
    if dialect.relative:
        written = written - np.concatenate(([0], ends[:-1] + dialect.first))
    return " ".join(map(str, np.column_stack((written, ends - starts)).ravel().tolist()))


def decode_coco_runs(segmentation: Mapping[str, Any], width: int, height: int) -> Mask:
    """The mask of a COCO run-length dictionary, compressed or not.

    The check that counts add up to the picture is made here because the C library for COCO leaves the rest of a short
    mask unset. The compressed form is that of ``rleToString`` in that library: per count five bits a character,
    the lowest first, signed, from the third count on as the difference to the count two before.

    Args:
        segmentation: ``{"size": [height, width], "counts": [...] or text}``.
        width: Width of the picture in pixels.
        height: Height of the picture in pixels.

    Returns:
        Shape (height, width).

    Raises:
        ImageError: Another size, counts that are none, or that do not add up to the picture.
    """
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if not isinstance(size, Sequence) or list(size) != [height, width]:
        raise ImageError(f"COCO run lengths of size {size}: expected the picture's [{height}, {width}]")
    if isinstance(counts, str) and counts.isascii():
        counts = counts.encode()
    if isinstance(counts, bytes):
        counts = _uncompressed(counts)
    if not isinstance(counts, list) or not all(type(count) is int and 0 <= count <= width * height for count in counts):
        raise ImageError(f"COCO run lengths {_cut(str(counts))}: expected a list of counts, or their compressed form")
    if sum(counts) != width * height:
        raise ImageError(
            f"COCO run lengths add up to {sum(counts)} pixels, but a picture of {width} x {height} has {width * height}"
        )
    bounds = np.cumsum(np.array(counts, dtype=np.int64))
    starts, ends = bounds[:-1:2], bounds[1::2]
    kept = ends > starts
    return _filled(starts[kept], ends[kept], width, height, by_columns=True)


def _uncompressed(text: bytes) -> list[int]:
    counts: list[int] = []
    position = 0
    while position < len(text):
        count = shift = 0
        while True:
            code = text[position] - 48 if position < len(text) else -1
            if not 0 <= code < 64 or shift >= 5 * _LARGEST_COUNT_CHARS:
                raise ImageError(f"compressed COCO run lengths: damaged at character {position + 1} of {len(text)}")
            position += 1
            count |= (code & 31) << shift
            shift += 5
            if not code & 32:
                break
        if code & 16:
            count -= 1 << shift
        counts.append(count + counts[-2] if len(counts) > 2 else count)
    return counts


def _filled(
    starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], width: int, height: int, *, by_columns: bool
) -> Mask:
    steps = np.zeros(width * height + 1, dtype=np.int8)
    steps[starts] += 1
    steps[ends] -= 1
    flat = np.cumsum(steps[:-1], dtype=np.int8).astype(np.bool_)
    return np.ascontiguousarray(flat.reshape(width, height).T) if by_columns else flat.reshape(height, width)


def _cut(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
