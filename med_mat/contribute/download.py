"""What an official download says of a source: counts, unreadable files, contradictions, groups, duplicates."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from med_mat.build import Progress
from med_mat.card import Card
from med_mat.contribute.verdict import Finding, cut
from med_mat.index import Index, Oddity, index_source
from med_mat.plan import Input, plan
from med_mat.raw import RawRoot
from med_mat.registry import Source
from med_mat.scan import region_rules, scan

SALT = b"check"
"""Nothing of what a check hashes is published."""
_MOST_OF_A_KIND = 5


def download_findings(
    source: Source,
    location: str,
    cards: Sequence[Card],
    work: Path,
    *,
    allow_missing: bool,
    workers: int,
    cache: Path | None,
    progress: Progress,
) -> Iterator[Finding]:
    """Reads a whole download, decodes every picture, and plans its rows.

    Args:
        source: Loader and card.
        location: The raw root.
        cards: All cards in order of admission.
        work: Folder for the scan. A second check goes on where one was stopped.
        allow_missing: The root is a slice of a download.
        workers: Number of processes.
        cache: Where compressed tars and archives within archives are unpacked.
        progress: Told how far it is.

    Raises:
        LayoutError: If the root does not look like the official download.
        CardError: If the card is wrong.
    """
    card = source.card
    with RawRoot.open(location, cache=cache) as root:
        index = index_source(source, root, allow_missing=allow_missing)
        yield from _counted(index, allow_missing=allow_missing)
        yield from odd_findings(index.undeclared)
        if not index.table.num_rows:
            # Of some releases a slice may hold pictures without their masks, or a table without its pictures.
            yield Finding(
                "warning" if allow_missing and (index.missing.total or index.left_out) else "error",
                "no sample is there: is this the raw root of another source, or a slice without whole samples?",
                location,
            )
            return
        yield from _groups(index, card)
        progress.start(f"scan {source.slug}", index.table.num_rows)
        scanned = scan(
            root,
            index.table,
            work / f"{source.slug}.parquet",
            rules=region_rules(card),
            workers=workers,
            progress=progress.advance,
        )
    planned = plan([Input(card, index.table, scanned)], cards, salt=SALT)[0]
    yield from odd_findings(planned.undeclared)
    by_place = {(line["raw_path"], line["frame"]): line for line in index.table.to_pylist()}
    pictures: defaultdict[str, list[tuple[str, str | None]]] = defaultdict(list)
    for line in scanned.select(["raw_path", "frame", "pixel_hash"]).to_pylist():
        if line["pixel_hash"] is not None:
            split = by_place[line["raw_path"], line["frame"]]["split"]
            pictures[line["pixel_hash"]].append((line["raw_path"], split))
    yield from _duplicates(pictures.values(), card)
    for reason, number in planned.left_out.items():
        yield Finding("note", f"{number} samples become no row: {reason}")
    splits = Counter(planned.table["split"].to_pylist())
    yield Finding("note", f"{planned.table.num_rows} rows: " + ", ".join(f"{splits[name]} {name}" for name in splits))
    if not splits["test"]:
        yield Finding("warning", "no row would be in the test split")


def _counted(index: Index, *, allow_missing: bool) -> Iterator[Finding]:
    yield Finding("note", f"{index.found.total} samples in {index.files} picture files, {index.groups} groups")
    if index.missing.total and allow_missing:
        yield Finding("note", f"{index.missing.total} pictures that a label file names are not there, as allowed")
    for reason, number in sorted(index.left_out.items()):
        yield Finding("note", f"{number} left out: {reason}")
    unseen = [label for label in index.card.clean_labels if not index.found.by_label[label]]
    if unseen and not allow_missing and not index.card.has_regions:
        yield Finding("warning", f"no picture bears {', '.join(map(repr, unseen))}: are these labels of the release?")


def odd_findings(odd: Iterable[Oddity]) -> Iterator[Finding]:
    """Turns oddities that a card does not declare into findings, at most some of each kind."""
    kinds: defaultdict[str, list[Oddity]] = defaultdict(list)
    for oddity in odd:
        kinds[oddity.kind].append(oddity)
    for kind, found in sorted(kinds.items()):
        yield from cut((Finding("error", f"{kind}: {one.detail}", one.path) for one in found), _MOST_OF_A_KIND)


def _groups(index: Index, card: Card) -> Iterator[Finding]:
    if card.official_splits == "none":
        named = sorted(name for name in index.found.by_split if name != "none")
        if named:
            yield Finding("error", f"official_splits: none, and the loader gives splits: {', '.join(named)}")
        return
    if set(index.found.by_split) <= {"none"}:
        yield Finding("error", f"official_splits: {card.official_splits}, and the loader gives no split")
    sides: defaultdict[str, set[str]] = defaultdict(set)
    for line in index.table.select(["group", "split"]).to_pylist():
        if line["group"] is not None and line["split"] is not None:
            sides[line["group"]].add(line["split"])
    torn = sorted(group for group, splits in sides.items() if len(splits) > 1)
    if torn and card.official_splits == "kept":
        yield Finding(
            "warning",
            f"{len(torn)} groups stand in several official splits, such as {torn[0]}; the plan leaves their training "
            "pictures out. If there are many, official_splits: void, with the reason",
        )
    if card.groups is not None and not index.groups:
        yield Finding("error", "groups: the card tells of groups, and the loader gives none")


def _duplicates(pictures: Iterable[Sequence[tuple[str, str | None]]], card: Card) -> Iterator[Finding]:
    twice = sorted(sorted(found, key=lambda one: one[0]) for found in pictures if len(found) > 1)
    if not twice:
        return
    more = sum(len(found) - 1 for found in twice)
    yield Finding("note", f"{more} pictures stand a second time, such as {twice[0][1][0]}, which is {twice[0][0][0]}")
    torn = [found for found in twice if len({split for _, split in found if split is not None}) > 1]
    if torn and card.official_splits == "kept":
        yield Finding(
            "warning",
            f"{len(torn)} pictures stand in several official splits, such as {torn[0][0][0]} and {torn[0][1][0]}; the "
            "plan leaves the training ones out",
        )
