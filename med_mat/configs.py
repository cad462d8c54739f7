"""Names of the configs of a build or of the published dataset, and the files of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from med_mat.card import Card

DEFAULT = "default"
EVERYTHING = "everything"
SPLITS = ("train", "validation", "test")


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


def shard_path(slug: str, split: str, shard: int, of: int) -> str:
    """Returns the path of a shard in the dataset, as datasets names shards."""
    return f"data/{slug}/{split}-{shard:05d}-of-{of:05d}.parquet"


def configs(sources: Iterable[tuple[Card, Sequence[str]]], *, with_pixels: Iterable[str] | None = None) -> list[Config]:
    """Lists the configs of a set of sources.

    Args:
        sources: Cards in order of admission, each with the splits in which it has rows.
        with_pixels: Slugs whose rows have pixels, which ``default`` serves; None for all.

    Returns:
        ``default``, ``everything``, then the rest by name. A config without rows is left out.
    """
    sources = [(card, splits) for card, splits in sources if splits]
    served = {card.slug for card, _ in sources} if with_pixels is None else set(with_pixels)
    globs: dict[str, dict[str, list[str]]] = {DEFAULT: {}, EVERYTHING: {}}
    for card, splits in sources:
        names = [*config_names(card), EVERYTHING, *([DEFAULT] if card.slug in served else [])]
        for name in names:
            for split in splits:
                globs.setdefault(name, {}).setdefault(split, []).append(f"data/{card.slug}/{split}-*.parquet")
    everything = {glob for paths in globs[EVERYTHING].values() for glob in paths}
    for name in (DEFAULT, EVERYTHING):
        # One glob says the same as a hundred when it takes in every source.
        if {glob for paths in globs[name].values() for glob in paths} == everything:
            globs[name] = {split: [f"data/*/{split}-*.parquet"] for split in globs[name]}
    order = [DEFAULT, EVERYTHING, *sorted(set(globs) - {DEFAULT, EVERYTHING})]
    return [
        Config(name, {split: globs[name][split] for split in SPLITS if split in globs[name]})
        for name in order
        if globs[name]
    ]
