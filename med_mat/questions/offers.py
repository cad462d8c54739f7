"""Which labels are offered together, such that the options alone do not tell which of them is right."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import combinations
from math import comb

from med_mat.hashing import rank

MOST_OPTIONS = 4
"""Options of a question, as in the paper."""

MOST_SETS = 50_000
"""Sets that are weighed at most."""

_ROUNDS = 400
_EXACT = 1e-3


@dataclass(frozen=True)
class Offers:
    """Sets of labels of which exactly one is right, and how often each set is shown.

    A set must be shown equally often for each of its labels: else who sees it knows which is right more often. So a
    set has one weight, and the weights of the sets that hold a label add up to one.

    Attributes:
        size: Number of options of every question; 0 if there is no set.
        sets: Sets of labels of which no two can be right together, sorted.
        weights: How often a set is shown where one of its labels is right.
        excess: How much more often than by guessing a reader of the options alone can be right, if all labels are
            equally frequent: next to 0 unless relations between labels leave no other way.
    """

    size: int
    sets: tuple[tuple[str, ...], ...]
    weights: tuple[float, ...]
    excess: float

    @cached_property
    def _of_label(self) -> dict[str, list[tuple[tuple[str, ...], float]]]:
        found: dict[str, list[tuple[tuple[str, ...], float]]] = {}
        for chosen, weight in zip(self.sets, self.weights, strict=True):
            for label in chosen:
                found.setdefault(label, []).append((chosen, weight))
        return found

    def choose(self, label: str, place: float, without: Collection[str] = ()) -> tuple[str, ...]:
        """Returns the wrong labels to show beside a right one; none if no set is left.

        Args:
            label: The right answer.
            place: A number in [0, 1) that decides.
            without: Labels that are not to be shown, since they may be right too.
        """
        mine = self._of_label.get(label, [])
        if without:
            mine = [(chosen, weight) for chosen, weight in mine if not any(other in without for other in chosen)]
        left = place * sum(weight for _, weight in mine)
        for chosen, weight in mine:
            left -= weight
            if left < 0:
                return tuple(other for other in chosen if other != label)
        return tuple(other for other in mine[-1][0] if other != label) if mine else ()


def even_offers(labels: Sequence[str], related: Mapping[str, Collection[str]]) -> Offers:
    """Finds the largest number of options, up to four, for which sets can be shown evenly, and the sets.

    Where no number allows it, the one that tells least is taken.

    Args:
        labels: Labels of one source, each of which is wrong beside at least one other.
        related: Label to the labels that can be right beside it.
    """
    pairs = frozenset((one, other) for one in labels for other in related[one] if other in labels)
    return _even_offers(tuple(sorted(labels)), pairs)


@cache
def _even_offers(labels: tuple[str, ...], pairs: frozenset[tuple[str, str]]) -> Offers:
    best = Offers(0, (), (), 1.0)
    for size in range(min(MOST_OPTIONS, len(labels)), 1, -1):
        sets = [
            chosen
            for chosen in _candidates(len(labels), size)
            if not any((labels[one], labels[other]) in pairs for one, other in combinations(chosen, 2))
        ]
        if len({number for chosen in sets for number in chosen}) < len(labels):
            continue
        weights = _fitted(sets, len(labels))
        totals = _totals(sets, weights, len(labels))
        # A reader's best rule: of each set, the label for which it is shown most often.
        told = sum(
            max(weight / totals[number] for number in chosen) for chosen, weight in zip(sets, weights, strict=True)
        )
        excess = max(0.0, told / len(labels) - 1 / size)
        if excess < best.excess:
            named = tuple(tuple(labels[number] for number in chosen) for chosen in sets)
            # Rounded: powers may differ in the last digit between machines, and what is shown must not.
            best = Offers(size, named, tuple(round(weight, 9) for weight in weights), excess)
        if excess < _EXACT:
            break
    return best


def _candidates(labels: int, size: int) -> Iterator[tuple[int, ...]]:
    """All sets of a size; of very many, those that a round of all labels makes of some steps: each label equally."""
    if comb(labels, size) <= MOST_SETS:
        yield from combinations(range(labels), size)
        return
    steps = sorted(combinations(range(1, labels), size - 1), key=lambda step: rank("offers", *map(str, step)))
    found: dict[tuple[int, ...], None] = {}
    for step in steps:
        if len(found) >= MOST_SETS:
            break
        for start in range(labels):
            found[tuple(sorted((start, *((start + one) % labels for one in step))))] = None
    yield from found


def _fitted(sets: Sequence[tuple[int, ...]], labels: int) -> list[float]:
    """Weights of sets such that those of each label add up to one, by proportional fitting, where there are such.

    Plain arithmetic in a fixed order: the same on every machine.
    """
    weights = [1.0] * len(sets)
    for _ in range(_ROUNDS):
        totals = _totals(sets, weights, labels)
        if max(abs(total - 1) for total in totals) < 1e-6:
            break
        for place, chosen in enumerate(sets):
            factor = 1.0
            for number in chosen:
                factor *= totals[number]
            weights[place] /= factor ** (1 / len(chosen))
    return weights


def _totals(sets: Sequence[tuple[int, ...]], weights: Sequence[float], labels: int) -> list[float]:
    totals = [0.0] * labels
    for chosen, weight in zip(sets, weights, strict=True):
        for number in chosen:
            totals[number] += weight
    return totals
