"""Exports: every question once, every picture as it is, in the form that the other tool reads."""

from __future__ import annotations

import json
import tarfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest
from test_attach import strip
from tiny import Row, add_source, med_mat, noise_bytes, registry_of, write_raw

from med_mat import explode, prompt
from med_mat.build import build
from med_mat.errors import MedMatError
from med_mat.export import FORMATS, Boxes, Format, export_rows
from med_mat.export.tars import Tars
from med_mat.schema import features

LISTED: tuple[Format, ...] = ("upstream-json", "llava", "sharegpt")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    add_source(folder / "loaders", "several", kind="multilabel", presence="Is there {label}?")
    labels = ("cyst|stone", "tumor", "cyst", "normal")
    rows = [Row(f"ünï {n}.jpg", labels[n % 4], split=("train", "test")[n % 5 == 0]) for n in range(40)]
    write_raw(folder / "raw" / "several", rows, mode="RGB")
    add_source(folder / "loaders", "single", redistribution="annotations")
    write_raw(folder / "raw" / "single", [Row(f"{n}.png", ("cyst", "stone")[n % 2]) for n in range(20)])
    build(registry_of(folder / "loaders"), folder / "raw", folder / "med-mat")
    strip(folder / "med-mat", folder / "published", ["single"])
    return folder


def load(folder: Path, *, build: str = "med-mat", **options: Any) -> Any:
    return datasets.load_dataset(str(folder / build), "everything", **options)


def exploded(folder: Path, split: str) -> list[dict[str, Any]]:
    rows = explode(load(folder, split=split)).cast_column("image", datasets.Image(decode=False))
    return list(rows)


def answer(row: dict[str, Any]) -> str:
    return "ABCD"[row["answer_index"]]


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_rows_give_the_same_bytes(folder: Path, tmp_path: Path, form: Format) -> None:
    done = export_rows(load(folder), tmp_path / "table", form)
    streamed = load(folder, streaming=True)
    # A stream from afar decodes in threads of its own.
    threaded = datasets.IterableDatasetDict({name: part.decode(num_threads=2) for name, part in streamed.items()})
    assert export_rows(streamed, tmp_path / "stream", form) == done
    assert export_rows(threaded, tmp_path / "threads", form) == done
    assert files(tmp_path / "table") == files(tmp_path / "stream") == files(tmp_path / "threads")
    assert done.questions == {split: len(exploded(folder, split)) for split in ("train", "test")}


@pytest.mark.parametrize("form", LISTED)
def test_each_question_stands_with_its_picture(folder: Path, tmp_path: Path, form: Format) -> None:
    done = export_rows(load(folder), tmp_path, form)
    pictures: dict[str, bytes] = {}
    for split in ("train", "test"):
        items = json.loads((tmp_path / f"{split}.json").read_text(encoding="utf-8"))
        rows = exploded(folder, split)
        assert len(items) == len(rows)
        for item, row in zip(items, rows, strict=True):
            text, path = told(form, item)
            assert text == (prompt(row), answer(row))
            assert (tmp_path / path).read_bytes() == row["image"]["bytes"]
            pictures[path] = row["image"]["bytes"]
    written = {name for name in files(tmp_path) if not name.endswith(".json")}
    assert written == set(pictures)
    assert done.pictures == len(pictures)


def told(form: Format, item: dict[str, Any]) -> tuple[tuple[str, str], str]:
    if form == "upstream-json":
        return (item["Question-choice"], item["Answer-choice"]), item["image"]
    human, model = item["conversations"]
    assert (human["from"], model["from"]) == ("human", "gpt")
    mark, text = human["value"].split("\n", 1)
    assert mark == "<image>"
    (path,) = [f"images/{item['image']}"] if form == "llava" else item["images"]
    return (text, model["value"]), path


def test_upstreams_items_have_upstreams_keys(folder: Path, tmp_path: Path) -> None:
    export_rows(load(folder, split="train"), tmp_path, "upstream-json")
    items = json.loads((tmp_path / "train.json").read_text(encoding="utf-8"))
    rows = exploded(folder, "train")
    assert [item["id"] for item in items] == list(range(1, len(rows) + 1))
    for item, row in zip(items, rows, strict=True):
        assert list(item) == [
            "id",
            "caption",
            "image",
            "Question",
            "Answer",
            "Question-choice",
            "Answer-choice",
            "data-no",
        ]
        assert (item["Question"], item["Answer"]) == (row["question"], row["answer"])
        assert item["caption"] == "; ".join(row["labels"])
        assert item["data-no"] == ""  # these sources are not in the published table


