"""Scan: every picture of a raw root decoded in full, once: hashes, size, regions, and what does not decode."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from med_mat.columns import Lines, lines_of, places_of, reordered, whole
from med_mat.engine import Engine, processes
from med_mat.errors import DependencyError, MedMatError
from med_mat.files import read_table, write_table
from med_mat.hashing import content_digest
from med_mat.raw import RawRoot
from med_mat.schema import SCAN

if TYPE_CHECKING:
    from med_mat.card import Card
    from med_mat.regions import Rules

SCAN_VERSION = 3
_VERSION_KEY = b"med_mat_scan"
_UNIT_PICTURES = 128
_UNIT_BYTES = 64 << 20
_BATCH = 1 << 13
_STATE = ["raw_path", "frame", "size", "mtime_ns", "region_state", "error", "region_error"]


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture to look at, with the state of its file when the raw root was listed.

    ``regions`` is what the index holds of them, None for a source without; ``region_state`` changes with it, with the
    files that it names and with the card's rules.
    """

    raw_path: str
    frame: int | None
    size: int
    mtime_ns: int
    regions: str | None = None
    region_state: str | None = None


@dataclass(frozen=True, slots=True)
class ScanUnit:
    """Some pictures of one raw root, and what the card says of their regions."""

    raw: RawRoot
    pictures: tuple[Picture, ...]
    rules: Rules | None = None


def region_rules(card: Card) -> Rules | None:
    """Returns what a card says of the regions of its source; None for a source without."""
    if not card.has_regions:
        return None
    from med_mat.regions import Rules

    return Rules(
        labels=card.region_labels,
        priority=tuple(card.overlap_priority),
        smallest=card.smallest_region,
        drawn_on=card.drawn_on,
        always_masked=card.kind == "segmentation",
    )


def scan_unit(unit: ScanUnit) -> list[dict[str, Any]]:
    """Decodes the pictures of a unit; one line of ``schema.SCAN`` each."""
    return [_look_at(unit.raw, picture, unit.rules) for picture in unit.pictures]


def _look_at(raw: RawRoot, picture: Picture, rules: Rules | None) -> dict[str, Any]:
    from med_mat.images import examine

    line: dict[str, Any] = {
        "raw_path": picture.raw_path,
        "frame": picture.frame,
        "size": picture.size,
        "mtime_ns": picture.mtime_ns,
        "region_state": picture.region_state,
    }
    try:
        data = raw.read(PurePosixPath(picture.raw_path))
        line["raw_sha256"] = hashlib.sha256(data).hexdigest()
        seen = examine(data, frame=picture.frame)
    except OSError as error:
        return {**line, "error": f"cannot be read: {error.strerror or type(error).__name__}"}
    except MemoryError:
        return {**line, "error": "cannot be read: it needs more memory than there is"}
    except DependencyError:
        raise
    except MedMatError as error:
        # Where the root lies is no part of the reason: equal builds have equal manifests.
        return {**line, "error": str(error).removeprefix(f"{raw.location}: ")}
    facts = seen.facts
    regions = {} if rules is None else _regions(raw, picture, rules, data, (facts.width, facts.height))
    return {
        **line,
        **regions,
        "pixel_hash": seen.pixel_hash,
        "perceptual_hash": seen.perceptual_hash,
        "fingerprints": seen.fingerprints,
        "width": facts.width,
        "height": facts.height,
        "format": facts.format,
        "mode": facts.mode,
        "rule": facts.rule,
        "published_bytes": facts.published_bytes,
    }


def _regions(raw: RawRoot, picture: Picture, rules: Rules, data: bytes, size: tuple[int, int]) -> dict[str, Any]:
    from med_mat.regions import draw, mask_hash, mask_png, orientation_of

    try:
        drawn = draw(
            picture.regions or "[]",
            size,
            rules,
            lambda path: raw.read(PurePosixPath(path)),
            orientation=orientation_of(data),
        )
    except OSError as error:
        return {"region_error": f"a mask cannot be read: {error.strerror or type(error).__name__}"}
    except MedMatError as error:
        return {"region_error": str(error).removeprefix(f"{raw.location}: ")}
    return {
        "objects": drawn.objects,
        "areas": [
            {"label": label, "area": area, "specks": drawn.specks.get(label, 0)} for label, area in drawn.areas.items()
        ],
        "mask_hash": None if drawn.mask is None else mask_hash(drawn.mask),
        "mask_bytes": 0 if drawn.mask is None else len(mask_png(drawn.mask)),
    }


