"""Loading for readers: a config or a choice by triplet, with pictures from the reader's own downloads."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from med_mat.attach import AttachError, Empty, EmptyRowsWarning, Roots, fill
from med_mat.configs import DEFAULT, EVERYTHING, SPLITS, config_names, settled_splits
from med_mat.errors import MedMatError
from med_mat.listing import fits
from med_mat.registry import registry

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict, IterableDataset, IterableDatasetDict

    from med_mat.sample import Split

DATASET = "med-mat"
"""Where rows are loaded from unless told otherwise: the folder that ``med-mat build`` makes."""

MANIFEST = "manifest.json"


def load(
    config: str = DEFAULT,
    *,
    dataset: str | PathLike[str] = DATASET,
    split: Split | None = None,
    streaming: bool = False,
    revision: str | None = None,
    raw: Mapping[str, str | PathLike[str]] | None = None,
    empty: Empty = "drop",
    workers: int = 1,
    cache: Path | None = None,
    loaders: Iterable[Path] = (),
    modality: str | None = None,
    anatomy: str | None = None,
    task: str | None = None,
    kind: str | None = None,
) -> Dataset | DatasetDict | IterableDataset | IterableDatasetDict:
    """Loads rows, fills their pictures from the reader's own downloads, and leaves out what stays empty.

    Args:
        config: ``default`` (rows that come with pictures), ``everything``, a source, ``subset_NN``,
            ``modality_<code>`` or ``anatomy_<area>``.
        dataset: Folder of a build, or name of a repository on the Hub.
        split: ``train``, ``validation`` or ``test``; None gives a dictionary of all that there are.
        streaming: Read while iterating, with nothing on disk.
        revision: Tag, branch or commit on the Hub. Pin one to get the same rows again.
        raw: Source to its raw root, for pictures that the dataset does not hold; see ``attach_images``.
        empty: What becomes of rows that stay without picture: ``drop`` and ``keep`` warn with their number
            (``EmptyRowsWarning``), ``error`` raises.
        workers: Number of processes that fill pictures; not for streams.
        cache: Folder for compressed tars and archives within archives.
        loaders: Folders with loaders and cards of sources that this package does not have.
        modality: Only sources of this true modality, by its code.
        anatomy: Only sources of this true anatomical area.
        task: Only sources of this true task.
        kind: Only sources of this kind: ``classification``, ``multilabel``, ``detection`` or ``segmentation``.

    Returns:
        What ``load_dataset`` returns: ``Dataset`` or ``IterableDataset`` with a split, else a dictionary of them.

    Raises:
        MedMatError: If the choice leaves no source, or the dataset has no manifest where one is needed.
        AttachError: If rows stay empty and ``empty`` is ``error``.
        LayoutError: If a raw root does not look like the official download of its source.
    """
    from datasets import load_dataset

    wanted = {"modality": modality, "anatomy": anatomy, "task": task, "kind": kind}
    filters = {name: value for name, value in wanted.items() if value is not None}
    loaders = list(loaders)
    if filters:
        manifest = _manifest(dataset, revision)
        slugs = _chosen(config, manifest, filters, loaders)
        disputed = config == EVERYTHING or config in manifest["sources"]
        files = _files(dataset, revision, manifest, slugs, split, disputed=disputed)
        rows = load_dataset("parquet", data_files=files, split=split, streaming=streaming)
    else:
        rows = load_dataset(str(dataset), config, split=split, streaming=streaming, revision=revision)
        slugs = None
    if streaming:
        manifest = _manifest(dataset, revision)
        found = _members(config, manifest, loaders) if slugs is None else slugs
        _announce(manifest, found, split, set(raw or ()), empty)
    return fill(rows, Roots(registry(loaders), raw or {}, cache), empty, workers, level=3)


def raw_roots(
    folder: Path, config: str = DEFAULT, *, dataset: str | PathLike[str] = DATASET, loaders: Iterable[Path] = ()
) -> dict[str, Path]:
    """Finds the raw roots that a config needs in a folder that holds one per source, as ``med-mat build`` takes it.

    Args:
        folder: Folder with a folder or archive per source, named by slug (or by ``download_of``).
        config: As for ``load``.
        dataset: As for ``load``.
        loaders: As for ``load``.

    Returns:
        Source to raw root, of the config's sources whose pictures the dataset does not hold and whose root is there.

    Raises:
        MedMatError: If the dataset has no manifest.
    """
    from med_mat.build import raw_location

    loaders = list(loaders)
    sources = registry(loaders)
    manifest = _manifest(dataset, None)
    found = {
        slug: raw_location(folder, sources[slug].card)
        for slug in _members(config, manifest, loaders)
        if not _has_pixels(manifest, slug) and slug in sources
    }
    return {slug: location for slug, location in found.items() if location is not None}


def _manifest(dataset: str | PathLike[str], revision: str | None) -> dict[str, Any]:
    path = Path(dataset) / MANIFEST
    if not Path(dataset).is_dir():
        from huggingface_hub import hf_hub_download

        path = Path(hf_hub_download(str(dataset), MANIFEST, repo_type="dataset", revision=revision))
    if not path.is_file():
        raise MedMatError(f"{path}: not there; a build and a published dataset have one. Is {dataset} one of them?")
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return manifest


def _with_rows(manifest: Mapping[str, Any]) -> dict[str, Mapping[str, int]]:
    """Source to rows by split, of the sources that have any."""
    return {slug: entry["splits"] for slug, entry in manifest["sources"].items() if entry.get("splits")}


def _has_pixels(manifest: Mapping[str, Any], slug: str) -> bool:
    # What was built and not published holds all pictures and has no such entry.
    return bool(manifest["sources"][slug].get("serves", "images") == "images")


def _members(config: str, manifest: Mapping[str, Any], loaders: Iterable[Path]) -> list[str]:
    """Sources of a config, in the manifest's order."""
    slugs = list(_with_rows(manifest))
    if config == EVERYTHING:
        return slugs
    if config == DEFAULT:
        return [slug for slug in slugs if _has_pixels(manifest, slug)]
    if config in slugs:
        return [config]
    sources = registry(loaders)
    return [slug for slug in slugs if slug in sources and config in config_names(sources[slug].card)]


