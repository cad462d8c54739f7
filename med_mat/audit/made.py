"""Indexes and scans made up from cards: pictures as frequent as the cards count them, without a download."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import pyarrow as pa

from med_mat.card import Card
from med_mat.hashing import rank, uniform
from med_mat.plan import Input
from med_mat.schema import INDEX, SCAN

FEWEST_OF_A_LABEL = 60
"""Pictures that bear a label at least, however rare it is in truth: with fewer nothing could be said of it."""

_MOST_LABELS = 5
_PARTNERS = 3
_EMPTY = 0.3  # pictures without a region, where a card has a label for them or counts none
_FEW_SPLITS = (("validation", 0.1), ("test", 0.2))


def made_input(card: Card, pictures: int, doubt: float = 0.0) -> Input:
    """Makes up an index and a scan of a source.

    Labels are as frequent as the card counts them; those of a card without counts fall off one after the other. A
    multi-label picture has up to five, of which some go together more often than others. Boxes of a label have a usual
    place and size, with a spread.

    Args:
        card: The source's card.
        pictures: How many, about.
        doubt: Share of the multi-label pictures with findings of which a further label is left in doubt.
    """
    maker = _several(card, pictures, doubt) if card.kind == "multilabel" else _plain(card, pictures)
    lines = [_line(card, number, *made) for number, made in enumerate(maker)]
    return Input(
        card,
        *(_table(schema, [line[place] for line in lines]) for place, schema in enumerate((INDEX, SCAN))),
    )


_Made = tuple[list[str], list[str], "list[tuple[str, list[float]]] | None"]


def _plain(card: Card, pictures: int) -> Iterator[_Made]:
    return _regions(card, pictures) if card.has_regions else _single(card, pictures)


def _single(card: Card, pictures: int) -> Iterator[_Made]:
    for label, share in _shares(card, card.clean_labels).items():
        for _ in range(max(FEWEST_OF_A_LABEL, round(pictures * share))):
            yield [label], [], None


def _several(card: Card, pictures: int, doubts: float) -> Iterator[_Made]:
    nothing = [entry.label for entry in card.labels.values() if entry.no_finding and entry.label]
    findings = [label for label in card.clean_labels if label not in nothing]
    shares = _shares(card, findings)
    partners = {
        one: sorted(
            (other for other in findings if other != one), key=lambda other: (rank("beside", one, other), other)
        )
        for one in findings
    }
    clear = sum(_shares(card, card.clean_labels)[label] for label in nothing)
    for number in range(pictures):
        name = f"{card.slug} {number}"
        if nothing and uniform("balance", name) < min(0.6, clear):
            yield [nothing[0]], [], None
            continue
        labels = [_pick(shares, uniform("number", name))]
        while len(labels) < _MOST_LABELS and uniform("number", name, str(len(labels))) < 0.45:
            place = str(len(labels))
            friends = partners[labels[0]][:_PARTNERS]
            if friends and uniform("beside", name, place) < 0.6:
                other = friends[rank("beside", name, place, "which") % len(friends)]
            else:
                other = _pick(shares, uniform("beside", name, place, "which"))
            if other in labels:
                break
            labels.append(other)
        doubt = _pick(shares, uniform("uncertain", name, "which"))
        uncertain = [doubt] if uniform("uncertain", name) < doubts and doubt not in labels else []
        yield sorted(labels, key=card.clean_labels.index), uncertain, None
    for label in card.clean_labels:
        for _ in range(FEWEST_OF_A_LABEL // 2):
            yield [label], [], None


def _regions(card: Card, pictures: int) -> Iterator[_Made]:
    nothing = [label for label in card.clean_labels if label not in card.region_labels]
    shares = _shares(card, card.region_labels)
    for number in range(pictures):
        name = f"{card.slug} {number}"
        if nothing and uniform("balance", name) < _EMPTY:
            yield [nothing[0]], [], []
            continue
        labels = {_pick(shares, uniform("number", name))}
        labels |= {label for label in card.region_labels if uniform("beside", name, label) < 0.15}
        boxes = []
        for label in sorted(labels, key=card.clean_labels.index):
            for place in range(1 + (uniform("number", name, label) < 0.25)):
                boxes.append((label, _box(card.slug, label, f"{name} {place}")))
        yield [], [], boxes


def _box(slug: str, label: str, name: str) -> list[float]:
    """A box about the usual place of its label: normal spreads, from two uniform numbers each."""
    corners = []
    for axis in "xy":
        usual = 0.25 + 0.5 * uniform("shift", slug, label, axis)
        spread = 0.05 + 0.2 * uniform("shift", slug, label, "spread")
        side = 0.06 + 0.3 * uniform("shift", slug, label, axis, "side") ** 2
        noise = [sum(uniform("shift", name, label, axis, str(n)) for n in range(m, m + 4)) - 2 for m in (0, 4)]
        length = min(0.95, max(0.02, side * 2 ** noise[0]))
        middle = min(1 - length / 2, max(length / 2, usual + spread * noise[1]))
        corners.append((middle - length / 2, middle + length / 2))
    (xmin, xmax), (ymin, ymax) = corners
    return [xmin, ymin, xmax, ymax]


def _shares(card: Card, labels: Sequence[str]) -> dict[str, float]:
    counts = [card.counts.get(label, 0) for label in labels]
    if not all(counts):
        order = sorted(labels, key=lambda label: (rank("number", card.slug, label), label))
        counts = [1000 // (1 + order.index(label)) for label in labels]
    return {label: count / sum(counts) for label, count in zip(labels, counts, strict=True)}


def _pick(shares: dict[str, float], place: float) -> str:
    for label, end in zip(shares, accumulate(shares.values()), strict=True):
        if place < end:
            return label
    return list(shares)[-1]


def _line(
    card: Card, number: int, labels: list[str], uncertain: list[str], boxes: list[tuple[str, list[float]]] | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    path = f"made/{number:07d}.png"
    pixels = hashlib.md5(f"{card.slug} {path}".encode(), usedforsecurity=False).hexdigest()
    place = {"raw_path": path, "size": 1000, "mtime_ns": 1}
    found = {
        **place,
        "key": path,
        "labels": labels,
        "uncertain": uncertain,
        "ties": [],
        "split": _split(path) if card.official_splits == "kept" else None,
        "extra": {},
        "regions": None if boxes is None else "[]",
    }
    seen = {
        **place,
        "raw_sha256": pixels * 2,
        "pixel_hash": pixels,
        "perceptual_hash": pixels[:16],
        "width": 512,
        "height": 512,
        "format": "PNG",
        "mode": "L",
        "rule": "png",
        "published_bytes": 1000,
    }
    if boxes is not None:
        areas: dict[str, float] = {}
        for label, (xmin, ymin, xmax, ymax) in boxes:
            areas[label] = areas.get(label, 0) + (xmax - xmin) * (ymax - ymin)
        seen["objects"] = [{"label": label, "bbox": box} for label, box in boxes]
        seen["areas"] = [
            {"label": label, "area": areas[label], "specks": 0} for label in card.clean_labels if label in areas
        ]
        seen["mask_bytes"] = 0
    return found, seen


def _split(path: str) -> str:
    place = uniform("split", path)
    return next((split for split, end in _FEW_SPLITS if place < end), "train")


def _table(schema: pa.Schema, lines: Sequence[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist([{name: line.get(name) for name in schema.names} for line in lines], schema=schema)
