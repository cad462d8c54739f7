from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from med_mat.baselines.errors import BaselineError
from med_mat.baselines.statistics import (
    accuracy,
    macro_accuracy,
    macro_interval,
    mcnemar_p_value,
    paired_bootstrap,
    permutation_p_value,
    wilson,
)


def test_wilson_gives_the_printed_interval_and_stays_in_the_unit() -> None:
    # Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662.
    found = wilson(81, 263)
    assert (round(found.low, 4), round(found.high, 4)) == (0.2553, 0.3662)
    assert wilson(0, 5).low == pytest.approx(0, abs=1e-12)
    assert wilson(5, 5).high == pytest.approx(1)
    with pytest.raises(BaselineError, match="6 right of 5"):
        wilson(6, 5)


@given(st.integers(1, 200).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
def test_wilson_holds_its_estimate_and_turns_with_it(counts: tuple[int, int]) -> None:
    correct, total = counts
    found, turned = wilson(correct, total), wilson(total - correct, total)
    assert found.low - 1e-12 <= found.estimate <= found.high + 1e-12
    assert found.low == pytest.approx(1 - turned.high, abs=1e-9)


def test_macro_accuracy_counts_each_label_once() -> None:
    labels = ["common"] * 9 + ["rare"]
    correct = [True] * 9 + [False]
    assert accuracy(correct) == pytest.approx(0.9)
    assert macro_accuracy(labels, correct) == pytest.approx(0.5)


def test_macro_interval_narrows_with_the_number_of_questions_and_repeats_itself() -> None:
    few, many = (macro_interval(["a", "b"] * n, [True, True, False, True] * (n // 2), "m") for n in (10, 1000))
    assert few.estimate == many.estimate == pytest.approx(0.75)
    assert few.low < many.low < 0.75 < many.high < few.high
    again = macro_interval(["a", "b"] * 10, [True, True, False, True] * 5, "m")
    assert again == few
    assert macro_interval(["a", "b"] * 1000, [True, True, False, True] * 500, "other name") != many


def test_paired_bootstrap_sees_a_gain_and_widens_with_groups() -> None:
    first = [True, False, False, False] * 50
    second = [True, True, False, False] * 50
    single = paired_bootstrap(first, second, "gain")
    assert single.estimate == pytest.approx(0.25)
    assert 0.15 < single.low < 0.25 < single.high < 0.35
    # One gained question per block of four: blocks that are drawn whole all gain the same.
    even = paired_bootstrap(first, second, "gain", groups=[place // 4 for place in range(200)])
    assert even.low == even.high == pytest.approx(0.25)
    # Groups that are right or wrong as one carry less than their questions seem to.
    second = [place < 50 for place in range(200)]
    grouped = paired_bootstrap([False] * 200, second, "gain", groups=[place // 10 for place in range(200)])
    plain = paired_bootstrap([False] * 200, second, "gain")
    assert grouped.high - grouped.low > 2 * (plain.high - plain.low)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_mcnemar_is_symmetric_and_counts_only_what_differs(pairs: list[tuple[bool, bool]]) -> None:
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    value = mcnemar_p_value(first, second)
    assert 0 <= value <= 1
    assert value == pytest.approx(mcnemar_p_value(second, first))
    assert value == pytest.approx(mcnemar_p_value([*first, True, False], [*second, True, False]))


def test_mcnemar_of_ten_against_none() -> None:
    assert mcnemar_p_value([False] * 10, [True] * 10) == pytest.approx(2 / 2**10)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_one_stratum_is_fishers_test(pairs: list[tuple[bool, bool]]) -> None:
    correct, marked = [a for a, _ in pairs], [b for _, b in pairs]
    count = [[sum(a == x and b == y for a, b in pairs) for x in (True, False)] for y in (True, False)]
    expected = stats.fisher_exact(count, alternative="greater").pvalue
    assert permutation_p_value(correct, marked, [0] * len(pairs)) == pytest.approx(float(expected), abs=1e-9)


def test_strata_agree_with_all_permutations_counted() -> None:
    correct = [True, False, True, True, False, False]
    marked = [True, False, False, True, True, False]
    strata = ["a", "a", "a", "b", "b", "b"]
    seen = sum(c and m for c, m in zip(correct, marked, strict=True))
    ways = [
        sum(correct[p] for p in {*one, *two})
        for one in itertools.combinations(range(3), 1)
        for two in itertools.combinations(range(3, 6), 2)
    ]
    expected = sum(way >= seen for way in ways) / len(ways)
    assert permutation_p_value(correct, marked, strata) == pytest.approx(expected)


def test_strata_take_away_what_the_label_explains() -> None:
    # The marked are right because their label is easy, not because they are marked.
    correct, labels = [True] * 20 + [False] * 20, ["easy"] * 20 + ["hard"] * 20
    marked = [place < 15 for place in range(40)]
    assert permutation_p_value(correct, marked, [0] * 40) < 1e-4
    assert permutation_p_value(correct, marked, labels) == pytest.approx(1)


@pytest.mark.parametrize(
    "call",
    [
        lambda: accuracy([]),
        lambda: macro_accuracy(["a"], [True, False]),
        lambda: paired_bootstrap([True], [True, False], "x"),
        lambda: paired_bootstrap([True], [True], "x", groups=["a", "b"]),
        lambda: mcnemar_p_value([], []),
        lambda: permutation_p_value([True], [True], []),
    ],
)
def test_answers_that_do_not_pair_are_an_error(call: object) -> None:
    assert callable(call)
    with pytest.raises(BaselineError, match="expected one"):
        call()
