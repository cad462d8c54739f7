"""Plan: the rows of every source without pixels. A pure function of indexes, scans, cards and their order."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from med_mat.audit import components
from med_mat.audit.components import WITHDRAWN, Links, Members, Overlaps
from med_mat.audit.contradictions import Dispute, disputes, shared
from med_mat.card import Card
from med_mat.columns import Lines, places_of, taken, tuples, whole
from med_mat.errors import CardError, LayoutError
from med_mat.hashing import row_id
from med_mat.index import Oddity, declare
from med_mat.labels import label_space
from med_mat.plan_rows import Pictures, Rows, public_keys, rows_of, set_aside
from med_mat.sample import Split
from med_mat.splits import Assignment, Item

if TYPE_CHECKING:
    from med_mat.region_rows import RegionTable

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
SHARD_BYTES = 400_000_000
"""Aim for the size of a shard; a shard of one row may be larger."""

ONE_COLOUR = ("0" * 16, "8" + "0" * 15)
"""Perceptual hashes of pictures of one colour: no frequency but the mean."""

UNREADABLE = "unreadable"
CONTRADICTION = "contradictory labels on one picture"


INDEX_COLUMNS = ("raw_path", "key", "frame", "labels", "uncertain", "split", "group", "ties", "extra", "regions")
"""Columns of ``schema.INDEX`` that the plan reads."""

SCAN_COLUMNS = (
    "raw_path",
    "frame",
    "raw_sha256",
    "pixel_hash",
    "perceptual_hash",
    "width",
    "height",
    "published_bytes",
    "error",
    "objects",
    "areas",
    "mask_hash",
    "mask_bytes",
    "region_error",
)
"""Columns of ``schema.SCAN`` that the plan reads."""


@dataclass(frozen=True)
class Input:
    """What the plan knows of a source.

    Attributes:
        card: The source's card.
        index: ``INDEX_COLUMNS`` of ``schema.INDEX``, or all.
        scan: ``SCAN_COLUMNS`` of ``schema.SCAN``, or all; a line for each of the index.
    """

    card: Card
    index: pa.Table
    scan: pa.Table


@dataclass(frozen=True, slots=True)
class Loss:
    """A sample that becomes no row, and why.

    Attributes:
        kind: ``unreadable_image``, ``region``, ``contradiction`` or ``split``.
        raw_path: Where it stands in the raw root.
        reason: One of the reasons that the manifest counts.
        detail: What exactly was found.
    """

    kind: str
    raw_path: str
    reason: str
    detail: str


@dataclass(frozen=True)
class SourcePlan:
    """The rows of a source.

    Attributes:
        card: The source's card.
        table: Columns of ``schema.PLAN``, or of ``schema.REGION_PLAN`` for a source of boxes and masks, sorted by
            split, shard and id.
        losses: Samples that become no row.
        moved: Number of rows that follow an earlier source against their official split.
        disputed: Id to what another source says otherwise, of the rows that stand in shards of their own.
        aside: Split to the number of these shards, which are its last.
        withdrawn: Ids of published rows that are left out, since they overlap what is published in another split.
    """

    card: Card
    table: pa.Table
    losses: tuple[Loss, ...]
    moved: int
    disputed: Mapping[str, Dispute] = field(default_factory=dict)
    aside: Mapping[Split, int] = field(default_factory=dict)
    withdrawn: tuple[str, ...] = ()

    @property
    def left_out(self) -> dict[str, int]:
        """Reason to number of samples that become no row."""
        return dict(sorted(Counter(loss.reason for loss in self.losses).items()))

    @property
    def undeclared(self) -> tuple[Oddity, ...]:
        """Losses of scan and plan that the card does not expect. What splits cost is no fault of the download."""
        odd = [Oddity(loss.kind, loss.raw_path, loss.detail) for loss in self.losses if loss.kind != "split"]
        return tuple(oddity for oddity in declare(self.card, odd) if not oddity.declared)


def plan(
    inputs: Iterable[Input],
    cards: Sequence[Card],
    *,
    salt: bytes = b"",
    shard_bytes: int = SHARD_BYTES,
    near: Links = MappingProxyType({}),
    published: Mapping[str, Split] = MappingProxyType({}),
) -> list[SourcePlan]:
    """Plans the rows of sources.

    Rows whose picture two sources answer differently go to shards of their own, which no config that merges sources
    takes; they keep their splits.

    Args:
        inputs: The sources to plan, in order of admission: where pictures or groups of two collide, the earlier
            keeps its split and the later follows.
        cards: All cards in order of admission, also of sources that are not planned: distractors come from the
            cards admitted up to a source's own, so that they do not depend on which downloads are at hand.
        salt: The maintainer's secret for hashed groups and private keys; empty for none.
        shard_bytes: Aim for the size of a shard.
        near: Pictures that an audit found to be one picture beyond equal pixels: they never stand on two sides.
        published: Id to split of published rows, which stay where they are. With any, ``inputs`` are read twice, and
            kept in memory meanwhile if they can be read only once.

    Raises:
        CardError: If a source's path ids are private and there is no salt, or its labels allow no question.
        LayoutError: If a scan lacks a picture of its index.
    """
    with _without_collector():
        if published and isinstance(inputs, Iterator):
            inputs = list(inputs)
        planned = _plan(inputs, cards, salt, shard_bytes, Overlaps(near=near), published)
        # What placing needed is gone by now: hashes of all sources take its room.
        return _without_disputes(planned, near, shard_bytes)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Holds the collector of cycles: there are none here, and it would walk millions of objects over and over."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _plan(
    inputs: Iterable[Input],
    cards: Sequence[Card],
    salt: bytes,
    shard_bytes: int,
    overlaps: Overlaps,
    published: Mapping[str, Split],
) -> list[tuple[SourcePlan, Lines]]:
    """Plans the rows of sources one after the other; gives with each plan the sizes of its rows."""
    # Whatever is published stands before anything else is placed, also what is admitted later.
    withdrawn = components.pin(_published(inputs, salt, published), overlaps, published) if published else {}
    planned = []
    for source in inputs:
        card = source.card
        regions = _regions(source)
        pictures, losses = _pictures(source, salt, regions)
        assignment = components.place(_members(source, pictures), overlaps, published, withdrawn)
        losses += _dropped(source, pictures, assignment)
        by_split: dict[Split, list[int]] = {split: [] for split in SPLITS}
        for number, name in enumerate(pictures.ids):
            split = assignment.splits.get(name)
            if split is not None:
                by_split[split].append(number)
        space = label_space(card, _peers(card, cards))
        rows = rows_of(card, source.index, source.scan, space, pictures, by_split, salt, regions, shard_bytes)
        gone = tuple(sorted(name for name, reason in assignment.dropped.items() if reason == WITHDRAWN))
        made = SourcePlan(card, rows.table, tuple(losses), len(assignment.moved), withdrawn=gone)
        planned.append((made, rows.sizes))
    return planned


def _published(inputs: Iterable[Input], salt: bytes, published: Mapping[str, Split]) -> Iterator[Members]:
    """The pictures of each source that are published and still become rows."""
    slugs = {name.partition("/")[0] for name in published}
    for source in inputs:
        if source.card.slug in slugs:
            pictures, _ = _pictures(source, salt, _regions(source))
            members = _members(source, pictures)
            yield replace(members, items=[item for item in members.items if item.id in published])


def _members(source: Input, pictures: Pictures) -> Members:
    return Members(_items(source, pictures), source.card.official_splits == "kept", not source.card.no_test_split)


def _without_disputes(planned: Sequence[tuple[SourcePlan, Lines]], near: Links, shard_bytes: int) -> list[SourcePlan]:
    """Sets the rows aside whose picture another source answers differently."""
    said = shared([(plan.card.slug, plan.table) for plan, _ in planned], near, ONE_COLOUR)
    by_source: dict[str, dict[str, Dispute]] = {}
    for name, dispute in disputes(said, {plan.card.slug: plan.card for plan, _ in planned}, near).items():
        by_source.setdefault(name.partition("/")[0], {})[name] = dispute
    found = []
    for plan, sizes in planned:
        disputed = by_source.get(plan.card.slug)
        if disputed:
            rows = set_aside(Rows(plan.table, sizes), disputed, shard_bytes)
            found.append(replace(plan, table=rows.table, disputed=disputed, aside=rows.aside))
        else:
            found.append(plan)
    return found


def _regions(source: Input) -> RegionTable | None:
    if not source.card.has_regions:
        return None
    from med_mat.region_rows import RegionTable

    return RegionTable.of(source.card, source.index, source.scan)


def _peers(card: Card, cards: Sequence[Card]) -> list[Card]:
    peers = []
    for peer in cards:
        if peer.slug == card.slug:
            break
        # Findings of a multi-label source can stand beside any diagnosis: they are no wrong answers to one.
        if card.subset is not None and (peer.subset, peer.kind) == (card.subset, card.kind):
            peers.append(peer)
    return peers


def _pictures(source: Input, salt: bytes, regions: RegionTable | None) -> tuple[Pictures, list[Loss]]:
    card, index = source.card, source.index
    if card.path_ids == "private" and not salt:
        raise CardError(
            f"{card.slug}: its file names may not be published (path_ids: private), so a salt is needed; "
            "set --salt-file"
        )
    paths = whole(index["raw_path"])
    seen = _lines_in_scan(source)
    losses: dict[int, Loss] = {}
    errors = taken(source.scan["error"], seen)
    for line in np.flatnonzero(errors.is_valid().to_numpy(zero_copy_only=False)).tolist():
        losses[line] = Loss("unreadable_image", paths[line].as_py(), UNREADABLE, errors[line].as_py())
    labels, uncertain = tuples(index["labels"]), tuples(index["uncertain"])
    if regions is not None:
        for line, place in enumerate(seen.tolist()):
            if line in losses:
                continue
            named, doubtful, problem = regions.labels(place, labels[line], uncertain[line])
            labels[line], uncertain[line] = tuple(named), tuple(doubtful)
            if problem is not None:
                losses[line] = Loss(problem.kind, paths[line].as_py(), problem.reason, problem.detail)
    left = np.ones(index.num_rows, bool)
    left[list(losses)] = False
    torn = _torn(source, np.flatnonzero(left), seen, labels)
    left[list(torn)] = False
    found = np.flatnonzero(left)
    keys = public_keys(card, index, found, salt)
    frames = taken(index["frame"], found).to_pylist()
    pictures = Pictures(
        ids=[row_id(card.slug, key, frame) for key, frame in zip(keys, frames, strict=True)],
        found=found,
        seen=seen[found],
        labels=[labels[line] for line in found.tolist()],
        uncertain=[uncertain[line] for line in found.tolist()],
    )
    return pictures, [*(losses[line] for line in sorted(losses)), *(torn[line] for line in sorted(torn))]


def _lines_in_scan(source: Input) -> Lines:
    lines = pc.index_in(places_of(source.index), value_set=places_of(source.scan))
    if lines.null_count:
        path = source.index["raw_path"][int(np.flatnonzero(lines.is_null().to_numpy(zero_copy_only=False))[0])].as_py()
        raise LayoutError(
            f"{source.card.slug}: {path} was found and never scanned, since a build was stopped there; build "
            f"{source.card.slug} again"
        )
    found: Lines = lines.to_numpy().astype(np.int64)
    return found


def _torn(source: Input, left: Lines, seen: Lines, labels: Sequence[tuple[str, ...]]) -> dict[int, Loss]:
    """Of some lines of the index those whose pixels stand there with other labels too."""
    pixels = taken(source.scan["pixel_hash"], seen[left]).dictionary_encode().indices.to_numpy().astype(np.int64)
    kinds: dict[tuple[str, ...], int] = {}
    kind = np.array([kinds.setdefault(labels[line], len(kinds)) for line in left.tolist()], np.int64)
    pairs = np.unique(pixels * max(1, len(kinds)) + kind)
    owners, number = np.unique(pairs // max(1, len(kinds)), return_counts=True)
    torn = np.flatnonzero(np.isin(pixels, owners[number > 1])).tolist()
    labels_of: dict[int, set[tuple[str, ...]]] = {}
    for place in torn:
        labels_of.setdefault(pixels[place], set()).add(labels[left[place]])
    found = {}
    for place in torn:
        line = int(left[place])
        detail = " against ".join(sorted("; ".join(names) for names in labels_of[pixels[place]]))
        found[line] = Loss("contradiction", source.index["raw_path"][line].as_py(), CONTRADICTION, detail)
    return found


def _dropped(source: Input, pictures: Pictures, assignment: Assignment) -> Iterator[Loss]:
    if not assignment.dropped:
        return
    for name, line in zip(pictures.ids, pictures.found.tolist(), strict=True):
        reason = assignment.dropped.get(name)
        if reason is not None:
            yield Loss("split", source.index["raw_path"][line].as_py(), reason, "")


def _items(source: Input, pictures: Pictures) -> list[Item]:
    index, scan, found = source.index, source.scan, pictures.found
    pixels = taken(scan["pixel_hash"], pictures.seen).to_pylist()
    one_colour = pc.is_in(taken(scan["perceptual_hash"], pictures.seen), value_set=pa.array(ONE_COLOUR))
    # An all-black slice is the same picture in every patient, and ties none of them.
    for place in np.flatnonzero(one_colour.to_numpy(zero_copy_only=False)).tolist():
        pixels[place] = pictures.ids[place]
    kept = source.card.official_splits == "kept"
    return [
        Item(*values)
        for values in zip(
            pictures.ids,
            taken(index["group"], found).to_pylist(),
            pixels,
            taken(index["split"], found).to_pylist() if kept else [None] * len(found),
            pictures.labels,
            tuples(taken(index["ties"], found)),
            strict=True,
        )
    ]
