"""The script of a report, in headless Chromium: search, filters, matrix, deep links, and that nothing is asked for."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import lxml.html
import pytest
from lxml.html import HtmlElement
from tiny import add_source, plain_rows, registry_of, write_raw

from med_mat.build import build
from med_mat.report.gather import gather
from med_mat.report.page import render

CHROMIUM = shutil.which("chromium") or "chromium"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page")
    add_source(folder / "loaders", "kidneys", title="Kidneys")
    add_source(folder / "loaders", "livers", title="Livers", anatomy="liver", task="finding classification")
    add_source(folder / "loaders", "unseen", title="Unseen", modality="mri")
    for slug in ("kidneys", "livers"):
        write_raw(folder / "raw" / slug, plain_rows(8 if slug == "livers" else 16))
    registry = registry_of(folder / "loaders")
    build(registry, folder / "raw", folder / "med-mat")
    return render(gather(registry, folder / "med-mat"))


def after(page: str, tmp_path: Path, script: str = "", anchor: str = "") -> HtmlElement:
    """The page after its own script and another have run."""
    file = tmp_path / "page.html"
    file.write_text(page.replace("</body>", f"<script>{script}</script></body>"), encoding="utf-8")
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=2000", "--dump-dom"]
    done = subprocess.run([*command, f"{file.as_uri()}{anchor}"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return lxml.html.document_fromstring(done.stdout)


def shown(root: HtmlElement) -> list[str]:
    return [found.get("id") for found in root.xpath("//details[@data-state]") if found.get("hidden") is None]


def cell(root: HtmlElement, axis: str, word: str, modality: str) -> HtmlElement:
    path = f"//button[@data-axis='{axis}' and @data-word='{word}' and @data-modality='{modality}']"
    return root.xpath(path)[0]


FORM = (
    "const form = document.getElementById('filters').elements; "
    "const go = () => form.q.form.dispatchEvent(new Event('input'));"
)


def test_all_is_shown_at_first_and_the_numbers_stay_those_of_the_page(page: str, tmp_path: Path) -> None:
    root = after(page, tmp_path)
    assert shown(root) == ["kidneys", "livers", "unseen"]
    assert root.get_element_by_id("found").text == "3 sources, 24 pictures"
    plain = lxml.html.document_fromstring(page)
    for before, now in zip(plain.xpath("//td/button"), root.xpath("//td/button"), strict=True):
        assert (before.text_content(), before.get("title")) == (now.text_content(), now.get("title"))


def test_search_and_filters_narrow_list_and_matrix(page: str, tmp_path: Path) -> None:
    root = after(page, tmp_path, FORM + "form.q.value = 'STONE kid'; go();")
    assert shown(root) == ["kidneys", "livers", "unseen"], "every card has the label kidney stone"
    root = after(page, tmp_path, FORM + "form.task.value = 'finding classification'; go();")
    assert shown(root) == ["livers"]
    assert cell(root, "anatomy", "liver", "ct").text_content() == "18"
    assert "zero" in cell(root, "anatomy", "kidney", "ct").get("class")
    root = after(page, tmp_path, FORM + "form.q.value = 'no such thing'; go();")
    assert shown(root) == []
    assert root.get_element_by_id("none").get("hidden") is None


def test_a_click_on_a_cell_narrows_and_a_second_one_widens(page: str, tmp_path: Path) -> None:
    button = "button[data-axis='anatomy'][data-word='kidney'][data-modality='ct']"
    find = f'const cell = document.querySelector("{button}");'
    root = after(page, tmp_path, find + "cell.click();")
    assert shown(root) == ["kidneys"]
    assert cell(root, "anatomy", "kidney", "ct").get("aria-pressed") == "true"
    assert cell(root, "anatomy", "liver", "ct").text_content() == "18", "a cell says what a click on it would show"
    assert len(shown(after(page, tmp_path, find + "cell.click(); cell.click();"))) == 3


def test_sources_are_ordered(page: str, tmp_path: Path) -> None:
    assert shown(after(page, tmp_path, FORM + "form.order.value = 'rows'; go();")) == ["kidneys", "livers", "unseen"]


def test_an_address_opens_its_source_whatever_the_filters(page: str, tmp_path: Path) -> None:
    root = after(page, tmp_path, anchor="#livers")
    assert root.get_element_by_id("livers").get("open") is not None
    assert root.get_element_by_id("kidneys").get("open") is None
    root = after(page, tmp_path, FORM + "form.q.value = 'kidneys'; go(); location.hash = '#livers';")
    assert root.get_element_by_id("livers").get("open") is not None
    assert "livers" in shown(root)
