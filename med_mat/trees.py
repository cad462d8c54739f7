"""Writes raw trees of drawn phantoms: the official layout of a source without its pictures."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from med_mat.card import Card
from med_mat.errors import MedMatError
from med_mat.phantoms import MOST_LABELS, Lesion, Mode, Phantom, Style, encode, phantom_regions

STYLES: dict[str, Style] = {
    "co": "endoscopy",
    "ct": "ct",
    "der": "dermoscopy",
    "dp": "photo",
    "end": "endoscopy",
    "fp": "fundus",
    "mic": "histology",
    "mri": "mri",
    "oct": "oct",
    "us": "ultrasound",
    "xray": "xray",
}
"""Background of a phantom by modality code."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A phantom to draw.

    Attributes:
        labels: Raw labels of the card; each becomes a lesion of its own shape and texture, as often as it is named.
        size: Width and height in pixels.
        mode: Pillow mode.
        encoded_as: Extension of the format to write where it differs from the file's own (``.png`` under ``.jpg``).
    """

    labels: tuple[str, ...]
    size: tuple[int, int] = (96, 96)
    mode: Mode = "L"
    encoded_as: str | None = None


Value = int | tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Mask:
    """A mask of the lesions that are drawn on a picture of the tree.

    Attributes:
        of: The picture.
        values: Raw label to the value or colour (red, green, blue) of its lesions.
        background: Value or colour of all else.
        nth: Of each label only this lesion, from 0; None for all.
        size: Width and height in pixels where the release saves masks in another size than the picture.
        mode: ``P`` saves values as numbers of a palette's colours.
        encoded_as: As for ``Picture``.
    """

    of: str
    values: Mapping[str, Value]
    background: Value = 0
    nth: int | None = None
    size: tuple[int, int] | None = None
    mode: Literal["L", "RGB", "1", "P", "I;16"] = "L"
    encoded_as: str | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """Rows of an Excel sheet."""

    rows: Sequence[Sequence[object]]


@dataclass(frozen=True, slots=True)
class CopyOf:
    """The same bytes as another file of the tree."""

    path: str


Content = Picture | Mask | Sheet | CopyOf | str | bytes
"""What a file of a tree holds; text is written as UTF-8.