def test_sharegpt_names_its_files_for_the_trainer(folder: Path, tmp_path: Path) -> None:
    export_rows(load(folder), tmp_path, "sharegpt")
    told = json.loads((tmp_path / "dataset_info.json").read_text(encoding="utf-8"))
    assert {entry["file_name"] for entry in told.values()} == {"train.json", "test.json"}
    for entry in told.values():
        items = json.loads((tmp_path / entry["file_name"]).read_text(encoding="utf-8"))
        assert entry["formatting"] == "sharegpt"
        assert set(entry["columns"].values()) <= set(items[0])


def test_datasets_reads_the_tar_files(folder: Path, tmp_path: Path) -> None:
    export_rows(load(folder, split="train"), tmp_path, "webdataset")
    read = datasets.load_dataset("webdataset", data_files=str(tmp_path / "train-*.tar"), split="train")
    rows = exploded(folder, "train")
    assert len(read) == len(rows)
    by_name = {row["question_id"].replace("#", "-"): row for row in rows}
    for sample in read.cast_column("jpg", datasets.Image(decode=False)):
        row = by_name.pop(sample["__key__"])
        assert sample["jpg"]["bytes"] == row["image"]["bytes"]
        assert sample["json"]["prompt"] == prompt(row)
        assert sample["json"]["answer_text"] == answer(row)
        assert sample["json"]["labels"] == row["labels"]
    assert not by_name


def test_tar_files_are_cut_between_samples(folder: Path, tmp_path: Path) -> None:
    from med_mat.export.writing import _questions

    tars = Tars(tmp_path, tar_bytes=20_000)
    with tars.split("train") as take:
        for question in _questions(load(folder, split="train"), "canonical"):
            take(question)
    paths = sorted(tmp_path.iterdir())
    assert [path.name for path in paths] == [f"train-{number:06d}.tar" for number in range(len(paths))]
    assert len(paths) > 2
    names = []
    for path in paths:
        with tarfile.open(path) as tar:
            members = tar.getnames()
        assert [name.partition(".")[0] for name in members[::2]] == [name.partition(".")[0] for name in members[1::2]]
        names += members[::2]
    assert len(names) == len(set(names)) == len(exploded(folder, "train"))


def test_a_mask_goes_with_its_picture(folder: Path, tmp_path: Path) -> None:
    mask = noise_bytes("mask", "mask.png")
    rows = load(folder, split="train").select(range(2))
    masked = rows.map(
        lambda _, place: {"mask": {"bytes": mask if place else None, "path": None} if place else None},
        with_indices=True,
        features=features(),
    )
    export_rows(masked, tmp_path, "webdataset")
    with tarfile.open(tmp_path / "train-000000.tar") as tar:
        found = [name for name in tar.getnames() if name.endswith(".mask.png")]
        assert {name.rpartition("-")[0] for name in found} == {rows[1]["id"]}
        member = tar.extractfile(found[0])
        assert member is not None
        assert member.read() == mask


def test_open_questions_are_answered_in_words(folder: Path, tmp_path: Path) -> None:
    rows = load(folder, split="train").select(range(1))
    where = rows.map(
        lambda _: {"options": [], "answer_index": -1, "answer": "[0.1, 0.2, 0.3, 0.4]", "more_questions": []},
        features=features(),
    )
    for form in FORMATS:
        export_rows(where, tmp_path / form, form)
    (llava,) = json.loads((tmp_path / "llava" / "train.json").read_text(encoding="utf-8"))
    assert llava["conversations"][1]["value"] == "[0.1, 0.2, 0.3, 0.4]"
    (upstream,) = json.loads((tmp_path / "upstream-json" / "train.json").read_text(encoding="utf-8"))
    assert upstream["Answer-choice"] == upstream["Answer"] == "[0.1, 0.2, 0.3, 0.4]"


