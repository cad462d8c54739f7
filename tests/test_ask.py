"""Questions: one right option, nothing in the form that gives it away, nothing that a later source changes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_labels import card_sets, true_together
from tiny import label_entries, make_card

from med_mat.card import Card
from med_mat.errors import CardError
from med_mat.labels import LabelSpace, label_space
from med_mat.questions.ask import (
    LETTER_INSTRUCTION,
    SET_SEPARATOR,
    Question,
    ask_label,
    ask_label_set,
    ask_presence,
    choice_prompt,
    presence_labels,
)
from med_mat.questions.label_sets import SetOffers, set_offers

INSTRUCTIONS = ["What is it?", "What does it show?", "What would you call it?"]
IDS = st.integers(0, 10**9).map("s/{:016x}".format)

# 0.1 % quantiles of chi-square by degrees of freedom. Ids are fixed, so a test that passes once passes always.
QUANTILE = {1: 10.8, 2: 13.8, 3: 16.3}


def check_form(question: Question) -> None:
    assert 2 <= len(question.options) <= 4
    assert len(set(question.options)) == len(question.options)
    assert question.options[question.answer_index] == question.answer
    assert question.question in INSTRUCTIONS


@given(card_sets(), IDS, st.data())
@settings(max_examples=300)
def test_of_the_options_for_one_label_only_the_answer_can_be_right(
    cards: list[Card], row_id: str, data: st.DataObject
) -> None:
    space = label_space(cards[-1], cards[:-1])
    label = data.draw(st.sampled_from(space.own))
    together = true_together(cards)
    rivals = [other for other in space.labels if other != label and frozenset((label, other)) not in together]
    if not rivals:
        with pytest.raises(CardError, match=f"s: no label can stand beside '{label}'"):
            ask_label(row_id, label, space, INSTRUCTIONS)
        return
    question = ask_label(row_id, label, space, INSTRUCTIONS)
    check_form(question)
    assert question.kind == "choice"
    held = [re.split(", | or ", option) for option in question.options]
    assert label in held[question.answer_index]
    if not space.merged:
        assert question.answer == label
        assert set(question.options) <= {label, *rivals}
    # Nor can two wrong ones: whoever knows that they go together would strike both out.
    for one, other in _pairs(held):
        assert not set(one) & set(other)
        assert not any(frozenset((a, b)) in together for a in one for b in other)
    # Whatever the label, there are as many options: their number must not hint at it.
    for other in space.own:
        if space.rivals(other, space.labels):
            assert len(ask_label(row_id, other, space, INSTRUCTIONS).options) == len(question.options)


@given(card_sets(), IDS, st.data())
@settings(max_examples=300)
def test_of_the_option_sets_only_the_answer_can_be_right(cards: list[Card], row_id: str, data: st.DataObject) -> None:
    space = label_space(cards[-1], cards[:-1])
    some = st.frozensets(st.sampled_from(space.own), min_size=1, max_size=4)
    sets = data.draw(st.lists(some, min_size=1, max_size=8, unique=True))
    truth = sorted(data.draw(st.sampled_from(sets)))
    uncertain = data.draw(st.lists(st.sampled_from(space.own), max_size=1))
    together = true_together(cards)
    offers = set_offers({tuple(sorted(one)): 1 for one in sets}, space)
    question = ask_label_set(row_id, truth, offers, INSTRUCTIONS, uncertain)
    likely = {
        other
        for other in space.own
        if other in [*truth, *uncertain] or any(frozenset((label, other)) in together for label in [*truth, *uncertain])
    }
    if question is None:
        return
    check_form(question)
    assert question.kind == "choice_of_sets"
    assert question.answer == SET_SEPARATOR.join(truth)
    shown = [frozenset(option.split(SET_SEPARATOR)) for option in question.options]
    assert set(shown) <= set(sets)
    for option in shown:
        assert option == set(truth) or not option <= likely
    for one, other in _pairs(shown):
        assert not one <= other
        assert not other <= one


def _pairs(things: Iterable[object]) -> list[tuple]:
    listed = list(things)
    return [(one, other) for place, one in enumerate(listed) for other in listed[:place]]


def _space(*labels: str) -> LabelSpace:
    return label_space(make_card(labels=label_entries(labels)), ())


@pytest.mark.parametrize("labels", [2, 3, 5])
def test_the_letter_of_the_answer_is_uniform_for_every_label(labels: int) -> None:
    space = _space(*"abcde"[:labels])
    letters = min(labels, 4)
    for label in space.labels:
        counts = Counter(
            ask_label(f"s/{number:016x}", label, space, INSTRUCTIONS).answer_index for number in range(2000)
        )
        assert _chi_square(counts, letters, 2000) < QUANTILE[letters - 1], (label, counts)


def _offers(*sets: str, space: LabelSpace) -> SetOffers:
    return set_offers({tuple(one): 1 for one in sets}, space)


def test_the_letter_of_a_set_is_uniform() -> None:
    space = _space(*"abcdefgh")
    offers = _offers("be", "cd", "a", "fgh", space=space)
    counts: Counter[int] = Counter()
    for number in range(4000):
        question = ask_label_set(f"s/{number:016x}", ["b", "e"], offers, INSTRUCTIONS)
        assert question is not None
        counts[question.answer_index] += 1
    assert _chi_square(counts, 4, 4000) < QUANTILE[3], counts


def test_distractors_and_instructions_are_drawn_evenly() -> None:
    space = _space(*"abcde")
    questions = [ask_label(f"s/{number:016x}", "a", space, INSTRUCTIONS) for number in range(3000)]
    wrong = Counter(option for question in questions for option in question.options if option != "a")
    assert set(wrong) == set("bcde")
    # Three of four are drawn each time, so the spread is smaller than that of independent draws.
    assert _chi_square(wrong, 4, 9000) < QUANTILE[3], wrong
    assert _chi_square(Counter(question.question for question in questions), 3, 3000) < QUANTILE[2]


def _chi_square(counts: Counter, bins: int, total: int) -> float:
    assert len(counts) == bins
    return sum((count - total / bins) ** 2 / (total / bins) for count in counts.values())


@given(IDS, st.permutations("abcdef"))
def test_the_order_of_labels_in_cards_does_not_matter_to_a_question(row_id: str, order: list[str]) -> None:
    assert ask_label(row_id, "a", _space(*order), INSTRUCTIONS) == ask_label(
        row_id, "a", _space(*"abcdef"), INSTRUCTIONS
    )


def test_a_set_that_holds_all_others_has_no_wrong_one_beside_it() -> None:
    offers = _offers("abc", "a", "bc", "de", space=_space(*"abcde"))
    assert ask_label_set("s/0", ["a", "b", "c"], _offers("abc", "a", "bc", space=offers.space), INSTRUCTIONS) is None
    question = ask_label_set("s/0", ["a", "b", "c"], offers, INSTRUCTIONS)
    assert question is not None
    assert sorted(question.options) == ["a; b; c", "d; e"]


def test_what_can_be_true_together_is_one_option_where_relations_leave_no_even_choice() -> None:
    labels = {"aneurysm": {}, "cancer": {"is_a": ["tumor"]}, "tumor": {}}
    space = label_space(make_card(labels=label_entries(labels)), ())
    assert space.merged
    for label, answer in (("aneurysm", "aneurysm"), ("cancer", "cancer or tumor"), ("tumor", "cancer or tumor")):
        question = ask_label("s/1", label, space, INSTRUCTIONS)
        assert (question.answer, sorted(question.options)) == (answer, ["aneurysm", "cancer or tumor"])
    # Where an even choice is left, no label is merged: each of two pairs stands against the other.
    pairs = label_entries({"a": {"overlaps": ["b"]}, "b": {}, "c": {"overlaps": ["d"]}, "d": {}})
    assert not label_space(make_card(labels=pairs), ()).merged


@st.composite
def labelled_rows(draw: st.DrawFn) -> tuple[dict[str, list[str]], LabelSpace, list[Card]]:
    cards = draw(card_sets(most=1))
    space = label_space(cards[0], ())
    labels = st.lists(st.sampled_from(space.own), min_size=1, max_size=3, unique=True)
    return {f"s/{number}": found for number, found in enumerate(draw(st.lists(labels, max_size=25)))}, space, cards


@given(labelled_rows(), st.data())
@settings(max_examples=200)
def test_presence_questions_are_balanced_for_each_label(
    case: tuple[dict[str, list[str]], LabelSpace, list[Card]], data: st.DataObject
) -> None:
    rows, space, cards = case
    together = true_together(cards)
    uncertain = {
        row: [label for label in data.draw(st.lists(st.sampled_from(space.own), max_size=1)) if label not in labels]
        for row, labels in rows.items()
    }
    asked = presence_labels(rows, space, uncertain)
    assert asked.keys() == rows.keys()
    for label in space.own:
        positive = {row for row, labels in rows.items() if label in labels}
        lacking = {
            row
            for row, labels in rows.items()
            if not any(other == label or frozenset((label, other)) in together for other in labels + uncertain[row])
        }
        said_yes = {row for row, questions in asked.items() if (label, True) in questions}
        said_no = {row for row, questions in asked.items() if (label, False) in questions}
        if space.excludes_all(label):
            assert not said_yes | said_no
            continue
        assert said_yes == positive
        assert said_no <= lacking
        assert len(said_no) == min(len(positive), len(lacking))
    for questions in asked.values():
        order = [label for label, _ in questions]
        assert order == [label for label in space.own if label in order]


@given(labelled_rows(), st.randoms(use_true_random=False))
def test_presence_does_not_depend_on_the_order_of_rows(
    case: tuple[dict[str, list[str]], LabelSpace, list[Card]], random
) -> None:
    rows, space, _ = case
    shuffled = dict(random.sample(sorted(rows.items()), len(rows)))
    assert presence_labels(shuffled, space) == presence_labels(rows, space)


def test_a_presence_question_names_the_label() -> None:
    asked = ask_presence("pleural effusion", False, "Is there {label}?")
    assert asked == Question("presence", "Is there pleural effusion?", ("yes", "no"), "no", 1)
    assert ask_presence("mass", True, "Is there {label}?").answer_index == 0


def test_the_choice_form() -> None:
    assert choice_prompt("What is it?", ["cyst", "stone", "nothing"]) == (
        f"What is it?\nA: cyst\nB: stone\nC: nothing\n{LETTER_INSTRUCTION}"
    )
    with pytest.raises(ValueError, match="at most 4 options, found 5"):
        choice_prompt("What is it?", list("abcde"))


@given(
    present=st.dictionaries(IDS, st.booleans(), max_size=40),
)
def test_balance_asks_of_no_more_that_have_a_label_than_lack_it(present: dict[str, bool]) -> None:
    space = label_space(make_card(labels=label_entries(["mass", "cyst"])), [])
    rows = {row: ["mass"] if has else ["cyst"] for row, has in present.items()}
    asked = presence_labels(rows, space, balanced=True)
    answers = Counter(pair for pairs in asked.values() for pair in pairs)
    for label in ("mass", "cyst"):
        assert (
            answers[label, True]
            == answers[label, False]
            == min(sum(present.values()), list(present.values()).count(False))
        )
    turned = presence_labels(dict(reversed(rows.items())), space, balanced=True)
    assert turned == asked
