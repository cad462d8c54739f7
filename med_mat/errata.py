"""The page of errata: where the published table is wrong, from the cards."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from med_mat.card import Card
from med_mat.registry import registry

_HEAD = """\
# Errata of the published table

Rows of the table in the Med-MAT paper that name another dataset, modality, area or task than the data has. Subset
numbers stay as published; the rows of a source say what is true, and `published_modality`, `published_anatomy` and
`published_task` keep what was printed. This page is made from the cards: `python -m med_mat.errata docs/errata.md`.

| row | source | subset | published | true | erratum |
| ---: | --- | --- | --- | --- | --- |
"""


def markdown(cards: Iterable[Card]) -> str:
    """Returns the page for the cards that have an erratum, in the order of the published table."""
    wrong = sorted((card for card in cards if card.errata), key=lambda card: card.number or 0)
    return _HEAD + "".join(_line(card) for card in wrong)


def _line(card: Card) -> str:
    published = card.published_triplet
    cells = (
        str(card.number or ""),
        card.slug,
        card.subset or "",
        f"{published.modality}, {published.anatomy}, {published.task}",
        f"{card.modality}, {card.anatomy}, {card.task}",
        " ".join(card.errata),
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(markdown(source.card for source in registry()), encoding="utf-8")
