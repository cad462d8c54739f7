"""The sources of the catalogue and those from outside, and the published subsets, as plain rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

from med_mat.card import Card
from med_mat.errors import MedMatError
from med_mat.registry import Registry
from med_mat.vocabulary import CatalogueRow, Kind, Redistribution, catalogue, subsets


class SourceRow(TypedDict):
    """A source as ``med_mat.sources`` lists it; ``number``, ``subset`` and ``homepage`` may be unknown."""

    number: int | None
    slug: str
    title: str
    status: Literal["ready", "planned"]
    kind: Kind
    subset: str | None
    modality: str
    anatomy: str
    task: str
    published_modality: str
    published_anatomy: str
    published_task: str
    access: str
    licence: str
    redistribution: Redistribution
    homepage: str | None


class SubsetRow(TypedDict):
    """A published subset as ``med_mat.subsets`` lists it.

    ``config`` is what ``load`` takes. ``anatomy`` is the published area. ``elements`` are the coarse task words of the
    paper's tables. ``sources`` are all slugs of the published table, ``ready`` those that have a loader.
    """

    number: str
    config: str
    title: str
    modality: str
    anatomy: str
    kind: Kind
    elements: list[str]
    sources: list[str]
    ready: list[str]


def list_sources(registry: Registry, wanted: Mapping[str, str]) -> list[dict[str, Any]]:
    """Lists sources.

    Args:
        registry: The sources that have a loader; the catalogue's others are listed as ``planned``.
        wanted: Column to value; only rows that have it are listed. A modality is compared without regard to case and
            hyphens, so that ``X-ray`` finds ``xray``.

    Returns:
        Rows in the order of the catalogue, sources from outside at the end. ``modality``, ``anatomy`` and ``task``
        are the true triplet of a source that is ready, and the published one of a source that is planned.
    """
    rows = [_ready(registry[row.slug].card) if row.slug in registry else _planned(row) for row in catalogue().values()]
    rows += [_ready(source.card) for source in registry if source.slug not in catalogue()]
    return [row for row in rows if all(_plain(row[name]) == _plain(value) for name, value in wanted.items())]


def list_subsets(registry: Registry, wanted: Mapping[str, str]) -> list[SubsetRow]:
    """Lists the 53 published subsets.

    Args:
        registry: The sources that have a loader.
        wanted: ``number``, ``modality``, ``anatomy``, ``kind`` or ``element`` to value; only subsets that have it are
            listed. Compared as in ``list_sources``.
    """
    slugs: dict[str, list[str]] = {}
    for row in catalogue().values():
        slugs.setdefault(row.subset, []).append(row.slug)
    rows: list[SubsetRow] = [
        {
            "number": number,
            "config": f"subset_{number}",
            "title": subset.title,
            "modality": subset.modality,
            "anatomy": subset.area,
            "kind": subset.kind,
            "elements": list(subset.elements),
            "sources": slugs.get(number, []),
            "ready": [slug for slug in slugs.get(number, []) if slug in registry],
        }
        for number, subset in subsets().items()
    ]
    return [row for row in rows if all(_has(row, name, value) for name, value in wanted.items())]


def fits(card: Card, wanted: Mapping[str, str]) -> bool:
    """Tells whether a card has the values that ``list_sources`` would narrow by."""
    row = _ready(card)
    return all(_has(row, name, value) for name, value in wanted.items())


def check_words(rows: Sequence[Mapping[str, Any]], wanted: Mapping[str, str]) -> None:
    """Refuses a value that no row has: most often a misspelling.

    Args:
        rows: All rows.
        wanted: Column to value, as for ``list_sources`` and ``list_subsets``.

    Raises:
        MedMatError: With the values that there are.
    """
    for name, value in wanted.items():
        if not any(_has(row, name, value) for row in rows):
            there = sorted({str(word) for row in rows for word in _words(row, name) if word is not None})
            raise MedMatError(f"{name}={value!r}: nothing has that; there are: {', '.join(there)}")


def _has(row: Mapping[str, Any], name: str, value: str) -> bool:
    return any(_plain(word) == _plain(value) for word in _words(row, name))


def _words(row: Mapping[str, Any], name: str) -> Sequence[object]:
    if name == "element":
        return list(row["elements"])
    return [row[name]]


def _plain(value: object) -> str:
    return str(value).lower().replace("-", "")


def _ready(card: Card) -> dict[str, Any]:
    published = card.published_triplet
    return {
        "number": card.number,
        "slug": card.slug,
        "title": card.title,
        "status": "ready",
        "kind": card.kind,
        "subset": card.subset,
        "modality": card.modality,
        "anatomy": card.anatomy,
        "task": card.task,
        "published_modality": published.modality,
        "published_anatomy": published.anatomy,
        "published_task": published.task,
        "access": card.access,
        "licence": card.licence.spdx or card.licence.name,
        "redistribution": card.redistribution,
        "homepage": card.homepage,
    }


def _planned(row: CatalogueRow) -> dict[str, Any]:
    return {
        "number": row.number,
        "slug": row.slug,
        "title": row.title,
        "status": "planned",
        "kind": row.kind,
        "subset": row.subset,
        "modality": row.modality,
        "anatomy": row.anatomy,
        "task": row.task,
        "published_modality": row.modality,
        "published_anatomy": row.anatomy,
        "published_task": row.task,
        "access": row.access,
        "licence": row.spdx or "not settled",
        "redistribution": row.redistribution,
        "homepage": None,
    }
