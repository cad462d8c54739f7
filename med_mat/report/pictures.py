"""Sample rows of a source for a page: which to show, and their pictures as small as the page needs."""

from __future__ import annotations

import base64
import bisect
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from med_mat.images import pixels
from med_mat.report.shards import Shards, split_of
from med_mat.sheets import PALETTE

SIDE = 256
"""Longest side of a sample picture, in pixels."""
COLUMNS = (
    "id",
    "image",
    "question",
    "options",
    "answer",
    "answer_index",
    "more_questions",
    "labels",
    "objects",
    "mask",
    "mask_labels",
    "kind",
    "width",
    "height",
)
_GROUND = (222, 222, 222)  # behind transparent pictures
_QUALITY = 72
_VISIBLE = 64  # of 255: a pixel of the small mask is tinted if a quarter of what it stands for is
_TINT, _BORDER = 110, 255
_TINTS = len(PALETTE)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row is: its shard, its number there, and its id."""

    path: str
    number: int
    id: str


@dataclass(frozen=True, slots=True)
class Box:
    """A box on a sample, in percent of its width and height; ``colour`` is a number in ``PALETTE``."""

    label: str
    colour: int
    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Question:
    """A question of a sample; ``kind`` is ``primary``, or as ``more_questions`` has it."""

    kind: str
    question: str
    options: tuple[str, ...]
    answer: str
    answer_index: int


@dataclass(frozen=True, slots=True)
class Sample:
    """A row as a page shows it.

    Attributes:
        id: Of the row.
        split: Its split.
        labels: Its clean labels.
        width: Of the published picture, in pixels.
        height: Of the published picture, in pixels.
        picture: The picture as a data URI; None where its pixels are not at hand or not to be shown.
        mask: The mask's tint as a data URI, transparent elsewhere; None without one.
        boxes: All boxes.
        legend: Label, colour and number of boxes of each label that has a region.
        questions: The primary question and the others.
    """

    id: str
    split: str
    labels: tuple[str, ...]
    width: int
    height: int
    picture: str | None
    mask: str | None
    boxes: tuple[Box, ...]
    legend: tuple[tuple[str, int, int], ...]
    questions: tuple[Question, ...]


def choose(rows: Iterable[tuple[Place, Sequence[str]]], number: int) -> list[Place]:
    """Chooses rows so that many labels are seen, by no chance.

    Args:
        rows: Places and labels of all rows of a source.
        number: How many at most.

    Returns:
        Of each label the row of the lowest id, the most frequent label first; then each label's next, until there are
        enough. Rows without any label count as a label of their own.
    """
    by_label: dict[str, list[Place]] = {}
    counts: Counter[str] = Counter()
    for place, labels in rows:
        for label in labels or ("",):
            counts[label] += 1
            lowest = by_label.setdefault(label, [])
            if len(lowest) < number or (lowest and place.id < lowest[-1].id):
                bisect.insort(lowest, place, key=lambda one: one.id)
                del lowest[number:]
    chosen: dict[Place, None] = {}
    order = sorted(by_label, key=lambda label: (not label, -counts[label], label))
    for turn in range(number):
        for label in order:
            fresh = next((place for place in by_label[label] if place not in chosen), None)
            if fresh is not None and len(chosen) < number and len(by_label[label]) > turn:
                chosen[fresh] = None
    return list(chosen)


def read_samples(
    shards: Shards, places: Sequence[Place], colours: Mapping[str, int], *, with_pixels: bool
) -> tuple[Sample, ...]:
    """Reads chosen rows and makes their pictures small.

    Args:
        shards: The build.
        places: What ``choose`` gave.
        colours: Label to a number in ``PALETTE``.
        with_pixels: Whether pictures and masks are read at all.

    Raises:
        ImageError: A picture does not decode.
        LayoutError: A shard is not what the manifest says.
    """
    names = [name for name in COLUMNS if with_pixels or name not in ("image", "mask")]
    found = {}
    for path in dict.fromkeys(place.path for place in places):
        rows = shards.take(path, [place.number for place in places if place.path == path], names)
        found.update({(path, number): _sample(row, split_of(path), colours) for number, row in rows.items()})
    return tuple(found[place.path, place.number] for place in places)


def _sample(row: Mapping[str, Any], split: str, colours: Mapping[str, int]) -> Sample:
    boxes = tuple(_box(found, colours) for found in row["objects"])
    size = fitted(row["width"], row["height"])
    stored = row.get("mask")
    mask = None if stored is None else small_mask(Image.open(io.BytesIO(stored["bytes"])), size)
    drawn = [] if mask is None else [row["mask_labels"][value - 1] for value in np.unique(mask[mask > 0]).tolist()]
    numbers = Counter(box.label for box in boxes)
    named = dict.fromkeys([*drawn, *numbers])
    picture = (row.get("image") or {}).get("bytes")
    questions = (
        Question(kind, one["question"], tuple(one["options"]), one["answer"], one["answer_index"])
        for kind, one in [("primary", row), *((more["kind"], more) for more in row["more_questions"])]
    )
    return Sample(
        id=row["id"],
        split=split,
        labels=tuple(row["labels"]),
        width=row["width"],
        height=row["height"],
        picture=None if picture is None else _picture(picture, size),
        mask=None if mask is None or not mask.any() else _tint(mask, row["mask_labels"], colours),
        boxes=boxes,
        legend=tuple(
            (label, colours.get(label, 0) % _TINTS, numbers[label]) for label in dict.fromkeys([*named, *numbers])
        ),
        questions=tuple(questions),
    )


def _box(found: Mapping[str, Any], colours: Mapping[str, int]) -> Box:
    xmin, ymin, xmax, ymax = (100 * side for side in found["bbox"])
    return Box(found["label"], colours.get(found["label"], 0) % _TINTS, xmin, ymin, xmax - xmin, ymax - ymin)


def fitted(width: int, height: int, side: int = SIDE) -> tuple[int, int]:
    """Width and height of a picture made smaller so that neither is over ``side``; no picture is made larger."""
    scale = min(side / max(width, height), 1.0)
    return max(round(width * scale), 1), max(round(height * scale), 1)


def _picture(data: bytes, size: tuple[int, int]) -> str:
    image = pixels(data)
    if image.has_transparency_data:
        whole = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", whole.size, _GROUND), whole)
    stream = io.BytesIO()
    small = image.convert("RGB").resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    small.save(stream, "WEBP", quality=_QUALITY, method=6)
    return _uri("webp", stream.getvalue())


def small_mask(mask: Image.Image, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """A label map made smaller so that thin and small regions stay visible.

    Args:
        mask: A label map of mode ``L``.
        size: Width and height in pixels.

    Returns:
        Shape (height, width): of the labels that cover a quarter of a pixel, the one that covers most; else 0.
    """
    values = np.asarray(mask)
    best = np.full((size[1], size[0]), _VISIBLE - 1, np.uint8)
    found = np.zeros_like(best)
    for value in np.unique(values[values > 0]).tolist():
        part = Image.fromarray((values == value).astype(np.uint8) * 255)
        cover = np.asarray(part.resize(size, Image.Resampling.BOX))
        wins = cover > best
        found[wins], best[wins] = value, cover[wins]
    return found


def edges(mask: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which pixels of regions border on another region or on the background.

    Args:
        mask: A label map, shape (height, width).
    """
    framed = np.pad(mask, 1, mode="edge")
    inner = framed[1:-1, 1:-1]
    found = np.zeros(mask.shape, np.bool_)
    for other in (framed[:-2, 1:-1], framed[2:, 1:-1], framed[1:-1, :-2], framed[1:-1, 2:]):
        found |= inner != other
    return found & (mask > 0)


def _tint(mask: npt.NDArray[np.uint8], labels: Sequence[str], colours: Mapping[str, int]) -> str:
    numbers = np.array([0, *(1 + colours.get(label, 0) % _TINTS for label in labels)], np.uint8)
    # Two entries a colour: the inside lets the picture through, the border shows where a faint region ends.
    tinted = numbers[mask]
    tinted[edges(mask)] += _TINTS
    image = Image.fromarray(tinted).convert("P")
    image.putpalette([0, 0, 0, *(level for colour in PALETTE * 2 for level in colour)])
    stream = io.BytesIO()
    alpha = bytes([0, *([_TINT] * _TINTS), *([_BORDER] * _TINTS)])
    image.save(stream, "PNG", transparency=alpha, bits=4, optimize=True)
    return _uri("png", stream.getvalue())


def _uri(form: str, data: bytes) -> str:
    return f"data:image/{form};base64,{base64.b64encode(data).decode()}"
