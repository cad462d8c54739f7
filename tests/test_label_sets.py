"""Label sets as options: a block is shown alike whichever of its sets is right, and only one can be."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st
from test_labels import card_sets, true_together
from tiny import label_entries, make_card

from med_mat.card import Card
from med_mat.labels import LabelSpace, label_space
from med_mat.questions.label_sets import FREQUENT, ROUNDS, LabelSet, in_blocks, set_offers


@st.composite
def counted(draw: st.DrawFn) -> tuple[dict[LabelSet, int], LabelSpace, list[Card]]:
    cards = draw(card_sets(most=1))
    space = label_space(cards[0], ())
    sets = draw(st.lists(st.frozensets(st.sampled_from(space.own), min_size=1, max_size=3), max_size=12, unique=True))
    numbers = st.integers(1, 3 * FREQUENT)
    return {tuple(sorted(one)): draw(numbers) for one in sets}, space, cards


def surely_wrong(option: LabelSet, truth: LabelSet, together: set[frozenset[str]]) -> bool:
    return any(
        label not in truth and not any(frozenset((label, true)) in together for true in truth) for label in option
    )


@given(counted())
@settings(max_examples=300)
def test_blocks_are_shown_alike_by_each_of_their_sets(case: tuple[dict[LabelSet, int], LabelSpace, list[Card]]) -> None:
    counts, space, cards = case
    together = true_together(cards)
    found = set_offers(counts, space)
    assert len(found.rounds) == ROUNDS
    for blocks in found.rounds:
        assert blocks.keys() == found.rounds[0].keys() <= counts.keys()
        for one, block in blocks.items():
            assert one in block
            assert 2 <= len(block) == len(set(block)) <= 4
            # Each of its sets is asked with the very same block.
            assert all(blocks[other] == block for other in block)
            assert all(surely_wrong(a, b, together) and surely_wrong(b, a, together) for a, b in combinations(block, 2))
    for one, number in counts.items():
        blocks_of = {tuple(sorted(blocks[one])) for blocks in found.rounds if one in blocks}
        if number < FREQUENT:
            assert len(blocks_of) <= 1
        if not blocks_of:
            # No other set fits beside it and has another to stay beside.
            alone = [two for two in counts if two not in found.rounds[0]]
            assert not any(
                surely_wrong(one, two, together) and surely_wrong(two, one, together) for two in alone if two != one
            )


@given(counted(), st.data())
def test_a_label_in_doubt_makes_no_option_wrong(
    case: tuple[dict[LabelSet, int], LabelSpace, list[Card]], data: st.DataObject
) -> None:
    counts, space, cards = case
    if not counts:
        return
    together = true_together(cards)
    truth = data.draw(st.sampled_from(sorted(counts)))
    uncertain = data.draw(st.lists(st.sampled_from(space.own), max_size=2))
    for option in set_offers(counts, space).wrong("s/1", truth, uncertain):
        known = (*truth, *uncertain)
        assert surely_wrong(option, known, together)


def test_rounds_are_drawn_evenly_and_frequent_sets_stand_together() -> None:
    labels = [f"label {place:02}" for place in range(24)]
    space = label_space(make_card(labels=label_entries(labels)), ())
    counts = {(label,): 1000 if place < 12 else 3 for place, label in enumerate(labels)}
    found = set_offers(counts, space)
    beside = Counter(
        other for number in range(2000) for other in found.wrong(f"s/{number}", [labels[0]]) if len(other) == 1
    )
    assert sum(beside.values()) == 6000
    assert {counts[other] for other in beside} == {1000}
    assert len(beside) > 5
    assert found == set_offers(dict(reversed(counts.items())), space)


@given(st.integers(0, 40), st.sets(st.tuples(st.integers(0, 39), st.integers(0, 39)), max_size=200))
def test_everything_is_in_one_block_or_alone(number: int, near: set[tuple[int, int]]) -> None:
    blocks, alone = in_blocks(range(number), lambda one, other: (min(one, other), max(one, other)) not in near, 5)
    assert sorted([*alone, *(one for block in blocks for one in block)]) == list(range(number))
    for block in blocks:
        assert 2 <= len(block) <= 4
        assert not any(pair in near for pair in combinations(sorted(block), 2))
