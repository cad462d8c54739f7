"""Intervals and tests for scores. Exact where that is cheap; a bootstrap draws from a generator seeded by a hash."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from med_mat.baselines.errors import BaselineError
from med_mat.hashing import rank

DRAWS = 2000
_LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and its confidence interval.

    Attributes:
        estimate: What was measured.
        low: Lower bound.
        high: Upper bound.
    """

    estimate: float
    low: float
    high: float


def accuracy(correct: Sequence[bool]) -> float:
    """Returns the share of right answers, in 0..1.

    Raises:
        BaselineError: No answers.
    """
    _some(correct)
    return float(np.mean(correct))


def wilson(correct: int, total: int, level: float = _LEVEL) -> Interval:
    """Returns a share with Wilson's score interval (Wilson 1927), without continuity correction.

    Args:
        correct: Right answers.
        total: All answers.
        level: Confidence, in 0..1.

    Raises:
        BaselineError: ``total`` is below 1, or ``correct`` is not in 0..``total``.
    """
    if total < 1 or not 0 <= correct <= total:
        raise BaselineError(
            f"{correct} right of {total}: expected one answer or more, and no more right than there are"
        )
    found = stats.binomtest(correct, total).proportion_ci(level, method="wilson")
    return Interval(correct / total, float(found.low), float(found.high))


def macro_accuracy(labels: Sequence[Hashable], correct: Sequence[bool]) -> float:
    """Returns the mean over labels of the share of right answers, so that each label counts the same.

    Args:
        labels: The true label of each question.
        correct: One per question.

    Raises:
        BaselineError: No answers, or not one label for each.
    """
    right, asked = _by_label(labels, correct)
    return float(np.mean(right / asked))


def macro_interval(labels: Sequence[Hashable], correct: Sequence[bool], name: str, level: float = _LEVEL) -> Interval:
    """Returns macro accuracy with a percentile bootstrap interval; questions are drawn within each label.

    A label with one question, or with all answers right, adds no width: the interval is too narrow where there are
    many of these.

    Args:
        labels: The true label of each question.
        correct: One per question.
        name: What is measured; the draws follow from it.
        level: Confidence, in 0..1.

    Raises:
        BaselineError: No answers, or not one label for each.
    """
    right, asked = _by_label(labels, correct)
    # Right answers in a draw of n questions with replacement are binomial, so no question need be drawn.
    drawn = generator("macro", name).binomial(asked, right / asked, (DRAWS, len(asked)))
    return Interval(float(np.mean(right / asked)), *_middle((drawn / asked).mean(axis=1), level))


def paired_bootstrap(
    first: Sequence[bool],
    second: Sequence[bool],
    name: str,
    *,
    groups: Sequence[Hashable] | None = None,
    level: float = _LEVEL,
) -> Interval:
    """Returns how much more often the second is right than the first on the same questions.

    Whole groups are drawn, since pictures of one patient are not independent.

    Args:
        first: One answer per question.
        second: Another answer to each.
        name: What is compared; the draws follow from it.
        groups: Group of each question; each question is its own if None.
        level: Confidence, in 0..1.

    Returns:
        The difference in -1..1 with a percentile interval.

    Raises:
        BaselineError: No answers, or not as many of one as of the others.
    """
    _some(first)
    _paired(first, second)
    groups = range(len(first)) if groups is None else groups
    _paired(first, groups)
    _, place = _codes(groups)
    gained = np.bincount(place, np.subtract(second, first, dtype=np.float64))
    size = np.bincount(place).astype(np.float64)
    # Groups that gained as much over as many questions are interchangeable: a draw only counts those of each kind.
    kinds, counts = np.unique(np.stack([gained, size], axis=1), axis=0, return_counts=True)
    source = generator("paired", name)
    times = source.multinomial(len(size), counts / len(size), DRAWS)
    differences = (times @ kinds[:, 0]) / (times @ kinds[:, 1])
    return Interval(float(gained.sum() / size.sum()), *_middle(differences, level))


def mcnemar_p_value(first: Sequence[bool], second: Sequence[bool]) -> float:
    """Returns McNemar's exact two-sided test of whether two models are right equally often on the same questions.

    Raises:
        BaselineError: No answers, or not as many of one as of the other.
    """
    _some(first)
    _paired(first, second)
    one, other = np.asarray(first, bool), np.asarray(second, bool)
    only_first, only_second = int((one & ~other).sum()), int((other & ~one).sum())
    if not only_first + only_second:
        return 1.0
    return float(stats.binomtest(only_first, only_first + only_second).pvalue)


def permutation_p_value(correct: Sequence[bool], marked: Sequence[bool], strata: Sequence[Hashable]) -> float:
    """Tells how often marks permuted within strata would fall on as many right answers as they do.

    Exact: within a stratum the right answers among the marked are hypergeometric, and their sum is the convolution.
    With one stratum this is Fisher's one-sided test.

    Args:
        correct: One per question.
        marked: Whether the question is one of those in doubt, such as those with a neighbour in training.
        strata: Within which marks are exchangeable, such as labels.

    Returns:
        In 0..1, small where marked questions are answered right more often than the others of their strata.

    Raises:
        BaselineError: No answers, or not as many of one as of the others.
    """
    _some(correct)
    _paired(correct, marked)
    _paired(correct, strata)
    right, mark = np.asarray(correct, bool), np.asarray(marked, bool)
    _, place = _codes(strata)
    asked = np.bincount(place)
    good = np.bincount(place, right).astype(int)
    chosen = np.bincount(place, mark).astype(int)
    chances = np.ones(1)
    for all_, right_, marked_ in zip(asked.tolist(), good.tolist(), chosen.tolist(), strict=True):
        hits = np.arange(min(right_, marked_) + 1)
        chances = np.convolve(chances, stats.hypergeom.pmf(hits, all_, right_, marked_))
    return float(min(1.0, chances[int((right & mark).sum()) :].sum()))


def generator(purpose: str, name: str) -> np.random.Generator:
    """Returns a generator whose numbers follow from two words, on any machine."""
    return np.random.Generator(np.random.PCG64(rank("statistics", purpose, name)))


def _some(values: Sequence[object]) -> None:
    if len(values) == 0:
        raise BaselineError("no answers: expected one or more")


def _paired(first: Sequence[object], second: Sequence[object]) -> None:
    if len(first) != len(second):
        raise BaselineError(f"{len(first)} answers beside {len(second)} values: expected one for each")


def _codes(values: Sequence[Hashable]) -> tuple[int, npt.NDArray[np.intp]]:
    seen: dict[Hashable, int] = {}
    codes = np.array([seen.setdefault(value, len(seen)) for value in values], np.intp)
    return len(seen), codes


def _by_label(
    labels: Sequence[Hashable], correct: Sequence[bool]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    _some(correct)
    _paired(correct, labels)
    number, place = _codes(labels)
    right = np.bincount(place, np.asarray(correct, np.float64), number).astype(np.float64)
    return right, np.bincount(place, minlength=number).astype(np.int64)


def _middle(values: npt.NDArray[np.float64], level: float) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