def _chosen(config: str, manifest: Mapping[str, Any], filters: Mapping[str, str], loaders: Iterable[Path]) -> list[str]:
    sources = registry(loaders)
    members = _members(config, manifest, loaders)
    strangers = [slug for slug in members if slug not in sources]
    if strangers:
        raise MedMatError(
            f"the dataset has sources that this version of med-mat has no card of: {', '.join(strangers)}; give their "
            "folder by loaders=, or load without filters"
        )
    slugs = [slug for slug in members if fits(sources[slug].card, filters)]
    if not slugs:
        asked = ", ".join(f"{name}={value!r}" for name, value in filters.items())
        raise MedMatError(f"no source of config {config!r} has {asked}; those of the config: {', '.join(members)}")
    return slugs


def _files(
    dataset: str | PathLike[str],
    revision: str | None,
    manifest: Mapping[str, Any],
    slugs: Iterable[str],
    split: str | None,
    *,
    disputed: bool,
) -> dict[str, list[str]]:
    at = f"@{revision.replace('/', '%2F')}" if revision else ""
    base = str(Path(dataset).resolve()) if Path(dataset).is_dir() else f"hf://datasets/{dataset}{at}"
    entries = manifest["sources"]
    # As in the README's configs: what merges sources leaves disputed rows out.
    with_rows = {slug: entries[slug]["splits"] if disputed else settled_splits(entries[slug]) for slug in slugs}
    which = "*" if disputed else "[0-9]*"
    files: dict[str, list[str]] = {}
    # Only what is asked for: datasets fetches every file that it is given.
    for name in SPLITS if split is None else (split,):
        paths = [f"{base}/data/{slug}/{name}-{which}.parquet" for slug in slugs if name in with_rows[slug]]
        if paths:
            files[name] = paths
    if not files:
        raise MedMatError(f"none of {', '.join(slugs)} has rows in split {split!r}")
    return files


def _announce(
    manifest: Mapping[str, Any], slugs: Iterable[str], split: str | None, given: set[str], empty: Empty
) -> None:
    """Says before a stream begins how many rows have neither picture nor raw root: a stream cannot count ahead."""
    counts = {
        slug: sum(number for name, number in splits.items() if split in (None, name))
        for slug, splits in _with_rows(manifest).items()
        if slug in set(slugs) - given and not _has_pixels(manifest, slug)
    }
    total = sum(counts.values())
    if not total:
        return
    each = ", ".join(f"{slug} {number:,}" for slug, number in sorted(counts.items()) if number)
    told = f"{total:,} rows come without picture: {each}. Give the raw roots of their sources (raw, --raw) to fill them"
    if empty == "error":
        raise AttachError(told)
    fate = "left out" if empty == "drop" else "given with a null image"
    warnings.warn(f"{told}; until then they are {fate}", EmptyRowsWarning, stacklevel=3)
