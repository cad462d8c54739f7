"""Rows of a build or of a published dataset by config, label and split, read as they are asked for."""

from __future__ import annotations

import bisect
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from med_mat.configs import EVERYTHING, SPLITS, config_names
from med_mat.errors import MedMatError
from med_mat.publication import read_manifest
from med_mat.registry import Registry
from med_mat.report.shards import Shards, split_of

ALL = "all"
"""Stands for every label, and for every split."""

_REMEMBERED = 16  # choices, of up to eight bytes a row


@dataclass(frozen=True)
class Choice:
    """Which rows are paged through: a config, a label or ``ALL``, a split or ``ALL``."""

    config: str
    label: str = ALL
    split: str = ALL


@dataclass(frozen=True)
class Found:
    """Rows that fit a choice: shards, and of each the numbers of its rows, or how many there are if all fit."""

    shards: tuple[tuple[str, int | npt.NDArray[np.int64]], ...]

    @property
    def total(self) -> int:
        """How many rows."""
        return sum(_length(places) for _, places in self.shards)

    def place(self, number: int) -> tuple[str, int]:
        """The shard of a row and its number there.

        Args:
            number: From 0.

        Raises:
            IndexError: If there is no such row.
        """
        ends = list(accumulate(_length(places) for _, places in self.shards))
        if not 0 <= number < self.total:
            raise IndexError(f"row {number} of {self.total}")
        shard = bisect.bisect_right(ends, number)
        path, places = self.shards[shard]
        inside = number - (ends[shard - 1] if shard else 0)
        return path, inside if isinstance(places, int) else int(places[inside])


@dataclass(frozen=True)
class Dataset:
    """A build, or a dataset on the Hub, of which only what is looked at is read.

    Attributes:
        name: Folder or repository.
        shards: Where its rows are.
        configs: Config to sources, in the order of admission.
        rights: Source to what may be passed on of it: by its card now, or, without a card, by the manifest.
    """

    name: str
    shards: Shards
    configs: Mapping[str, Sequence[str]]
    rights: Mapping[str, str]
    _found: dict[Choice, Found] = field(default_factory=dict, repr=False, compare=False)

    def labels(self, config: str) -> list[str]:
        """Labels that rows of a config bear, by name."""
        entries = [self.shards.manifest["sources"][slug] for slug in self.configs[config]]
        return sorted({label for entry in entries for counts in entry.get("labels", {}).values() for label in counts})

    def splits(self, config: str) -> list[str]:
        """Splits in which a config has rows."""
        entries = [self.shards.manifest["sources"][slug] for slug in self.configs[config]]
        return [split for split in SPLITS if any(entry["splits"].get(split) for entry in entries)]

    def find(self, choice: Choice) -> Found:
        """Finds the rows of a choice. Without a label nothing is read; with one the labels of its shards are."""
        if choice not in self._found:
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            self._found[choice] = Found(tuple(self._find(choice)))
        return self._found[choice]

    def _find(self, choice: Choice) -> Iterator[tuple[str, int | npt.NDArray[np.int64]]]:
        for slug in self.configs[choice.config]:
            counts: Mapping[str, Mapping[str, int]] = self.shards.manifest["sources"][slug].get("labels", {})
            for split in SPLITS if choice.split == ALL else (choice.split,):
                for path in self.shards.of(slug):
                    if split_of(path) != split:
                        continue
                    if choice.label == ALL:
                        yield path, self.shards.rows(path)
                    elif choice.label in counts.get(split, ()):
                        lists = self.shards.columns(path, ["labels"])["labels"].to_pylist()
                        yield path, np.flatnonzero([choice.label in labels for labels in lists])

    def row(self, choice: Choice, number: int) -> dict[str, Any]:
        """Reads a row: of its shard only the row group that holds it.

        Raises:
            IndexError: If the choice has no such row.
            LayoutError: If a shard is not what the manifest says.
        """
        path, place = self.find(choice).place(number)
        rows = self.shards.take(path, [place])
        return {**rows[place], "split": split_of(path)}


def open_dataset(name: str, registry: Registry, *, revision: str | None = None) -> Dataset:
    """Opens a folder that `med-mat build` wrote, or a dataset on the Hub.

    Args:
        name: Path of the folder, or ``ORG/repo``.
        registry: Sources; those that it lacks can be chosen by their own name alone.
        revision: Tag, branch or commit on the Hub.

    Raises:
        LayoutError: If the folder is no finished build.
        MedMatError: If the Hub has no such dataset, it has no manifest, or nothing in it has rows.
    """
    from fsspec.implementations.local import LocalFileSystem

    if Path(name).is_dir():
        shards = Shards(LocalFileSystem(), name, read_manifest(Path(name)))
    else:
        shards = _on_hub(name, revision)
    slugs = [slug for slug, entry in shards.manifest["sources"].items() if entry.get("shards")]
    if not slugs:
        raise MedMatError(f"{name}: has no rows")
    configs: dict[str, list[str]] = {EVERYTHING: slugs}
    for slug in slugs:
        for config in config_names(registry[slug].card) if slug in registry else [slug]:
            configs.setdefault(config, []).append(slug)
    rights = {
        slug: registry[slug].card.redistribution if slug in registry else entry["redistribution"]
        for slug, entry in shards.manifest["sources"].items()
    }
    ordered = sorted(configs.items(), key=lambda item: (item[0] != EVERYTHING, item[0]))
    return Dataset(name, shards, dict(ordered), rights)


def _on_hub(name: str, revision: str | None) -> Shards:
    from huggingface_hub import HfFileSystem

    files = HfFileSystem()
    base = f"datasets/{name}" + (f"@{revision.replace('/', '%2F')}" if revision else "")
    try:
        manifest = json.loads(files.read_text(f"{base}/manifest.json"))
    except FileNotFoundError as error:
        raise MedMatError(
            f"{name}: neither a folder here nor a dataset on the Hub with a manifest.json that this account may read"
        ) from error
    return Shards(files, base, manifest)


def _length(places: int | npt.NDArray[np.int64]) -> int:
    return places if isinstance(places, int) else len(places)