def scan(
    raw: RawRoot,
    index: pa.Table,
    out: Path,
    *,
    rules: Rules | None = None,
    workers: int = 1,
    engine: Engine | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> pa.Table:
    """Scans the pictures of an index, but for those that an earlier scan saw in the same state.

    The state of a file is its path, size and modification time. A scan that is stopped goes on where it stopped.
    Pictures that could not be read are tried again.

    Args:
        raw: The raw root.
        index: Columns of ``schema.INDEX``.
        out: The scan's Parquet file; parts of an unfinished scan lie in a folder beside it.
        rules: What the card says of regions, for sources of boxes and masks.
        workers: Number of processes of this machine.
        engine: Spreads the work in their stead.
        progress: Called with the number of pictures done, for each step.

    Returns:
        Columns of ``schema.SCAN``, one line per picture of the index, in order of path and frame.
    """
    pictures = _pictures(index, rules)
    parts = out.with_suffix(".parts")
    fresh = _fresh(pictures, out, parts)
    progress(pictures.num_rows - len(fresh))
    if len(fresh):
        spread = engine or processes(workers)
        # Parts are numbered on from those of an earlier, unfinished scan.
        number = len(list(parts.glob("*.parquet")))
        for lines in spread(scan_unit, _units(raw, _listed(pictures, fresh), rules)):
            write_table(parts / f"{number:06d}.parquet", _with_version(pa.Table.from_pylist(lines, schema=SCAN)))
            number += 1
            progress(len(lines))
    table = _merge(out, parts, pictures)
    write_table(out, table)
    for path in parts.glob("*.parquet"):
        path.unlink()
    if parts.is_dir():
        parts.rmdir()
    return table


def _pictures(index: pa.Table, rules: Rules | None) -> pa.Table:
    """The pictures to look at, as columns, in order of path and frame."""
    table = index.select(["raw_path", "frame", "size", "mtime_ns"])
    if rules is None:
        empty = pa.nulls(table.num_rows, pa.string())
        table = table.append_column("regions", empty).append_column("region_state", empty)
    else:
        said = repr(astuple(rules))
        states = pa.array(
            (
                content_digest([said, line["regions"], repr(line["region_files"])])
                for batch in index.select(["regions", "region_files"]).to_batches(max_chunksize=_BATCH)
                for line in batch.to_pylist()
            ),
            pa.string(),
        )
        table = table.append_column("regions", index["regions"]).append_column("region_state", states)
    places = pa.table({"raw_path": table["raw_path"], "frame": _frames(table), "line": np.arange(table.num_rows)})
    order = pc.sort_indices(places, sort_keys=[(name, "ascending") for name in places.column_names])
    return lines_of(table, order.to_numpy().astype(np.int64))


def _frames(table: pa.Table) -> pa.ChunkedArray:
    return pc.fill_null(table["frame"], -1)


def _listed(pictures: pa.Table, lines: Lines) -> Iterator[Picture]:
    for start in range(0, len(lines), _BATCH):
        for line in lines_of(pictures, lines[start : start + _BATCH]).to_pylist():
            yield Picture(**line)


def _units(raw: RawRoot, pictures: Iterable[Picture], rules: Rules | None) -> Iterator[ScanUnit]:
    unit: list[Picture] = []
    size = 0
    for picture in pictures:
        if unit and (len(unit) == _UNIT_PICTURES or size + picture.size > _UNIT_BYTES):
            yield ScanUnit(raw, tuple(unit), rules)
            unit, size = [], 0
        unit.append(picture)
        size += picture.size
    if unit:
        yield ScanUnit(raw, tuple(unit), rules)


def _stored(out: Path, parts: Path) -> Iterator[pa.Table]:
    for path in [out, *sorted(parts.glob("*.parquet"))]:
        if path.is_file():
            table = read_table(path)
            if (table.schema.metadata or {}).get(_VERSION_KEY) == str(SCAN_VERSION).encode():
                yield table


def _with_version(table: pa.Table) -> pa.Table:
    return table.replace_schema_metadata({_VERSION_KEY: str(SCAN_VERSION).encode()})


def _fresh(pictures: pa.Table, out: Path, parts: Path) -> Lines:
    """Lines of the pictures that no earlier scan saw in their present state."""
    known = pa.concat_tables(
        [SCAN.empty_table().select(_STATE), *(table.select(_STATE) for table in _stored(out, parts))]
    )
    if not known.num_rows:
        return np.arange(pictures.num_rows)
    last = _last_lines(known, pictures)
    seen = lines_of(known, np.where(last < 0, 0, last))
    # What failed is tried again: the disk may have been away, or a decoder missing.
    same = pc.and_(pc.is_null(seen["error"]), pc.is_null(seen["region_error"]))
    for name in ("size", "mtime_ns", "region_state"):
        both_null = pc.and_(pc.is_null(seen[name]), pc.is_null(pictures[name]))
        same = pc.and_(same, pc.or_(both_null, pc.fill_null(pc.equal(seen[name], pictures[name]), False)))
    return np.flatnonzero(~(whole(same).to_numpy(zero_copy_only=False) & (last >= 0)))


def _last_lines(stored: pa.Table, pictures: pa.Table) -> Lines:
    """The last line of each picture's place in what is stored, which saw the latest state of its file; -1 for none."""
    places = places_of(stored)
    backwards = places.take(pa.array(np.arange(len(places))[::-1]))
    found = pc.fill_null(pc.index_in(places_of(pictures), value_set=backwards), -1).to_numpy().astype(np.int64)
    return np.where(found < 0, -1, len(places) - 1 - found)


def _merge(out: Path, parts: Path, pictures: pa.Table) -> pa.Table:
    stored = list(_stored(out, parts))
    if not stored:
        return _with_version(SCAN.empty_table())
    table = pa.concat_tables(stored)
    del stored
    lines = _last_lines(table, pictures)
    columns, schema = table.columns, table.schema
    del table
    return _with_version(reordered(columns, schema, lines))
