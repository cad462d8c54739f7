"""Repair: nothing that overlaps crosses splits, and what was published stays, whatever is added in whatever order."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from med_mat.audit.components import WITHDRAWN, Members, links, settle
from med_mat.sample import Split
from med_mat.splits import ACROSS_SPLITS, IN_OFFICIAL_TEST, Item

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
LABELS = ("cyst", "stone", "tumor")


def item(
    name: str, pixels: str, group: str | None = None, official: Split | None = None, tie: str | None = None
) -> Item:
    return Item(name, group, pixels, official, ("cyst",), (tie,) if tie else ())


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Members], list[tuple[str, str]]]:
    """Up to four sources whose pictures share pixels, groups and ties, and pairs of pixels that are near."""
    sources = []
    for source in range(draw(st.integers(1, 4))):
        official = draw(st.booleans())
        items = []
        for number in range(draw(st.integers(0, 7))):
            group = draw(st.none() | st.sampled_from(["shared:1", "shared:2", f"own{source}:1"]))
            tie = draw(st.none() | st.just(f"tie{source}"))
            items.append(
                Item(
                    f"s{source}/{number}",
                    group,
                    f"p{draw(st.integers(0, 9))}",
                    draw(st.sampled_from(SPLITS)) if official else None,
                    (draw(st.sampled_from(LABELS)),),
                    (tie,) if tie else (),
                )
            )
        sources.append(Members(items, official, draw(st.booleans())))
    pixels = st.integers(0, 9).map("p{}".format)
    near = draw(st.lists(st.tuples(pixels, pixels).filter(lambda pair: pair[0] != pair[1]), max_size=4))
    return sources, near


def splits_of(
    sources: list[Members], near: list[tuple[str, str]], published: dict[str, Split] | None = None
) -> dict[str, Split]:
    found: dict[str, Split] = {}
    for assignment in settle(sources, links(near), published):
        found.update(assignment.splits)
    return found


def crossing(sources: list[Members], near: list[tuple[str, str]], splits: dict[str, Split]) -> list[tuple[str, str]]:
    placed = [one for source in sources for one in source.items if one.id in splits]
    alike = {frozenset(pair) for pair in near}
    return [
        (one.id, other.id)
        for one, other in combinations(placed, 2)
        if splits[one.id] != splits[other.id]
        and (
            one.pixel_hash == other.pixel_hash
            or frozenset((one.pixel_hash, other.pixel_hash)) in alike
            or (one.group is not None and one.group == other.group)
            or set(one.ties) & set(other.ties)
        )
    ]


@given(worlds())
def test_nothing_that_overlaps_crosses_splits(world: tuple[list[Members], list[tuple[str, str]]]) -> None:
    sources, near = world
    assert crossing(sources, near, splits_of(sources, near)) == []


@given(worlds())
def test_every_picture_is_placed_or_dropped_with_a_reason(world: tuple[list[Members], list[tuple[str, str]]]) -> None:
    sources, near = world
    for source, assignment in zip(sources, settle(sources, links(near)), strict=True):
        assert set(assignment.splits) | set(assignment.dropped) == {one.id for one in source.items}
        assert not set(assignment.splits) & set(assignment.dropped)
        assert set(assignment.dropped.values()) <= {ACROSS_SPLITS, IN_OFFICIAL_TEST}


@given(worlds())
def test_adding_a_source_at_the_end_changes_nothing_before_it(
    world: tuple[list[Members], list[tuple[str, str]]],
) -> None:
    sources, near = world
    before = settle(sources[:-1], links(near))
    assert settle(sources, links(near))[:-1] == before


@settings(max_examples=200)
@given(worlds(), st.data())
def test_published_rows_stay_whatever_is_added_where(
    world: tuple[list[Members], list[tuple[str, str]]], data: st.DataObject
) -> None:
    sources, near = world
    first = sorted(data.draw(st.sets(st.sampled_from(range(len(sources))))))
    published = splits_of([sources[number] for number in first], near)
    rest = data.draw(st.permutations([number for number in range(len(sources)) if number not in first]))
    there = list(first)
    for number in rest:
        # It arrives later and may stand anywhere in the ledger.
        there = sorted([*there, number])
        present = [sources[one] for one in there]
        found = splits_of(present, near, published)
        assert {name: found.get(name) for name in published} == published
        assert crossing(present, near, found) == []
        published = found


@settings(max_examples=300)
@given(worlds())
def test_once_published_nothing_changes(world: tuple[list[Members], list[tuple[str, str]]]) -> None:
    sources, near = world
    before = settle(sources, links(near))
    published = {name: split for assignment in before for name, split in assignment.splits.items()}
    assert settle(sources, links(near), published) == before


def test_what_an_official_split_left_out_does_not_come_back_on_the_other_side() -> None:
    leak = [
        item("a/1", "p", official="test"),
        item("a/2", "p", "own:1", official="train"),
        item("a/3", "q", "own:1", official="train"),
    ]
    source = Members(leak, official=True)
    (first,) = settle([source], {})
    assert first.splits == {"a/1": "test"}
    assert settle([source], {}, first.splits) == [first]


def test_the_later_source_follows() -> None:
    first = Members([item("a/1", "p", official="test")], official=True)
    second = Members([item("b/1", "q", official="train")], official=True)
    one, other = settle([first, second], links([("p", "q")]))
    assert one.splits == {"a/1": "test"}
    assert other.splits == {"b/1": "test"}
    assert other.moved == {"b/1"}


def test_what_stands_between_two_sides_is_dropped() -> None:
    first = Members([item("a/1", "p", official="test"), item("a/2", "r", official="train")], official=True)
    second = Members([item("b/1", "q")], official=False)
    one, other = settle([first, second], links([("p", "q"), ("q", "r")]))
    assert one.splits == {"a/1": "test", "a/2": "train"}
    assert other.dropped == {"b/1": ACROSS_SPLITS}


def test_a_leaking_official_split_keeps_its_test_side() -> None:
    source = Members([item("a/1", "p", official="test"), item("a/2", "q", official="train")], official=True)
    (found,) = settle([source], links([("p", "q")]))
    assert found.splits == {"a/1": "test"}
    assert found.dropped == {"a/2": IN_OFFICIAL_TEST}


def test_published_rows_that_turn_out_to_overlap_lose_the_training_side() -> None:
    source = Members([item("a/1", "p", official="train"), item("a/2", "q", official="test")], official=True)
    (found,) = settle([source], links([("p", "q")]), {"a/1": "train", "a/2": "test"})
    assert found.splits == {"a/2": "test"}
    assert found.dropped == {"a/1": WITHDRAWN}


def test_published_rows_of_two_sources_that_turn_out_to_overlap_lose_the_later() -> None:
    first = Members([item("a/1", "p")], official=False)
    second = Members([item("b/1", "q")], official=False)
    one, other = settle([first, second], links([("p", "q")]), {"a/1": "train", "b/1": "test"})
    assert one.splits == {"a/1": "train"}
    assert (other.splits, other.dropped) == ({}, {"b/1": WITHDRAWN})


def test_links_stand_on_both_sides() -> None:
    assert links([("b", "a"), ("a", "b"), ("a", "c"), ("d", "d")]) == {"a": ("b", "c"), "b": ("a",), "c": ("a",)}
