"""What sources of a build share: equal pictures, near duplicates that an audit confirmed, and groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Hashes = npt.NDArray[np.uint64]
_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Shared:
    """What a source shares with another.

    Attributes:
        other: The other source.
        pictures: Pictures of equal pixels that both hold.
        near: Pairs of pictures that are not equal and that an audit of the build found to be one.
        groups: Patients, lesions or originals that both have.
    """

    other: str
    pictures: int = 0
    near: int = 0
    groups: int = 0


def hashes(column: pa.ChunkedArray) -> Hashes:
    """The first 16 hex digits of each text as a number, each number once, sorted.

    64 bits are few enough to hold those of millions of rows, and enough to tell them apart.
    """
    digits = pc.utf8_slice_codeunits(column, 0, _DIGITS).to_pylist()
    return np.unique(np.frombuffer(bytes.fromhex("".join(digits)), ">u8").astype(np.uint64))


def shared(
    pictures: Mapping[str, Hashes], groups: Mapping[str, Hashes], near: Iterable[tuple[str, str]]
) -> dict[str, tuple[Shared, ...]]:
    """Counts what each pair of sources shares.

    Args:
        pictures: Source to ``hashes`` of its pixel hashes.
        groups: Source to ``hashes`` of its groups.
        near: Pairs of pixel hashes, 32 hex digits each, that an audit found to be one picture.

    Returns:
        Source to what it shares with each other, the most pictures first; only sources that share anything.
    """
    counts = [_pairs(pictures), _near_pairs(pictures, near), _pairs(groups)]
    found: dict[str, list[Shared]] = {}
    for one, two in sorted(set().union(*counts)):
        numbers = [count[one, two] for count in counts]
        found.setdefault(one, []).append(Shared(two, *numbers))
        found.setdefault(two, []).append(Shared(one, *numbers))
    return {
        slug: tuple(sorted(lines, key=lambda line: (-line.pictures, -line.near, -line.groups, line.other)))
        for slug, lines in found.items()
    }


def _pairs(values: Mapping[str, Hashes]) -> Counter[tuple[str, str]]:
    slugs = sorted(values)
    if not slugs:
        return Counter()
    every = np.concatenate([values[slug] for slug in slugs])
    owners = np.repeat(np.arange(len(slugs)), [len(values[slug]) for slug in slugs])
    order = np.argsort(every, kind="stable")
    every, owners = every[order], owners[order]
    starts = np.flatnonzero(np.concatenate(([True], every[1:] != every[:-1]))) if every.size else np.array([], int)
    lengths = np.diff(np.append(starts, every.size))
    counts: Counter[tuple[str, str]] = Counter()
    for start, length in zip(starts[lengths > 1], lengths[lengths > 1], strict=True):
        counts.update(combinations([slugs[owner] for owner in owners[start : start + length]], 2))
    return counts


def _near_pairs(pictures: Mapping[str, Hashes], near: Iterable[tuple[str, str]]) -> Counter[tuple[str, str]]:
    pairs = [(int(one[:_DIGITS], 16), int(two[:_DIGITS], 16)) for one, two in near]
    wanted = np.array(sorted({value for pair in pairs for value in pair}), np.uint64)
    owners: dict[int, list[str]] = {}
    for slug, held in pictures.items():
        for value in wanted[np.isin(wanted, held)].tolist():
            owners.setdefault(value, []).append(slug)
    counts: Counter[tuple[str, str]] = Counter()
    for one, two in pairs:
        both = product(owners.get(one, ()), owners.get(two, ()))
        counts.update({(min(pair), max(pair)) for pair in both if pair[0] != pair[1]})
    return counts