In text, ``<<xmin|path|label>>`` stands for where the lesions of a raw label are on a picture of the tree, likewise
``ymin``, ``xmax``, ``ymax`` (pixels at edges), ``width`` and ``height`` of that box, each with a whole number added if
it is written so (``xmin+1``); ``ring`` for their outline as JSON, ``[[x, y], ...]``, in numbers of pixels that belong
to them; ``kaggle_columns``, ``kaggle_rows`` and ``siim_acr`` for their run lengths. A number after a third bar takes
the lesion of that place among those of the label, from 0.
"""

_PLANTED = re.compile(
    r"<<(?P<what>[a-z_]+)(?P<more>[+-]\d+)?\|(?P<path>[^|<>]+)\|(?P<label>[^|<>]+)(\|(?P<nth>\d+))?>>"
)


def write_tree(tree: Mapping[str, Content], folder: Path, card: Card) -> None:
    """Writes a raw tree.

    Args:
        tree: Path below ``folder`` to content.
        folder: Created if it is not there.
        card: Tells the labels, whose order gives each its shape, and the modality, which gives the background.

    Raises:
        MedMatError: If a path leaves the folder, a label is not in the card, or a format does not hold the picture.
    """
    for name, content in tree.items():
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise MedMatError(f"{card.slug}: {name} is not a path inside the tree")
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_bytes(tree, name, content, card))


def _bytes(tree: Mapping[str, Content], name: str, content: Content, card: Card) -> bytes:
    match content:
        case str():
            return _PLANTED.sub(lambda match: _spelled(tree, match, card), content).encode()
        case bytes():
            return content
        case Picture():
            return encode(planted(name, content, card).image, _name(name, content.encoded_as))
        case Mask():
            return encode(_mask(tree, content, card), _name(name, content.encoded_as))
        case Sheet():
            return _workbook(content)
        case CopyOf():
            if content.path not in tree or isinstance(tree[content.path], CopyOf):
                raise MedMatError(f"{card.slug}: {name} is a copy of {content.path}, which is no file of the tree")
            return _bytes(tree, content.path, tree[content.path], card)


@dataclass(frozen=True, slots=True)
class Planted:
    """A drawn picture, and by raw label what is drawn on it.

    Attributes:
        image: The picture.
        lesions: Raw label to its lesions, in the order in which the picture's labels name them.
    """

    image: Image.Image
    lesions: Mapping[str, Sequence[Lesion]]


def planted(name: str, picture: Picture, card: Card) -> Planted:
    """Draws the phantom of a tree's file.

    Raises:
        MedMatError: If a label is not in the card.
    """
    order = [label for label, entry in card.labels.items() if entry.label is not None and not entry.no_finding]
    strange = [label for label in picture.labels if label not in card.labels]
    if strange:
        raise MedMatError(f"{card.slug}: {name} shall show {strange}; the card's labels are {list(card.labels)}")
    # A label of no finding shows the background alone, so that "nothing found" can be learned as such.
    # A source with more labels than there are phantoms shows some alike, and two of these as one lesion.
    first: dict[int, str] = {}
    labels = [
        label
        for label in picture.labels
        if label in order and first.setdefault(order.index(label) % MOST_LABELS, label) == label
    ]
    drawn = _phantom(
        [order.index(label) % MOST_LABELS for label in labels],
        min(max(len(order), 1), MOST_LABELS),
        f"{card.slug}/{name}",
        picture,
        card,
    )
    lesions: dict[str, list[Lesion]] = {}
    for label, lesion in zip(labels, drawn.lesions, strict=True):
        lesions.setdefault(label, []).append(lesion)
    return Planted(drawn.image, lesions)


def _phantom(labels: Sequence[int], of: int, seed: str, picture: Picture, card: Card) -> Phantom:
    return phantom_regions(labels, of, seed, picture.size, picture.mode, STYLES[card.modality])


def _name(name: str, encoded_as: str | None) -> str:
    return f"picture{encoded_as}" if encoded_as else name


def _lesions(tree: Mapping[str, Content], path: str, label: str, nth: int | None, card: Card) -> Sequence[Lesion]:
    content = tree.get(path)
    if isinstance(content, CopyOf):
        path, content = content.path, tree.get(content.path)
    if not isinstance(content, Picture):
        raise MedMatError(f"{card.slug}: a mask or place of {path}, which is no drawn picture of the tree")
    found = planted(path, content, card).lesions.get(label, ())
    if nth is None:
        return found
    if nth >= len(found):
        raise MedMatError(f"{card.slug}: lesion {nth} of {label!r} on {path}, which has {len(found)}")
    return found[nth : nth + 1]


def _mask(tree: Mapping[str, Content], mask: Mask, card: Card) -> Image.Image:
    coloured = mask.mode == "RGB"
    content = tree.get(mask.of)
    if isinstance(content, CopyOf):
        content = tree.get(content.path)
    size = content.size if isinstance(content, Picture) else (1, 1)
    pixels: npt.NDArray[Any] = np.zeros(
        (size[1], size[0], 3) if coloured else (size[1], size[0]), np.uint16 if mask.mode == "I;16" else np.uint8
    )
    pixels[:] = mask.background
    for label, value in mask.values.items():
        for lesion in _lesions(tree, mask.of, label, mask.nth, card):
            pixels[np.asarray(lesion.mask) > 0] = value
    image = Image.fromarray(pixels)
    if mask.mode == "1":
        image = image.point(lambda value: 255 if value else 0).convert("1")
    elif mask.mode == "P":
        image.putpalette([(number * step) % 256 for number in range(256) for step in (1, 85, 171)])
    return image if mask.size is None else image.resize(mask.size, Image.Resampling.NEAREST)


def _spelled(tree: Mapping[str, Content], match: re.Match[str], card: Card) -> str:
    from med_mat.regions import KAGGLE_COLUMNS, KAGGLE_ROWS, SIIM_ACR, encode_runs

    nth = None if match["nth"] is None else int(match["nth"])
    lesions = _lesions(tree, match["path"], match["label"], nth, card)
    if not lesions:
        raise MedMatError(f"{card.slug}: {match[0]} asks for a lesion that is not drawn")
    inside = np.any([np.asarray(lesion.mask) > 0 for lesion in lesions], axis=0)
    dialects = {"kaggle_columns": KAGGLE_COLUMNS, "kaggle_rows": KAGGLE_ROWS, "siim_acr": SIIM_ACR}
    if match["what"] in dialects:
        return encode_runs(inside, dialects[match["what"]])
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if match["what"] == "ring":
        # Down the left ends of the rows and up the right ones.
        ends = [np.flatnonzero(inside[row]) if inside[row].any() else None for row in range(rows[0], rows[-1] + 1)]
        left = [[int(end[0]), int(row)] for row, end in enumerate(ends, start=rows[0]) if end is not None]
        right = [[int(end[-1]), int(row)] for row, end in enumerate(ends, start=rows[0]) if end is not None]
        return str(left + right[::-1])
    sides = {
        "xmin": int(columns[0]),
        "ymin": int(rows[0]),
        "xmax": int(columns[-1]) + 1,
        "ymax": int(rows[-1]) + 1,
        "width": int(columns[-1] - columns[0]) + 1,
        "height": int(rows[-1] - rows[0]) + 1,
    }
    if match["what"] not in sides:
        raise MedMatError(f"{card.slug}: {match[0]}: expected one of {', '.join([*sides, 'ring', *dialects])}")
    return str(sides[match["what"]] + int(match["more"] or 0))


def _workbook(sheet: Sheet) -> bytes:
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    page = book.create_sheet()
    for row in sheet.rows:
        page.append(list(row))
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()
