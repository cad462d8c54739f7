"""The rights gate: the one place where the bytes of a shard are chosen for upload.

A card's right decides. Shards of a source whose pictures may be passed on go out as they were built; of a source whose
labels alone may, a copy without ``image`` and ``mask`` is made, and its pixels are never read; of others nothing. A
mask is pixels of the release like a picture, so it stays behind with it.

Nothing is uploaded that is not an ``Outgoing`` of this module or a page of text.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from med_mat.card import Card
from med_mat.encode import CHUNKING
from med_mat.errors import LayoutError, MedMatError
from med_mat.files import replacing, write_json
from med_mat.rows import PICTURE_COLUMNS
from med_mat.schema import IMAGE
from med_mat.vocabulary import Redistribution

GATE_VERSION = 1
ROW_GROUP_ROWS = 1000
"""Rows of a row group without pixels: about a megabyte."""
NOT_COUNTED = ("image", "licence")
"""Columns that do not enter the digest of a row: ``pixel_hash`` and ``raw_sha256`` stand for the picture, and the
wording of a licence is the card's, not the row's."""
_DIGEST_BYTES = 16
_WRITER = {"compression": "zstd", "write_page_index": True, "use_content_defined_chunking": CHUNKING}


class RightsError(MedMatError):
    """Something would go out that may not."""


@dataclass(frozen=True, slots=True)
class Right:
    """What of a source goes out.

    Attributes:
        slug: The source.
        declared: What its card allows.
        serves: What goes out.
        why: The reason, for people.
    """

    slug: str
    declared: Redistribution
    serves: Redistribution
    why: str

    @property
    def overridden(self) -> bool:
        """Whether more goes out than the card allows."""
        return self.serves == "images" and self.declared != "images"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A shard that may be uploaded.

    Attributes:
        path: Path in the repository.
        local: The file that goes out.
        sha256: Its hash.
        bytes: Its size.
        rows: Number of rows.
        digest: Sum of the digests of its rows: the same whatever the order and the shards.
    """

    path: str
    local: Path
    sha256: str
    bytes: int
    rows: int
    digest: str


def rights(
    cards: Iterable[Card], *, allow_pixels: Sequence[str] = (), withdrawn: Mapping[str, str] | None = None
) -> dict[str, Right]:
    """Decides for each source what goes out.

    Args:
        cards: Cards of the sources.
        allow_pixels: Sources whose pictures go out whatever their card says. Whoever asks must make sure that the
            repository is private.
        withdrawn: Sources that were withdrawn, and the version that did it. Nothing of them goes out.

    Raises:
        RightsError: If ``allow_pixels`` names a source that is not there, or was withdrawn.
    """
    cards = list(cards)
    unknown = sorted(set(allow_pixels) - {card.slug for card in cards})
    if unknown:
        raise RightsError(f"--allow-pixels {', '.join(unknown)}: not a source of this build; check the spelling")
    found = {}
    for card in cards:
        if withdrawn and card.slug in withdrawn:
            if card.slug in allow_pixels:
                raise RightsError(f"--allow-pixels {card.slug}: its owner had it withdrawn; it does not go out")
            found[card.slug] = Right(card.slug, card.redistribution, "none", f"withdrawn in {withdrawn[card.slug]}")
        elif card.slug in allow_pixels and card.redistribution != "images":
            found[card.slug] = Right(card.slug, card.redistribution, "images", "allowed for a private repository")
        else:
            found[card.slug] = Right(card.slug, card.redistribution, card.redistribution, _reason(card))
    return found


def _reason(card: Card) -> str:
    licence = card.licence.spdx or card.licence.name
    return {
        "images": f"licence allows it: {licence}",
        "annotations": f"pictures may not be passed on: {licence}",
        "none": f"nothing may be passed on: {licence}",
    }[card.redistribution]


