"""The page of licences says what the cards say, and counts a subset only when all its sources allow it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from med_mat import licences
from med_mat.card import Card
from med_mat.registry import Registry
from med_mat.vocabulary import catalogue
from tests.tiny import make_card

PAGE = Path(__file__).parent.parent / "docs" / "licences.md"
WHOLE, PARTIAL = "## Subsets whose pictures", "## What stands in the way"


def _card(slug: str, right: str = "images", **licence: str) -> Card:
    row = catalogue()[slug]
    terms = {"name": "CC BY 4.0", "evidence": "the record", **licence}
    return make_card(slug, number=row.number, subset=row.subset, redistribution=right, licence=terms)


def _sections(page: str) -> tuple[str, str, str]:
    sources, rest = page.split(WHOLE)
    whole, partial = rest.split(PARTIAL)
    return sources, whole, partial


def test_the_page_is_up_to_date(sources: Registry) -> None:
    assert PAGE.read_text(encoding="utf-8") == licences.markdown(source.card for source in sources)


def test_the_command_writes_the_page(sources: Registry, tmp_path: Path) -> None:
    page = tmp_path / "licences.md"
    subprocess.run([sys.executable, "-m", "med_mat.licences", page], check=True)
    assert page.read_text(encoding="utf-8") == licences.markdown(source.card for source in sources)


def test_every_source_has_one_line_in_the_order_of_the_table(sources: Registry) -> None:
    cards = [source.card for source in sources]
    table = _sections(licences.markdown(reversed(cards)))[0].split("| ---: |")[1].splitlines()[1:]
    lines = [line for line in table if line]
    numbered = sorted(cards, key=lambda card: card.number or 10**6)
    assert [line.split(" | ")[1] for line in lines] == [card.slug for card in numbered]
    for card, line in zip(numbered, lines, strict=True):
        assert card.licence.evidence in line
        assert f"| {card.redistribution} |" in line


def test_a_subset_is_whole_only_when_every_row_of_it_may_be_passed_on() -> None:
    both = [_card("histopathologic_cancer_detection"), _card("c_nmc_leukemia")]
    _, whole, partial = _sections(licences.markdown(both))
    assert "| 21 | Cancer Classification | histopathologic_cancer_detection, c_nmc_leukemia |" in whole
    assert "1 of 53 subsets" in whole
    assert "| 21 |" not in partial


@pytest.mark.parametrize("right", ["annotations", "none"])
def test_one_source_keeps_a_subset_from_being_whole(right: str) -> None:
    page = licences.markdown([_card("histopathologic_cancer_detection"), _card("c_nmc_leukemia", right)])
    _, whole, partial = _sections(page)
    assert "0 of 53 subsets" in whole
    assert f"| histopathologic_cancer_detection | c_nmc_leukemia ({right}) |" in partial


def test_a_row_without_a_card_is_not_settled() -> None:
    _, whole, partial = _sections(licences.markdown([_card("c_nmc_leukemia")]))
    assert "| 21 |" not in whole
    assert "| c_nmc_leukemia | histopathologic_cancer_detection (no card) |" in partial


def test_cells_keep_the_table_whole_and_licences_lead_to_their_text() -> None:
    page = licences.markdown([_card("ct_kidney", name="a | b", url="https://example.org/terms", evidence="c | d")])
    assert "| [a \\| b](https://example.org/terms) |" in page
    assert "c \\| d" in page


def test_a_source_outside_the_published_table_comes_last() -> None:
    sources, _, _ = _sections(licences.markdown([make_card("tiny"), _card("vindr_pcxr", "none")]))
    assert sources.index("| tiny |") > sources.index("| vindr_pcxr |")
