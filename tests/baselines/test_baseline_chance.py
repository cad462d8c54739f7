"""The test against guessing agrees with exact counts and with SciPy's binomial test."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from med_mat.baselines.chance import chance_p_value
from med_mat.baselines.errors import BaselineError

_ANSWERS = st.lists(st.tuples(st.booleans(), st.integers(1, 4)), min_size=1, max_size=7)


@settings(max_examples=60)
@given(answers=_ANSWERS)
def test_against_all_outcomes(answers: list[tuple[bool, int]]) -> None:
    correct, offered = zip(*answers, strict=True)
    total = Fraction(0)
    for outcome in product((True, False), repeat=len(answers)):
        if sum(outcome) >= sum(correct):
            share = Fraction(1)
            for right, number in zip(outcome, offered, strict=True):
                share *= Fraction(1, number) if right else 1 - Fraction(1, number)
            total += share
    assert chance_p_value(correct, offered) == pytest.approx(float(total))


@pytest.mark.parametrize("right", [0, 20, 28, 40, 114])
def test_against_the_binomial_test(right: int) -> None:
    correct = [place < right for place in range(114)]
    expected = binomtest(right, 114, 0.25, alternative="greater").pvalue
    assert chance_p_value(correct, [4] * 114) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_what_is_no_question() -> None:
    for correct, offered in (([], []), ([True], [4, 4]), ([True], [0])):
        with pytest.raises(BaselineError, match="expected one or more questions"):
            chance_p_value(correct, offered)
