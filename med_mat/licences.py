"""The page of licences: what may be passed on of every source and what tells so, from the cards."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from med_mat.card import Card
from med_mat.registry import registry
from med_mat.vocabulary import Redistribution, catalogue, subsets

_HEAD = """\
# Licences

What may be passed on of each source, and what tells so. The right is one of three: `images` (labels and pictures, under
the source's own licence, which binds whoever uses the rows), `annotations` (labels only: the pictures' licence is not
known, contradictory, or forbids it) and `none` (an agreement covers the labels too).

A licence counts when its owner states it, or when at least two independent readings of the owner's record agree and
none contradicts them; where only memory tells of it, the evidence says so. It does not count when it is the licence of
an article, or when an uploader gave it to pictures of others; then the terms of all origins must allow it. A licence
without derivatives allows nothing but the unchanged pictures. None of this is legal advice, and an owner who wants a
source withdrawn gets it withdrawn.

This page is made from the cards: `python -m med_mat.licences docs/licences.md`.

## Sources

| row | source | subset | licence | SPDX | may be passed on | evidence |
| ---: | --- | --- | --- | --- | --- | --- |
"""

_WHOLE = """
## Subsets whose pictures can all be passed on

{whole} of {all} subsets of the published table.

| subset | title | sources |
| --- | --- | --- |
"""

_PARTIAL = """
## What stands in the way of the others

| subset | title | pictures of | not of |
| --- | --- | --- | --- |
"""


def markdown(cards: Iterable[Card]) -> str:
    """Returns the page: all cards in the order of the published table, then the subsets.

    A subset is whole when every row that the published table gives it has a card whose pictures may be passed on; a
    row without a card is taken as not settled.
    """
    ordered = sorted(cards, key=lambda card: (card.number is None, card.number or 0, card.slug))
    rights = {card.slug: card.redistribution for card in ordered}
    slugs = {number: [row.slug for row in catalogue().values() if row.subset == number] for number in sorted(subsets())}
    whole = [number for number in slugs if all(rights.get(slug) == "images" for slug in slugs[number])]
    return "".join(
        (
            _HEAD,
            *(_source(card) for card in ordered),
            _WHOLE.format(whole=len(whole), all=len(slugs)),
            *(_line(number, subsets()[number].title, ", ".join(slugs[number])) for number in whole),
            _PARTIAL,
            *(_partial(number, slugs[number], rights) for number in slugs if number not in whole),
        )
    )


def _source(card: Card) -> str:
    licence = f"[{card.licence.name}]({card.licence.url})" if card.licence.url else card.licence.name
    return _line(
        str(card.number or ""),
        card.slug,
        card.subset or "",
        licence,
        card.licence.spdx or "",
        card.redistribution,
        card.licence.evidence,
    )


def _partial(number: str, slugs: Iterable[str], rights: Mapping[str, Redistribution]) -> str:
    found = {slug: rights.get(slug) for slug in slugs}
    return _line(
        number,
        subsets()[number].title,
        ", ".join(slug for slug, right in found.items() if right == "images"),
        ", ".join(f"{slug} ({right or 'no card'})" for slug, right in found.items() if right != "images"),
    )


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(markdown(source.card for source in registry()), encoding="utf-8")
