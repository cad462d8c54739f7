"""An audit as one HTML page: every picture that stands more than once, side by side, for a person to look at."""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

from PIL import Image

from med_mat.audit.bands import ORIENTATIONS
from med_mat.audit.collection import Album
from med_mat.audit.run import Audit, Family, Pair
from med_mat.card import Card
from med_mat.registry import Registry

_MOST, _FEW, _DOUBTFUL = 400, 8, 100
_CELL = 220  # pixels

_STYLE = """
body{font:14px/1.45 system-ui,sans-serif;margin:2rem;color:#222;background:#fafafa;max-width:100rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.2rem;border-bottom:1px solid #ccc}
table{border-collapse:collapse}td,th{padding:.25rem .7rem;border-bottom:1px solid #ddd;text-align:right}
td:first-child,td:nth-child(2),td:last-child,th:first-child,th:nth-child(2),th:last-child{text-align:left}
.family{display:flex;flex-wrap:wrap;gap:.8rem;margin:.7rem 0;padding:.7rem;background:#fff;border:1px solid #ddd}
.harm{border-left:5px solid #d55e00}
.family>p{flex-basis:100%;margin:0;color:#555}
figure{margin:0;width:220px}figcaption{font-size:12px;overflow-wrap:anywhere}
figure img{max-width:220px;max-height:220px;background:#ddd}
.absent{width:220px;height:120px;background:#ddd;color:#555;display:flex;align-items:center;justify-content:center}
"""


def page(found: Audit, registry: Registry, *, raw: Path | None = None, cache: Path | None = None) -> str:
    """Writes an audit as a page that needs no other file.

    It shows the pictures as they are published, so it is for the one who builds, not for publication.

    Args:
        found: The audit.
        registry: All sources.
        raw: Folder with a raw root per source, for pictures that became no row.
        cache: Where compressed tars and archives within archives were unpacked.
    """
    album = Album(found.folder, raw, {slug: registry[slug].card for slug in found.sources}, cache)
    return "".join(_page(found, album))


def _page(found: Audit, album: Album) -> Iterator[str]:
    yield f"<!doctype html><html lang=en><meta charset=utf-8><title>Audit</title><style>{_STYLE}</style>"
    yield f"<h1>Audit of {escape(found.folder.name)}</h1>"
    yield (
        f"<p>{sum(found.sources.values())} pictures of {len(found.sources)} sources. {len(found.families)} stand more "
        f"than once, {len(found.leaks)} of them in several splits, {len(found.contradictions)} with answers that "
        f"contradict. {len(found.torn_groups)} groups stand in several splits.</p>"
    )
    yield from _overlaps(found)
    for title, most, families in _sections(found, album.cards):
        if not families:
            continue
        yield f"<h2>{title}: {len(families)}</h2>"
        for family in families[:most]:
            yield from _family(family, found, album)
        if len(families) > most:
            yield f"<p>… and {len(families) - most} more.</p>"
    others = [pair for pair in found.pairs if pair.agreement is None or not pair.agreement.same]
    # The most doubtful first.
    others.sort(key=lambda pair: -2.0 if pair.agreement is None else -pair.agreement.detail)
    yield f"<h2>Near fingerprints, not the same picture: {len(others)}</h2>"
    for pair in others[:_DOUBTFUL]:
        yield from _pair(pair, found, album)
    if len(others) > _DOUBTFUL:
        yield f"<p>… and {len(others) - _DOUBTFUL} more, which agree less.</p>"
    yield "</html>\n"


def _sections(found: Audit, cards: Mapping[str, Card]) -> Iterator[tuple[str, int, list[Family]]]:
    """Families by what they mean, with a title and how many are shown."""
    harmful, downloads, shared, inside = [], [], [], []
    for family in found.families:
        pictures = Counter(cards[member.source].raw_slug for member in family.members)
        if len(family.splits) > 1 or family.contradictions:
            harmful.append(family)
        elif len(pictures) > 1:
            shared.append(family)
        elif len({member.key for member in family.members}) > 1:
            inside.append(family)
        else:
            downloads.append(family)
    yield "In several splits, or with answers that contradict", _MOST, harmful
    yield "In several downloads", _MOST, shared
    yield "Several times in one download", _MOST, inside
    # A picture of a download that two sources read is no finding.
    yield "One picture of one download, read by several sources", _FEW, downloads


def _overlaps(found: Audit) -> Iterator[str]:
    shown = [one for one in found.overlaps if one not in found.unseen]
    if shown:
        yield "<h2>What sources share</h2><table><tr>"
        for name in ("first", "second", "same file", "same pixels", "near", "groups", "across splits", "cards say"):
            yield f"<th>{name}</th>"
        yield "</tr>"
        for one in shown:
            cells = (one.first, one.second, one.same_file, one.same_pixels, one.near, one.groups, one.across_splits)
            yield "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells)
            yield f"<td>{escape(one.relation)}</td></tr>" if one.declared else "<td class=harm>nothing</td></tr>"
        yield "</table>"
    if found.unseen:
        pairs = "; ".join(f"{one.first} and {one.second}: {one.relation}" for one in found.unseen)
        yield f"<h2>Cards say so, and nothing was found here: {len(found.unseen)}</h2><p>{escape(pairs)}</p>"


def _family(family: Family, found: Audit, album: Album) -> Iterator[str]:
    harm = " harm" if len(family.splits) > 1 or family.contradictions else ""
    said = "; ".join(escape(reason) for _, _, reason in family.contradictions)
    splits = f"; in {' and '.join(family.splits)}" if len(family.splits) > 1 else ""
    yield f'<div class="family{harm}"><p>{family.how}{splits}{": " + said if said else ""}</p>'
    yield from _figures([member.number for member in family.members], found, album)
    yield "</div>"


def _pair(pair: Pair, found: Audit, album: Album) -> Iterator[str]:
    detail = "pixels not at hand" if pair.agreement is None else f"details agree to {pair.agreement.detail:.2f}"
    yield f'<div class="family"><p>{pair.distance} of 256 bits differ, {detail}; {ORIENTATIONS[pair.orientation]}</p>'
    yield from _figures([pair.first, pair.second], found, album)
    yield "</div>"


def _figures(numbers: Sequence[int], found: Audit, album: Album) -> Iterator[str]:
    images = album.load([found.lines[number] for number in numbers])
    for number in numbers:
        line = found.lines[number]
        said = f"{line['source']} · {line['split'] or 'no row'} · {'; '.join(line['labels'] or ())}"
        picture = _embedded(images[number]) if number in images else '<div class="absent">pixels not at hand</div>'
        yield f"<figure>{picture}<figcaption>{escape(said)}<br>{escape(line['key'])}</figcaption></figure>"


def _embedded(image: Image.Image) -> str:
    image = image.copy()
    image.thumbnail((_CELL, _CELL))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=80)
    return f'<img src="data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}" alt="">'
