"""What a report says of each source: from the manifest, the cards and the columns of the shards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from fsspec.implementations.local import LocalFileSystem

from med_mat.audit.collection import one_colour
from med_mat.audit.compared import near_duplicates
from med_mat.build import WORK
from med_mat.card import Card
from med_mat.configs import SPLITS
from med_mat.errors import MedMatError
from med_mat.publication import read_manifest
from med_mat.registry import Registry
from med_mat.report.overlaps import Hashes, Shared, hashes, shared
from med_mat.report.pictures import Place, Sample, choose, read_samples
from med_mat.report.shards import Shards
from med_mat.vocabulary import Redistribution

_COMMON_SIZES = 4


@dataclass(frozen=True, slots=True)
class LabelCount:
    """A label and how many pictures bear it; ``expected`` is what the card says of the whole release, if anything."""

    label: str
    meaning: str
    by_split: Mapping[str, int]
    expected: int | None

    @property
    def total(self) -> int:
        """In all splits."""
        return sum(self.by_split.values())


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of published pictures in pixels.

    Attributes:
        smallest: Width and height of the picture of least area.
        median: Of the picture of median area.
        largest: Of the picture of most area.
        distinct: How many different sizes there are.
        common: The most frequent sizes and how many pictures have them.
    """

    smallest: tuple[int, int]
    median: tuple[int, int]
    largest: tuple[int, int]
    distinct: int
    common: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class SourceFacts:
    """A source as a report shows it.

    Attributes:
        card: Its card.
        serves: What the page shows of it.
        entry: What the manifest says; empty for a source that is not built, or of which nothing is shown.
        labels: Labels of its card and of its rows.
        sizes: None without rows.
        overlaps: What it shares with other sources of the build.
        samples: Some rows.
    """

    card: Card
    serves: Redistribution
    entry: Mapping[str, Any]
    labels: tuple[LabelCount, ...] = ()
    sizes: Sizes | None = None
    overlaps: tuple[Shared, ...] = ()
    samples: tuple[Sample, ...] = ()

    @property
    def built(self) -> bool:
        """Whether the build has rows of it."""
        return self.rows > 0

    @property
    def state(self) -> str:
        """``built``, ``not built``, or ``withheld`` where nothing may be shown."""
        return "withheld" if self.serves == "none" else "built" if self.built else "not built"

    @property
    def rows(self) -> int:
        """Number of its rows."""
        return int(self.entry.get("rows", 0))

    @property
    def splits(self) -> dict[str, int]:
        """Rows by split, training first."""
        return {split: self.entry["splits"][split] for split in SPLITS if split in self.entry.get("splits", {})}

    @property
    def bytes(self) -> int:
        """Size of its shards."""
        return sum(shard["bytes"] for shard in self.entry.get("shards", {}).values())


@dataclass(frozen=True)
class Facts:
    """A build as a report shows it.

    Attributes:
        name: Name of the folder.
        version: Version of med-mat that built it.
        published: Only what may be passed on is shown.
        sources: All sources, in the order of the catalogue.
    """

    name: str
    version: str
    published: bool
    sources: tuple[SourceFacts, ...]


def gather(registry: Registry, build: Path, *, published: bool = False, pictures: int = 4) -> Facts:
    """Reads a build.

    Only a few columns of a source are in memory at a time, and of all pictures an eight-byte hash.

    Args:
        registry: All sources.
        build: A finished build.
        published: Show only what may be passed on: no pixels of a source whose right is ``annotations``, and of one
            whose right is ``none`` only what its card says.
        pictures: Sample pictures of a source, at most.

    Raises:
        LayoutError: If the folder is no finished build, or a shard is not what the manifest says.
        ImageError: If a sample picture does not decode.
        MedMatError: If the build has a source that is not in the registry.
    """
    manifest = read_manifest(build)
    strangers = sorted(slug for slug in manifest["sources"] if slug not in registry)
    if strangers:
        raise MedMatError(
            f"{build} holds rows of {', '.join(strangers)}, of which there is no card; give their --loaders"
        )
    shards = Shards(LocalFileSystem(), str(build), manifest)
    cards = sorted((source.card for source in registry), key=lambda card: (card.number is None, card.number, card.slug))
    held: dict[str, Hashes] = {}
    groups: dict[str, Hashes] = {}
    found = []
    for card in cards:
        serves: Redistribution = card.redistribution if published else "images"
        entry = {} if serves == "none" else manifest["sources"].get(card.slug, {})
        if not entry.get("rows"):
            found.append(SourceFacts(card, serves, entry, tuple(_labels(card, entry))))
            continue
        table = _read(shards, card.slug)
        shown = pc.invert(pc.is_in(table["pixel_hash"], value_set=one_colour(build / WORK, card.slug)))
        held[card.slug], groups[card.slug] = hashes(table["pixel_hash"].filter(shown)), hashes(table["group"])
        places = choose(_places(table), pictures)
        colours = {label: number for number, label in enumerate(card.clean_labels)}
        samples = read_samples(shards, places, colours, with_pixels=serves == "images")
        found.append(SourceFacts(card, serves, entry, tuple(_labels(card, entry)), _sizes(table), samples=samples))
    overlaps = shared(held, groups, near_duplicates(build / WORK))
    sources = tuple(replace(source, overlaps=overlaps.get(source.card.slug, ())) for source in found)
    return Facts(build.resolve().name, manifest["med_mat"], published, sources)


def _read(shards: Shards, slug: str) -> pa.Table:
    parts = []
    for path in shards.of(slug):
        part = shards.columns(path, ["id", "labels", "width", "height", "pixel_hash", "group"])
        parts.append(part.append_column("path", pa.array([path] * part.num_rows).dictionary_encode()))
    return pa.concat_tables(parts)


def _places(table: pa.Table) -> Iterator[tuple[Place, list[str]]]:
    number, last = 0, None
    for batch in table.select(["path", "id", "labels"]).to_batches(max_chunksize=10_000):
        for row in batch.to_pylist():
            number = number + 1 if row["path"] == last else 0
            last = row["path"]
            yield Place(row["path"], number, row["id"]), row["labels"]


def _labels(card: Card, entry: Mapping[str, Any]) -> Iterator[LabelCount]:
    by_split: Mapping[str, Mapping[str, int]] = entry.get("labels", {})
    meanings = {line.label: line.meaning for line in reversed(card.labels.values()) if line.label is not None}
    strangers = sorted({label for counts in by_split.values() for label in counts} - set(meanings))
    for label in (*card.clean_labels, *strangers):
        counts: dict[str, int] = {
            split: by_split[split][label] for split in SPLITS if by_split.get(split, {}).get(label)
        }
        yield LabelCount(label, meanings.get(label, "not in the card"), counts, card.counts.get(label))


def _sizes(table: pa.Table) -> Sizes:
    pairs = np.stack([table["width"].to_numpy(), table["height"].to_numpy()], axis=1).astype(np.int64)
    distinct, counts = np.unique(pairs, axis=0, return_counts=True)
    order = np.argsort(distinct.prod(axis=1), kind="stable")
    middle = np.searchsorted(np.cumsum(counts[order]), (counts.sum() + 1) // 2)
    small, median, large = ((int(w), int(h)) for w, h in distinct[order][[0, middle, -1]])
    often = Counter({(int(w), int(h)): int(number) for (w, h), number in zip(distinct, counts, strict=True)})
    common = sorted(often.items(), key=lambda item: (-item[1], item[0]))[:_COMMON_SIZES]
    return Sizes(small, median, large, len(distinct), tuple((w, h, number) for (w, h), number in common))
