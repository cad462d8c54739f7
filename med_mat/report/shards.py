"""Single rows and single columns of a build's shards, wherever the build lies."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import accumulate
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from fsspec import AbstractFileSystem

from med_mat.errors import LayoutError


@dataclass(frozen=True)
class Shards:
    """Shards of a build or of a published dataset.

    Attributes:
        files: Where they lie.
        base: The build's folder there.
        manifest: What its ``manifest.json`` holds.
    """

    files: AbstractFileSystem
    base: str
    manifest: Mapping[str, Any]

    def of(self, slug: str) -> list[str]:
        """Paths of a source's shards, sorted; relative to the build."""
        return sorted(self.manifest["sources"][slug]["shards"])

    def rows(self, path: str) -> int:
        """Number of rows of a shard, as the manifest has it."""
        entry = self.manifest["sources"][PurePosixPath(path).parts[1]]
        return int(entry["shards"][path]["rows"])

    def columns(self, path: str, names: Sequence[str]) -> pa.Table:
        """Reads columns of a shard; the pictures are not read unless they are named.

        Raises:
            LayoutError: If the shard is not there, or is no Parquet file with these columns.
        """
        with closing(self._open(path)) as shard:
            return _checked(shard, path, names).read(columns=list(names))

    def take(self, path: str, places: Iterable[int], names: Sequence[str] | None = None) -> dict[int, dict[str, Any]]:
        """Reads some rows of a shard: of it only the row groups that hold them.

        Args:
            path: The shard.
            places: Numbers of rows, from 0.
            names: Columns; all if None.

        Returns:
            Number to row.

        Raises:
            LayoutError: As ``columns``.
        """
        found: dict[int, dict[str, Any]] = {}
        with closing(self._open(path)) as shard:
            parquet = _checked(shard, path, names or ())
            counts = (parquet.metadata.row_group(number).num_rows for number in range(parquet.num_row_groups))
            ends = list(accumulate(counts))
            groups: dict[int, list[int]] = {}
            for place in sorted(set(places)):
                groups.setdefault(bisect.bisect_right(ends, place), []).append(place)
            for group, wanted in groups.items():
                start = ends[group - 1] if group else 0
                rows = parquet.read_row_group(group, columns=None if names is None else list(names))
                rows = rows.take([place - start for place in wanted])
                found.update(zip(wanted, rows.to_pylist(), strict=True))
        return found

    def _open(self, path: str) -> Any:
        try:
            return self.files.open(f"{self.base}/{path}", "rb")
        except FileNotFoundError as error:
            raise LayoutError(
                f"{self.base}/{path}: the manifest names this shard and it is not there; build or download it again"
            ) from error


def split_of(path: str) -> str:
    """The split of a shard, from its name: ``data/<slug>/<split>-00000-of-00001.parquet``."""
    return PurePosixPath(path).name.partition("-")[0]


def _checked(shard: Any, path: str, names: Sequence[str]) -> pq.ParquetFile:
    try:
        parquet = pq.ParquetFile(shard)
    except pa.ArrowInvalid as error:
        raise LayoutError(f"{path}: expected a Parquet file that `med-mat build` wrote: {error}") from error
    absent = sorted(set(names) - set(parquet.schema_arrow.names))
    if absent:
        raise LayoutError(f"{path}: has no column {', '.join(absent)}; was it built by another version? Build it again")
    return parquet
