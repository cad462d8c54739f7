"""What an audit looks at: the pictures of a build, with their hashes, splits and labels, and their pixels on demand."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image

from med_mat.audit.confirm import small
from med_mat.build import WORK, raw_location
from med_mat.card import Card
from med_mat.errors import LayoutError, MedMatError
from med_mat.images import pixels
from med_mat.images.hashes import FINGERPRINT_BYTES, WINDOWS
from med_mat.plan import ONE_COLOUR
from med_mat.raw import RawRoot
from med_mat.registry import Registry

_SCAN_COLUMNS = ["raw_path", "frame", "raw_sha256", "pixel_hash", "perceptual_hash", "fingerprints", "error"]
_PLAN_COLUMNS = ["raw_path", "frame", "id", "split", "shard"]
_MOST_KEPT = 2048  # small pictures in memory, some 100 KB each

PICTURES = pa.schema(
    [
        ("number", pa.uint32()),
        ("source", pa.string()),
        ("raw_path", pa.string()),
        ("frame", pa.int32()),
        ("key", pa.string()),
        ("id", pa.string()),
        ("split", pa.string()),
        ("shard", pa.int32()),
        ("raw_sha256", pa.string()),
        ("pixel_hash", pa.string()),
        ("group", pa.string()),
        ("labels", pa.list_(pa.string())),
        ("one_colour", pa.bool_()),
        ("fingerprints", pa.binary()),
    ]
)
"""A line per picture that decodes, in order of admission. ``id``, ``split`` and ``shard`` are null for a picture that
became no row. ``one_colour`` marks what the plan takes for no picture of anything: it equals others and says nothing of
them. ``fingerprints`` is empty for these, and for pictures of next to one colour, which resemble too many others."""


@dataclass(frozen=True)
class Collection:
    """The pictures of a build.

    Attributes:
        folder: The build.
        cards: Cards of its sources in order of admission.
        pictures: Columns of ``PICTURES``.
    """

    folder: Path
    cards: tuple[Card, ...]
    pictures: pa.Table

    def card(self, slug: str) -> Card:
        """The card of a source."""
        return next(card for card in self.cards if card.slug == slug)


def read_collection(folder: Path, registry: Registry) -> Collection:
    """Reads what a build knows of its pictures.

    Args:
        folder: A build with its work folder.
        registry: All sources.

    Raises:
        LayoutError: If the folder is no build, or was scanned by an older version.
    """
    work = folder / WORK
    if not (work / "scan").is_dir():
        raise LayoutError(
            f"{folder}: expected a folder that `med-mat build` wrote, with {WORK}/scan inside; found none. An audit "
            "reads scans and plans; download is not enough, build the sources"
        )
    cards, tables = [], []
    total = 0
    for source in registry:
        if not (work / "scan" / f"{source.slug}.parquet").is_file():
            continue
        table = _source_table(work, source.slug)
        cards.append(source.card)
        number = pa.array(np.arange(total, total + table.num_rows, dtype=np.uint32))
        tables.append(table.add_column(0, "number", number).select(PICTURES.names).cast(PICTURES))
        total += table.num_rows
    return Collection(folder, tuple(cards), pa.concat_tables(tables) if tables else PICTURES.empty_table())


def _source_table(work: Path, slug: str) -> pa.Table:
    scan = pq.read_table(work / "scan" / f"{slug}.parquet")
    if "fingerprints" not in scan.column_names:
        raise LayoutError(
            f"{work / 'scan' / slug}.parquet was written by an older version, without fingerprints; run `med-mat build "
            f"{slug}` again, which scans its pictures anew"
        )
    scan = scan.select(_SCAN_COLUMNS).filter(pc.is_null(scan["error"])).drop_columns(["error"])
    one_colour = pc.is_in(scan["perceptual_hash"], value_set=pa.array(ONE_COLOUR))
    scan = scan.append_column("one_colour", one_colour)
    prints = pc.if_else(one_colour, pa.scalar(b"", pa.binary()), scan["fingerprints"])
    scan = scan.set_column(scan.column_names.index("fingerprints"), "fingerprints", prints)
    index = pq.read_table(work / "index" / f"{slug}.parquet", columns=["raw_path", "frame", "key", "group", "labels"])
    plan_file = work / "plan" / f"{slug}.parquet"
    plan = pq.read_table(plan_file, columns=_PLAN_COLUMNS) if plan_file.is_file() else None
    # Arrow joins no list columns, so lines are joined by their numbers.
    place = {place: line for line, place in enumerate(_places(index))}
    order = [place.get(one) for one in _places(scan)]
    known = pa.array([line is not None for line in order], pa.bool_())
    scan = scan.filter(known)
    index = index.take(pa.array([line for line in order if line is not None], pa.int64()))
    columns = {name: scan[name] for name in scan.column_names}
    columns |= {name: index[name] for name in ("key", "group", "labels")}
    rows = {place: line for line, place in enumerate(_places(plan))} if plan is not None else {}
    lines = pa.array([rows.get(one) for one in _places(scan)], pa.int64())
    for name in ("id", "split", "shard"):
        columns[name] = plan[name].take(lines) if plan is not None else pa.nulls(scan.num_rows)
    columns["source"] = pa.array([slug] * scan.num_rows, pa.string())
    return pa.table(columns)


def one_colour(work: Path, slug: str) -> pa.Array:
    """Pixel hashes of a source's pictures of one colour, which equal others and say nothing of them.

    Args:
        work: A build's work folder.
        slug: The source.

    Returns:
        Text, each hash once; none where the scan is not at hand.
    """
    path = work / "scan" / f"{slug}.parquet"
    if not path.is_file():
        return pa.array([], pa.string())
    filters = [("perceptual_hash", "in", list(ONE_COLOUR))]
    return pq.read_table(path, columns=["pixel_hash"], filters=filters)["pixel_hash"].unique().cast(pa.string())


def _places(table: pa.Table) -> list[tuple[str, int | None]]:
    return list(zip(table["raw_path"].to_pylist(), table["frame"].to_pylist(), strict=True))


def fingerprint_array(values: pa.ChunkedArray) -> npt.NDArray[np.uint8]:
    """Fingerprints, none of them empty, as an array of shape (n, windows, 32)."""
    width = len(WINDOWS) * FINGERPRINT_BYTES
    fixed = values.cast(pa.binary(width)).combine_chunks()
    fixed = fixed if isinstance(fixed, pa.Array) else pa.concat_arrays(fixed.chunks)
    raw = np.frombuffer(fixed.buffers()[1], np.uint8)[fixed.offset * width :]
    return raw[: len(fixed) * width].reshape(len(fixed), len(WINDOWS), FINGERPRINT_BYTES)


@dataclass
class Album:
    """Small gray pictures of a build on demand, from its shards, else from raw roots.

    Attributes:
        folder: The build.
        raw: Folder with a raw root per source; None where only the shards are at hand.
        cards: Cards by slug.
    """

    folder: Path
    raw: Path | None
    cards: dict[str, Card]
    cache: Path | None = None
    _kept: OrderedDict[int, Image.Image] = field(default_factory=OrderedDict, repr=False)
    _roots: dict[str, RawRoot | None] = field(default_factory=dict, repr=False)

    def load(self, wanted: Iterable[dict[str, Any]]) -> dict[int, Image.Image]:
        """Loads pictures, those of one shard together.

        Args:
            wanted: Lines of ``PICTURES``.

        Returns:
            Number to picture, as ``confirm.small`` gives it; without those whose pixels are not at hand.
        """
        found: dict[int, Image.Image] = {}
        by_shard: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
        for line in wanted:
            number = line["number"]
            if number in self._kept:
                self._kept.move_to_end(number)
                found[number] = self._kept[number]
            elif line["shard"] is not None:
                by_shard.setdefault((line["source"], line["split"], line["shard"]), []).append(line)
            else:
                self._add(found, line, self._from_raw(line))
        for (source, split, shard), lines in sorted(by_shard.items()):
            encoded = self._from_shard(source, split, shard, [line["id"] for line in lines])
            for line in lines:
                data = encoded.get(line["id"])
                image = self._from_raw(line) if data is None else small(_opened(data))
                self._add(found, line, image)
        return found

    def _add(self, found: dict[int, Image.Image], line: dict[str, Any], image: Image.Image | None) -> None:
        if image is None:
            return
        found[line["number"]] = self._kept[line["number"]] = image
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)

    def _from_shard(self, source: str, split: str, shard: int, ids: Sequence[str]) -> dict[str, bytes]:
        # Disputed shards are numbered on behind the others in a plan, and their names sort behind them too.
        files = sorted((self.folder / "data" / source).glob(f"{split}-*.parquet"))
        if shard >= len(files):
            return {}
        path = files[shard]
        wanted = set(ids)
        found: dict[str, bytes] = {}
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                names = file.read_row_group(group, columns=["id"])["id"].to_pylist()
                if wanted.isdisjoint(names):
                    continue
                pictures = file.read_row_group(group, columns=["image"])["image"]
                for name, picture in zip(names, pictures, strict=True):
                    if name in wanted and picture.as_py() is not None and picture["bytes"].is_valid:
                        found[name] = picture["bytes"].as_py()
        return found

    def _from_raw(self, line: dict[str, Any]) -> Image.Image | None:
        root = self._root(line["source"])
        if root is None:
            return None
        try:
            data = root.read(PurePosixPath(line["raw_path"]))
            return small(pixels(data, frame=line["frame"]))
        except (MedMatError, OSError):
            # The raw root may have changed since the scan: a picture that is not at hand is counted as such.
            return None

    def _root(self, slug: str) -> RawRoot | None:
        if slug not in self._roots:
            place = raw_location(self.raw, self.cards[slug]) if self.raw is not None else None
            self._roots[slug] = RawRoot.open(place, cache=self.cache) if place is not None else None
        return self._roots[slug]


def _opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image
