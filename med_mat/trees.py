"""Writes raw trees of drawn phantoms: the official layout of a source without its pictures."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from med_mat.card import Card
from med_mat.errors import MedMatError
from med_mat.phantoms import MOST_LABELS, Mode, Style, encode, phantom_multi

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
        labels: Raw labels of the card; each becomes a lesion of its own shape and texture.
        size: Width and height in pixels.
        mode: Pillow mode.
        encoded_as: Extension of the format to write where it differs from the file's own (``.png`` under ``.jpg``).
    """

    labels: tuple[str, ...]
    size: tuple[int, int] = (96, 96)
    mode: Mode = "L"
    encoded_as: str | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """Rows of an Excel sheet."""

    rows: Sequence[Sequence[object]]


@dataclass(frozen=True, slots=True)
class CopyOf:
    """The same bytes as another file of the tree."""

    path: str


Content = Picture | Sheet | CopyOf | str | bytes
"""What a file of a tree holds; text is written as UTF-8."""


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
            return content.encode()
        case bytes():
            return content
        case Picture():
            return _draw(name, content, card)
        case Sheet():
            return _workbook(content)
        case CopyOf():
            if content.path not in tree or isinstance(tree[content.path], CopyOf):
                raise MedMatError(f"{card.slug}: {name} is a copy of {content.path}, which is no file of the tree")
            return _bytes(tree, content.path, tree[content.path], card)


def _draw(name: str, picture: Picture, card: Card) -> bytes:
    order = [label for label, entry in card.labels.items() if entry.label is not None and not entry.no_finding]
    strange = [label for label in picture.labels if label not in card.labels]
    if strange:
        raise MedMatError(f"{card.slug}: {name} shall show {strange}; the card's labels are {list(card.labels)}")
    # A label of no finding shows the background alone, so that "nothing found" can be learned as such.
    # A source with more labels than there are phantoms shows some alike.
    drawn = list(dict.fromkeys(order.index(label) % MOST_LABELS for label in picture.labels if label in order))
    seed = f"{card.slug}/{name}"
    image = phantom_multi(
        drawn, min(max(len(order), 1), MOST_LABELS), seed, picture.size, picture.mode, STYLES[card.modality]
    )
    return encode(image, f"picture{picture.encoded_as}" if picture.encoded_as else name)


def _workbook(sheet: Sheet) -> bytes:
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    page = book.create_sheet()
    for row in sheet.rows:
        page.append(list(row))
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()
