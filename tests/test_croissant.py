"""croissant.json: mlcroissant finds nothing wrong with it, and reads the rows through it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlcroissant
import pyarrow.parquet as pq
import pytest
from tiny import Row, add_source, make_card, registry_of, write_raw

from med_mat.build import build
from med_mat.croissant import croissant
from med_mat.publication import publication_files
from med_mat.schema import ROW

URL = "https://huggingface.co/datasets/ORG/med-mat"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("croissant")
    add_source(folder / "loaders", "several", kind="multilabel", presence="Is there {label}?", redistribution="none")
    labels = ("cyst|stone", "tumor", "cyst", "normal")
    write_raw(folder / "raw" / "several", [Row(f"{n}.png", labels[n % 4], age="40") for n in range(24)])
    build(registry_of(folder / "loaders"), folder / "raw", folder / "med-mat")
    return folder


def text_of(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    return [text_of(part) for part in value] if isinstance(value, list) else value


def test_rows_are_read_through_it(folder: Path) -> None:
    files = publication_files(registry_of(folder / "loaders"), folder / "med-mat")
    path = folder / "croissant.json"
    path.write_text(files["croissant.json"], encoding="utf-8")
    described = mlcroissant.Dataset(path, mapping={"repo": str(folder / "med-mat")})
    assert not described.metadata.issues.errors
    read = {text_of(row["rows/id"]): row for row in described.records("rows")}
    shards = (folder / "med-mat" / "data").glob("*/*.parquet")
    stored = {row["id"]: row for shard in shards for row in pq.read_table(shard).to_pylist()}
    assert set(read) == set(stored)
    for name, row in read.items():
        assert {column.split("/")[1] for column in row} == set(ROW.names)
        assert row["rows/image"].size == (12, 10)
        for column in ("question", "options", "answer", "answer_index", "labels", "source", "width", "raw_sha256"):
            assert text_of(row[f"rows/{column}"]) == stored[name][column]
    assert described.metadata.cite_as
    assert described.metadata.personal_sensitive_information
    assert described.metadata.data_limitations


def test_every_source_has_its_licence_and_what_is_served() -> None:
    cards = [
        make_card("a", licence={"name": "Terms", "url": "https://example.org/terms", "evidence": "read"}),
        make_card("b", redistribution="none"),
    ]
    manifest = {"sources": {card.slug: {"splits": {"train": 2}} for card in cards}}
    said = json.loads(croissant(cards, manifest, {"a": "annotations", "b": "none"}, url=URL, version="1.2.3.dev0"))
    assert said["version"] == "1.2.3"
    assert said["license"] == "https://example.org/terms"
    (sources,) = [part for part in said["recordSet"] if part["name"] == "sources"]
    facts = {line["sources/slug"]: line for line in sources["data"]}
    assert {slug: (line["sources/served"], line["sources/rows"]) for slug, line in facts.items()} == {
        "a": ("annotations", 2),
        "b": ("none", 0),
    }
    assert facts["a"]["sources/licence"] == "Terms"


def test_the_same_facts_give_the_same_bytes() -> None:
    cards = [make_card(slug) for slug in ("c", "a", "b")]
    manifest = {"sources": {card.slug: {"splits": {"train": 2}} for card in cards}}
    assert croissant(cards, manifest, url=URL, version="1.0.0") == croissant(cards, manifest, url=URL, version="1.0.0")


def test_all_cards_can_be_described(sources: Any) -> None:
    cards = [source.card for source in sources]
    manifest = {"sources": {card.slug: {"splits": {"train": 2}} for card in cards}}
    said = json.loads(croissant(cards, manifest, url=URL, version="1.0.0"))
    assert len(next(part for part in said["recordSet"] if part["name"] == "sources")["data"]) == len(cards)