def admit(build: Path, path: str, record: Mapping[str, Any], right: Right, staging: Path) -> Outgoing | None:
    """Chooses the bytes that go out for a shard of a build.

    What is found out of a shard is kept beside it in ``staging``, so that a second call reads nothing.

    Args:
        build: The build's folder.
        path: The shard's path in it.
        record: What the build's manifest says of it: ``rows``, ``bytes``, ``sha256``.
        right: What of the source goes out.
        staging: Folder for shards without pixels, and for what was found out of shards.

    Returns:
        The shard, or None if nothing of it goes out.

    Raises:
        RightsError: If the shard holds rows of another source.
        LayoutError: If the shard is not what the manifest says.
    """
    if right.serves == "none":
        return None
    shard = build / path
    if not shard.is_file() or shard.stat().st_size != record["bytes"]:
        raise LayoutError(f"{shard}: missing or changed since the build wrote it; run `med-mat build` again")
    with_pixels = right.serves == "images"
    local = shard if with_pixels else staging / path
    note = staging / f"{path}.{'images' if with_pixels else 'annotations'}.json"
    key = [GATE_VERSION, pa.__version__, record["sha256"]]
    known = _read_note(note, key, local)
    if known is None:
        digest = _without_pixels(shard, local, right.slug) if not with_pixels else _digest_shard(shard, right.slug)
        size = local.stat().st_size
        sha256 = record["sha256"] if with_pixels else _sha256(local)
        known = Outgoing(path, local, sha256, size, record["rows"], digest)
        write_json(note, {**asdict(known), "local": None, "key": key})
    return known


def _read_note(note: Path, key: list[Any], local: Path) -> Outgoing | None:
    if not note.is_file() or not local.is_file():
        return None
    told = json.loads(note.read_text(encoding="utf-8"))
    if told.pop("key") != key or local.stat().st_size != told["bytes"]:
        return None
    return Outgoing(**{**told, "local": local})


def _without_pixels(shard: Path, out: Path, slug: str) -> str:
    """Writes a copy of a shard without pixels; returns the digest of its rows."""
    source = pq.ParquetFile(shard)
    full = source.schema_arrow
    names = [field.name for field in full if field.name not in PICTURE_COLUMNS]
    total = 0
    with replacing(out) as partial, pq.ParquetWriter(partial, full, **_WRITER) as writer:
        for batch in source.iter_batches(batch_size=ROW_GROUP_ROWS, columns=names):
            rows = pa.table(
                {
                    field.name: pa.nulls(batch.num_rows, IMAGE)
                    if field.name in PICTURE_COLUMNS
                    else batch.column(field.name)
                    for field in full
                },
                schema=full,
            )
            total = add_digests(total, (_row_digest(row) for row in _rows_of(rows, slug, shard)))
            writer.write_table(rows, row_group_size=rows.num_rows)
    return digest_text(total)


def _digest_shard(shard: Path, slug: str) -> str:
    source = pq.ParquetFile(shard)
    names = [field.name for field in source.schema_arrow if field.name != "image"]
    total = 0
    for batch in source.iter_batches(batch_size=ROW_GROUP_ROWS, columns=names):
        rows = pa.Table.from_batches([batch])
        total = add_digests(total, (_row_digest(row) for row in _rows_of(rows, slug, shard)))
    return digest_text(total)


def _rows_of(rows: pa.Table, slug: str, shard: Path) -> Iterator[dict[str, Any]]:
    for row in rows.to_pylist():
        if row["source"] != slug:
            raise RightsError(f"{shard}: holds a row of {row['source']!r} in the folder of {slug!r}; build it again")
        yield row


def _row_digest(row: dict[str, Any]) -> int:
    mask = row.get("mask")
    told = {name: value for name, value in row.items() if name not in NOT_COUNTED}
    told["mask"] = hashlib.sha256(mask["bytes"]).hexdigest() if mask else None
    text = json.dumps(told, sort_keys=True, ensure_ascii=False)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).digest())


def add_digests(total: int, digests: Iterable[int]) -> int:
    """Adds digests so that the sum depends on no order."""
    return (total + sum(digests)) % (1 << 8 * _DIGEST_BYTES)


def digest_text(total: int) -> str:
    """Writes a sum of digests as 32 hex digits."""
    return f"{total:0{2 * _DIGEST_BYTES}x}"


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
