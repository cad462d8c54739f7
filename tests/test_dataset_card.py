"""The README: YAML that the Hub reads, and the facts of every source for people."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import pytest
import yaml
from huggingface_hub import DatasetCard
from tiny import Row, add_source, make_card, med_mat, registry_of, write_raw

from med_mat.build import build
from med_mat.card import Card
from med_mat.configs import DEFAULT, configs
from med_mat.dataset_card import card_as_page, dataset_card
from med_mat.errors import DependencyError, LayoutError
from med_mat.publication import publication_files
from med_mat.vocabulary import Redistribution, catalogue, subsets, vocabulary

SPLITS = ("train", "validation", "test")
MOST_YAML = 100_000
"""Bytes of front matter that a README may have."""


def manifest_of(cards: Sequence[Card], rows: int = 1) -> dict[str, Any]:
    entry = {"rows": 3 * rows, "splits": dict.fromkeys(SPLITS, rows)}
    return {"rows": 3 * rows * len(cards), "sources": {card.slug: entry for card in cards}}


def many(number: int) -> list[Card]:
    base = make_card()
    areas, codes, sets = (list(words) for words in (vocabulary().anatomies, vocabulary().modalities, subsets()))
    return [
        base.model_copy(
            update={
                "slug": slug,
                "anatomy": areas[n % len(areas)],
                "modality": codes[n % len(codes)],
                "subset": sets[n % len(sets)],
                "licence": base.licence.model_copy(update={"name": "a | b", "spdx": None}),
            }
        )
        for n, slug in enumerate(list(catalogue())[:number])
    ]


def readme(cards: Sequence[Card], served: Mapping[str, Redistribution] | None = None, **options: Any) -> str:
    shown = [card for card in cards if served is None or served[card.slug] != "none"]
    pixels = None if served is None else [slug for slug, right in served.items() if right == "images"]
    listed = configs([(card, SPLITS) for card in shown], with_pixels=pixels)
    return dataset_card(listed, cards, manifest_of(cards), served, **options)


def section(text: str, title: str) -> str:
    return text.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def table(text: str) -> list[list[str]]:
    """Cells of a Markdown table without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    assert len({len(line) for line in cells}) == 1
    return cells[2:]


@pytest.mark.parametrize("number", [0, 1, 109])
@pytest.mark.parametrize("mixed", [False, True])
def test_the_front_matter_lists_every_config_and_stays_small(number: int, mixed: bool) -> None:
    cards = many(number)
    rights: list[Redistribution] = ["annotations", "images"]
    served = {card.slug: rights[n % 2] for n, card in enumerate(cards)} if mixed else None
    text = readme(cards, served)
    front = text.split("---\n", 2)[1]
    assert len(front.encode()) < MOST_YAML
    pixels = None if served is None else [slug for slug, right in served.items() if right == "images"]
    listed = configs([(card, SPLITS) for card in cards], with_pixels=pixels)
    said = yaml.safe_load(front)
    assert [config["config_name"] for config in said["configs"]] == [config.name for config in listed]
    assert [config.get("default", False) for config in said["configs"]] == [c.name == DEFAULT for c in listed]
    for config, read in zip(listed, said["configs"], strict=True):
        assert {
            part["split"]: [part["path"]] if isinstance(part["path"], str) else part["path"]
            for part in read["data_files"]
        } == {split: list(globs) for split, globs in config.globs.items()}
    assert len(table(section(text, "Sources"))) == number


def test_the_hub_reads_what_is_written() -> None:
    card = DatasetCard(readme(many(3)))
    assert card.data.license == "other"
    assert card.data.license_name == "per-source"
    assert card.data.size_categories == "n<1K"
    assert {"medical", "ct"} <= {*card.data.tags, "ct"}
    assert "visual-question-answering" in card.data.task_categories


def test_the_same_facts_give_the_same_text() -> None:
    assert readme(many(20)) == readme(many(20))


def test_kinds_with_regions_are_tasks_of_the_hub() -> None:
    detection = make_card("boxes").model_copy(update={"kind": "detection"})
    segmentation = make_card("outlines").model_copy(update={"kind": "segmentation"})
    tasks = DatasetCard(readme([detection, segmentation])).data.task_categories
    assert {"object-detection", "image-segmentation"} <= set(tasks)
    assert "object-detection" not in DatasetCard(readme([make_card()])).data.task_categories


def test_the_table_tells_what_is_served_of_each_source() -> None:
    cards = [
        make_card("open_one"),
        make_card("closed_one", redistribution="annotations", homepage="https://example.org/closed"),
        make_card("secret_one", redistribution="none"),
    ]
    text = readme(cards, {card.slug: card.redistribution for card in cards}, repo="ORG/med-mat")
    lines = {line[0].split("]")[0][1:]: line for line in table(section(text, "Sources"))}
    assert {slug: (line[5], line[10], line[11]) for slug, line in lines.items()} == {
        "open_one": ("3", "images", "pictures and labels"),
        "closed_one": ("3", "annotations", "labels"),
        "secret_one": ("", "none", "nothing"),
    }
    assert [line[:3] for line in table(section(text, "What is served"))] == [
        ["with pictures", "1", "3"],
        ["without pictures", "1", "3"],
        ["name and rights only", "1", ""],
    ]
    (subset,) = table(section(text, "Subsets"))
    assert subset[2:5] == ["3", "6", "3"]
    assert "[closed_one](https://example.org/closed)" in subset[5]
    assert "secret_one" in subset[5]
    assert "open_one" not in subset[5]
    assert 'load_dataset("ORG/med-mat", "open_one", split="train")' in text
    assert 'med_mat.load("closed_one", dataset="ORG/med-mat", raw={"closed_one": ' in text
    assert "secret_one" not in text.split("---\n", 2)[1]


