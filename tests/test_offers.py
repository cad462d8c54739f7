"""Offers: a set of options is shown equally often for each of its labels, so that it tells nothing."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from med_mat.labels import label_space
from med_mat.questions.offers import MOST_OPTIONS, MOST_SETS, even_offers
from med_mat.registry import Registry


def totals(labels: list[str], related: dict[str, set[str]]) -> dict[str, float]:
    found = even_offers(labels, related)
    return {
        label: sum(weight for chosen, weight in zip(found.sets, found.weights, strict=True) if label in chosen)
        for label in labels
    }


@given(st.integers(2, 9))
def test_unrelated_labels_are_offered_evenly_up_to_four_at_a_time(number: int) -> None:
    labels = [f"label {place}" for place in range(number)]
    related: dict[str, set[str]] = {label: set() for label in labels}
    found = even_offers(labels, related)
    assert found.size == min(number, MOST_OPTIONS)
    assert found.excess < 1e-3
    assert totals(labels, related) == pytest.approx(dict.fromkeys(labels, 1.0), abs=1e-4)


@given(st.data())
def test_no_two_labels_of_a_set_can_be_right_together(data: st.DataObject) -> None:
    labels = list("abcdef")
    pairs = data.draw(st.sets(st.sampled_from(list(combinations(labels, 2))), max_size=7))
    related = {one: {other for pair in pairs for other in pair if one in pair and other != one} for one in labels}
    found = even_offers(labels, related)
    for chosen in found.sets:
        assert len(chosen) == found.size
        assert not any(other in related[one] for one, other in combinations(chosen, 2))
    for label in labels:
        for place in (0.0, 0.3, 0.999):
            wrong = found.choose(label, place)
            assert label not in wrong
            assert len(wrong) == max(0, found.size - 1)
    assert even_offers(labels[::-1], related) == found


def test_what_cannot_be_even_says_by_how_much() -> None:
    # c is wrong beside both others, which may be right together: whoever sees a and c should say a.
    found = even_offers(["a", "b", "c"], {"a": {"b"}, "b": {"a"}, "c": set()})
    assert (found.size, found.excess) == (2, pytest.approx(2 / 3 - 1 / 2))


def test_many_labels_are_weighed_in_part() -> None:
    labels = [f"label {place}" for place in range(100)]
    found = even_offers(labels, {label: set() for label in labels})
    assert len(found.sets) < MOST_SETS + 100
    assert found.excess < 1e-3


def test_labels_that_may_be_right_too_are_not_shown() -> None:
    labels = list("abcdef")
    found = even_offers(labels, {label: set() for label in labels})
    for place in range(50):
        assert not {"b", "c"} & set(found.choose("a", place / 50, without={"b", "c"}))


def test_options_of_no_source_tell(sources: Registry) -> None:
    cards = [source.card for source in sources]
    merged = set()
    for card in cards:
        if card.kind == "classification":
            space = label_space(card, ())
            assert space.offers.size >= 2, card.slug
            assert space.offers.excess < 0.01, card.slug
            merged |= {card.slug} if space.merged else set()
    # Relations of their cards leave no other way; docs/questions.md says so.
    assert merged == {"ct_of_brain", "oral_diseases", "aod"}
