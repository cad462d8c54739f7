"""Boxes in the questions and answers of a row, in the spelling that a family of models expects."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from med_mat.regions.boxes import Box, Style, format_boxes, parse_boxes

BoxStyle = Literal["canonical", "permille", "percent", "pixels"]
BOX_STYLES: tuple[BoxStyle, ...] = get_args(BoxStyle)

_NUMBER = r"[01]\.[0-9]{3}"
_BOX = rf"\[{_NUMBER}, {_NUMBER}, {_NUMBER}, {_NUMBER}\]"
_BOXES = re.compile(rf"{_BOX}(?: {_BOX})*")

BOX_INSTRUCTIONS: dict[BoxStyle, str] = {
    "permille": (
        "Answer with one box <box>(xmin,ymin),(xmax,ymax)</box> for each region, from top to bottom, in thousandths of "
        "the image's width and height."
    ),
    "percent": (
        "Answer with one box {<xmin><ymin><xmax><ymax>} for each region, from top to bottom, in hundredths of the "
        "image's width and height, with <delim> between boxes."
    ),
    "pixels": "Answer with one box [xmin, ymin, xmax, ymax] for each region, from top to bottom, in pixels.",
}
"""What stands below a question for boxes, in place of ``med_mat.questions.ask.BOX_INSTRUCTION``."""


def rewrite_boxes(row: Mapping[str, Any], style: BoxStyle) -> dict[str, Any]:
    """Spells the boxes in a row's questions, options and answers in another style.

    Where a text's box is one of the row's objects, its exact numbers are spelled; else those of the text, which are
    rounded to a thousandth. ``objects`` and ``mask`` stay as they are, so do rows without boxes.

    Args:
        row: As ``load_dataset`` gives it, or as ``med_mat.explode`` does.
        style: ``canonical`` changes nothing; the others are those of :func:`med_mat.regions.format_boxes`.

    Returns:
        A copy of the row. Options keep their order, so ``answer_index`` holds.

    Raises:
        ValueError: Two options of a question would become equal, since the picture is too small for the style.
    """
    if style == "canonical":
        return dict(row)
    size = (int(row["width"]), int(row["height"])) if style == "pixels" else None
    exact = _exact(row.get("objects") or ())
    rewritten = {**row, **_question(row, style, size, exact)}
    if row.get("more_questions") is not None:
        rewritten["more_questions"] = [
            {**question, **_question(question, style, size, exact)} for question in row["more_questions"]
        ]
    return rewritten


def _exact(objects: Sequence[Mapping[str, Any]]) -> dict[str, Box]:
    exact: dict[str, Box] = {}
    for found in objects:
        xmin, ymin, xmax, ymax = found["bbox"]
        box = (xmin, ymin, xmax, ymax)
        exact.setdefault(format_boxes([box], "unit"), box)
    return exact


def _question(
    question: Mapping[str, Any], style: Style, size: tuple[int, int] | None, exact: Mapping[str, Box]
) -> dict[str, Any]:
    def spelled(match: re.Match[str]) -> str:
        boxes = [_box(text, exact) for text in re.findall(_BOX, match[0])]
        return format_boxes(boxes, style, size=size)

    options = [_BOXES.sub(spelled, option) for option in question["options"]]
    if len(set(options)) < len(set(question["options"])):
        raise ValueError(
            f"{question['question']!r}: in style {style!r} two of the options {', '.join(question['options'])} are the "
            "same; choose a finer style"
        )
    return {
        "question": _BOXES.sub(spelled, question["question"]),
        "options": options,
        "answer": _BOXES.sub(spelled, question["answer"]),
    }


def _box(text: str, exact: Mapping[str, Box]) -> Box:
    if text in exact:
        return exact[text]
    (box,) = parse_boxes(text, "unit")
    if box is None:
        raise ValueError(f"{text} is no box within the picture")
    return box