@pytest.mark.parametrize(
    ("boxes", "answer", "instruction"),
    [
        ("canonical", "[0.100, 0.200, 0.300, 0.400]", "from 0 to 1"),
        ("permille", "<box>(100,200),(300,400)</box>", "in thousandths"),
        ("percent", "{<10><20><30><40>}", "in hundredths"),
        ("pixels", "[1, 2, 4, 4]", "in pixels"),
    ],
)
def test_boxes_are_written_as_asked(folder: Path, tmp_path: Path, boxes: Boxes, answer: str, instruction: str) -> None:
    rows = load(folder, split="train").select(range(1))
    question = {"question": "Where is it?", "options": [], "answer": "[0.100, 0.200, 0.300, 0.400]", "answer_index": -1}
    choice = {
        "kind": "choice_of_boxes",
        "question": "Which box holds it?",
        "options": ["[0.100, 0.200, 0.300, 0.400]", "[0.500, 0.500, 0.900, 0.900]"],
        "answer": "[0.100, 0.200, 0.300, 0.400]",
        "answer_index": 0,
    }
    where = rows.map(lambda _: {**question, "kind": "detection", "more_questions": [choice]}, features=features())
    export_rows(where, tmp_path, "upstream-json", boxes=boxes)
    first, second = json.loads((tmp_path / "train.json").read_text(encoding="utf-8"))
    assert first["Answer"] == first["Answer-choice"] == answer
    assert instruction in first["Question-choice"]
    assert (second["Answer"], second["Answer-choice"]) == (answer, "A")
    assert f"A: {answer}\n" in second["Question-choice"]


@pytest.mark.parametrize("form", FORMATS)
def test_a_row_without_picture_stops_the_export(folder: Path, tmp_path: Path, form: Format) -> None:
    with pytest.raises(MedMatError, match=r"single/\w+ has no picture; load the rows with med_mat\.load"):
        export_rows(load(folder, build="published", split="train"), tmp_path / "out", form)
    # What was begun does not look finished.
    assert not (tmp_path / "out" / "train.json").exists()
    assert not list((tmp_path / "out").glob("*.partial"))


def test_an_export_does_not_mix_with_other_files(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(MedMatError, match="not empty"):
        export_rows(load(folder, split="train"), tmp_path, "llava")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(ValueError, match="form must be one of"):
        export_rows(load(folder, split="train"), tmp_path / "out", "coco")  # type: ignore[arg-type] # on purpose


def test_an_empty_split_is_an_empty_list(folder: Path, tmp_path: Path) -> None:
    export_rows(load(folder, split="train").select([]), tmp_path, "llava")
    assert json.loads((tmp_path / "train.json").read_text()) == []


def many(number: int, picture: bytes, row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for place in range(number):
        yield {**row, "id": f"single/{place:016x}", "image": {"bytes": picture, "path": None}}


@pytest.mark.parametrize("form", ["llava", "webdataset"])
def test_memory_does_not_grow_with_the_rows(folder: Path, tmp_path: Path, form: Format) -> None:
    row = load(folder, split="train").cast_column("image", datasets.Image(decode=False))[0]
    picture = noise_bytes("large", "large.png", (300, 200), "RGB")

    def peak(number: int) -> int:
        rows = datasets.IterableDataset.from_generator(
            many, gen_kwargs={"number": number, "picture": picture, "row": row}, features=features()
        )
        tracemalloc.start()
        export_rows(rows, tmp_path / str(number), form)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    few, lots = peak(150), peak(450)
    assert lots - few < 100 * len(picture)


def test_the_command_exports_with_the_readers_pictures(folder: Path, tmp_path: Path) -> None:
    options = ("--dataset", folder / "published", "--loaders", folder / "loaders")
    out = tmp_path / "out"
    done = med_mat("export", "everything", "--format", "llava", "--out", out, "--raw", folder / "raw", *options)
    assert done.returncode == 0, done.stderr
    export_rows(load(folder), tmp_path / "expected", "llava")
    assert files(out) == files(tmp_path / "expected")
    dropped = tmp_path / "dropped"
    partly = med_mat("export", "everything", "--format", "llava", "--out", dropped, "--split", "test", *options)
    assert partly.returncode == 0, partly.stderr
    assert "single" in partly.stderr
    items = json.loads((dropped / "test.json").read_text(encoding="utf-8"))
    assert items
    assert all(item["id"].startswith("several/") for item in items)
    refused = med_mat("export", "single", "--format", "llava", "--out", tmp_path / "x", "--empty", "error", *options)
    assert refused.returncode == 2
    assert "rows come without picture: single" in refused.stderr
