"""Encode: one shard of rows, with the bytes of their pictures, as Parquet."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from med_mat.errors import LayoutError, RawChangedError
from med_mat.files import parquet_file, replacing, write_json
from med_mat.raw import RawRoot
from med_mat.schema import ROW, SCHEMA_VERSION, features

if TYPE_CHECKING:
    from med_mat.regions import Rules

ENCODER_VERSION = 1
ROW_GROUP_ROWS = 100
ROW_GROUP_BYTES = 64 << 20
CHUNKING = {"min_chunk_size": 256 << 10, "max_chunk_size": 1 << 20, "norm_level": 0}
"""Content-defined chunking as ``datasets.config.DEFAULT_CDC_OPTIONS`` has it; a test compares."""
_PICTURE_BYTES = ("image.bytes", "mask.bytes")
_METADATA_KEY = b"med_mat"


@dataclass(frozen=True, slots=True)
class ShardUnit:
    """A shard to write.

    Attributes:
        raw: The raw root; None where it is not at hand, so that the shard must be finished already.
        plan: The source's plan.
        row_group: The shard's row group in it.
        rows: Number of rows.
        out: The shard's file.
        record: The file that says what the shard holds, written after it.
        digest: Changes with the planned rows, the encoder and the schema.
        schema: The rows' Arrow schema with datasets' features in its metadata, as ``row_schema`` gives it.
        rules: What the card says of regions; None for a source without.
    """

    raw: RawRoot | None
    plan: Path
    row_group: int
    rows: int
    out: Path
    record: Path
    digest: str
    schema: pa.Schema
    rules: Rules | None = None


@dataclass(frozen=True, slots=True)
class ShardRecord:
    """What a finished shard holds."""

    digest: str
    rows: int
    bytes: int
    sha256: str


def shard_digest(rows: pa.Table) -> str:
    """Returns 32 hex digits that change when the rows of a shard, the schema or the encoder change."""
    sink = _Digest(f"{SCHEMA_VERSION}.{ENCODER_VERSION}.{pa.__version__}")
    # One contiguous copy: the bytes must not depend on how the table was cut into chunks.
    batch = rows.combine_chunks()
    with pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), batch.schema) as writer:
        writer.write_table(batch)
    return sink.digest.hexdigest()


class _Digest(io.RawIOBase):
    """A file that keeps of what is written the hash alone."""

    def __init__(self, begin: str) -> None:
        super().__init__()
        self.digest = hashlib.blake2b(begin.encode(), digest_size=16)

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self.digest.update(data)
        return len(data)


def finished(unit: ShardUnit) -> ShardRecord | None:
    """Returns the record of a shard that is already there as planned, else None."""
    if not unit.record.is_file() or not unit.out.is_file():
        return None
    record = ShardRecord(**json.loads(unit.record.read_text(encoding="utf-8")))
    if record.digest != unit.digest or unit.out.stat().st_size != record.bytes:
        return None
    return record


def encode_shard(unit: ShardUnit) -> tuple[ShardUnit, ShardRecord]:
    """Writes a shard and its record.

    Raises:
        RawChangedError: If a raw file is not what the scan saw.
        ImageError: If a picture does not decode.
    """
    if unit.raw is None:
        raise LayoutError(f"{unit.out}: cannot be written without the raw root of its source")
    metadata = {_METADATA_KEY: json.dumps({"schema": SCHEMA_VERSION, "digest": unit.digest}).encode()}
    schema = unit.schema.with_metadata({**(unit.schema.metadata or {}), **metadata})
    # A record of an earlier plan must not outlive its shard: that plan may come back.
    unit.record.unlink(missing_ok=True)
    with replacing(unit.out) as partial:
        with (
            parquet_file(unit.plan) as plan,
            pq.ParquetWriter(partial, schema, **_writer_options(schema)) as writer,
        ):
            # Not the whole shard at once: rows of small pictures are larger than their pixels.
            batches = plan.iter_batches(row_groups=[unit.row_group], batch_size=ROW_GROUP_ROWS)
            for group in _row_groups(unit.raw, batches, unit.rules):
                table = pa.Table.from_pylist(group, schema=schema)
                writer.write_table(table, row_group_size=table.num_rows)
        with partial.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        record = ShardRecord(unit.digest, unit.rows, partial.stat().st_size, sha256)
    write_json(
        unit.record,
        {"digest": record.digest, "rows": record.rows, "bytes": record.bytes, "sha256": record.sha256},
    )
    return unit, record


def _row_groups(raw: RawRoot, batches: Iterable[pa.RecordBatch], rules: Rules | None) -> Iterator[list[dict[str, Any]]]:
    from med_mat.images import publish

    group: list[dict[str, Any]] = []
    size = 0
    for batch in batches:
        for row in batch.to_pylist():
            raw_data = _read(raw, row)
            data = publish(raw_data, frame=row["frame"])
            mask = _mask(raw, row, raw_data, rules)
            length = len(data) + (0 if mask is None else len(mask))
            if group and (len(group) == ROW_GROUP_ROWS or size + length > ROW_GROUP_BYTES):
                yield group
                group, size = [], 0
            name = row["id"].split("/")[1]
            group.append(
                {
                    **{field.name: row.get(field.name) for field in ROW},
                    "image": {"bytes": data, "path": f"{name}.{_extension(data)}"},
                    "mask": None if mask is None else {"bytes": mask, "path": f"{name}.mask.png"},
                }
            )
            size += length
    if group:
        yield group


def _read(raw: RawRoot, row: dict[str, Any]) -> bytes:
    data = raw.read(PurePosixPath(row["raw_path"]))
    found = hashlib.sha256(data).hexdigest()
    if found != row["raw_sha256"]:
        raise RawChangedError(
            f"{raw.location}: {row['raw_path']} changed after it was scanned: sha256 was {row['raw_sha256']}, is "
            f"{found}. If its time did not change with it, touch it; then run the build again"
        )
    return data


def _mask(raw: RawRoot, row: dict[str, Any], data: bytes, rules: Rules | None) -> bytes | None:
    if rules is None or row["mask_hash"] is None:
        return None
    from med_mat.regions import draw, mask_hash, mask_png, orientation_of

    drawn = draw(
        row["regions"],
        (row["width"], row["height"]),
        rules,
        lambda path: raw.read(PurePosixPath(path)),
        orientation=orientation_of(data),
    )
    if drawn.mask is None or mask_hash(drawn.mask) != row["mask_hash"]:
        raise RawChangedError(
            f"{raw.location}: a mask of {row['raw_path']} changed after it was scanned. If its time did not change "
            "with it, touch it; then run the build again"
        )
    return mask_png(drawn.mask)


def _extension(data: bytes) -> str:
    return "jpg" if data[:2] == b"\xff\xd8" else "png"


def row_schema() -> pa.Schema:
    """Returns the schema of a shard, with datasets' features in its metadata."""
    return features().arrow_schema


def _writer_options(schema: pa.Schema) -> dict[str, Any]:
    """Options of the Parquet writer: leaf columns by name, so that picture bytes are treated apart.

    A dictionary of picture bytes makes writing several times slower, and compression gains nothing on JPEG and PNG.
    Content-defined chunking leaves the pages of unchanged rows as they were, for the Hub to find again.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), sink)
    parquet = pq.ParquetFile(pa.BufferReader(sink.getvalue())).schema
    leaves = [parquet.column(number).path for number in range(len(parquet))]
    plain = [leaf for leaf in leaves if leaf not in _PICTURE_BYTES]
    return {
        "compression": {leaf: "zstd" if leaf in plain else "none" for leaf in leaves},
        "use_dictionary": plain,
        "write_page_index": True,
        "use_content_defined_chunking": CHUNKING,
        "write_statistics": plain,
    }
