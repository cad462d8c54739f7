"""``docs/overlaps.md``: what is known of overlaps between sources, and how well the audit finds them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from med_mat.audit.lineage import outside, relations
from med_mat.card import Card
from med_mat.registry import registry

_SIDES = ("chosen on", "reported on")

_INTRODUCTION = """\
# Overlaps

Public collections contain each other's pictures: samples of a larger set, yearly challenges that grow, mixtures of
older sets under new names, augmented copies. A test picture that was in training under another name makes a result
worthless. `med-mat audit BUILD` finds such pictures, the plan keeps them on one side, and this page says how well.

## What is done

1. **Equal files and equal pixels** are found by the hashes of the scan.
2. **Near duplicates** are found in two steps. The scan takes fingerprints of every picture: the signs of its 256 lowest
   frequencies, of the whole picture, of the picture without its margins, and of four centred windows. Pairs that agree
   in some of many groups of bits, in any of eight orientations, are candidates if they differ in at most {near} of 256
   bits. Candidates are laid over each other, moved until they fit, and compared in fine detail, block by block. They
   are one picture if 19 of 20 blocks correlate to at least {threshold}.
3. **Groups** (patients, lesions, originals) that sources share are compared by name, where cards give them one
   namespace.
4. Whatever overlaps stands in one split. The source that was admitted earlier (`cards/LEDGER`) keeps its split, the
   later follows, or loses what would stand on two sides. Within a source a leaking official split keeps its test side
   and loses the copies from training. A published row never changes its split within a major version.
5. **Contradictions**, one picture with answers of two sources that cannot both be true, are listed. They stay in the
   configs of their sources and are left out of the default config.

What an audit has compared lies in the build (`.med-mat/audit/compared.parquet`), by pixel hashes, so the next audit
does not compare it again. `med-mat audit BUILD --html page.html` shows every finding as pictures side by side.

