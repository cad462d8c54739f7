"""Splits: whatever the groups, copies, official splits and earlier sources, nothing stands on two sides."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from med_mat.hashing import uniform
from med_mat.splits import ACROSS_SPLITS, IN_OFFICIAL_TEST, TEST_SHARE, Assignment, Claims, Item, assign

GROUPS = st.sampled_from([None, None, *(f"lineage:{number}" for number in range(12))])
PIXELS = st.integers(0, 14).map("pixels {}".format)
OFFICIAL = st.sampled_from([None, "train", "train", "validation", "test"])
TIES = st.lists(st.integers(0, 30), max_size=1)
LABELS = st.lists(st.sampled_from("abcd"), min_size=1, max_size=3, unique=True).map(tuple)


@dataclasses.dataclass(frozen=True)
class Source:
    """Items of one source, whether its official split is kept, and whether pictures without a group may be test."""

    items: list[Item]
    official: bool
    hold_out: bool

    def assign(self, claims: Claims) -> Assignment:
        return assign(self.items, claims, official=self.official, hold_out_ungrouped=self.hold_out)


@st.composite
def sources(draw: st.DrawFn, official: bool | None = None, hold_out: bool | None = None, slug: str = "s") -> Source:
    kept = draw(st.booleans()) if official is None else official
    facts = draw(st.lists(st.tuples(GROUPS, PIXELS, OFFICIAL, LABELS, TIES), max_size=14))
    items = [
        Item(f"{slug}/{number}", group, pixels, side if kept else None, labels, tuple(f"{slug}:{tie}" for tie in ties))
        for number, (group, pixels, side, labels, ties) in enumerate(facts)
    ]
    return Source(items, kept, draw(st.booleans()) if hold_out is None else hold_out)


@st.composite
def several_sources(draw: st.DrawFn) -> list[Source]:
    return [draw(sources(slug=f"s{number}")) for number in range(draw(st.integers(1, 4)))]


def components(items: Iterable[Item]) -> list[list[Item]]:
    """Items that share groups, ties or pictures, directly or by way of others: merged until nothing merges."""
    found: list[tuple[set[str], list[Item]]] = []
    for item in items:
        ties = {f"pixels {item.pixel_hash}", *(f"tie {tie}" for tie in item.ties)}
        ties |= {f"group {item.group}"} if item.group is not None else set()
        touched = [component for component in found if component[0] & ties]
        found = [component for component in found if not component[0] & ties]
        merged_ties = ties.union(*(component[0] for component in touched))
        found.append((merged_ties, [*(other for component in touched for other in component[1]), item]))
    return [members for _, members in found]


def assign_all(batches: Sequence[Source]) -> tuple[list[Assignment], Claims]:
    claims = Claims()
    return [source.assign(claims) for source in batches], claims


@given(several_sources())
def test_no_group_and_no_picture_stands_in_two_splits(batches: list[Source]) -> None:
    sides: dict[str, set[str]] = {}
    for source, result in zip(batches, assign_all(batches)[0], strict=True):
        for item in source.items:
            if item.id in result.splits:
                sides.setdefault(f"pixels {item.pixel_hash}", set()).add(result.splits[item.id])
                if item.group is not None:
                    sides.setdefault(f"group {item.group}", set()).add(result.splits[item.id])
        for members in components(source.items):
            assert len({result.splits[item.id] for item in members if item.id in result.splits}) <= 1
    assert all(len(found) == 1 for found in sides.values()), sides


@given(several_sources())
def test_every_item_is_in_one_split_or_dropped_with_a_reason(batches: list[Source]) -> None:
    for source, result in zip(batches, assign_all(batches)[0], strict=True):
        assert result.splits.keys() | result.dropped.keys() == {item.id for item in source.items}
        assert not result.splits.keys() & result.dropped.keys()
        assert set(result.splits.values()) <= {"train", "validation", "test"}
        assert set(result.dropped.values()) <= (
            {ACROSS_SPLITS, IN_OFFICIAL_TEST} if source.official else {ACROSS_SPLITS}
        )
        assert result.moved <= result.splits.keys()


@given(several_sources(), st.randoms(use_true_random=False))
def test_the_order_of_items_does_not_matter(batches: list[Source], random) -> None:
    shuffled = [dataclasses.replace(source, items=random.sample(source.items, len(source.items))) for source in batches]
    assert assign_all(shuffled) == assign_all(batches)


@given(several_sources(), sources(slug="later"))
def test_a_later_source_changes_nothing_of_the_earlier(batches: list[Source], later: Source) -> None:
    before, claims = assign_all(batches)
    after, all_claims = assign_all([*batches, later])
    assert after[:-1] == before
    assert claims.groups.items() <= all_claims.groups.items()
    assert claims.pictures.items() <= all_claims.pictures.items()


@given(several_sources(), sources(slug="later"))
def test_a_component_follows_the_earlier_source_that_it_meets(batches: list[Source], later: Source) -> None:
    _, claims = assign_all(batches)
    theirs = {f"group {name}": side for name, side in claims.groups.items()}
    theirs |= {f"pixels {name}": side for name, side in claims.pictures.items()}
    result = later.assign(claims)
    for members in components(later.items):
        met = {
            theirs[tie]
            for item in members
            for tie in (f"group {item.group}", f"pixels {item.pixel_hash}")
            if tie in theirs
        }
        if len(met) == 1:
            assert {result.splits[item.id] for item in members} == met
            assert {item.id for item in members} & result.moved == {
                item.id for item in members if item.official not in (None, *met)
            }
        elif met:
            assert {result.dropped[item.id] for item in members} == {ACROSS_SPLITS}
        else:
            assert not {item.id for item in members} & result.moved


@given(sources(official=True))
def test_of_official_splits_evaluation_keeps_and_training_loses(source: Source) -> None:
    result = source.assign(Claims())
    for members in components(source.items):
        official = {item.official for item in members} - {None}
        side = next((side for side in ("test", "validation") if side in official), "train")
        for item in members:
            if item.official in (None, side):
                assert result.splits[item.id] == side
            else:
                assert result.dropped[item.id] == IN_OFFICIAL_TEST
    assert not result.moved


@given(sources(official=False, hold_out=True))
@settings(max_examples=400)
def test_labels_of_a_free_source_have_training_and_where_possible_test(source: Source) -> None:
    result = source.assign(Claims())
    together = [
        ({result.splits[item.id] for item in members}.pop(), {name for item in members for name in item.labels})
        for members in components(source.items)
    ]
    training = {name: sum(side == "train" and name in names for side, names in together) for name in "abcd"}
    for label in {name for _, names in together for name in names}:
        assert training[label] >= 1
        if not any(side == "test" and label in names for side, names in together):
            # No component can be spared: each is the last training component of some label.
            assert all(
                any(training[name] == 1 for name in names)
                for side, names in together
                if side == "train" and label in names
            )


@given(sources(official=False, hold_out=False))
def test_where_copies_cannot_be_told_pictures_without_a_group_are_never_test(source: Source) -> None:
    result = source.assign(Claims())
    for members in components(source.items):
        if all(item.group is None for item in members):
            assert {result.splits[item.id] for item in members} == {"train"}


@given(st.lists(LABELS, min_size=2, max_size=30))
def test_a_label_with_two_components_of_its_own_has_both_sides(labels: list[tuple[str, ...]]) -> None:
    items = [Item(f"s/{number}", None, f"{number}", None, names[:1]) for number, names in enumerate(labels)]
    result = assign(items, Claims(), official=False)
    for label in {item.labels[0] for item in items}:
        bearers = [item for item in items if item.labels == (label,)]
        if len(bearers) > 1:
            assert {result.splits[item.id] for item in bearers} == {"train", "test"}


@given(st.integers(0, 10**6))
def test_unless_a_label_forces_it_the_hash_of_the_group_alone_decides(start: int) -> None:
    """What sources of one lineage can rely on.

    A group goes to test if and only if its own hash is below the share, whatever pictures it has, as long as none of
    them is shared with another group, no label lacks a side, and no earlier source or official split has a say.
    """
    groups = [f"nih:{start + number}" for number in range(60)]
    below = {group for group in groups if uniform("split", group) < TEST_SHARE}
    assume(below and below != set(groups))
    first = [Item(f"first/{group}", group, f"first {group}", None, ("a",)) for group in groups]
    second = [
        Item(f"second/{group}/{view}", group, f"second {group} {view}", None, ("b",))
        for group in reversed(groups)
        for view in "xy"
    ]
    for items in (first, second):
        result = assign(items, Claims(), official=False)
        assert {item.group for item in items if result.splits[item.id] == "test"} == below


@given(st.integers(0, 10**6))
def test_groups_joined_by_a_picture_go_where_the_smallest_name_goes(start: int) -> None:
    groups = [f"nih:{start + number:07d}" for number in range(80)]
    pairs = list(zip(groups[::2], groups[1::2], strict=True))
    below = {pair for pair in pairs if uniform("split", min(pair)) < TEST_SHARE}
    assume(below and len(below) < len(pairs))
    items = [Item(f"s/{group}", group, f"shared {pair[0]}", None, ("a",)) for pair in pairs for group in pair]
    result = assign(items, Claims(), official=False)
    assert {item.group for item in items if result.splits[item.id] == "test"} == {
        name for pair in below for name in pair
    }


def test_about_a_tenth_of_many_groups_is_test() -> None:
    items = [Item(f"s/{number}", f"s:{number // 3}", f"{number}", None, ("a",)) for number in range(15_000)]
    result = assign(items, Claims(), official=False)
    tests = {item.group for item in items if result.splits[item.id] == "test"}
    assert 0.085 < len(tests) / 5000 < 0.115


def test_what_is_dropped_claims_nothing() -> None:
    claims = Claims()
    train = Item("a/1", "g:1", "p1", "train", ("a",))
    assign([train, Item("a/2", "g:2", "p2", "test", ("a",))], claims, official=True)
    before = dataclasses.replace(claims, groups=dict(claims.groups), pictures=dict(claims.pictures))
    # One new picture of both patients: it can go nowhere, and its own pixels stay free for a later source.
    torn = [Item("b/1", "g:1", "p3", None, ("a",)), Item("b/2", "g:2", "p3", None, ("a",))]
    assert set(assign(torn, claims, official=False).dropped) == {"b/1", "b/2"}
    assert claims == before
