"""Candidates: pairs of pictures whose fingerprints are near, found without comparing each with each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from med_mat.audit.bands import (
    ORIENTATIONS,
    Band,
    Numbers,
    Words,
    bands,
    buckets,
    distances,
    keys,
    transposed,
    upright,
)
from med_mat.errors import MedMatError
from med_mat.images.hashes import FINGERPRINT_BYTES, WINDOWS

if TYPE_CHECKING:
    import duckdb

NEAR = 72
"""Bits of 256 in which the fingerprints of a candidate pair differ at most. Unrelated pictures differ in 100 or more;
pictures of one kind of examination in 40 or more, which is why candidates are compared pixel by pixel."""

_TIGHT = ("whole", "trimmed")


@dataclass(frozen=True, slots=True)
class Candidate:
    """Two pictures that may be one.

    Attributes:
        first: Index of the one.
        second: Index of the other, larger than ``first``.
        distance: Bits in which the nearest of their fingerprints differ.
        first_window: Window of the first picture, an index in ``WINDOWS``.
        second_window: The same of the second.
        orientation: Index in ``ORIENTATIONS``: what brings the second into the orientation of the first.
    """

    first: int
    second: int
    distance: int
    first_window: int
    second_window: int
    orientation: int


@dataclass(frozen=True)
class Search:
    """What a search found.

    Attributes:
        candidates: Sorted by distance and index; each pair once.
        met: Pairs that met under a key, with repetitions.
        crowded: Meetings of pictures that so many others resemble that they met only the nearest.
    """

    candidates: tuple[Candidate, ...]
    met: int
    crowded: int


def connect(temporary: Path | None = None, *, memory: str = "2GB", threads: int = 2) -> duckdb.DuckDBPyConnection:
    """Opens a database in memory.

    Args:
        temporary: Folder for what does not fit.
        memory: Most memory that joins may take.
        threads: Number of threads.

    Raises:
        MedMatError: If DuckDB is not installed.
    """
    try:
        import duckdb
    except ImportError as error:
        raise MedMatError("an audit needs DuckDB: pip install 'med-mat[audit]'") from error
    settings: dict[str, Any] = {"memory_limit": memory, "threads": threads, "preserve_insertion_order": False}
    if temporary is not None:
        settings["temp_directory"] = str(temporary)
    return duckdb.connect(":memory:", config=settings)


def search(
    fingerprints: npt.NDArray[np.uint8],
    *,
    near: int = NEAR,
    connection: duckdb.DuckDBPyConnection | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Search:
    """Finds pairs of pictures with near fingerprints.

    Two fingerprints are compared if they agree in all bits of a band, of which there are many. Of two windows that
    are compared, one is the whole picture or the picture without its margins.

    Args:
        fingerprints: Shape (n, len(WINDOWS), 32), bytes: a line per picture, none of them flat.
        near: Bits in which two may differ at most.
        connection: A database; None opens one.
        progress: Called with 1 for each band that is done; there are ``len(bands())``.
    """
    database = connection or connect()
    number = len(fingerprints)
    tight = _tight_entries(fingerprints)
    every = np.concatenate([tight, _entries(range(len(_TIGHT), len(WINDOWS)), number)])
    flat = fingerprints.reshape(number * len(WINDOWS), FINGERPRINT_BYTES)
    database.execute("CREATE OR REPLACE TABLE found (first UINTEGER, second UINTEGER, distance USMALLINT)")
    met = crowded = 0
    for band in bands():
        number_met, left = _meet(database, flat, every if band.low else tight, len(tight), band, near)
        met, crowded = met + number_met, crowded + left
        progress(1)
    lines = database.execute("SELECT DISTINCT first, second FROM found").fetchnumpy()
    pairs = np.stack([np.asarray(lines[name], np.int64) for name in ("first", "second")])
    return Search(_best(flat, pairs, near), met, crowded)


def _entries(chosen: range, number: int) -> Numbers:
    return np.concatenate([np.arange(number, dtype=np.int64) * len(WINDOWS) + window for window in chosen])


def _tight_entries(fingerprints: npt.NDArray[np.uint8]) -> Numbers:
    number = len(fingerprints)
    # A picture without margins has nothing to be trimmed of.
    trimmed = np.flatnonzero((fingerprints[:, 0] != fingerprints[:, 1]).any(axis=1))
    return np.concatenate([np.arange(number, dtype=np.int64) * len(WINDOWS), trimmed * len(WINDOWS) + 1])


def _meet(
    database: duckdb.DuckDBPyConnection,
    flat: npt.NDArray[np.uint8],
    entries: Numbers,
    tight: int,
    band: Band,
    near: int,
) -> tuple[int, int]:
    """Compares entries that meet under a band's key, and returns how many are near, and how many were too many."""
    key, is_turned = keys(flat[entries], band)
    together = buckets(key)
    chosen = entries[together.entries]
    prints = flat[chosen]
    across = is_turned[together.entries]
    prints[across] = transposed(prints[across])
    numbers = upright(prints, band)
    # Tight windows are the first of the entries, in both kinds of band.
    is_tight = together.entries < tight
    database.register("a", _side(numbers[is_tight], chosen[is_tight], together.bucket[is_tight]))
    database.register("b", _side(numbers, chosen, together.bucket))
    # Pairs of two tight windows are seen from the earlier entry alone; an inner window is never on the left.
    counted = database.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE met AS
        SELECT a.entry AS one, b.entry AS other, {_DISTANCE} AS distance
        FROM a JOIN b ON a.bucket = b.bucket
        WHERE a.entry // {len(WINDOWS)} != b.entry // {len(WINDOWS)}
          AND (a.entry < b.entry OR b.entry % {len(WINDOWS)} >= {len(_TIGHT)})
          AND distance <= {near}
        """
    ).fetchone()
    database.execute(
        "INSERT INTO found SELECT least(one, other), greatest(one, other), min(distance) FROM met GROUP BY ALL"
    )
    database.unregister("a")
    database.unregister("b")
    return (int(counted[0]) if counted else 0), together.crowded


_DISTANCE = " + ".join(f"bit_count(xor(a.w{place}, b.w{place}))::USMALLINT" for place in range(4))


def _side(numbers: Words, entry: Numbers, bucket: Numbers) -> pa.Table:
    columns = {f"w{place}": numbers[:, place] for place in range(4)}
    return pa.table({"entry": entry.astype(np.uint32), "bucket": bucket.astype(np.uint32), **columns})


def _best(flat: npt.NDArray[np.uint8], pairs: npt.NDArray[np.int64], near: int) -> tuple[Candidate, ...]:
    one, other = pairs
    table = distances(flat[one], flat[other])
    way = table.argmin(axis=1)
    least = table[np.arange(len(table)), way]
    kept: dict[tuple[int, int], Candidate] = {}
    # The nearest windows of a pair count; of equals the first.
    for line in np.lexsort((other, one, least)):
        first, first_window = divmod(int(one[line]), len(WINDOWS))
        second, second_window = divmod(int(other[line]), len(WINDOWS))
        if least[line] > near or (first, second) in kept:
            continue
        kept[first, second] = Candidate(
            first, second, int(least[line]), first_window, second_window, int(way[line]) % len(ORIENTATIONS)
        )
    return tuple(kept.values())
