"""The page of a report: one HTML file that needs no other and no network."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from med_mat.card import Card
from med_mat.configs import SPLITS
from med_mat.report.gather import Facts, SourceFacts
from med_mat.sheets import PALETTE
from med_mat.vocabulary import subsets, vocabulary

_UNITS = ("bytes", "kB", "MB", "GB", "TB")
_FIRST_HEADING = 5  # below the headings that the page has around the prose of a card
_ACCESS = {
    "open": "open to all",
    "login": "after logging in",
    "request-form": "on request",
    "competition-rules": "after accepting the rules of a competition",
    "credentialed": "to people with credentials",
}
_RIGHTS = {
    "images": "pictures and labels may be passed on",
    "annotations": "labels may be passed on, pictures may not",
    "none": "nothing may be passed on",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of the matrix: sources, how many of them are built, and their rows."""

    sources: int = 0
    built: int = 0
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the matrix: ``axis`` is ``anatomy`` or ``task``, ``cells`` are one per modality."""

    axis: str
    word: str
    cells: tuple[Cell, ...]
    whole: Cell


def render(facts: Facts) -> str:
    """Writes a report as a page. Equal facts give equal bytes."""
    codes = [code for code in vocabulary().modalities if any(one.card.modality == code for one in facts.sources)]
    built = [source for source in facts.sources if source.built]
    template = _environment().get_template("page.html.jinja")
    return template.render(
        facts=facts,
        built=built,
        codes=codes,
        lines=[*_lines(facts, "anatomy", codes), *_lines(facts, "task", codes)],
        whole=[_cell(_of_modality(facts.sources, code)) for code in codes],
        splits=_sum_splits(built),
        labels=len({line.label for source in built for line in source.labels if line.total}),
        withheld=[source for source in built if source.card.redistribution != "images"],
        modalities=vocabulary().modalities,
        subsets=subsets(),
        palette=PALETTE,
        rights=_RIGHTS,
        access=_ACCESS,
    )


def search_text(card: Card) -> str:
    """What the page's search looks through: words of a card, in small letters."""
    licence = (card.licence.name, card.licence.spdx or "")
    words = (card.slug, card.title, vocabulary().modalities[card.modality], card.modality, card.anatomy, card.task)
    subset = f"subset {card.subset} subset_{card.subset}" if card.subset else ""
    return " ".join((*words, card.kind, subset, *card.clean_labels, *licence)).lower()


def _lines(facts: Facts, axis: str, codes: Sequence[str]) -> list[Line]:
    by_word: dict[str, list[SourceFacts]] = {}
    for source in facts.sources:
        by_word.setdefault(getattr(source.card, axis), []).append(source)
    ordered = sorted(by_word.items(), key=lambda item: (-len(item[1]), item[0]))
    return [
        Line(axis, word, tuple(_cell(_of_modality(found, code)) for code in codes), _cell(found))
        for word, found in ordered
    ]


def _of_modality(sources: Iterable[SourceFacts], code: str) -> list[SourceFacts]:
    return [source for source in sources if source.card.modality == code]


def _cell(sources: Sequence[SourceFacts]) -> Cell:
    return Cell(len(sources), sum(one.built for one in sources), sum(one.rows for one in sources))


def _sum_splits(sources: Sequence[SourceFacts]) -> dict[str, int]:
    total = {split: sum(source.splits.get(split, 0) for source in sources) for split in SPLITS}
    return {split: number for split, number in total.items() if number}


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("med_mat.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: Mapping[str, Callable[..., object]] = {
        "number": lambda value: f"{value:,}",
        "short": short,
        "size": _size,
        "percent": _percent,
        "markdown": _markdown,
        "web": _web,
        "search_text": search_text,
        "times": lambda size: f"{size[0]} \N{MULTIPLICATION SIGN} {size[1]}",
    }
    environment.filters.update(filters)
    environment.globals["style"] = Markup(_asset("page.css"))
    environment.globals["script"] = Markup(_asset("page.js"))
    return environment


def _asset(name: str) -> str:
    return files("med_mat.report").joinpath("templates", name).read_text(encoding="utf-8")


def short(value: int) -> str:
    """A number in at most five characters: ``999``, ``1.2k``, ``35k``, ``1.2M``."""
    if value < 1_000:
        return str(value)
    scaled, unit = (value / 1_000, "k") if value < 999_500 else (value / 1_000_000, "M")
    return f"{scaled:.1f}{unit}" if scaled < 9.95 else f"{scaled:.0f}{unit}"


def _size(number: int) -> str:
    scaled = float(number)
    for unit in _UNITS:
        if scaled < 999.5 or unit == _UNITS[-1]:
            break
        scaled /= 1000
    return f"{scaled:.0f} {unit}" if scaled >= 9.95 or unit == "bytes" else f"{scaled:.1f} {unit}"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f}".rstrip("0").rstrip(".") if whole else "0"


def _web(address: str | None) -> str | None:
    """The address if it may stand in a link: a card from elsewhere could hold a script."""
    return address if address and re.match(r"https?://", address) else None


def _markdown(text: str) -> Markup:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(text)
    if tokens and tokens[0].type == "heading_open":
        tokens = tokens[3:]  # its heading repeats the title
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1:]) + _FIRST_HEADING - 2, 6)}"
    return Markup(parser.renderer.render(tokens, parser.options, {}))
