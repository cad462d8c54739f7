"""Questions about regions: one right answer, and nothing but the picture gives it away."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from med_mat.questions.ask_regions import MOST_OVERLAP, BoxPool, ask_box, ask_count, ask_where, overlap
from med_mat.regions import Box, canonical, format_boxes, parse_boxes

TEXT = "Which box holds {label}?"


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    xmin, ymin = draw(st.integers(0, 90)), draw(st.integers(0, 90))
    return canonical((xmin, ymin, draw(st.integers(xmin + 3, 100)), draw(st.integers(ymin + 3, 100))), 100, 100)


def _pool(found: list[Box]) -> BoxPool:
    return {"nodule": np.unique(np.array(found, np.float32), axis=0)}


@given(right=st.lists(boxes(), min_size=1, max_size=4), others=st.lists(boxes(), max_size=40), row=st.integers(0, 999))
def test_one_of_four_boxes_is_right_and_the_others_are_apart(right: list[Box], others: list[Box], row: int) -> None:
    question = ask_box(f"tiny/{row}", "nodule", right, _pool([*right, *others]), TEXT)
    if question is None:
        return
    assert question.kind == "choice_of_boxes"
    assert question.question == "Which box holds nodule?"
    assert len(question.options) == len(set(question.options)) == 4
    assert question.options[question.answer_index] == question.answer
    read = [box for option in question.options for box in parse_boxes(option, "unit")]
    assert len(read) == 4
    assert None not in read
    spelled = [box for box in read if box is not None]
    # Spelling rounds to a thousandth, which moves the smallest boxes by a tenth of their side.
    for one, other in combinations(spelled, 2):
        assert overlap(one, other) < MOST_OVERLAP + 0.1
    for place, box in enumerate(spelled):
        if place != question.answer_index:
            assert all(overlap(box, true) < MOST_OVERLAP + 0.1 for true in right)
    answer = spelled[question.answer_index]
    assert max(overlap(answer, true) for true in right) > 0.8


def test_wrong_boxes_are_those_of_other_pictures_where_these_lie_apart() -> None:
    grid = [canonical((x, y, x + 10 + x // 20, y + 10), 100, 100) for x in range(0, 80, 20) for y in range(0, 80, 20)]
    question = ask_box("tiny/1", "nodule", grid[:1], _pool(grid), TEXT)
    assert question is not None
    assert set(question.options) <= {format_boxes([box], "unit") for box in grid}


def test_else_all_four_have_one_shape() -> None:
    right = canonical((10, 10, 33, 27), 100, 100)
    question = ask_box("tiny/1", "nodule", [right], _pool([right]), TEXT)
    assert question is not None
    shapes = []
    for option in question.options:
        (box,) = parse_boxes(option, "unit")
        assert box is not None
        shapes.append((box[2] - box[0], box[3] - box[1]))
    assert np.ptp(np.array(shapes), axis=0).max() <= 0.0021


def test_a_box_that_fills_the_picture_leaves_no_choice() -> None:
    whole = canonical((0, 0, 99, 99), 100, 100)
    assert ask_box("tiny/1", "nodule", [whole], _pool([whole]), TEXT) is None


def test_the_letter_is_uniform_and_independent_of_the_place() -> None:
    letters: Counter[int] = Counter()
    order: Counter[int] = Counter()
    for number in range(800):
        x = 7 * number % 70
        right = canonical((x, 30, x + 20, 45), 100, 100)
        question = ask_box(f"tiny/{number}", "nodule", [right], _pool([right]), TEXT)
        assert question is not None
        letters[question.answer_index] += 1
        order[sorted(question.options).index(question.answer)] += 1
    assert all(150 < letters[letter] < 250 for letter in range(4)), letters
    assert all(order[letter] > 80 for letter in range(4)), order


@given(found=st.lists(boxes(), min_size=1, max_size=6))
def test_the_order_of_boxes_does_not_change_a_question(found: list[Box]) -> None:
    turned = found[::-1]
    assert ask_where("tiny/1", "nodule", found, ["Where is {label}?"]) == ask_where(
        "tiny/1", "nodule", turned, ["Where is {label}?"]
    )
    assert ask_box("tiny/1", "nodule", found, _pool(found), TEXT) == ask_box(
        "tiny/1", "nodule", turned, _pool(turned), TEXT
    )


def test_where_and_count_are_open_questions() -> None:
    two = [canonical((50, 10, 60, 20), 100, 100), canonical((10, 10, 20, 20), 100, 100)]
    where = ask_where("tiny/1", "nodule", two, ["Where is {label}?"])
    assert (where.kind, where.question, where.options, where.answer_index) == ("where", "Where is nodule?", (), -1)
    assert where.answer == "[0.100, 0.100, 0.200, 0.200] [0.500, 0.100, 0.600, 0.200]"
    count = ask_count("nodule", 2, "How many regions of {label}?")
    assert (count.kind, count.answer, count.options, count.answer_index) == ("count", "2", (), -1)


def test_all_instructions_are_used() -> None:
    texts = [f"{number}: where is {{label}}?" for number in range(6)]
    box = canonical((10, 10, 20, 20), 100, 100)
    seen = Counter(ask_where(f"tiny/{number}", "nodule", [box], texts).question for number in range(300))
    assert len(seen) == 6
    assert min(seen.values()) > 25


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((0.0, 0.0, 1.0, 1.0), (0.0, 0.0, 1.0, 1.0), 1.0),
        ((0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0), 0.0),
        ((0.0, 0.0, 0.5, 0.5), (0.25, 0.0, 0.75, 0.5), 1 / 3),
    ],
)
def test_overlap(one: Box, other: Box, expected: float) -> None:
    assert overlap(one, other) == pytest.approx(expected)
