"""Examples in the documentation are run, and pages that are generated are up to date."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

import med_mat
from med_mat.registry import Registry

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_doctests() -> None:
    result = doctest.testmod(med_mat)
    assert result.attempted
    assert not result.failed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_loader_of_the_guide_is_the_real_one() -> None:
    guide = (ROOT / "docs" / "adding-a-source.md").read_text(encoding="utf-8")
    example = re.search(r"```python\n(.*?)```", guide, re.DOTALL)
    assert example
    assert example[1] == (ROOT / "loaders" / "ct_kidney.py").read_text(encoding="utf-8")


def test_the_guide_names_every_field_of_a_card(sources: Registry) -> None:
    guide = (ROOT / "docs" / "adding-a-source.md").read_text(encoding="utf-8")
    fields = set(type(sources["ct_kidney"].card).model_fields) - {"slug", "prose"}
    missing = {field for field in fields if f"`{field}`" not in guide}
    assert not missing
