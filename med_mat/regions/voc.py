"""PASCAL VOC: one XML file of boxes per picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from med_mat.errors import ImageError, visible
from med_mat.regions.boxes import edges
from med_mat.sample import Region

_SIDES = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True, slots=True)
class VocAnnotation:
    """What a VOC file says.

    Attributes:
        filename: Name of the picture as the file gives it, which copied files often get wrong; empty if none.
        size: Width and height in pixels; None where the file has none, or zeros.
        regions: Labelled boxes in pixels at edges, in the order of the file.
    """

    filename: str
    size: tuple[int, int] | None
    regions: tuple[Region, ...]


def voc_annotation(data: bytes, *, first: Literal[0, 1], inclusive: bool) -> VocAnnotation:
    """Read a VOC file.

    Args:
        data: The whole file. A document type declaration is refused, for with it come entities, which can grow
            without bound or name other files.
        first: As for :func:`med_mat.regions.edges`: 1 in PASCAL VOC itself, 0 from most annotation tools.
        inclusive: As there.

    Raises:
        ImageError: No XML, with a document type, or an object without a name or one of its four numbers.
    """
    root = _parse(data)
    if root.tag != "annotation":
        raise ImageError(f"a VOC file: expected <annotation>, found <{visible(root.tag)}>")
    regions = []
    for item in root.findall("object"):
        xmin, ymin, xmax, ymax = (_number(item, f"bndbox/{side}") for side in _SIDES)
        box = edges((xmin, ymin, xmax, ymax), first=first, inclusive=inclusive)
        regions.append(Region(_text(item, "name"), box))
    return VocAnnotation((root.findtext("filename") or "").strip(), _size(root), tuple(regions))


def _parse(data: bytes) -> Element:
    builder = TreeBuilder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise ImageError(f"a VOC file: expected XML, found {len(data)} bytes that are none ({error})") from error
    return builder.close()


def _refuse(*_: object) -> NoReturn:
    raise ImageError("a VOC file with a document type declaration: refused, for it may hide entities; remove it")


def _size(root: Element) -> tuple[int, int] | None:
    if root.find("size") is None:
        return None
    width, height = int(_number(root, "size/width")), int(_number(root, "size/height"))
    return (width, height) if width > 0 and height > 0 else None


def _text(item: Element, path: str) -> str:
    text = (item.findtext(path) or "").strip()
    if not text:
        raise ImageError(f"a VOC file: <{item.tag}> has no {path}")
    return text


def _number(item: Element, path: str) -> float:
    text = _text(item, path)
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ImageError(f"a VOC file: {path} is {visible(text)!r}, expected a number")
    return number
