"""Columns of Arrow tables as the plan reads them: a million rows as objects would not fit into memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Lines = npt.NDArray[np.int64]
"""Numbers of lines of a table."""

_SEPARATOR = "\x1f"
_BATCH = 1 << 13


class Rows:
    """A table that grows by rows; only the last few thousand of them are objects."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._last: list[Sequence[Any]] = []
        self._batches: list[pa.RecordBatch] = []

    def append(self, row: Sequence[Any]) -> None:
        """Adds a row: a value for each column, in the schema's order."""
        self._last.append(row)
        if len(self._last) == _BATCH:
            self._flush()

    def _flush(self) -> None:
        columns = zip(*self._last, strict=True)
        arrays = [pa.array(column, kind) for column, kind in zip(columns, self._schema.types, strict=True)]
        self._batches.append(pa.record_batch(arrays, schema=self._schema))
        self._last = []

    def table(self) -> pa.Table:
        """Returns the rows, and forgets them."""
        if self._last:
            self._flush()
        batches, self._batches = self._batches, []
        give_back()
        return pa.Table.from_batches(batches, self._schema)


def whole(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Returns a column as one array."""
    if isinstance(column, pa.Array):
        return column
    joined = column.combine_chunks()
    return joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined


def taken(column: pa.ChunkedArray | pa.Array, lines: Lines) -> pa.Array:
    """Returns some lines of a column as one array."""
    return whole(column).take(pa.array(lines))


def lines_of(table: pa.Table, lines: Lines) -> pa.Table:
    """Returns some lines of a table, each column as one array."""
    return reordered(table.columns, table.schema, lines)


def reordered(columns: list[pa.ChunkedArray], schema: pa.Schema, lines: Lines) -> pa.Table:
    """Returns some lines of columns, each as one array; takes each from the list, so that none is there twice."""
    numbers = pa.array(lines)
    taken_columns = []
    columns.reverse()
    while columns:
        taken_columns.append(whole(columns.pop()).take(numbers))
        give_back()
    return pa.Table.from_arrays(taken_columns, schema=schema)


def give_back() -> None:
    """Gives memory of columns that are gone back to the system, which Arrow would keep for later ones."""
    pa.default_memory_pool().release_unused()


def absent_from(texts: pa.Array, others: pa.Array) -> Lines:
    """Returns the places of texts that are not among others.

    As ``pyarrow.compute.is_in`` says, with a third of its memory: texts are found by their hash, and compared.
    """
    hashes = np.fromiter(map(hash, texts_of(others)), np.int64, len(others))
    order = np.argsort(hashes)
    hashes = hashes[order]
    doubtful: list[Lines] = []
    for start in range(0, len(texts), _BATCH):
        some = texts.slice(start, _BATCH)
        wanted = np.fromiter(map(hash, some.to_pylist()), np.int64, len(some))
        places = np.searchsorted(hashes, wanted)
        known = np.zeros(len(some), bool)
        there = np.flatnonzero(places < len(hashes))
        alike = others.take(pa.array(order[places[there]]))
        known[there] = pc.equal(some.take(pa.array(there)), alike).to_numpy(zero_copy_only=False)
        doubtful.append(start + np.flatnonzero(~known))
    found: Lines = np.concatenate([np.zeros(0, np.int64), *doubtful])
    # Several others may have one hash, of which the first was compared.
    rest = texts.take(pa.array(found))
    again = np.unique(np.fromiter(map(hash, texts_of(rest)), np.int64, len(rest)))
    close = others.take(pa.array(order[np.isin(hashes, again)]))
    absent: Lines = found[~pc.is_in(rest, value_set=close).to_numpy(zero_copy_only=False)]
    return absent


def texts_of(column: pa.Array) -> Iterator[str]:
    """Yields the texts of a column."""
    for start in range(0, len(column), _BATCH):
        yield from column.slice(start, _BATCH).to_pylist()


def places_of(table: pa.Table) -> pa.Array:
    """Returns raw path and frame of each line as one text."""
    frames = pc.fill_null(table["frame"].cast(pa.string()), "")
    return whole(pc.binary_join_element_wise(table["raw_path"], frames, "\0"))


def tuples(column: pa.ChunkedArray | pa.Array) -> list[tuple[str, ...]]:
    """Returns a column of lists of names as tuples; a null list is empty. Equal lists are one and the same tuple."""
    joined = whole(pc.binary_join(whole(column), _SEPARATOR)).dictionary_encode()
    kinds = [tuple(text.split(_SEPARATOR)) if text else () for text in joined.dictionary.to_pylist()]
    codes = pc.fill_null(joined.indices, len(kinds)).to_numpy().tolist()
    kinds.append(())
    return [kinds[code] for code in codes]
