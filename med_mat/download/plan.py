"""What would be fetched, how big it is, and under which terms; asks no server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from med_mat.card import Card, Place
from med_mat.download.lock import read_lock
from med_mat.download.pages import address, is_automatic, needs
from med_mat.registry import Registry
from med_mat.vocabulary import CatalogueRow, catalogue


def plan(registry: Registry, slugs: Sequence[str] = (), raw: Path | None = None) -> list[dict[str, Any]]:
    """Lists what a download of sources would be.

    Args:
        registry: The sources.
        slugs: Those to list; all of the catalogue and of the registry if none.
        raw: Folder of raw roots, to tell what is there already.

    Returns:
        A row per source, in the order of the catalogue: ``number``, ``slug``, ``title``, ``access``, ``licence``,
        ``licence_url``, ``redistribution``, ``size`` (text), ``size_bytes`` (what is known of it, rounded; None if
        nothing is), ``size_partly_known`` (the size of a part is not known), ``raw_slug`` (folder that it is put
        into), ``automatic`` (a program fetches all of it), ``credentials``, ``parts`` (lists of places, each with its
        alternatives), ``how`` (a sentence), ``accepted`` and ``files`` (those recorded in ``raw``).

    Raises:
        KeyError: A slug is unknown.
        CardError: A card is wrong.
        DownloadError: A record in ``raw`` is damaged.
    """
    if slugs:
        return [
            _planned(catalogue()[slug], registry)
            if slug in catalogue() and slug not in registry
            else _ready(registry[slug].card, registry, raw)
            for slug in dict.fromkeys(slugs)
        ]
    rows = [
        _ready(registry[row.slug].card, registry, raw) if row.slug in registry else _planned(row, registry)
        for row in catalogue().values()
    ]
    return rows + [_ready(source.card, registry, raw) for source in registry if source.slug not in catalogue()]


def places_card(card: Card, registry: Registry) -> Card:
    """The card whose places are fetched: that of the source whose download this one reads, else its own."""
    if not card.download.places and card.download_of is not None and card.download_of in registry:
        return registry[card.download_of].card
    return card


def parts_of(card: Card, registry: Registry) -> tuple[tuple[Place, ...], ...]:
    """The parts of a source's download, each with its alternatives."""
    return places_card(card, registry).download.parts


def _ready(card: Card, registry: Registry, raw: Path | None) -> dict[str, Any]:
    parts = parts_of(card, registry)
    wanted = [part[0] for part in parts]
    sizes = [place.size_bytes or _known_size(place) for place in wanted]
    lock = read_lock(raw, card.raw_slug) if raw is not None else None
    return {
        "number": card.number,
        "slug": card.slug,
        "title": card.title,
        "access": card.access,
        "licence": card.licence.spdx or card.licence.name,
        "licence_url": card.licence.url,
        "redistribution": card.redistribution,
        "raw_slug": card.raw_slug,
        "size": places_card(card, registry).download.size,
        "size_bytes": sum(size for size in sizes if size) or None,
        "size_partly_known": any(sizes) and not all(sizes),
        "automatic": bool(wanted) and all(is_automatic(place) for place in wanted),
        "credentials": sorted({need for place in wanted if (need := needs(place)) and is_automatic(place)}),
        "parts": [[_place(place) for place in part] for part in parts],
        "how": card.download.how,
        "accepted": lock.has_accepted(card) if lock else None,
        "files": sorted(lock.files) if lock else None,
    }


def _known_size(place: Place) -> int | None:
    sizes = [file.bytes for file in place.files]
    return sum(size for size in sizes if size) if sizes and all(sizes) else None


def _place(place: Place) -> dict[str, Any]:
    return {
        "platform": place.platform,
        "id": place.id,
        "address": address(place),
        "files": [file.name for file in place.files],
        "size_bytes": place.size_bytes or _known_size(place),
        "credentials": needs(place),
        "steps": place.steps,
        "note": place.note,
    }


def _planned(row: CatalogueRow, registry: Registry) -> dict[str, Any]:
    # A row without a card may read the download of one that has it.
    other = _ready(registry[row.download_of].card, registry, None) if row.download_of in registry else {}
    return {
        "number": row.number,
        "slug": row.slug,
        "title": row.title,
        "access": row.access,
        "licence": row.spdx or "not settled",
        "licence_url": None,
        "redistribution": row.redistribution,
        "raw_slug": row.download_of or row.slug,
        "size": other.get("size"),
        "size_bytes": other.get("size_bytes"),
        "size_partly_known": other.get("size_partly_known", False),
        "automatic": other.get("automatic", False),
        "credentials": other.get("credentials", []),
        "parts": other.get("parts", []),
        "how": f"This source has no card yet; its download is that of {row.download_of}."
        if other
        else "This source has no card yet.",
        "accepted": None,
        "files": None,
    }
