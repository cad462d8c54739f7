"""Citations: every source's work once, as BibTeX and as CITATION.cff."""

from __future__ import annotations

import re

import pytest
import yaml
from pybtex.database import parse_string
from tiny import make_card

from med_mat.citations import bibtex, cff, citation_keys
from med_mat.errors import CardError
from med_mat.registry import Registry

ACCENTS = r"""@inproceedings{ruiz2021,
  author    = {Ru\'iz, Jos{\'e} and van der Berg, Anna and {World Health Organization}},
  title     = {A {CT} Set},
  booktitle = {Proceedings of Things},
  year      = {2021},
  url       = {https://example.org/set},
  publisher = {Press}
}"""


def test_each_work_stands_once() -> None:
    cards = [make_card("a", citation=ACCENTS), make_card("b", citation=ACCENTS), make_card("c")]
    entries = parse_string(bibtex(cards), "bibtex").entries
    assert list(entries) == ["cai2025exploring", "ruiz2021", "tiny"]


def test_two_works_under_one_key_are_refused() -> None:
    other = ACCENTS.replace("2021,", "2021,", 1).replace("{2021}", "{2022}")
    with pytest.raises(CardError, match=r"card b: its citation 'ruiz2021' is another work than .* of card a"):
        bibtex([make_card("a", citation=ACCENTS), make_card("b", citation=other)])


def test_what_is_no_bibtex_is_refused() -> None:
    with pytest.raises(CardError, match="card a: its citation is not BibTeX"):
        bibtex([make_card("a", citation="@article{broken")])


def test_references_of_the_citation_file() -> None:
    said = yaml.safe_load(cff([make_card("a", citation=ACCENTS), make_card("b")], version="1.2.0"))
    assert said["cff-version"] == "1.2.0"
    assert said["version"] == "1.2.0"
    assert said["preferred-citation"]["doi"] == "10.18653/v1/2025.acl-long.639"
    first, second = said["references"]
    assert first == {
        "type": "conference-paper",
        "title": "A CT Set",
        "authors": [
            {"family-names": "Ruíz", "given-names": "José"},
            {"family-names": "Berg", "given-names": "Anna", "name-particle": "van der"},
            {"name": "World Health Organization"},
        ],
        "year": 2021,
        "collection-title": "Proceedings of Things",
        "url": "https://example.org/set",
        "publisher": {"name": "Press"},
    }
    # CFF wants a title and an author of every reference.
    assert second["title"] == "tiny"
    assert second["authors"] == [{"name": "tiny"}]


def test_the_citations_of_all_cards_go_together(sources: Registry) -> None:
    cards = [source.card for source in sources]
    entries = parse_string(bibtex(cards), "bibtex").entries
    assert set(entries) == {"cai2025exploring", *(key for card in cards for key in citation_keys(card))}
    said = yaml.safe_load(cff(cards, version="1.0.0"))
    assert len(said["references"]) == len(entries) - 1
    for reference in said["references"]:
        assert reference["type"]
        assert reference["title"]
        assert reference["authors"]
        words = [value for value in reference.values() if isinstance(value, str)]
        words += [name for author in reference["authors"] for name in author.values()]
        assert not [word for word in words if re.search(r"[{}\\]", word)]
