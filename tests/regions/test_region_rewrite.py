"""Boxes in questions and answers, spelled for other models: what is meant stays the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from med_mat.questions.ask import BOX_INSTRUCTION
from med_mat.regions import (
    BOX_INSTRUCTIONS,
    BOX_STYLES,
    Box,
    BoxStyle,
    canonical,
    format_boxes,
    parse_boxes,
    rewrite_boxes,
)

STEP = {"permille": 1000, "percent": 100}


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    width, height = draw(st.integers(200, 5000)), draw(st.integers(200, 5000))
    boxes: list[Box] = []
    for _ in range(draw(st.integers(1, 5))):
        xmin, ymin = draw(st.integers(0, width - 60)), draw(st.integers(0, height - 60))
        xmax, ymax = draw(st.integers(xmin + 60, width)), draw(st.integers(ymin + 60, height))
        boxes.append(canonical((xmin, ymin, xmax, ymax), width, height))
    options = list(dict.fromkeys(format_boxes([box], "unit") for box in boxes))
    where = {"kind": "where", "question": "Where is it?", "options": [], "answer_index": -1}
    return {
        "width": width,
        "height": height,
        "objects": [{"label": "nodule", "bbox": list(box)} for box in boxes],
        **{name: where[name] for name in ("question", "options", "answer_index")},
        "answer": format_boxes(boxes, "unit"),
        "more_questions": [
            {**where, "kind": "count", "question": "How many?", "answer": str(len(boxes))},
            {
                "kind": "choice_of_boxes",
                "question": f"Is it {options[0]} or {options[-1]}?",
                "options": options[:1],
                "answer": options[0],
                "answer_index": 0,
            },
        ],
        "mask": None,
    }


@given(row=rows(), style=st.sampled_from([style for style in BOX_STYLES if style != "canonical"]))
def test_boxes_mean_the_same_in_every_style(row: dict[str, Any], style: BoxStyle) -> None:
    assert style != "canonical"
    size = (row["width"], row["height"]) if style == "pixels" else None
    written = rewrite_boxes(row, style)
    boxes = [tuple(found["bbox"]) for found in row["objects"]]
    assert written["answer"] == format_boxes(boxes, style, size=size)
    read = parse_boxes(written["answer"], style, size=size)
    assert len(read) == len(boxes)
    steps = size or (STEP[style], STEP[style])
    for found, box in zip(read, boxes, strict=True):
        assert found is not None
        assert np.abs(np.subtract(found, box)).max() <= 0.51 / min(steps) + 1e-6
    count, choice = written["more_questions"]
    assert count == row["more_questions"][0]
    assert choice["options"] == [choice["answer"]]
    assert "." not in choice["question"]
    for name in ("objects", "width", "height", "mask", "options"):
        assert written[name] == row[name]


@given(row=rows())
def test_the_canonical_style_changes_nothing(row: dict[str, Any]) -> None:
    assert rewrite_boxes(row, "canonical") == row


def test_pixels_are_those_of_the_object_and_not_of_the_rounded_text() -> None:
    box = canonical((1234, 2345, 3456, 3999), 4001, 4003)
    row = {
        "width": 4001,
        "height": 4003,
        "objects": [{"label": "a", "bbox": list(box)}],
        "question": "Where?",
        "options": [],
        "answer": format_boxes([box], "unit"),
    }
    assert rewrite_boxes(row, "pixels")["answer"] == "[1234, 2345, 3456, 3999]"
    assert rewrite_boxes({**row, "objects": []}, "pixels")["answer"] != "[1234, 2345, 3456, 3999]"


def test_rows_without_boxes_stay_as_they_are() -> None:
    row = {"question": "What is it?", "options": ["a", "b"], "answer": "b", "width": 1, "height": 1, "objects": None}
    for style in BOX_STYLES:
        assert rewrite_boxes(row, style) == row


def test_options_that_would_be_one_are_refused() -> None:
    options = ["[0.011, 0.011, 0.014, 0.014]", "[0.012, 0.012, 0.013, 0.013]"]
    row = {"question": "Which?", "options": options, "answer": options[0], "width": 50, "height": 50}
    with pytest.raises(ValueError, match="choose a finer style"):
        rewrite_boxes(row, "percent")
    with pytest.raises(ValueError, match="choose a finer style"):
        rewrite_boxes(row, "pixels")
    assert rewrite_boxes(row, "permille")["options"] == ["<box>(11,11),(14,14)</box>", "<box>(12,12),(13,13)</box>"]


def test_every_style_has_an_instruction() -> None:
    assert {*BOX_INSTRUCTIONS, "canonical"} == set(BOX_STYLES)
    assert len({BOX_INSTRUCTION, *BOX_INSTRUCTIONS.values()}) == len(BOX_STYLES)
