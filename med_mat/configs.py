"""Names of the configs of a build or of the published dataset, and the files of each."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from med_mat.card import Card
from med_mat.sample import Split

DEFAULT = "default"
EVERYTHING = "everything"
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

DISPUTED = "disputed-"
"""What stands before the number of a shard whose pictures another source answers differently."""

_ALL, _SETTLED = "*.parquet", "[0-9]*.parquet"


@dataclass(frozen=True, slots=True)
class Config:
    """A config: a name that ``load_dataset`` takes, and where its rows are.

    Attributes:
        name: ``<slug>``, ``subset_NN``, ``modality_<code>``, ``anatomy_<area>``, ``default`` or ``everything``.
        globs: Split to globs, relative to the dataset's root; only splits that have rows.
    """

    name: str
    globs: Mapping[str, Sequence[str]]


def config_names(card: Card) -> list[str]:
    """Returns the configs that a source belongs to, but for ``default`` and ``everything``.

    Subsets group as published, so that the paper can be reproduced. Modality and anatomy are the true ones.
    """
    names = [card.slug]
    if card.subset is not None:
        names.append(f"subset_{card.subset}")
    return [*names, f"modality_{card.modality}", f"anatomy_{card.anatomy}"]


def shard_path(slug: str, split: str, shard: int, of: int, *, disputed: bool = False) -> str:
    """Returns the path of a shard in the dataset, as datasets names shards.

    Args:
        slug: The source.
        split: The split.
        shard: Its number, from 0.
        of: How many there are of its kind.
        disputed: It holds rows whose picture another source answers differently.
    """
    return f"data/{slug}/{split}-{DISPUTED if disputed else ''}{shard:05d}-of-{of:05d}.parquet"


def is_disputed(path: str) -> bool:
    """Tells whether a shard holds rows whose picture another source answers differently, by its path."""
    return path.rpartition("/")[2].partition("-")[2].startswith(DISPUTED)


def settled_splits(entry: Mapping[str, Any]) -> list[str]:
    """Returns the splits in which a source has rows that no other source disputes.

    Args:
        entry: The source's entry in a manifest.
    """
    disputed = entry.get("disputed", {}).get("splits", {})
    return [split for split, rows in entry["splits"].items() if rows > disputed.get(split, 0)]


def configs(
    sources: Iterable[tuple[Card, Sequence[str]]],
    *,
    with_pixels: Iterable[str] | None = None,
    settled: Mapping[str, Container[str]] = MappingProxyType({}),
) -> list[Config]:
    """Lists the configs of a set of sources.

    A source's own config and ``everything`` take all its shards, all others those that no other source disputes.

    Args:
        sources: Cards in order of admission, each with the splits in which it has rows.
        with_pixels: Slugs whose rows have pixels, which ``default`` serves; None for all.
        settled: Slug to the splits in which the source has rows that are not disputed; of one that is not named, all.

    Returns:
        ``default``, ``everything``, then the rest by name. A config without rows is left out.
    """
    sources = [(card, splits) for card, splits in sources if splits]
    served = {card.slug for card, _ in sources} if with_pixels is None else set(with_pixels)
    globs: dict[str, dict[str, list[str]]] = {DEFAULT: {}, EVERYTHING: {}}

    def add(name: str, split: str, glob: str) -> None:
        globs.setdefault(name, {}).setdefault(split, []).append(glob)

    for card, splits in sources:
        merging = [*config_names(card)[1:], *([DEFAULT] if card.slug in served else [])]
        for split in splits:
            for name in (card.slug, EVERYTHING):
                add(name, split, f"data/{card.slug}/{split}-{_ALL}")
            for name in merging if split in settled.get(card.slug, splits) else ():
                add(name, split, f"data/{card.slug}/{split}-{_SETTLED}")
    # One glob says the same as a hundred when it takes in every source.
    for name, which in ((DEFAULT, _SETTLED), (EVERYTHING, _ALL)):
        if name == EVERYTHING or all(card.slug in served for card, _ in sources):
            globs[name] = {split: [f"data/*/{split}-{which}"] for split in globs[name]}
    order = [DEFAULT, EVERYTHING, *sorted(set(globs) - {DEFAULT, EVERYTHING})]
    return [
        Config(name, {split: globs[name][split] for split in SPLITS if split in globs[name]})
        for name in order
        if globs[name]
    ]
