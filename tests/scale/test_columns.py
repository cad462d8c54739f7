"""What the plan does by columns and in bulk is what it would do row by row."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from med_mat.columns import places_of, taken, tuples
from med_mat.hashing import rank, ranks, shuffled
from med_mat.labels import LabelSpace
from med_mat.questions.ask import presence_labels

# Names of raw files may hold bytes that are no UTF-8.
names = st.lists(st.text(max_size=12) | st.just("\udcff"), max_size=12, unique=True)


@given(names, st.text(max_size=8))
def test_shuffled_is_the_order_of_ranks(some: list[str], first: str) -> None:
    assert shuffled("option", first, some) == sorted(some, key=lambda name: (rank("option", first, name), name))
    assert shuffled("option", first, reversed(some)) == shuffled("option", first, some)


@given(names, st.text(max_size=8))
def test_ranks_are_those_of_each(some: list[str], last: str) -> None:
    assert ranks("negative", some, last).tolist() == [rank("negative", name, last) for name in some]


@given(st.lists(st.none() | st.lists(st.sampled_from(["kidney cyst", "stone", "a; b", "é"]), max_size=3), max_size=9))
def test_tuples_are_the_lists_and_equal_ones_are_one(lists: list[list[str] | None]) -> None:
    column = pa.chunked_array([pa.array(lists[:4], pa.list_(pa.string())), pa.array(lists[4:], pa.list_(pa.string()))])
    found = tuples(column)
    assert found == [tuple(entry or ()) for entry in lists]
    assert len({id(entry) for entry in found if entry}) == len({entry for entry in found if entry})


def test_lines_are_taken_in_the_order_asked_for() -> None:
    column = pa.chunked_array([["a", "b"], [None, "d"]])
    assert taken(column, np.array([3, 0, 2, 0])).to_pylist() == ["d", "a", None, "a"]


def test_places_tell_files_and_frames_apart() -> None:
    table = pa.table({"raw_path": ["a", "a", "a1", "a"], "frame": pa.array([None, 0, None, 10], pa.int32())})
    assert len(set(places_of(table).to_pylist())) == 4


def space(labels: tuple[str, ...], related: dict[str, set[str]]) -> LabelSpace:
    return LabelSpace(labels, labels, {one: frozenset(related.get(one, ())) for one in labels}, frozenset({"nothing"}))


LABELS = ("a", "b", "c", "d", "nothing")


@given(
    st.dictionaries(
        st.text("xyz", min_size=1, max_size=4),
        st.tuples(
            st.lists(st.sampled_from("abcd"), unique=True, max_size=3), st.lists(st.sampled_from("abcd"), max_size=2)
        ),
        max_size=25,
    ),
    st.booleans(),
)
def test_presence_is_asked_of_those_that_rank_lowest(
    rows: dict[str, tuple[list[str], list[str]]], balanced: bool
) -> None:
    one = space(LABELS, {"a": {"b"}, "b": {"a"}})
    uncertain = {row: doubts for row, (_, doubts) in rows.items()}
    asked = presence_labels({row: labels for row, (labels, _) in rows.items()}, one, uncertain, balanced=balanced)
    expected: dict[str, list[tuple[str, bool]]] = {row: [] for row in rows}
    for label in "abcd":
        has = [row for row, (labels, _) in rows.items() if label in labels]
        lacks = []
        for row, (labels, doubts) in rows.items():
            beside = {label, *one.related[label]}
            if beside.isdisjoint(labels) and label not in {x for d in doubts for x in (d, *one.related[d])}:
                lacks.append(row)
        lacks.sort(key=lambda row: rank("negative", row, label))
        if balanced:
            has.sort(key=lambda row: rank("positive", row, label))
            has = has[: len(lacks)]
        for row in has:
            expected[row].append((label, True))
        for row in lacks[: len(has)]:
            expected[row].append((label, False))
    assert asked == expected
