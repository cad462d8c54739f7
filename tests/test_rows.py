"""One question a row: the same pictures, byte for byte, streaming or not."""

from __future__ import annotations

from pathlib import Path

import datasets
import pyarrow.parquet as pq
import pytest
from tiny import Row, add_source, registry_of, write_raw

from med_mat import explode, prompt
from med_mat.build import build


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    add_source(folder / "loaders", "several", kind="multilabel", presence="Is there {label}?")
    labels = ("cyst|stone", "tumor", "cyst", "normal")
    write_raw(folder / "raw" / "several", [Row(f"{n}.png", labels[n % 4]) for n in range(40)])
    build(registry_of(folder / "loaders"), folder / "raw", folder / "med-mat")
    return folder / "med-mat"


def test_every_question_becomes_a_row(folder: Path) -> None:
    rows = datasets.load_dataset(str(folder), "several", split="train")
    exploded = explode(rows)
    expected = [
        (f"{row['id']}#{number}", question["question"], question["answer"], tuple(question["options"]))
        for row in rows
        for number, question in enumerate([row, *row["more_questions"]])
    ]
    found = [(row["question_id"], row["question"], row["answer"], tuple(row["options"])) for row in exploded]
    assert found == expected
    assert len(found) > len(rows)
    assert "more_questions" not in exploded.column_names
    assert {row["question_kind"] for row in exploded} == {"choice_of_sets", "presence"}


def test_streaming_gives_the_same(folder: Path) -> None:
    whole = explode(datasets.load_dataset(str(folder), "several"))
    streamed = explode(datasets.load_dataset(str(folder), "several", streaming=True))
    assert whole.keys() == streamed.keys()
    for split, part in whole.items():
        found = [(row["question_id"], row["image"].size) for row in streamed[split]]
        assert found == [(row["question_id"], row["image"].size) for row in part]


def test_pictures_are_passed_on_as_they_are(folder: Path) -> None:
    stored = {
        row["id"]: row["image"]["bytes"]
        for path in (folder / "data" / "several").glob("train-*.parquet")
        for row in pq.read_table(path, columns=["id", "image"]).to_pylist()
    }
    exploded = explode(datasets.load_dataset(str(folder), "several", split="train"))
    for row in exploded.cast_column("image", datasets.Image(decode=False)):
        assert row["image"]["bytes"] == stored[row["id"]]


def test_the_choice_form(folder: Path) -> None:
    row = datasets.load_dataset(str(folder), "several", split="train")[0]
    lines = prompt(row).splitlines()
    assert lines[0] == row["question"]
    assert lines[1 : 1 + len(row["options"])] == [
        f"{letter}: {option}" for letter, option in zip("ABCD", row["options"], strict=False)
    ]
    assert lines[-1] == "Answer with the option's letter from the given choices directly."


def test_a_stream_that_decodes_in_threads_explodes_too(folder: Path) -> None:
    plain = datasets.load_dataset(str(folder), "several", split="train", streaming=True)
    found = [(row["question_id"], row["image"].size) for row in explode(plain.decode(num_threads=2))]
    assert found == [(row["question_id"], row["image"].size) for row in explode(plain)]
