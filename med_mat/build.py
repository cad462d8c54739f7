"""Build: raw roots to a folder that ``load_dataset`` reads. Restartable, and the same bytes with any workers."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow.compute as pc
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from med_mat.audit.compared import near_duplicates
from med_mat.audit.components import links
from med_mat.card import Card
from med_mat.configs import Config, configs, settled_splits, shard_path
from med_mat.dataset_card import dataset_card
from med_mat.encode import ShardRecord, ShardUnit, encode_shard, finished, row_schema, shard_digest
from med_mat.engine import Engine, processes
from med_mat.errors import CardError, LayoutError, MedMatError
from med_mat.files import (
    is_local,
    place_of,
    read_table,
    remove_partials,
    replacing,
    write_json,
    write_table,
    write_text,
)
from med_mat.hashing import MAX_SALT_BYTES
from med_mat.hub.records import read_records, write_record
from med_mat.index import Index, Oddity, index_source
from med_mat.manifest import build_manifest
from med_mat.plan import INDEX_COLUMNS, SCAN_COLUMNS, SHARD_BYTES, SPLITS, Input, SourcePlan, plan
from med_mat.raw import RawRoot
from med_mat.registry import Registry, Source
from med_mat.sample import Split
from med_mat.scan import region_rules, scan

WORK = ".med-mat"
"""Folder inside a build for indexes, scans and plans; nothing in it is published."""

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


class Progress(Protocol):
    """What a build tells while it runs."""

    def start(self, stage: str, total: int) -> None:
        """A stage begins; ``total`` pictures or rows are ahead."""

    def advance(self, number: int) -> None:
        """Some of them are done."""


class _Silent:
    def start(self, stage: str, total: int) -> None: ...

    def advance(self, number: int) -> None: ...


@dataclass
class SourceResult:
    """How a source came out of a build.

    Attributes:
        slug: The source.
        index: What its loader found; None if the layout did not fit.
        plan: Its rows; None if it has none.
        failure: Why this build could not read it, so that the folder keeps what it had of it; None if it could.
        shards: Shards of the source, and how many of them were written now.
    """

    slug: str
    index: Index | None = None
    plan: SourcePlan | None = None
    failure: str | None = None
    shards: int = 0
    written: int = 0

    @property
    def undeclared(self) -> list[Oddity]:
        """What is odd and not expected by the card, from index, scan and plan."""
        found = list(self.index.undeclared) if self.index is not None else []
        return found + (list(self.plan.undeclared) if self.plan is not None else [])


@dataclass(frozen=True)
class BuildResult:
    """A finished build.

    Attributes:
        out: The folder.
        sources: Results in order of admission.
        configs: What ``load_dataset`` takes.
        manifest: What ``manifest.json`` holds.
    """

    out: Path
    sources: tuple[SourceResult, ...]
    configs: tuple[Config, ...]
    manifest: dict[str, Any]

    @property
    def exit_code(self) -> int:
        """2 if a source failed, 1 if something undeclared is odd, else 0."""
        if any(source.failure for source in self.sources):
            return 2
        return 1 if any(source.undeclared for source in self.sources) else 0


def raw_location(raw: Path, card: Card) -> Path | None:
    """Finds a source's raw root in a folder of raw roots: a folder or an archive of its name.

    One of its own name wins over that of the source whose download it reads.
    """
    for slug in dict.fromkeys((card.slug, card.raw_slug)):
        for name in (slug, *(f"{slug}{suffix}" for suffix in ARCHIVES)):
            if (raw / name).exists():
                return raw / name
    return None


def build(
    registry: Registry,
    raw: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    slugs: Sequence[str] = (),
    workers: int = 1,
    engine: Engine | None = None,
    salt: bytes = b"",
    shard_bytes: int = SHARD_BYTES,
    cache: Path | None = None,
    progress: Progress | None = None,
    published: str | os.PathLike[str] | None = None,
    new_major: bool = False,
) -> BuildResult:
    """Builds sources into a folder.

    What the folder already holds of other sources stays. Only shards whose rows changed are written. A build that
    was stopped goes on where it stopped.

    Args:
        registry: All sources.
        raw: Folder or fsspec URL with a raw root per source, named by slug (or by ``download_of``).
        out: The folder to build, or its fsspec URL; there only builds started on this machine are kept apart. An engine
            of several machines needs an absolute path.
        slugs: Sources to build; all whose raw root is there if empty.
        workers: Number of processes of this machine.
        engine: Spreads scan and encode in their stead; raw roots and ``out`` must lie where all its machines see them.
        salt: Secret for hashed groups and private keys.
        shard_bytes: Aim for the size of a shard.
        cache: Where compressed tars and archives within archives are unpacked.
        progress: Told how far the build is.
        published: ``owner/name`` of a repository, or the folder of a build, whose rows keep their splits. The folder
            remembers it; what it was pushed to it knows by itself.
        new_major: Plan as if nothing were published: rows may change their splits, for the next major version.

    Raises:
        LayoutError: If no raw root of a source is there; if the folder holds a source that has no loader, or one whose
            shards must be written anew without its raw root; if what is published cannot be read.
        RawChangedError: If a raw file changes while it is built.
        MedMatError: If the salt is too long, another build is writing into the folder, or two published datasets have
            one row in different splits.
        KeyError: If a slug is unknown.
    """
    spread = engine or processes(workers)
    place = place_of(out)
    if is_local(place):
        (place / WORK).mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(_lock_file(place), timeout=0):
            if published is not None:
                _remember(place, os.fspath(published))
            known = {} if new_major else read_records(place / WORK)
            return _build(
                registry, place_of(raw), place, slugs, spread, salt, shard_bytes, cache, progress or _Silent(), known
            )
    except Timeout as error:
        raise MedMatError(
            f"{out}: another build is writing into this folder; wait for it, or choose another"
        ) from error


def _remember(out: Path, published: str) -> None:
    from med_mat.hub.records import published_record

    write_record(out / WORK, published_record(published))


def _lock_file(out: Path) -> Path:
    if is_local(out):
        return out / WORK / "lock"
    # An object store has no locks.
    name = hashlib.blake2b(str(out).encode(), digest_size=16).hexdigest()
    return Path(tempfile.gettempdir()) / f"med-mat-{name}.lock"


def _build(
    registry: Registry,
    raw: Path,
    out: Path,
    slugs: Sequence[str],
    engine: Engine,
    salt: bytes,
    shard_bytes: int,
    cache: Path | None,
    progress: Progress,
    published: Mapping[str, Split],
) -> BuildResult:
    work = out / WORK
    if len(salt) > MAX_SALT_BYTES:
        raise MedMatError(f"the salt has {len(salt)} bytes; give at most {MAX_SALT_BYTES}")
    _refuse_strangers(registry, out)
    remove_partials(out)
    chosen = _choose(registry, raw, slugs)
    results: dict[str, SourceResult] = {}
    roots: dict[str, RawRoot] = {}
    for source, location in chosen:
        result = results[source.slug] = SourceResult(source.slug)
        try:
            _refuse_unsalted(source.card, salt)
            root = RawRoot.open(location if is_local(location) else str(location), cache=cache)
            result.index = index_source(source, root, allow_missing=True)
            _refuse_unknown_labels(result.index)
            _refuse_vanished(result.index, _summary_file(work, source.slug))
        except MedMatError as error:
            # What the folder holds of it stays as it was, so that no row of a later source changes its split.
            result.failure = str(error)
            continue
        roots[source.slug] = root
        progress.start(f"scan {source.slug}", result.index.table.num_rows)
        scan(
            root,
            result.index.table,
            _scan_file(work, source.slug),
            rules=region_rules(source.card),
            engine=engine,
            progress=progress.advance,
        )
        # After the scan: a build that is stopped in it leaves an older index with the scan that belongs to it.
        write_json(_summary_file(work, source.slug), result.index.as_dict())
        write_table(work / "index" / f"{source.slug}.parquet", result.index.table)
    plans = plan(
        _Inputs(registry, work),
        [source.card for source in registry],
        salt=salt,
        shard_bytes=shard_bytes,
        near=links(near_duplicates(work)),
        published=published,
    )
    for source_plan in plans:
        slug = source_plan.card.slug
        results.setdefault(slug, SourceResult(slug)).plan = source_plan
    units = {
        source_plan.card.slug: _shard_units(source_plan, out, roots.get(source_plan.card.slug)) for source_plan in plans
    }
    records = _encode(units, results, engine, progress)
    _remove_old(out, units)
    return _finish(registry, out, plans, results, records)


def _choose(registry: Registry, raw: Path, slugs: Sequence[str]) -> list[tuple[Source, Path]]:
    wanted = [registry[slug] for slug in slugs] or list(registry)
    found = [(source, raw_location(raw, source.card)) for source in wanted]
    if slugs:
        for source, location in found:
            if location is None:
                raise LayoutError(
                    f"{raw}: no raw root of {source.slug}; expected a folder or archive named {source.card.raw_slug!r} "
                    f"with {source.card.title}. {source.card.download.how}"
                )
    there = {source.slug: location for source, location in found if location is not None}
    if not there:
        raise LayoutError(
            f"{raw}: holds no raw root; expected folders or archives named like a source, such as "
            f"{', '.join(source.card.raw_slug for source in wanted[:5])}. `med-mat sources` lists all"
        )
    # In order of admission, whatever the order on the command line.
    return [(source, there[source.slug]) for source in registry if source.slug in there]


def _refuse_strangers(registry: Registry, out: Path) -> None:
    strangers = sorted(path.name for path in (out / "data").glob("*/") if path.name not in registry)
    if strangers:
        raise LayoutError(
            f"{out} holds rows of {', '.join(strangers)}, for which there is no loader; give their --loaders folder, "
            f"or delete {out / 'data' / strangers[0]} to leave them out"
        )


def _refuse_unsalted(card: Card, salt: bytes) -> None:
    if card.path_ids == "private" and not salt:
        raise CardError(
            f"{card.slug}: its file names may not be published (path_ids: private), so a salt is needed; "
            "set --salt-file"
        )


def _refuse_unknown_labels(index: Index) -> None:
    unknown = [oddity for oddity in index.undeclared if oddity.kind == "unknown_label"]
    if unknown:
        raise LayoutError(
            f"{index.slug}: {len(unknown)} samples bear labels that the card does not know, the first at "
            f"{unknown[0].path}: {unknown[0].detail}. Run `med-mat index {index.slug}` to see all"
        )


def _refuse_vanished(index: Index, summary: Path) -> None:
    if index.found.total or not index.missing.total or not summary.is_file():
        return
    before = json.loads(summary.read_text(encoding="utf-8"))["samples"]["total"]
    if before:
        raise LayoutError(
            f"{index.slug}: its label files are there and none of its pictures, of which an earlier build found "
            f"{before}. Is a disk not mounted? To leave the source out, delete its folder in the build"
        )


def _summary_file(work: Path, slug: str) -> Path:
    return work / "index" / f"{slug}.json"


def _scan_file(work: Path, slug: str) -> Path:
    return work / "scan" / f"{slug}.parquet"


@dataclass(frozen=True)
class _Inputs:
    """The sources that a folder has indexes and scans of, read one after the other, as often as asked."""

    registry: Registry
    work: Path

    def __iter__(self) -> Iterator[Input]:
        for source in self.registry:
            index, scanned = self.work / "index" / f"{source.slug}.parquet", _scan_file(self.work, source.slug)
            if index.is_file() and scanned.is_file():
                yield Input(source.card, read_table(index, INDEX_COLUMNS), read_table(scanned, SCAN_COLUMNS))


def _shard_units(source_plan: SourcePlan, out: Path, root: RawRoot | None) -> list[ShardUnit]:
    """Writes the plan with one row group per shard and lists the shards."""
    slug = source_plan.card.slug
    table = source_plan.table
    path = out / WORK / "plan" / f"{slug}.parquet"
    units: list[ShardUnit] = []
    schema = row_schema()
    with replacing(path) as partial, pq.ParquetWriter(partial, table.schema, compression="zstd") as writer:
        for split in SPLITS:
            in_split = pc.equal(table["split"], split)
            numbers = table["shard"].filter(in_split)
            shards = (pc.max(numbers).as_py() if len(numbers) else -1) + 1
            settled = shards - source_plan.aside.get(split, 0)
            for shard in range(shards):
                rows = table.filter(pc.and_(in_split, pc.equal(table["shard"], shard)))
                writer.write_table(rows, row_group_size=rows.num_rows)
                if shard < settled:
                    name = shard_path(slug, split, shard, settled)
                else:
                    name = shard_path(slug, split, shard - settled, shards - settled, disputed=True)
                units.append(
                    ShardUnit(
                        raw=root,
                        plan=path,
                        row_group=len(units),
                        rows=rows.num_rows,
                        out=out / name,
                        record=out / WORK / "shards" / f"{name}.json",
                        digest=shard_digest(rows),
                        schema=schema,
                        rules=region_rules(source_plan.card),
                    )
                )
    return units


def _encode(
    units: dict[str, list[ShardUnit]], results: dict[str, SourceResult], engine: Engine, progress: Progress
) -> dict[Path, ShardRecord]:
    records = {}
    fresh: list[ShardUnit] = []
    slug_of = {}
    for slug, shards in units.items():
        results[slug].shards = len(shards)
        for unit in shards:
            slug_of[unit.out] = slug
            record = finished(unit)
            if record is not None:
                records[unit.out] = record
            elif unit.raw is None:
                why = results[slug].failure or "its raw root is not among those given; give it too"
                raise LayoutError(
                    f"{unit.out.name} of {slug} has to be written anew since its card changed, or another source now "
                    f"shares its pictures or answers them differently, and cannot be: {why}"
                )
            else:
                fresh.append(unit)
    progress.start("encode", sum(unit.rows for unit in fresh))
    for unit, record in engine(encode_shard, fresh):
        records[unit.out] = record
        results[slug_of[unit.out]].written += 1
        progress.advance(unit.rows)
    return records


def _remove_old(out: Path, units: dict[str, list[ShardUnit]]) -> None:
    current = {unit.out for shards in units.values() for unit in shards}
    for path in (out / "data").glob("*/*.parquet"):
        if path not in current:
            path.unlink()
            (out / WORK / "shards" / path.relative_to(out)).with_suffix(".parquet.json").unlink(missing_ok=True)
    for folder in (out / "data").glob("*/"):
        if is_local(folder) and not any(folder.iterdir()):
            folder.rmdir()


def _finish(
    registry: Registry,
    out: Path,
    plans: Sequence[SourcePlan],
    results: dict[str, SourceResult],
    records: dict[Path, ShardRecord],
) -> BuildResult:
    manifest = build_manifest(plans, out, records, {plan.card.slug: _summary(out, plan.card.slug) for plan in plans})
    entries = manifest["sources"]
    listed = configs(
        ((source_plan.card, list(entries[source_plan.card.slug]["splits"])) for source_plan in plans),
        settled={slug: settled_splits(entry) for slug, entry in entries.items()},
    )
    write_json(out / "manifest.json", manifest)
    write_text(out / "README.md", dataset_card(listed, [source_plan.card for source_plan in plans], manifest))
    order = [source.slug for source in registry if source.slug in results]
    return BuildResult(out, tuple(results[slug] for slug in order), tuple(listed), manifest)


def _summary(out: Path, slug: str) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads(_summary_file(out / WORK, slug).read_text(encoding="utf-8"))
    return summary
