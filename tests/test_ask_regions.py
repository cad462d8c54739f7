"""Questions about regions: one right answer, and nothing but the picture gives it away."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from med_mat.questions.ask_regions import MOST_OVERLAP, ask_box, ask_count, ask_where, box_offers, overlap
from med_mat.regions import Box, canonical, format_boxes

TEXT = "Which box holds {label}?"


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    xmin, ymin = draw(st.integers(0, 90)), draw(st.integers(0, 90))
    return canonical((xmin, ymin, draw(st.integers(xmin + 3, 100)), draw(st.integers(ymin + 3, 100))), 100, 100)


pictures = st.dictionaries(
    st.integers(0, 999).map("tiny/{}".format), st.lists(boxes(), min_size=1, max_size=3), max_size=30
)


@given(found=pictures)
def test_one_of_a_block_is_right_of_each_picture_and_the_others_are_apart(found: dict[str, list[Box]]) -> None:
    offers = box_offers({"nodule": found})
    blocks: dict[frozenset[Box], list[str]] = {}
    for (row, label), offered in offers.items():
        assert label == "nodule"
        assert 2 <= len(offered) == len(set(offered)) <= 4
        assert offered[0] in found[row]
        for one, other in combinations(offered, 2):
            assert overlap(one, other) < MOST_OVERLAP
        for wrong in offered[1:]:
            assert all(overlap(wrong, true) < MOST_OVERLAP for true in found[row])
        blocks.setdefault(frozenset(offered), []).append(row)
    # Each box of a block is right of one picture that is asked with it: the boxes alone tell nothing.
    for block, rows in blocks.items():
        assert sorted(offers[row, "nodule"][0] for row in rows) == sorted(block)
    assert box_offers({"nodule": dict(reversed(found.items()))}) == offers


@given(found=pictures)
def test_options_are_spelled_apart(found: dict[str, list[Box]]) -> None:
    for (row, label), offered in box_offers({"nodule": found}).items():
        question = ask_box(row, label, offered, TEXT)
        assert question.kind == "choice_of_boxes"
        assert question.question == "Which box holds nodule?"
        assert len(set(question.options)) == len(question.options) == len(offered)
        assert question.options[question.answer_index] == question.answer == format_boxes(offered[:1], "unit")
        assert len({format_boxes([box], "percent") for box in offered}) == len(offered)


def test_boxes_that_always_stand_in_one_place_leave_no_choice() -> None:
    whole = canonical((0, 0, 99, 99), 100, 100)
    assert box_offers({"nodule": {f"tiny/{number}": [whole] for number in range(9)}}) == {}


def test_the_letter_is_uniform_and_independent_of_the_place() -> None:
    found = {
        f"tiny/{number}": [canonical((x := 7 * number % 70, y := 11 * number % 60, x + 20, y + 15), 100, 100)]
        for number in range(800)
    }
    letters: Counter[int] = Counter()
    order: Counter[int] = Counter()
    for (row, label), offered in box_offers({"nodule": found}).items():
        question = ask_box(row, label, offered, TEXT)
        if len(question.options) == 4:
            letters[question.answer_index] += 1
            order[sorted(question.options).index(question.answer)] += 1
    assert sum(letters.values()) > 700
    assert all(140 < letters[letter] < 260 for letter in range(4)), letters
    # Of the boxes from left to right each is right equally often.
    assert len(set(order.values())) == 1, order


@given(found=st.lists(boxes(), min_size=1, max_size=6))
def test_the_order_of_boxes_does_not_change_a_question(found: list[Box]) -> None:
    turned = found[::-1]
    assert ask_where("tiny/1", "nodule", found, ["Where is {label}?"]) == ask_where(
        "tiny/1", "nodule", turned, ["Where is {label}?"]
    )
    other = {"tiny/2": [canonical((0, 0, 2, 2), 100, 100)]}
    assert box_offers({"nodule": {"tiny/1": found, **other}}) == box_offers({"nodule": {"tiny/1": turned, **other}})


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
