"""What to cite: the paper and every source, as BibTeX and as ``CITATION.cff``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import yaml

from med_mat.card import Card
from med_mat.errors import CardError

if TYPE_CHECKING:
    from pybtex.database import BibliographyData, Entry, Person

PAPER = """\
@inproceedings{cai2025exploring,
  title     = {Exploring Compositional Generalization of Multimodal {LLM}s for Medical Imaging},
  author    = {Cai, Zhenyang and Chen, Junying and Wang, Rongsheng and Wang, Weihong and Deng, Yonglin and
               Song, Dingjie and Chen, Yize and Zhang, Zixu and Wang, Benyou},
  booktitle = {Proceedings of the 63rd Annual Meeting of the Association for Computational Linguistics (Volume 1: Long Papers)},
  pages     = {13057--13079},
  year      = {2025},
  doi       = {10.18653/v1/2025.acl-long.639}
}"""  # noqa: E501 # a title of proceedings has no line breaks
"""The paper that gathered the sources."""

_ENTRY = re.compile(r"@\w+\s*\{\s*([^,\s{}]+)\s*[,}]")
_LINKS = (
    ("https://doi.org/", re.compile(r"\bdoi\s*=\s*[{\"]\s*(?:https?://(?:dx\.)?doi\.org/)?([^}\"\s]+)", re.IGNORECASE)),
    ("", re.compile(r"\burl\s*=\s*[{\"]\s*(https?://[^}\"\s]+)", re.IGNORECASE)),
)
# CFF's words for what BibTeX calls otherwise; everything else is "generic".
_TYPES = {"article": "article", "inproceedings": "conference-paper", "book": "book", "phdthesis": "thesis"}
_CFF_VERSION = "1.2.0"


def citation_keys(card: Card) -> list[str]:
    """Returns the keys of a card's BibTeX entries, in their order."""
    return _ENTRY.findall(card.citation)


def citation_link(card: Card) -> str:
    """Returns the keys of a card's citation in Markdown; the first leads to the work where its entry tells where."""
    keys = citation_keys(card)
    for prefix, pattern in _LINKS:
        found = pattern.search(card.citation)
        if found and keys:
            return ", ".join([f"[{keys[0]}]({prefix}{found[1]})", *keys[1:]])
    return ", ".join(keys)


def bibtex(cards: Iterable[Card]) -> str:
    """Writes the BibTeX of the paper and of all sources, each entry once.

    Args:
        cards: Cards in order of admission.

    Raises:
        CardError: If a citation is no BibTeX, or two sources give one key to different works.
    """
    return f"{_merged(cards).to_string('bibtex').strip()}\n"


def cff(cards: Sequence[Card], *, version: str) -> str:
    """Writes ``CITATION.cff`` (Citation File Format 1.2.0) with the paper and all sources as references.

    Args:
        cards: Cards in order of admission.
        version: Version of the dataset.

    Raises:
        CardError: As ``bibtex``.
    """
    merged = _merged(cards)
    paper, *others = [_reference(key, entry) for key, entry in merged.entries.items()]
    content = {
        "cff-version": _CFF_VERSION,
        "type": "dataset",
        "title": "Med-MAT",
        "message": "Cite the paper and the sources that you use.",
        "version": version,
        "authors": paper["authors"],
        "preferred-citation": paper,
        "references": others,
    }
    return yaml.dump(content, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=120)


class _Plain(yaml.SafeDumper):
    """Writes what stands twice a second time: not every reader of CFF knows YAML's aliases."""

    def ignore_aliases(self, _: object) -> bool:
        return True


def _merged(cards: Iterable[Card]) -> BibliographyData:
    from pybtex.database import BibliographyData

    merged: dict[str, Entry] = dict(_parse(PAPER, "the paper").entries.items())
    owner = dict.fromkeys(merged, "the paper")
    for card in cards:
        for key, entry in _parse(card.citation, f"card {card.slug}").entries.items():
            earlier = merged.setdefault(key, entry)
            if earlier is not entry and _identity(earlier) != _identity(entry):
                raise CardError(
                    f"card {card.slug}: its citation {key!r} is another work than {key!r} of {owner[key]}; give one "
                    "of them another key, or the same title, year and DOI"
                )
            owner.setdefault(key, f"card {card.slug}")
    return BibliographyData(merged)


def _parse(text: str, where: str) -> BibliographyData:
    from pybtex.database import parse_string
    from pybtex.exceptions import PybtexError

    try:
        found = parse_string(text, "bibtex")
    except PybtexError as error:
        raise CardError(f"{where}: its citation is not BibTeX: {error}") from error
    if not found.entries:
        raise CardError(f"{where}: its citation holds no BibTeX entry")
    return found


def _identity(entry: Entry) -> tuple[str, ...]:
    fields = entry.fields
    return tuple(re.sub(r"[^a-z0-9]", "", fields.get(name, "").lower()) for name in ("title", "year", "doi"))


def _reference(key: str, entry: Entry) -> dict[str, Any]:
    fields = entry.fields
    people = entry.persons.get("author") or entry.persons.get("editor") or ()
    venue = fields.get("journal") or fields.get("booktitle")
    reference: dict[str, Any] = {
        "type": _TYPES.get(entry.type.lower(), "generic"),
        "title": _plain(fields.get("title", key)),
        "authors": [_person(person) for person in people] or [{"name": _owner(entry, key)}],
    }
    if fields.get("year", "").isdigit():
        reference["year"] = int(fields["year"])
    if venue:
        # A conference is an entity in CFF, a journal a text.
        if reference["type"] == "conference-paper":
            reference["collection-title"] = _plain(venue)
        else:
            reference["journal"] = _plain(venue)
    for field, name in (("doi", "doi"), ("url", "url"), ("volume", "volume"), ("publisher", "publisher")):
        if field in fields:
            text = _plain(fields[field])
            reference[name] = {"name": text} if name == "publisher" else text
    return reference


def _owner(entry: Entry, key: str) -> str:
    for name in ("organization", "institution", "publisher", "howpublished"):
        if name in entry.fields:
            return _plain(entry.fields[name])
    return key


def _person(person: Person) -> dict[str, str]:
    family = _plain(" ".join(person.last_names))
    given = _plain(" ".join([*person.first_names, *person.middle_names]))
    # What BibTeX calls a person without first name is often an institution.
    if not given:
        return {"name": family}
    parts = {"family-names": family, "given-names": given}
    if person.prelast_names:
        parts["name-particle"] = _plain(" ".join(person.prelast_names))
    return parts


def _plain(text: str) -> str:
    import latexcodec  # noqa: F401 # registers the codec of LaTeX's accents

    decoded = text.encode().decode("latex+utf8") if "\\" in text else text
    return re.sub(r"\s+", " ", decoded.replace("{", "").replace("}", "")).strip()
