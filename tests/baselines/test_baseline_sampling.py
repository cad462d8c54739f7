from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from med_mat.baselines.errors import BaselineError
from med_mat.baselines.questions import QUESTION, Data, Questions
from med_mat.baselines.sampling import PER_SUBSET, chosen, drawn, trainable, training_ids


def questions(counts: dict[tuple[str | None, str], int], split: str = "train") -> Questions:
    rows = [
        {"id": f"{subset}-{label}-{number}#0", "subset": subset, "label": label, "source": "s", "split": split}
        for (subset, label), count in counts.items()
        for number in range(count)
    ]
    return Questions(pa.Table.from_pylist(rows, schema=QUESTION), Data("nowhere"))


def test_a_subset_gives_at_most_three_thousand_with_labels_balanced() -> None:
    asked = questions({("02", "cyst"): 2900, ("02", "stone"): 1800, ("02", "tumor"): 200, ("05", "normal"): 7})
    ids = training_ids(asked)
    assert {subset: len(names) for subset, names in ids.items()} == {"02": PER_SUBSET, "05": 7}
    labels = Counter(chosen(asked, {"02": ids["02"]}).table["label"].to_pylist())
    assert labels == {"cyst": 1400, "stone": 1400, "tumor": 200}


@given(
    st.dictionaries(st.tuples(st.sampled_from(["02", "05"]), st.sampled_from("abc")), st.integers(1, 12), min_size=1),
    st.integers(1, 20),
    st.integers(1, 20),
    st.integers(0, 30),
)
def test_samples_are_nested_and_do_not_follow_the_order_of_rows(
    counts: dict[tuple[str | None, str], int], one: int, other: int, turn: int
) -> None:
    asked = questions(counts)
    few, many = (training_ids(asked, limit) for limit in sorted((one, other)))
    for subset, names in few.items():
        assert set(names) <= set(many[subset])
        total = sum(count for (of, _), count in counts.items() if of == subset)
        assert len(names) == len(set(names)) == min(total, min(one, other))
    order = [(place + turn) % len(asked) for place in range(len(asked))][::-1]
    moved = asked.with_table(asked.table.take(pa.array(order, pa.int64())))
    for subset, names in training_ids(moved, len(asked)).items():
        assert names == training_ids(asked, len(asked))[subset]


def test_rows_without_a_subset_and_other_splits_stay_out() -> None:
    assert training_ids(questions({(None, "a"): 3, ("02", "a"): 1})).keys() == {"02"}
    with pytest.raises(BaselineError, match="rows of the split test"):
        training_ids(questions({("02", "a"): 1}, "test"))
    with pytest.raises(BaselineError, match="expected train"):
        trainable(questions({("02", "a"): 1}, "validation"))


def test_small_subsets_are_for_tests_only() -> None:
    asked = questions({("02", "a"): 6, ("02", "b"): 4, ("05", "a"): 9, (None, "a"): 50})
    assert trainable(asked, 10) == ("02",)
    assert trainable(asked, 9) == ("02", "05")


def test_draws_differ_by_name_and_are_nested() -> None:
    asked = questions({("02", "a"): 40})
    first, more, other = drawn(asked, 10, "x"), drawn(asked, 20, "x"), drawn(asked, 10, "y")
    ids = [each.table["id"].to_pylist() for each in (first, more, other)]
    assert ids[1][:10] == ids[0]
    assert set(ids[2]) != set(ids[0])
    with pytest.raises(BaselineError, match="41 questions to draw for 'x', 40 are there"):
        drawn(asked, 41, "x")


def test_ids_of_another_dataset_are_an_error() -> None:
    with pytest.raises(BaselineError, match="1 of 1 chosen questions are not there, the first is 'gone#0'"):
        chosen(questions({("02", "a"): 2}), {"02": ("gone#0",)})
