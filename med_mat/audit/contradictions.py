"""Whether two sources say of one picture what cannot both be true.

A picture whose sources contradict each other has no answer that all of them hold. Its rows stay where their own sources
are asked for, and leave the configs that merge sources.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from med_mat.audit.components import Links
from med_mat.card import Card
from med_mat.columns import taken, tuples
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


@dataclass(frozen=True, slots=True)
class Dispute:
    """That another source answers a row's picture differently.

    Attributes:
        other: A row of the other source.
        said: Labels of the row, ``against``, labels of the other.
    """

    other: str
    said: str


def shared(tables: Iterable[tuple[str, pa.Table]], near: Links, blank: Sequence[str]) -> Iterator[Said]:
    """Lists the rows whose picture may stand in two sources: the only ones that can contradict each other.

    Hashes are joined as columns, so that what is read row by row is the overlap of sources and not the sources. A few
    rows are listed without need, where hashes begin alike.

    Args:
        tables: Slug and rows of each source, with columns ``id``, ``pixel_hash``, ``perceptual_hash``, ``labels``.
        near: Near duplicates, see ``components.links``.
        blank: Perceptual hashes of pictures that show nothing, so that it means nothing when they are equal.
    """
    tables = list(tables)
    keys = [_keys(table["pixel_hash"]) for _, table in tables]
    every = np.sort(np.concatenate([np.zeros(0, np.uint64), *(np.unique(some) for some in keys)]))
    wanted = np.unique(every[1:][every[1:] == every[:-1]])
    linked = pa.array(near, pa.string())
    nothing = pa.array(blank, pa.string())
    for (slug, table), some in zip(tables, keys, strict=True):
        alike = np.isin(some, wanted)
        if len(linked):
            alike |= pc.is_in(table["pixel_hash"], value_set=linked).to_numpy()
        lines = np.flatnonzero(alike)
        lines = lines[
            ~pc.is_in(taken(table["perceptual_hash"], lines), value_set=nothing).to_numpy(zero_copy_only=False)
        ]
        columns = (taken(table["id"], lines).to_pylist(), taken(table["pixel_hash"], lines).to_pylist())
        for name, pixels, labels in zip(*columns, tuples(taken(table["labels"], lines)), strict=True):
            yield Said(name, slug, pixels, labels)


def _keys(hashes: pa.ChunkedArray) -> npt.NDArray[np.uint64]:
    """Numbers that are equal for equal hashes, and rarely else: 8 bytes a row where the hashes take 40."""
    parts = [np.zeros(0, np.uint64)]
    for chunk in hashes.chunks:
        start = pc.utf8_slice_codeunits(chunk, 0, 8).cast(pa.binary()).cast(pa.binary(8))
        parts.append(np.frombuffer(start.buffers()[1], np.uint64)[start.offset :][: len(start)])
    return np.concatenate(parts)


def disputes(said: Iterable[Said], cards: Mapping[str, Card], near: Links) -> dict[str, Dispute]:
    """Finds the rows whose picture another source answers differently.

    Args:
        said: All rows, or those that ``shared`` lists.
        cards: Cards by slug.
        near: Near duplicates, see ``components.links``. A chain of them is not followed: the ends of one may differ.

    Returns:
        Id to what is disputed, for the rows of both sources, sorted. Of several, the first by picture and row.
    """
    # Equal statements of one source about one picture are one statement.
    by_picture: dict[str, dict[_Statement, list[str]]] = defaultdict(dict)
    for row in sorted(said, key=lambda row: row.id):
        by_picture[row.pixel_hash].setdefault((row.source, row.labels), []).append(row.id)
    found: dict[str, Dispute] = {}
    known: dict[tuple[_Statement, _Statement], bool] = {}
    spaces: Spaces = {}

    def contradict(one: _Statement, two: _Statement) -> bool:
        if (one, two) not in known:
            (source, labels), (other, others) = one, two
            known[one, two] = disagreement(labels, cards[source], others, cards[other], spaces) is not None
        return known[one, two]

    for picture in sorted(by_picture):
        here = by_picture[picture]
        pairs = [((one, here[one]), (two, here[two])) for one, two in combinations(here, 2)]
        # Each link once, from its smaller end.
        for other in near.get(picture, ()):
            if other > picture and other in by_picture:
                there = by_picture[other]
                pairs += [((one, here[one]), (two, there[two])) for one in here for two in there]
        for (one, ids), (two, others) in pairs:
            if one[0] != two[0] and contradict(one, two):
                for name in ids:
                    found.setdefault(name, Dispute(others[0], _against(one[1], two[1])))
                for name in others:
                    found.setdefault(name, Dispute(ids[0], _against(two[1], one[1])))
    return dict(sorted(found.items()))


def _against(labels: Sequence[str], others: Sequence[str]) -> str:
    return f"{'; '.join(labels)} against {'; '.join(others)}"


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
                return _against(first_labels, second_labels)
    return None


_SAYING = ("classification", "multilabel")
_Statement = tuple[str, tuple[str, ...]]
