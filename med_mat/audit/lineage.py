"""What cards say of pictures that sources share, and what follows from it when several cards are read together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from med_mat.card import Card


@dataclass(frozen=True, slots=True)
class Relation:
    """Why two sources may hold the same pictures.

    Attributes:
        why: In words.
        direct: Whether a card says so of this pair. Otherwise it follows by way of a third collection, of which both
            hold a part; the parts need not meet.
    """

    why: str
    direct: bool


def relations(cards: Sequence[Card]) -> dict[tuple[str, str], Relation]:
    """Finds all pairs of sources that share pictures as far as cards tell.

    A pair is related if a card names the other source in its lineage, if both read one download, if both name their
    groups in one namespace, or if both were drawn from one collection, whichever steps lie between. That collection
    need not be a source: lineage may name one that no loader reads.

    Args:
        cards: Of all sources, not only those at hand: steps may lead over any of them.

    Returns:
        Pairs of slugs, both in the order of ``cards``, to why they are related.
    """
    download_of = {card.slug: card.raw_slug for card in cards}
    parents = _parents(cards, download_of)
    wholes = {download: _wholes(download, parents) for download in parents}
    found: dict[tuple[str, str], Relation] = {}
    for one, other in combinations(cards, 2):
        relation = _relation(one, other, wholes)
        if relation is not None:
            found[one.slug, other.slug] = relation
    return found


def outside(cards: Iterable[Card]) -> dict[str, tuple[str, ...]]:
    """Collections that lineage names and that are no source, each with the slugs of the sources that name it."""
    cards = list(cards)
    slugs = {card.slug for card in cards}
    found: dict[str, list[str]] = {}
    for card in cards:
        for name in (*card.lineage.contains, *card.lineage.drawn_from):
            if name not in slugs:
                found.setdefault(name, []).append(card.slug)
    return {name: tuple(found[name]) for name in sorted(found)}


def _relation(one: Card, other: Card, wholes: Mapping[str, Mapping[str, int]]) -> Relation | None:
    for first, second in ((one, other), (other, one)):
        if second.slug in first.lineage.contains:
            return Relation(f"{first.slug} holds pictures of {second.slug}", direct=True)
        if second.slug in first.lineage.drawn_from:
            return Relation(f"{first.slug} was drawn from {second.slug}", direct=True)
    if one.raw_slug == other.raw_slug:
        return Relation("one download", direct=True)
    if one.groups is not None and other.groups is not None and _namespace(one) == _namespace(other):
        return Relation(f"one namespace of groups, {_namespace(one)}", direct=True)
    mine, theirs = wholes[one.raw_slug], wholes[other.raw_slug]
    shared = sorted(mine.keys() & theirs.keys(), key=lambda name: (mine[name] + theirs[name], name))
    if not shared:
        return None
    steps = mine[shared[0]] + theirs[shared[0]]
    if shared[0] in (one.raw_slug, other.raw_slug):
        part = one if shared[0] == other.raw_slug else other
        way = "" if steps == 1 else " by way of others"
        return Relation(f"{part.slug} was drawn from {shared[0]}{way}", direct=steps == 1)
    return Relation(f"both were drawn from {shared[0]}", direct=False)


def _namespace(card: Card) -> str:
    return card.slug if card.groups is None or card.groups.namespace is None else card.groups.namespace


def _parents(cards: Sequence[Card], download_of: Mapping[str, str]) -> dict[str, set[str]]:
    """Download to the collections that hold pictures of it; sources of one download are one."""
    parents: dict[str, set[str]] = {download: set() for download in download_of.values()}
    for card in cards:
        for name in card.lineage.drawn_from:
            parents[card.raw_slug].add(download_of.get(name, name))
        for name in card.lineage.contains:
            parents.setdefault(download_of.get(name, name), set()).add(card.raw_slug)
    return parents


def _wholes(start: str, parents: Mapping[str, Iterable[str]]) -> dict[str, int]:
    """All that a collection was drawn from, itself included, to the number of steps there."""
    steps = {start: 0}
    waiting = [start]
    for name in waiting:
        for parent in parents.get(name, ()):
            if parent not in steps:
                steps[parent] = steps[name] + 1
                waiting.append(parent)
    return steps
