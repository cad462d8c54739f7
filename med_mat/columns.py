"""Columns of Arrow tables as the plan reads them: a million rows as objects would not fit into memory."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Lines = npt.NDArray[np.int64]
"""Numbers of lines of a table."""

_SEPARATOR = "\x1f"


def whole(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Returns a column as one array."""
    if isinstance(column, pa.Array):
        return column
    joined = column.combine_chunks()
    return joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined


def taken(column: pa.ChunkedArray | pa.Array, lines: Lines) -> pa.Array:
    """Returns some lines of a column as one array."""
    return whole(column).take(pa.array(lines))


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
