"""Boxes: how releases write them, how rows hold them, how questions and answers spell them.

Everywhere in this package a box is ``(xmin, ymin, xmax, ymax)`` measured at the edges of pixels: the box of the pixel
in column 3 reaches from 3 to 4. Releases that number pixels instead are brought to edges by :func:`edges`. The
canonical form divides by the picture's width and height and rounds to float32.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Literal

import numpy as np

from med_mat.errors import ImageError

Box = tuple[float, float, float, float]
Form = Literal["xyxy", "xywh", "cxcywh"]
Style = Literal["unit", "permille", "percent", "pixels"]

SLACK = 1.0
"""By how many pixels a released box or polygon may lie outside its picture before it is an error. One pixel is what
wrong numbering from 1 and boxes drawn around their region account for."""


def to_xyxy(box: Box, form: Form) -> Box:
    """Corners of a box.

    Args:
        box: Four numbers: corners (``xyxy``), upper left corner and size (``xywh``, as COCO writes), or centre and
            size (``cxcywh``, as YOLO writes).
        form: Which of these.

    Returns:
        ``(xmin, ymin, xmax, ymax)`` in the unit of ``box``.
    """
    a, b, c, d = box
    if form == "xyxy":
        return box
    if form == "xywh":
        return a, b, a + c, b + d
    return a - c / 2, b - d / 2, a + c / 2, b + d / 2


def from_xyxy(box: Box, form: Form) -> Box:
    """The inverse of :func:`to_xyxy`.

    Args:
        box: ``(xmin, ymin, xmax, ymax)``.
        form: How the four numbers are to be read.

    Returns:
        Four numbers in the unit of ``box``.
    """
    xmin, ymin, xmax, ymax = box
    if form == "xyxy":
        return box
    if form == "xywh":
        return xmin, ymin, xmax - xmin, ymax - ymin
    return (xmin + xmax) / 2, (ymin + ymax) / 2, xmax - xmin, ymax - ymin


def edges(box: Box, *, first: Literal[0, 1], inclusive: bool) -> Box:
    """A box of pixel numbers, measured at the edges of pixels.

    Args:
        box: ``(xmin, ymin, xmax, ymax)`` as a release writes it.
        first: Number of the leftmost column and of the topmost row.
        inclusive: ``xmax`` and ``ymax`` name the last column and row inside the box. PASCAL VOC 2007 counts from 1
            and is inclusive (its development kit, section "Annotation").

    Returns:
        The box in pixels from the picture's upper left corner.
    """
    xmin, ymin, xmax, ymax = box
    beyond = 1 if inclusive else 0
    return xmin - first, ymin - first, xmax - first + beyond, ymax - first + beyond


def from_relative(box: Box, width: int, height: int) -> Box:
    """A box of shares of the picture (0..1, ``xyxy``), in pixels."""
    xmin, ymin, xmax, ymax = box
    return xmin * width, ymin * height, xmax * width, ymax * height


def canonical(box: Box, width: int, height: int) -> Box:
    """A box as rows hold it.

    Args:
        box: ``(xmin, ymin, xmax, ymax)`` in pixels, at edges. What lies outside the picture by no more than
            ``SLACK`` is cut off.
        width: Width of the picture in pixels.
        height: Height of the picture in pixels.

    Returns:
        Shares of width and height in 0..1 that float32 holds exactly.

    Raises:
        ImageError: A number is not finite, the box is empty or turned over, or it leaves the picture by more.
    """
    if not all(map(math.isfinite, box)):
        raise ImageError(f"box {_spelled(box)}: expected four finite numbers")
    if box[2] <= box[0] or box[3] <= box[1]:
        raise ImageError(
            f"box {_spelled(box)} is empty or turned over: expected xmin < xmax and ymin < ymax; see whether the "
            "source writes xywh, or counts xmax as inside"
        )
    if min(box[:2]) < -SLACK or box[2] > width + SLACK or box[3] > height + SLACK:
        raise ImageError(
            f"box {_spelled(box)} leaves its picture of {width} x {height} pixels: expected 0..{width} and "
            f"0..{height}, give or take {SLACK:g}; see whether it belongs to another size of the picture"
        )
    xmin, xmax = (float(np.float32(min(max(value, 0.0), width) / width)) for value in (box[0], box[2]))
    ymin, ymax = (float(np.float32(min(max(value, 0.0), height) / height)) for value in (box[1], box[3]))
    if xmin >= xmax or ymin >= ymax:
        raise ImageError(f"box {_spelled(box)}: nothing of it is inside its picture of {width} x {height} pixels")
    return xmin, ymin, xmax, ymax


def reading_order(box: Box) -> Box:
    """Key that sorts boxes from top to bottom, then from left to right, by their upper left corners."""
    xmin, ymin, xmax, ymax = box
    return ymin, xmin, ymax, xmax


# Text -----------------------------------------------------------------------------------------------------------

_STEPS: dict[str, int] = {"unit": 1000, "permille": 1000, "percent": 100}
_DELIMITER: dict[str, str] = {"unit": " ", "permille": " ", "percent": "<delim>", "pixels": " "}

_NUMBER = r"\s*([+-]?[0-9]+(?:\.[0-9]+)?)\s*"
_LIST = re.compile(rf"\[{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}\]")
_PATTERN: dict[str, re.Pattern[str]] = {
    "unit": _LIST,
    "pixels": _LIST,
    "permille": re.compile(rf"\({_NUMBER},{_NUMBER}\)\s*,\s*\({_NUMBER},{_NUMBER}\)"),
    "percent": re.compile(rf"\{{\s*<{_NUMBER}>\s*<{_NUMBER}>\s*<{_NUMBER}>\s*<{_NUMBER}>\s*\}}"),
}


def format_boxes(boxes: Iterable[Box], style: Style, *, size: tuple[int, int] | None = None) -> str:
    """Boxes as a question or an answer spells them.

    ========  ==================================  ==========================================================
    style     example                             step
    ========  ==================================  ==========================================================
    unit      ``[0.125, 0.250, 0.500, 0.750]``    1/1000 of the side
    permille  ``<box>(125,250),(500,750)</box>``  1/1000; as Qwen-VL (arXiv 2308.12966, section 3)
    percent   ``{<12><25><50><75>}``              1/100; as MiniGPT-v2 (arXiv 2310.09478), ``<delim>`` between
    pixels    ``[64, 96, 256, 288]``              a pixel
    ========  ==================================  ==========================================================

    A coordinate goes to its nearest step, half up. A box so thin that both sides would meet on one step is widened
    to the steps around it, so no spelled box is empty.

    Args:
        boxes: Canonical boxes.
        style: One of the above.
        size: Width and height of the picture in pixels; for ``pixels`` only.

    Returns:
        The boxes in the order given, with a space (``<delim>`` for percent) between them; empty for none.

    Raises:
        ValueError: ``size`` lacks for pixels, or is given for another style.
    """
    return _DELIMITER[style].join(_format(box, style, _steps(style, size)) for box in boxes)


def parse_boxes(text: str, style: Style, *, size: tuple[int, int] | None = None) -> list[Box | None]:
    """Boxes in a text, such as the answer of a model. What stands around them is ignored.

    Args:
        text: Any text.
        style: How boxes are spelled in it; see :func:`format_boxes`. Blanks and decimals are allowed in all.
        size: As for :func:`format_boxes`.

    Returns:
        One entry per spelled box: the canonical box, or None where it is empty, turned over or leaves the picture,
        so that a scorer can count it as wrong.

    Raises:
        ValueError: As for :func:`format_boxes`.
    """
    steps = _steps(style, size)
    return [_parsed(match, style, steps) for match in _PATTERN[style].finditer(text)]


def _steps(style: Style, size: tuple[int, int] | None) -> tuple[int, int]:
    if (style == "pixels") != (size is not None):
        raise ValueError(f"boxes in style {style!r}: size is for style 'pixels', which needs it, got {size}")
    return size if size is not None else (_STEPS[style], _STEPS[style])


def _format(box: Box, style: Style, steps: tuple[int, int]) -> str:
    (xmin, xmax), (ymin, ymax) = _span(box[0], box[2], steps[0]), _span(box[1], box[3], steps[1])
    if style == "unit":
        return "[" + ", ".join(f"{value / steps[0]:.3f}" for value in (xmin, ymin, xmax, ymax)) + "]"
    if style == "permille":
        return f"<box>({xmin},{ymin}),({xmax},{ymax})</box>"
    if style == "percent":
        return f"{{<{xmin}><{ymin}><{xmax}><{ymax}>}}"
    return f"[{xmin}, {ymin}, {xmax}, {ymax}]"


def _span(low: float, high: float, steps: int) -> tuple[int, int]:
    near = math.floor(low * steps + 0.5), math.floor(high * steps + 0.5)
    if near[0] < near[1]:
        return near
    first = min(math.floor(low * steps), steps - 1)
    return first, max(math.ceil(high * steps), first + 1)


def _parsed(match: re.Match[str], style: Style, steps: tuple[int, int]) -> Box | None:
    xmin, ymin, xmax, ymax = map(float, match.groups())
    if style != "unit":
        xmin, ymin, xmax, ymax = xmin / steps[0], ymin / steps[1], xmax / steps[0], ymax / steps[1]
    if not (0.0 <= xmin < xmax <= 1.0 and 0.0 <= ymin < ymax <= 1.0):
        return None
    xmin, ymin, xmax, ymax = (float(np.float32(value)) for value in (xmin, ymin, xmax, ymax))
    return (xmin, ymin, xmax, ymax) if xmin < xmax and ymin < ymax else None


def _spelled(box: Box) -> str:
    return "(" + ", ".join(f"{value:g}" for value in box) + ")"
