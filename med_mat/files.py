"""Writes files so that a reader sees the old one or the new one, and never a part; here and on shared storage.

A folder of a build is a ``pathlib.Path``, or a ``UPath`` for what fsspec reaches (``s3://…``). Both have the same
methods, so that code which only joins, lists, reads and removes need not tell them apart. What writes does.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from med_mat.errors import DependencyError, MedMatError

PARTIAL_SUFFIX = ".partial"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def place_of(location: str | os.PathLike[str]) -> Path:
    """Returns the folder or file at a path or fsspec URL: a ``Path`` on this machine's file systems, else a ``UPath``.

    Raises:
        DependencyError: If the location is a URL, and ``universal_pathlib`` or the client of its protocol is absent.
        MedMatError: If no client knows its protocol.
    """
    if not isinstance(location, str):
        return Path(location)
    if location.startswith("file://"):
        return Path(location.removeprefix("file://"))
    if "://" not in location:
        return Path(location)
    try:
        from upath import UPath

        # Workers write there too: a listing that this process remembers would be old.
        return cast(Path, UPath(location, use_listings_cache=False))
    except ImportError as error:
        raise DependencyError(
            f"{location}: shared storage needs the extra ray (pip install 'med-mat[ray]'), and for other protocols "
            f"than s3 the fsspec client of it: {error}"
        ) from error
    except ValueError as error:
        raise MedMatError(f"{location}: cannot be opened ({error}). Expected a folder or an fsspec URL.") from error


def is_local(path: Path) -> bool:
    """Tells whether a place is on one of this machine's file systems, network shares among them."""
    return isinstance(path, Path)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a temporary local path; what is written there takes the place of ``path`` once it is on the disk.

    If the block raises, ``path`` stays as it was and the temporary file is removed. Elsewhere than on a file system
    the finished file is sent at once: object stores show an object when it is whole.

    Raises:
        MedMatError: If there is no room for the file.
    """
    if not is_local(path):
        with tempfile.TemporaryDirectory(prefix="med-mat-") as folder:
            partial = Path(folder) / path.name
            yield partial
            remote = cast(Any, path)
            remote.fs.put_file(str(partial), remote.path)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    # Chance, since workers of several machines may write one file, and their process numbers may be the same.
    partial = path.with_name(f"{path.name}.{secrets.token_hex(8)}{PARTIAL_SUFFIX}")
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


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Reads a Parquet file, or some of its columns, from wherever it lies."""
    with parquet_file(path) as file:
        return file.read(columns)


@contextmanager
def parquet_file(path: Path) -> Iterator[pq.ParquetFile]:
    """Opens a Parquet file, wherever it lies, to read parts of it."""
    with path.open("rb") as stream, pq.ParquetFile(stream) as file:
        yield file


def remove_partials(folder: Path) -> None:
    """Removes what a killed process left half written on a file system."""
    if not is_local(folder):
        return
    for path in folder.rglob(f"*{PARTIAL_SUFFIX}"):
        path.unlink()
