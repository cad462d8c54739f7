"""Which labels may stand side by side: relations hold for the whole subset, whatever card declares them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import label_entries, make_card

from med_mat.card import Card, Label
from med_mat.labels import label_space

NAMES = "abcdefgh"


@st.composite
def card_sets(draw: st.DrawFn, most: int = 3) -> list[Card]:
    """Cards of one subset with random labels and relations; a relation may name a label that no card has."""
    base = make_card()
    cards = []
    for number in range(draw(st.integers(1, most))):
        own = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=6, unique=True))
        entries = {}
        for name in own:
            others = st.lists(st.sampled_from([other for other in NAMES if other != name]), max_size=1)
            entries[name] = Label(
                label=name,
                meaning=name,
                no_finding=draw(st.integers(0, 4)) == 0,
                is_a=draw(others),
                same_as=draw(others) if draw(st.integers(0, 3)) == 0 else [],
                overlaps=draw(others) if draw(st.integers(0, 3)) == 0 else [],
            )
        cards.append(base.model_copy(update={"slug": f"s{number}", "labels": entries}))
    return cards


def true_together(cards: list[Card]) -> set[frozenset[str]]:
    """Pairs of labels that can be true of one picture, from the words of the cards and nothing else.

    ``true[x]`` is what is true wherever x is. Two labels can be true together if one follows from the other, if both
    follow from labels that overlap, or if both say that nothing was found.
    """
    entries = [entry for card in cards for entry in card.labels.values() if entry.label is not None]
    nothing = {entry.label for entry in entries if entry.no_finding}
    true = {name: {name} for name in NAMES}
    implied = {(entry.label, other) for entry in entries for other in (*entry.is_a, *entry.same_as)}
    implied |= {(other, entry.label) for entry in entries for other in entry.same_as}
    for _ in NAMES:
        for one, other in implied:
            for name in NAMES:
                if one in true[name]:
                    true[name].add(other)
    meet = [(entry.label, other) for entry in entries for other in entry.overlaps]
    return {
        frozenset((one, other))
        for one in NAMES
        for other in NAMES
        if one != other
        and (
            other in true[one]
            or one in true[other]
            or {one, other} <= nothing
            or any((one in true[x] and other in true[y]) or (other in true[x] and one in true[y]) for x, y in meet)
        )
    }


@given(card_sets())
@settings(max_examples=300)
def test_two_labels_are_rivals_unless_both_can_be_true(cards: list[Card]) -> None:
    space = label_space(cards[-1], cards[:-1])
    together = true_together(cards)
    for label in space.labels:
        assert set(space.rivals(label, space.labels)) == {
            other for other in space.labels if other != label and frozenset((label, other)) not in together
        }


@given(card_sets())
def test_labels_come_once_in_the_order_of_the_cards(cards: list[Card]) -> None:
    space = label_space(cards[-1], cards[:-1])
    assert list(space.labels) == list(dict.fromkeys(label for card in cards for label in card.clean_labels))
    assert space.own == cards[-1].clean_labels
    nothing = {entry.label for card in cards for entry in card.labels.values() if entry.no_finding}
    assert {label for label in space.labels if space.excludes_all(label)} == nothing


@pytest.mark.parametrize(
    ("cards", "pairs"),
    [
        # A broader label is true wherever the narrower one is, over several steps and cards.
        ([{"melanoma": {"is_a": ["skin cancer"]}, "skin cancer": {"is_a": ["skin lesion"]}, "skin lesion": {}}],
         {"melanoma/skin cancer", "melanoma/skin lesion", "skin cancer/skin lesion"}),
        ([{"melanoma": {"is_a": ["skin cancer"]}, "nevus": {}}, {"skin cancer": {}}], {"melanoma/skin cancer"}),
        ([{"skin cancer": {}, "nevus": {}}, {"melanoma": {"is_a": ["skin cancer"]}}], {"melanoma/skin cancer"}),
        # A synonym has the parents of its twin.
        ([{"nevus": {"same_as": ["mole"]}, "mole": {"is_a": ["benign lesion"]}, "benign lesion": {}, "melanoma": {}}],
         {"mole/nevus", "benign lesion/mole", "benign lesion/nevus"}),
        # What overlaps a label can be true beside its broader labels, and says nothing of its narrower ones.
        ([{"viral pneumonia": {"is_a": ["pneumonia"]}, "pneumonia": {}, "infiltration": {"overlaps": ["pneumonia"]}}],
         {"pneumonia/viral pneumonia", "infiltration/pneumonia"}),
        ([{"melanoma": {"is_a": ["skin cancer"], "overlaps": ["ulcer"]}, "skin cancer": {}, "ulcer": {}}],
         {"melanoma/skin cancer", "melanoma/ulcer", "skin cancer/ulcer"}),
        # Children of one label are rivals, and overlap is not passed on from one overlap to the next.
        ([{"glioma": {"is_a": ["tumor"]}, "meningioma": {"is_a": ["tumor"]}, "tumor": {}}],
         {"glioma/tumor", "meningioma/tumor"}),
        ([{"a": {"overlaps": ["b"]}, "b": {"overlaps": ["c"]}, "c": {}}], {"a/b", "b/c"}),
        # Labels of no finding never meet; what overlaps one of them need not overlap another.
        ([{"normal": {"no_finding": True}, "glioma": {}},
          {"no tumor": {"no_finding": True, "overlaps": ["stroke"]}, "stroke": {}}],
         {"no tumor/normal", "no tumor/stroke"}),
    ],
)  # fmt: skip
def test_relations(cards: list[dict[str, Any]], pairs: set[str]) -> None:
    made = [make_card(f"s{number}", labels=label_entries(card)) for number, card in enumerate(cards)]
    space = label_space(made[-1], made[:-1])
    assert {"/".join(sorted((label, other))) for label in space.labels for other in space.related[label]} == pairs
