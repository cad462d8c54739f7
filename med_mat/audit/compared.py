"""What comparing pixels said, kept beside a build: the next audit need not do it again, and the next plan reads it.

Pictures are named by their pixel hashes, so that what was found out of two pictures stays known when one of them
becomes no row, moves, or is away for a while.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from med_mat.audit.confirm import SAME, Agreement
from med_mat.files import write_table

VERSION = 2
_VERSION_KEY = b"med_mat_compared"

_BOX = pa.list_(pa.float32(), 4)

COMPARED = pa.schema(
    [
        ("first", pa.string()),
        ("second", pa.string()),
        ("detail", pa.float32()),
        ("outline", pa.float32()),
        ("first_part", _BOX),
        ("second_part", _BOX),
    ],
    metadata={_VERSION_KEY: str(VERSION).encode()},
)
"""A line per pair of pixel hashes that was compared, sorted."""

Known = dict[tuple[str, str], Agreement]
"""Two pixel hashes, the smaller first, to how the pictures agree."""


def compared_file(work: Path) -> Path:
    """Where a build's work folder keeps what was compared."""
    return work / "audit" / "compared.parquet"


def read_compared(path: Path) -> Known:
    """Reads what was compared; empty if nothing was, or by another version."""
    if not path.is_file():
        return {}
    table = pq.read_table(path)
    if (table.schema.metadata or {}).get(_VERSION_KEY) != str(VERSION).encode():
        return {}
    return {
        (line["first"], line["second"]): Agreement(
            line["detail"], line["outline"], tuple(line["first_part"]), tuple(line["second_part"])
        )
        for line in table.to_pylist()
    }


def write_compared(path: Path, known: Known) -> None:
    """Writes what was compared."""
    lines = [
        {
            "first": first,
            "second": second,
            "detail": agreement.detail,
            "outline": agreement.outline,
            "first_part": agreement.first_part,
            "second_part": agreement.second_part,
        }
        for (first, second), agreement in sorted(known.items())
    ]
    write_table(path, pa.Table.from_pylist(lines, schema=COMPARED))


def near_duplicates(work: Path) -> list[tuple[str, str]]:
    """Pairs of pixel hashes that audits of a build found to be one picture; what ``components.links`` reads."""
    path = compared_file(work)
    if not path.is_file() or (pq.read_schema(path).metadata or {}).get(_VERSION_KEY) != str(VERSION).encode():
        return []
    table = pq.read_table(path, columns=["first", "second", "detail"])
    same = table.filter(pc.greater_equal(table["detail"], pa.scalar(SAME, pa.float32())))
    return list(zip(same["first"].to_pylist(), same["second"].to_pylist(), strict=True))


def ordered(one: str, other: str) -> tuple[str, str]:
    """Two pixel hashes, the smaller first."""
    return (one, other) if one <= other else (other, one)
