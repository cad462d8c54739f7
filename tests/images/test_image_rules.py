"""The rules have words, and the page that explains them explains each."""

from __future__ import annotations

import re
from pathlib import Path

from med_mat.images import RULES

PAGE = Path(__file__).parents[2] / "docs" / "images.md"


def test_the_page_explains_every_rule_and_no_other() -> None:
    explained = re.findall(r"^\| `([a-z0-9-]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(explained) == sorted(RULES)


def test_every_rule_that_the_code_applies_has_words() -> None:
    folder = PAGE.parents[1] / "med_mat" / "images"
    source = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py") if path.name != "rules.py")
    named = set(re.findall(r'"((?:jpeg|png|tiff|dicom|nifti)(?:-[a-z]+)*)"', source))
    assert named <= set(RULES)
