"""Repair: which split each picture goes to when pictures of several sources show the same.

A pure function of what sources hold, which pictures show the same, and what has been published. It builds on
``med_mat.splits``, which knows groups and equal pixels; this module adds pictures that are near duplicates, and rows
that have been published and therefore stay where they are.

What overlaps never crosses splits. The source that was admitted earlier keeps; the later yields: its picture follows,
or is dropped if what it overlaps stands on two sides. Whatever was published keeps its split, also when a source with
an earlier line in the ledger arrives later: it is dropped (never moved) only if it turns out to overlap another
published picture on another side.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from med_mat.sample import Split
from med_mat.splits import IN_OFFICIAL_TEST, Assignment, Claims, Item, assign

Links = Mapping[str, Sequence[str]]
"""Pixel hash of a picture to those of its near duplicates; each link stands on both of its sides."""

WITHDRAWN = "was published and overlaps what is published in another split"
"""Why a published row goes: it never changes its split, and what it shows may not stand in two."""

_EVALUATION_FIRST: dict[Split, int] = {"test": 0, "validation": 1, "train": 2}


def links(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Puts pairs of pixel hashes, as ``compared.near_duplicates`` lists them, in the form that ``settle`` reads."""
    found: dict[str, set[str]] = {}
    for one, other in pairs:
        if one != other:
            found.setdefault(one, set()).add(other)
            found.setdefault(other, set()).add(one)
    return {name: tuple(sorted(found[name])) for name in sorted(found)}


@dataclass(frozen=True)
class Members:
    """The pictures of one source and what decides where they may go.

    Attributes:
        items: Its pictures, without those left out for other reasons.
        official: The card keeps the official split.
        hold_out_ungrouped: Pictures without a group may be test.
    """

    items: Sequence[Item]
    official: bool
    hold_out_ungrouped: bool = True


@dataclass
class Overlaps(Claims):
    """What stands where: groups, equal pixels, ties and near duplicates.

    Attributes:
        near: Which pictures are near duplicates.
        tied: Tie to split.
    """

    near: Links = field(default_factory=dict)
    tied: dict[str, Split] = field(default_factory=dict)

    def sides(self, items: Iterable[Item]) -> set[Split]:
        """Returns the splits in which anything stands that shows what the items show."""
        if not self.near and not self.tied:
            return super().sides(items)
        items = list(items)
        found = super().sides(items)
        for item in items:
            found |= {self.pictures[other] for other in self.near.get(item.pixel_hash, ()) if other in self.pictures}
            found |= {self.tied[tie] for tie in item.ties if tie in self.tied}
        return found

    def record(self, item: Item, split: Split) -> None:
        """Notes where an item went. The earlier keeps."""
        super().record(item, split)
        for tie in item.ties:
            self.tied.setdefault(tie, split)


def settle(sources: Sequence[Members], near: Links, published: Mapping[str, Split] | None = None) -> list[Assignment]:
    """Assigns the pictures of all sources to splits.

    Args:
        sources: In order of admission.
        near: Pairs that were found to show the same picture beyond equal pixels, see ``links``. Chains count within a
            source and not across sources: a picture that resembles two others which do not resemble each other ties
            them only if both are in its own source. Otherwise a source admitted later could move what came before.
        published: Id to split of the rows of the published version.

    Returns:
        One assignment per source. ``moved`` holds what follows an earlier source against its own official split.
    """
    overlaps = Overlaps(near=near)
    withdrawn = pin(sources, overlaps, published or {})
    return [place(source, overlaps, published or {}, withdrawn) for source in sources]


def pin(sources: Iterable[Members], overlaps: Overlaps, published: Mapping[str, Split]) -> dict[str, str]:
    """Records where published rows stand, before anything else is placed.

    Args:
        sources: In order of admission; only their published items matter, others may be absent.
        overlaps: What stands where; changed.
        published: Id to split of the rows of the published version.

    Returns:
        Id to reason, of published rows that turn out to overlap others on another side and have to go.
    """
    withdrawn: dict[str, str] = {}
    for source in sources:
        pinned = [item for item in source.items if item.id in published]
        lost = {item.id for item in pinned if overlaps.sides([item]) - {published[item.id]}}
        withdrawn.update((name, WITHDRAWN) for name in lost)
        # Within a source evaluation keeps.
        for item in sorted(pinned, key=lambda item: (_EVALUATION_FIRST[published[item.id]], item.id)):
            if item.id in lost:
                continue
            if overlaps.sides([item]) - {published[item.id]}:
                withdrawn[item.id] = WITHDRAWN
            else:
                overlaps.record(item, published[item.id])
    return withdrawn


def place(
    source: Members, overlaps: Overlaps, published: Mapping[str, Split], withdrawn: Mapping[str, str]
) -> Assignment:
    """Assigns the pictures of one source to splits, and records them.

    Args:
        source: The source; those admitted before it have been placed.
        overlaps: What stands where; changed.
        published: As for ``pin``.
        withdrawn: What ``pin`` gave.
    """
    gone = {item.id: withdrawn[item.id] for item in source.items if item.id in withdrawn}
    items = [item for item in source.items if item.id not in gone]
    claims = _Pinned(overlaps, published, source.official) if published else overlaps
    made = assign(
        list(_with_near_ties(items, overlaps.near)),
        claims,
        official=source.official,
        hold_out_ungrouped=source.hold_out_ungrouped,
    )
    if not isinstance(claims, _Pinned):
        return made
    stays = {item.id: published[item.id] for item in items if item.id in published}
    splits = {**{name: split for name, split in made.splits.items() if name not in claims.lost}, **stays}
    dropped = {name: reason for name, reason in made.dropped.items() if name not in stays}
    lost = dict.fromkeys(sorted(claims.lost), IN_OFFICIAL_TEST)
    return Assignment(splits, {**gone, **dropped, **lost}, made.moved - claims.lost)


class _Pinned(Claims):
    """What stands where, asked for a source of which some rows are published and stay.

    A component goes where its published rows are. What the official split left out beside them stays left out: it
    would otherwise come back, on the other side, with the next version.
    """

    def __init__(self, overlaps: Overlaps, published: Mapping[str, Split], official: bool) -> None:
        super().__init__()
        self._overlaps, self._published, self._official = overlaps, published, official
        self.lost: set[str] = set()

    def sides(self, items: Iterable[Item]) -> set[Split]:
        """Returns the splits in which anything stands that shows what the items of a component show."""
        items = list(items)
        stand = {self._published[item.id] for item in items if item.id in self._published}
        if stand and self._official:
            fresh = (item for item in items if item.id not in self._published)
            self.lost.update(item.id for item in fresh if item.official is not None and item.official not in stand)
        return self._overlaps.sides([item for item in items if item.id not in self.lost])

    def record(self, item: Item, split: Split) -> None:
        """Notes where an item went."""
        if item.id not in self.lost:
            self._overlaps.record(item, split)


def _with_near_ties(items: Sequence[Item], near: Links) -> Iterator[Item]:
    own = {item.pixel_hash for item in items if item.pixel_hash in near}
    for item in items:
        if item.pixel_hash not in own:
            yield item
            continue
        # Each link within the source is a tie that both ends bear.
        others = [other for other in near.get(item.pixel_hash, ()) if other in own]
        ties = tuple("near:" + ":".join(sorted((item.pixel_hash, other))) for other in others)
        yield replace(item, ties=(*item.ties, *ties))
