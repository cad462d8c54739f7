"""The sources of the catalogue and those from outside, as plain rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from med_mat.card import Card
from med_mat.registry import Registry
from med_mat.vocabulary import CatalogueRow, catalogue


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
