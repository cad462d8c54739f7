"""Which rows are published in which split: read from what is published, and kept beside a build.

A published row never changes its split within a major version. A build learns from these records what is published,
so that whatever is added later goes where it leaves published rows alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq

from med_mat.errors import LayoutError, MedMatError
from med_mat.files import parquet_file, place_of, replacing
from med_mat.sample import Split

if TYPE_CHECKING:
    from huggingface_hub import HfApi

FOLDER = "published"
"""Folder of the records within a build's work folder."""

RECORD = pa.schema([("id", pa.string()), ("split", pa.string())])
_METADATA_KEY = b"med_mat_published"

Splits = dict[str, Split]
"""Id to split."""


@dataclass(frozen=True)
class Record:
    """What is published of a dataset.

    Attributes:
        where: The repository, or the folder of a build.
        version: Its version; empty of a folder.
        digests: Source to the digest of its rows.
        splits: Id to split of its rows.
    """

    where: str
    version: str
    digests: Mapping[str, str]
    splits: Mapping[str, Split]

    def of(self, slug: str, digest: str) -> Splits | None:
        """Returns the rows of a source; None if it was published with other rows than a digest stands for."""
        return self._by_source.get(slug, {}) if self.digests.get(slug) == digest else None

    @cached_property
    def _by_source(self) -> dict[str, Splits]:
        found: dict[str, Splits] = {}
        for name, split in self.splits.items():
            found.setdefault(name.partition("/")[0], {})[name] = split
        return found


def record_file(work: Path, where: str) -> Path:
    """Where a build's work folder keeps what is published of a dataset."""
    name = where.replace("/", "+") if _is_repo(where) else f"folder-{hashlib.sha256(where.encode()).hexdigest()[:12]}"
    return work / FOLDER / f"{name}.parquet"


def _is_repo(where: str) -> bool:
    return where.count("/") == 1 and not where.startswith((".", "/", "~"))


def write_record(work: Path, record: Record) -> None:
    """Keeps what is published."""
    told = {"where": record.where, "version": record.version, "digests": dict(record.digests)}
    names = sorted(record.splits)
    table = pa.table(
        {"id": pa.array(names, pa.string()), "split": pa.array([record.splits[name] for name in names], pa.string())},
        schema=RECORD.with_metadata({_METADATA_KEY: json.dumps(told, sort_keys=True).encode()}),
    )
    with replacing(record_file(work, record.where)) as partial:
        pq.write_table(table, partial, compression="zstd")


def read_record(path: Path) -> Record:
    """Reads what is published.

    Raises:
        LayoutError: If the file is no record.
    """
    try:
        with parquet_file(path) as file:
            table = file.read()
        told = json.loads(table.schema.metadata[_METADATA_KEY])
        splits = dict(zip(table["id"].to_pylist(), table["split"].to_pylist(), strict=True))
        return Record(told["where"], told["version"], told["digests"], splits)
    except (pa.ArrowInvalid, KeyError, TypeError, ValueError) as error:
        raise LayoutError(
            f"{path}: expected the record of published rows that `med-mat push` wrote: {error}. Delete it, and build "
            "with --published to write it anew"
        ) from error


def read_records(work: Path) -> Splits:
    """Reads all that a build knows to be published.

    Raises:
        LayoutError: If a file is no record.
        MedMatError: If two datasets have one row in different splits.
    """
    found: Splits = {}
    where: dict[str, str] = {}
    paths = sorted((work / FOLDER).glob("*.parquet"), key=lambda path: path.name)
    for path in paths:
        record = read_record(path)
        for name, split in record.splits.items():
            if found.setdefault(name, split) != split:
                raise MedMatError(
                    f"{name} is published in {found[name]} in {where[name]} and in {split} in {record.where}. A build "
                    f"can follow one of them: delete the record of the other in {work / FOLDER}"
                )
            where.setdefault(name, record.where)
    return found


def published_record(where: str, api: HfApi | None = None) -> Record:
    """Reads what is published, without the rest: the manifest, and the column of ids of each shard.

    Args:
        where: ``owner/name`` of a repository, or the folder or fsspec URL of a build whose rows count as published.
        api: The client; else one from the environment.

    Raises:
        LayoutError: If the folder is no finished build.
        HubError: If there is no such repository, or nothing is published there.
    """
    folder = place_of(where)
    if (folder / "manifest.json").is_file() or not _is_repo(where):
        from med_mat.publication import read_manifest

        manifest = read_manifest(folder)
        splits = _splits(_shards(manifest["sources"]), lambda path: cast(BinaryIO, (folder / path).open("rb")))
        return Record(str(folder.absolute()), "", {}, splits)
    from med_mat.hub.push import published_state
    from med_mat.hub.remote import HubError, connect, plainly

    api = api or connect()
    with plainly(where):
        published = published_state(api, where)
        if published is None or published.manifest is None:
            raise HubError(f"{where}: no folder of a build, and nothing is published under that name; check it")
        sources = published.manifest["sources"]
        splits = hub_splits(api, where, published.state.commit, sources)
    return Record(where, published.manifest["version"], digests(sources), splits)


def digests(sources: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Returns the digest of each source's rows, from the entries of a published manifest."""
    return {slug: entry["digest"] for slug, entry in sources.items() if entry["serves"] != "none"}


def hub_splits(api: HfApi, repo: str, commit: str, sources: Mapping[str, Mapping[str, Any]]) -> Splits:
    """Reads ids and splits of published sources from the Hub; of each shard no other column is fetched.

    Args:
        api: The client.
        repo: ``owner/name``.
        commit: The commit to read.
        sources: Slug to entry of the published manifest.
    """
    from huggingface_hub import HfFileSystem

    files = HfFileSystem(endpoint=api.endpoint, token=api.token)
    # Without a cache of blocks, which would fetch the pictures that lie between ids.
    return _splits(
        _shards(sources), lambda path: files.open(f"datasets/{repo}@{commit}/{path}", "rb", cache_type="none")
    )


def local_splits(build: Path, sources: Mapping[str, Mapping[str, Any]]) -> Splits:
    """Reads ids and splits of some sources of a build.

    Args:
        build: The build's folder.
        sources: Slug to entry of a manifest.
    """
    return _splits(_shards(sources), lambda path: cast(BinaryIO, (build / path).open("rb")))


def _shards(sources: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for _, entry in sorted(sources.items()):
        yield from sorted(entry.get("shards", {}))


def _splits(paths: Iterable[str], opened: Callable[[str], BinaryIO]) -> Splits:
    found: Splits = {}
    for path in paths:
        split = cast(Split, PurePosixPath(path).name.partition("-")[0])
        with opened(path) as stream, pq.ParquetFile(stream) as file:
            for group in range(file.num_row_groups):
                found.update(dict.fromkeys(file.read_row_group(group, columns=["id"])["id"].to_pylist(), split))
    return found
