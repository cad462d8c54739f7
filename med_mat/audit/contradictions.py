"""Whether two sources say of one picture what cannot both be true."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from med_mat.audit.components import Links
from med_mat.card import Card
from med_mat.labels import LabelSpace, label_space

Spaces = dict[tuple[str, str], LabelSpace]
"""Slugs of two sources to what their labels mean to each other."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a source says of a picture.

    Attributes:
        id: The row.
        source: Slug.
        pixel_hash: Which picture.
        labels: Clean labels.
    """

    id: str
    source: str
    pixel_hash: str
    labels: tuple[str, ...]


def disputes(said: Iterable[Said], cards: Mapping[str, Card], near: Links) -> dict[str, str]:
    """Finds the rows whose picture another source answers differently.

    Args:
        said: All rows.
        cards: Cards by slug.
        near: Near duplicates, see ``components.links``.

    Returns:
        Id to the labels that exclude each other, for the rows of both sources.
    """
    by_picture: dict[str, list[Said]] = defaultdict(list)
    for one in said:
        by_picture[one.pixel_hash].append(one)
    found: dict[str, str] = {}
    spaces: Spaces = {}
    for picture in sorted(by_picture):
        here = by_picture[picture]
        pairs = list(combinations(here, 2))
        # Each link once, from its smaller end.
        for other in near.get(picture, ()):
            if other > picture and other in by_picture:
                pairs += [(one, two) for one in here for two in by_picture[other]]
        for one, two in pairs:
            if one.source != two.source:
                reason = disagreement(one.labels, cards[one.source], two.labels, cards[two.source], spaces)
                if reason is not None:
                    found.setdefault(one.id, reason)
                    found.setdefault(two.id, reason)
    return found


def disagreement(
    first_labels: Sequence[str], first: Card, second_labels: Sequence[str], second: Card, spaces: Spaces | None = None
) -> str | None:
    """Compares the labels that two sources give to one picture.

    Sources use different words and annotate different findings, so that a label is missing says nothing by itself.
    Two sources disagree if one gives a label that the other also uses and did not give, and that is related
    (synonym, broader, narrower, overlapping) to none of the labels that the other gave. A finding beside a diagnosis
    is no disagreement.

    Args:
        first_labels: Clean labels of the one.
        first: Its card.
        second_labels: Clean labels of the other.
        second: Its card.
        spaces: Filled with the relations between the labels of both, so that they are worked out once.

    Returns:
        The labels that exclude each other, ``None`` if none do.
    """
    if first.kind not in _SAYING or second.kind not in _SAYING or not first_labels or not second_labels:
        return None
    known: Spaces = {} if spaces is None else spaces
    pair = (first.slug, second.slug)
    if pair not in known:
        known[pair] = label_space(second, [first])
    related = known[pair].related
    for given, by, others, other in (
        (first_labels, first, second_labels, second),
        (second_labels, second, first_labels, first),
    ):
        for label in given:
            if label in others or label not in other.clean_labels:
                continue
            if by.kind == "multilabel" and other.kind == "classification":
                # One diagnosis of a picture does not deny a finding beside it.
                continue
            if related[label].isdisjoint(others):
                return f"{'; '.join(first_labels)} against {'; '.join(second_labels)}"
    return None


_SAYING = ("classification", "multilabel")