"""


@cache
def measured() -> dict[str, Any]:
    """What ``benchmarks/overlaps.py`` measured on slices of official downloads: numbers, no pictures."""
    found: dict[str, Any] = json.loads(files(__package__).joinpath("measured.json").read_text(encoding="utf-8"))
    return found


def markdown() -> str:
    """The page as Markdown text."""
    figures = measured()
    cards = [source.card for source in registry()]
    parts = [
        _INTRODUCTION.format(near=figures["near"], threshold=figures["threshold"]),
        *_precision(figures),
        *_seen(figures),
        *_lineage(cards),
        *_limits(),
        "This page is written by `python -m med_mat.audit.page docs/overlaps.md` from the cards and from\n"
        "`med_mat/audit/measured.json`, which `benchmarks/overlaps.py` writes.\n",
    ]
    return "".join(parts)


def _precision(figures: dict[str, Any]) -> Iterator[str]:
    sides = figures["sources"]
    yield (
        "## Precision and recall\n\n"
        f"Measured on {figures['pictures']} different pictures of slices of {sum(map(len, sides.values()))} official "
        "downloads. The threshold was\n"
        f"chosen on {len(sides['chosen on'])} of these sources, the right half of the tables is what it does on the "
        f"other {len(sides['reported on'])}.\n\n"
        "Planted copies: of up to eight pictures per source, searched for among all pictures.\n\n"
    )
    rows = [
        [
            name,
            *(
                cell
                for side in _SIDES
                for cell in (
                    str(line[side]["planted"]),
                    _share(line[side]["candidates"], line[side]["planted"]),
                    _share(line[side]["confirmed"], line[side]["planted"]),
                )
            ),
        ]
        for name, line in figures["copies"].items()
    ]
    yield _table(["change", "copies", "candidates", "recall", "copies, others", "candidates", "recall"], rows)
    yield (
        "\nLook-alikes: for every picture the four of its own source whose fingerprints are nearest, so the next slice "
        "of a\nvolume, the other film of a patient, the fellow eye. None is a copy.\n\n"
    )
    yield _table(
        ["sources", "pairs", "called the same", "highest agreements"],
        [
            [
                side,
                str(figures["look_alikes"][side]["pairs"]),
                str(figures["look_alikes"][side]["called the same"]),
                ", ".join(f"{score:.2f}" for score in figures["look_alikes"][side]["highest"]),
            ]
            for side in _SIDES
        ],
    )
    yield (
        "\nThe choice of the threshold: candidates that are copies and stay, and look-alikes that are taken for copies."
        "\n\n"
    )
    yield _table(
        ["threshold", "copies kept", "look-alikes kept", "copies kept, others", "look-alikes kept, others"],
        [
            [
                f"{line['threshold']:.2f}",
                *(
                    cell
                    for side in _SIDES
                    for cell in (
                        _share(line[side]["kept"], line[side]["copies"]),
                        f"{line[side]['kept wrongly']} of {line[side]['look_alikes']}",
                    )
                ),
            ]
            for line in figures["thresholds"]
        ],
    )
    yield (
        "\nTwo pairs that these tables do not show were known when the threshold was set: two slices of one chest, "
        "which\nreach 0.39 if laid over each other in every way that windows offer, and two frames of one scan of a "
        "breast that\nnobody can tell apart, of the sources on the right, which reach 0.46.\n"
    )


def _seen(figures: dict[str, Any]) -> Iterator[str]:
    found = figures["families"]
    yield (
        "\n## Seen in slices of downloads\n\n"
        f"{found['files that stand twice']} files stand twice or more in the slices, {found['in several folders']} of "
        "them in several sources; all are found by their hashes. "
        f"{found['unequal pictures of one ISIC number']} pairs\nof unequal pictures bear one ISIC number, and "
        f"{found['found']} of them are found as near duplicates. All near duplicates:\n\n"
    )
    yield _table(
        ["sources", "bits that differ", "agreement"],
        [
            [" and ".join(dict.fromkeys(line["sources"])), str(line["distance"]), f"{line['detail']:.2f}"]
            for line in found["near duplicates"]
        ],
    )


def _lineage(cards: Sequence[Card]) -> Iterator[str]:
    yield (
        "\n## Declared relations\n\n"
        "What documents say, declared in cards, each with its evidence there. An audit names what sources share and no "
        "card\ndeclares, and what a card declares and is not there.\n\n"
    )
    slugs = {card.slug for card in cards}
    rows = [
        [card.slug, how, other]
        for card in cards
        for how, others in (("holds pictures of", card.lineage.contains), ("was drawn from", card.lineage.drawn_from))
        for other in others
        if other in slugs
    ]
    yield _table(["source", "relation", "source"], rows)
    yield "\nCollections that are no source, and the sources that were drawn from them:\n\n"
    yield _table(["collection", "sources"], [[name, ", ".join(members)] for name, members in outside(cards).items()])
    yield "\nSources that read one download:\n\n"
    yield _table(["download", "sources"], _shared((card.raw_slug, card.slug) for card in cards))
    yield "\nSources whose groups share a namespace agree on sides without seeing each other's pictures:\n\n"
    named = ((card.groups.namespace or card.slug, card.slug) for card in cards if card.groups is not None)
    yield _table(["namespace", "sources"], _shared(named))
    indirect = sum(not relation.direct for relation in relations(cards).values())
    yield (
        f"\nBy way of a third, {indirect} more pairs may share pictures, which an audit names where they do: parts of "
        "one\ncollection, such as the sets that were drawn from ChestX-ray14.\n"
    )


def _shared(pairs: Iterable[tuple[str, str]]) -> list[list[str]]:
    members: dict[str, list[str]] = {}
    for name, slug in pairs:
        members.setdefault(name, []).append(slug)
    return [[name, ", ".join(slugs)] for name, slugs in sorted(members.items()) if len(slugs) > 1]


def _limits() -> Iterator[str]:
    yield """
## What is not found

- Most copies of which more than about 5% was cut off at one side alone, or more than 3% at each of two sides that
  meet. Cuts by the same at all sides are found up to 12%. Such copies are known: two slices in chest_ct_scan stand in
  test and, without the table that the patient lies on, in training or validation.
- Copies that were turned by other angles than 90, 180 and 270 degrees, or bent.
- Augmented collections hold such copies: their cards group by original, or void the official split.
- Pictures of next to one colour: they resemble each other and say nothing of whom they show.
- Two pictures of one patient under different names in sources without a common namespace.

"""


def _share(part: int, of: int) -> str:
    return f"{part / of:.3f}" if of else "none"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return "None.\n"
    numeric = [
        all(row[place].replace(".", "", 1).replace(" of ", "").isdigit() for row in rows) for place in range(len(head))
    ]
    lines = [
        f"| {' | '.join(head)} |",
        f"| {' | '.join('---:' if right else '---' for right in numeric)} |",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(markdown(), encoding="utf-8")
