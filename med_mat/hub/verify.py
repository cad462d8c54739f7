"""Verify: reads a published repository back, through the public clients alone, and compares it with its manifest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, UnidentifiedImageError

from med_mat.configs import DEFAULT, is_disputed
from med_mat.errors import ImageError
from med_mat.hub.remote import MAIN, HubError, Snapshot, connect, patiently, plainly, read_text, snapshot
from med_mat.hub.state import DATA, MANIFEST, Manifest, read_manifest
from med_mat.hub.upload import Progress, Silent
from med_mat.rows import PICTURE_COLUMNS

if TYPE_CHECKING:
    from huggingface_hub import HfApi

ROWS = 1000


@dataclass(frozen=True, slots=True)
class Verification:
    """What was read back.

    Attributes:
        repo: The repository.
        commit: Its commit.
        version: Its version.
        configs: Configs that resolve to the files that the manifest names.
        shards: Shards whose rows were counted.
        rows: Their rows.
        pictures: Pictures that were decoded and compared with their hash.
        problems: What is wrong, in words; empty if all is right.
    """

    repo: str
    commit: str
    version: str
    configs: int
    shards: int
    rows: int
    pictures: int
    problems: tuple[str, ...]


def verify(
    repo: str,
    revision: str = MAIN,
    *,
    per_shard: int = 1,
    progress: Progress | None = None,
    api: HfApi | None = None,
) -> Verification:
    """Reads a repository back.

    Every shard's hash and size are compared as the Hub lists them, its rows are counted from its own footer, and some
    of its pictures are decoded. Shards of sources without pixels are searched for pixels to the last row. Every config
    is resolved by datasets.

    Args:
        repo: ``owner/name``.
        revision: Branch, tag or commit.
        per_shard: Pictures to decode of each shard with pixels.
        progress: Told how far the work is, in shards.
        api: The client; else one from the environment.

    Raises:
        HubError: If there is no such repository or revision, or the Hub does not answer.
        MedMatError: If it is not one that ``med-mat push`` made.
    """
    from huggingface_hub import HfFileSystem

    api = api or connect()
    told = progress or Silent()
    with plainly(repo):
        state = patiently(lambda: snapshot(api, repo, revision))
        if state is None:
            raise HubError(f"{repo}: no such dataset repository, or no right to see it")
        if MANIFEST not in state.files:
            raise HubError(f"{repo}: has no {MANIFEST} at {revision}; was it made by `med-mat push`?")
        manifest = read_manifest(read_text(api, repo, state.commit, MANIFEST), repo)
        problems = [*_files(manifest, state), *_rights(manifest, state)]
        configs = _configs(repo, state.commit, manifest, problems)
        shards = rows = pictures = 0
        listed = [
            (slug, path, record)
            for slug, entry in sorted(manifest["sources"].items())
            for path, record in sorted(entry.get("shards", {}).items())
            if path in state.files
        ]
        told.start(f"read {repo}", len(listed))
        files = HfFileSystem(endpoint=api.endpoint, token=api.token)
        for slug, path, record in listed:
            serves = manifest["sources"][slug]["serves"]
            with files.open(f"datasets/{repo}@{state.commit}/{path}", "rb") as stream:
                try:
                    found, decoded = _shard(pq.ParquetFile(stream), path, record["rows"], serves, per_shard, problems)
                except (pa.ArrowException, KeyError) as error:
                    problems.append(f"{path}: is no shard that can be read: {error}")
                    continue
            shards, rows, pictures = shards + 1, rows + found, pictures + decoded
            told.advance(1)
    return Verification(repo, state.commit, manifest["version"], configs, shards, rows, pictures, tuple(problems))


def _files(manifest: Manifest, state: Snapshot) -> Iterator[str]:
    named: dict[str, dict[str, int | str]] = {}
    for entry in manifest["sources"].values():
        named.update(entry.get("shards", {}))
    for path, record in sorted(named.items()):
        stored = state.files.get(path)
        if stored is None:
            yield f"{path}: the manifest names it, and it is not there"
        elif (stored.hash, stored.size) != (record["sha256"], record["bytes"]):
            yield (
                f"{path}: {stored.size} bytes with hash {stored.hash}; the manifest has {record['bytes']} with "
                f"{record['sha256']}"
            )
    for path in sorted(state.files):
        if path.startswith(DATA) and path not in named:
            yield f"{path}: is there, and the manifest does not name it"


def _rights(manifest: Manifest, state: Snapshot) -> Iterator[str]:
    for slug, entry in sorted(manifest["sources"].items()):
        if entry["serves"] == "images" and entry["redistribution"] != "images":
            if slug not in manifest["allowed_pixels"]:
                yield f"{slug}: its pictures are there, its right is {entry['redistribution']}, and no override says so"
            elif not state.private:
                yield f"{slug}: its pictures are there by an override, and the repository is public"


def _configs(repo: str, commit: str, manifest: Manifest, problems: list[str]) -> int:
    """Resolves every config by datasets; returns how many are right."""
    from datasets.exceptions import DatasetsError
    from datasets.load import dataset_module_factory, get_dataset_builder_class

    right = 0
    expected = _expected(manifest)
    try:
        # As load_dataset does it for each config, but the README is parsed once and not again for each.
        module = dataset_module_factory(repo, revision=commit)
        builder = get_dataset_builder_class(module)
        names = list(builder.builder_configs)
    except (DatasetsError, OSError, ValueError) as error:
        problems.append(f"README.md: its configs cannot be read: {error}")
        return 0
    for name in sorted({"default", "everything", *manifest["sources"]} - set(names)):
        if expected.get(name):
            problems.append(f"config {name}: the README does not name it")
    for name in names:
        try:
            made = builder(config_name=name, hash=module.hash, **module.builder_kwargs)
            files = made.config.data_files or {}
        except (DatasetsError, OSError, ValueError) as error:
            problems.append(f"config {name}: cannot be resolved: {error}")
            continue
        found = {str(path).partition(f"@{commit}/")[2] for paths in files.values() for path in paths}
        if not found:
            problems.append(f"config {name}: resolves to no file")
        elif name in expected and found != expected[name]:
            odd = sorted(found ^ expected[name])
            problems.append(f"config {name}: {len(odd)} files too many or too few, the first {odd[0]}")
        elif not found <= expected["everything"]:
            problems.append(f"config {name}: resolves to {sorted(found - expected['everything'])[0]}")
        elif name not in expected and any(map(is_disputed, found)):
            problems.append(f"config {name}: merges sources, and has {min(filter(is_disputed, found))}")
        else:
            right += 1
    return right


def _expected(manifest: Manifest) -> dict[str, set[str]]:
    """Gives the files of the configs that the manifest alone determines: sources, ``default``, ``everything``.

    Disputed rows are in a source's own config and in ``everything``.
    """
    sources = manifest["sources"]
    expected = {slug: set(entry.get("shards", {})) for slug, entry in sources.items()}
    every: set[str] = set().union(*expected.values())
    served = [expected[slug] for slug, entry in sources.items() if entry["serves"] == "images"]
    settled = {path for path in set().union(*served) if not is_disputed(path)}
    return {**expected, "everything": every, DEFAULT: settled}


def _shard(
    shard: pq.ParquetFile, path: str, expected: int, serves: str, per_shard: int, problems: list[str]
) -> tuple[int, int]:
    """Reads a shard; returns its rows and how many pictures were right."""
    rows: int = shard.metadata.num_rows
    if rows != expected:
        problems.append(f"{path}: {rows} rows; the manifest has {expected}")
    if serves == "images":
        return rows, _pictures(shard, path, per_shard, problems)
    _no_pixels(shard, path, problems)
    return rows, 0


def _no_pixels(shard: pq.ParquetFile, path: str, problems: list[str]) -> None:
    for batch in shard.iter_batches(batch_size=ROWS, columns=list(PICTURE_COLUMNS)):
        for name in PICTURE_COLUMNS:
            column = batch.column(name)
            if column.null_count != len(column):
                problems.append(f"{path}: {len(column) - column.null_count} rows of a restricted source have {name}")


def _pictures(shard: pq.ParquetFile, path: str, number: int, problems: list[str]) -> int:
    """Decodes the first pictures of a shard; returns how many were right."""
    from med_mat.images import pixel_hash

    right = 0
    columns = ["id", "image", "pixel_hash", "width", "height"]
    batch = next(shard.iter_batches(batch_size=max(1, number), columns=columns), None)
    for row in [] if batch is None else batch.to_pylist()[:number]:
        try:
            picture = Image.open(BytesIO(row["image"]["bytes"]))
            picture.load()
        except (TypeError, OSError, UnidentifiedImageError, ImageError) as error:
            problems.append(f"{path}: the picture of {row['id']} does not decode: {error}")
            continue
        if picture.size != (row["width"], row["height"]):
            problems.append(f"{path}: the picture of {row['id']} is {picture.size}, not as its row says")
        elif pixel_hash(picture) != row["pixel_hash"]:
            problems.append(f"{path}: the picture of {row['id']} has other pixels than its row says")
        else:
            right += 1
    return right