def test_a_build_says_that_it_holds_all_pictures_and_what_may_be_passed_on() -> None:
    text = readme([make_card("closed_one", redistribution="annotations")])
    (line,) = table(section(text, "Sources"))
    assert line[10:12] == ["annotations", "pictures and labels"]
    assert "med_mat.load" not in text
    assert "holds all pictures" in text


def test_rows_are_counted_by_modality_and_area() -> None:
    cards = [
        make_card("a"),
        make_card("b", anatomy="liver"),
        make_card("c", modality="mri", anatomy="brain"),
    ]
    matrix = section(readme(cards), "Modalities and areas")
    assert table(matrix) == [["CT", "", "3", "3"], ["MRI", "3", "", ""]]
    assert "| brain | kidney | liver |" in matrix


def test_known_defects_are_told() -> None:
    card = make_card(
        official_splits="void",
        official_splits_reason="Patients stand on both sides.",
        burnt_in_text="Names of hospitals.",
        no_test_split="Copies cannot be told apart.",
        errata=["The area is wrong."],
        known_defects=[{"kind": "unreadable_image", "count": 3, "why": "cut <short> a|b"}],
    )
    told = section(readme([card, make_card("sound")]), "Known defects")
    assert "- 3 of unreadable image: cut &lt;short> a\\|b" in told
    for text in ("Patients stand on both sides.", "Names of hospitals.", "Copies cannot be", "The area is wrong."):
        assert text in told
    assert "sound" not in told
    assert "None is recorded" in section(readme([make_card("sound")]), "Known defects")


def test_licence_and_citation_lead_to_their_pages() -> None:
    card = make_card(
        licence={"name": "Free", "url": "https://example.org/terms", "evidence": "read"},
        citation="@article{who2020,\n doi = {10.1/x}\n}\n@misc{other2021}",
    )
    (line,) = table(section(readme([card]), "Sources"))
    assert line[9] == "[Free](https://example.org/terms)"
    assert line[12] == "[who2020](https://doi.org/10.1/x), other2021"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("card")
    add_source(folder / "loaders", "open_one")
    add_source(folder / "loaders", "closed_one", redistribution="annotations")
    for slug in ("open_one", "closed_one"):
        write_raw(folder / "raw" / slug, [Row(f"{slug} {n}.png", "cyst" if n % 2 else "stone") for n in range(20)])
    build(registry_of(folder / "loaders"), folder / "raw", folder / "med-mat")
    return folder


def test_a_published_state_has_pictures_by_right(bench: Path) -> None:
    sources = registry_of(bench / "loaders")
    files = publication_files(sources, bench / "med-mat", published=True, repo="ORG/med-mat")
    assert set(files) == {"README.md", "CITATION.bib", "CITATION.cff", "croissant.json"}
    said = yaml.safe_load(files["README.md"].split("---\n", 2)[1])
    by_name = {config["config_name"]: config["data_files"][0]["path"] for config in said["configs"]}
    assert by_name["default"] == "data/open_one/train-[0-9]*.parquet"
    assert by_name["everything"] == "data/*/train-*.parquet"
    local = publication_files(sources, bench / "med-mat")["README.md"]
    assert local == (bench / "med-mat" / "README.md").read_text(encoding="utf-8")


def test_the_example_of_the_readme_runs(bench: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example = re.search(r"```python\n(.*?)```", (bench / "med-mat" / "README.md").read_text(), re.DOTALL)
    assert example
    monkeypatch.chdir(bench)
    found: dict[str, Any] = {}
    exec(compile(example[1], "README.md", "exec"), found)
    assert isinstance(found["rows"], datasets.Dataset)


def test_the_command_writes_page_and_files(bench: Path, tmp_path: Path) -> None:
    build, page, out = bench / "med-mat", tmp_path / "page.html", tmp_path / "out"
    done = med_mat("card", build, "--published", "--preview", page, "--out", out, "--loaders", bench / "loaders")
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == {str(page), *map(str, out.iterdir())}
    html = page.read_text(encoding="utf-8")
    assert "<table>" in html
    assert "config_name" not in html
    assert '<a href="https://example.org/tiny">closed_one</a>' in html


def test_the_command_says_what_it_misses(bench: Path, tmp_path: Path) -> None:
    nothing = med_mat("card", bench / "med-mat")
    assert nothing.returncode == 2
    assert "--preview" in nothing.stderr
    stranger = med_mat("card", bench / "med-mat", "--out", tmp_path)
    assert stranger.returncode == 2
    assert "no source" in stranger.stderr
    with pytest.raises(LayoutError, match="manifest"):
        publication_files(registry_of(bench / "loaders"), tmp_path)


def test_html_in_a_card_is_shown_and_not_obeyed() -> None:
    card = make_card(errata=["<script>alert(1)</script>"])
    assert "<script>" not in card_as_page(readme([card]))


def test_what_is_not_installed_is_named(bench: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlcroissant", None)
    with pytest.raises(DependencyError, match=r"mlcroissant is not installed.*med-mat\[publish\]"):
        publication_files(registry_of(bench / "loaders"), bench / "med-mat")
