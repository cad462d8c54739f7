"""Writes files so that a reader sees the old one or the new one, and never a part."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from med_mat.errors import MedMatError

PARTIAL_SUFFIX = ".partial"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside ``path``; what is written there takes its place once it is on the disk.

    If the block raises, ``path`` stays as it was and the temporary file is removed.

    Raises:
        MedMatError: If there is no room for the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}{PARTIAL_SUFFIX}")
    try:
        yield partial
        with partial.open("rb+") as stream:
            os.fsync(stream.fileno())
        partial.replace(path)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise MedMatError(
            f"{path}: cannot be written ({os.strerror(error.errno)}). Free space and run again: what is finished stays"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a UTF-8 file, whole or not at all."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Writes JSON with sorted keys, so that equal values give equal bytes."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def write_table(path: Path, table: pa.Table, row_group_size: int | None = None) -> None:
    """Writes a Parquet file, whole or not at all."""
    with replacing(path) as partial:
        pq.write_table(table, partial, compression="zstd", row_group_size=row_group_size)


def remove_partials(folder: Path) -> None:
    """Removes what a killed process left half written."""
    for path in folder.rglob(f"*{PARTIAL_SUFFIX}"):
        path.unlink()
