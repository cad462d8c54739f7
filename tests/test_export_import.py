"""Upstream's question files become rows, and what does not is counted by name."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import datasets
import pytest
from tiny import Row, add_source, med_mat, noise_bytes, registry_of, write_raw

from med_mat import explode, prompt
from med_mat.build import build
from med_mat.errors import LayoutError, MedMatError
from med_mat.export import export_rows, import_upstream
from med_mat.images import publish
from med_mat.registry import Registry
from med_mat.schema import features

CHOICE = "{}\nA: Stone\nB: Cyst\nC: Normal\nD: Tumor\nAnswer with the option's letter from the given choices directly."
WRAPPER = "med-mat/CT_Kidney/Deep/Deep"


def item(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "id": number,
        "caption": "Cyst",
        "image": f"{WRAPPER}/Cyst/Cyst- ({number}).jpg",
        "Question": "What is seen?",
        "Answer": "Cyst",
        "Question-choice": CHOICE.format("What is seen?"),
        "Answer-choice": "B",
        "data-no": "2",
        **changes,
    }


def write(path: Path, *items: Any) -> Path:
    path.write_text(json.dumps(list(items)), encoding="utf-8")
    return path


def rows_of(out: Path) -> list[dict[str, Any]]:
    rows = datasets.load_dataset("parquet", data_files=str(out / "*.parquet"), split="train")
    return list(rows.cast_column("image", datasets.Image(decode=False)))


def test_an_item_becomes_a_row(tmp_path: Path, sources: Registry) -> None:
    path = write(tmp_path / "ori--02-train.json", item(7))
    done = import_upstream([path], tmp_path / "out", sources)
    assert done.rows == {"ct_kidney": 1}
    assert not done.left_out
    (row,) = rows_of(tmp_path / "out")
    assert list(row) == list(features())
    assert {name: row[name] for name in ("question", "options", "answer", "answer_index", "labels", "key")} == {
        "question": "What is seen?",
        "options": ["Stone", "Cyst", "Normal", "Tumor"],
        "answer": "Cyst",
        "answer_index": 1,
        "labels": ["Cyst"],
        "key": "Deep/Deep/Cyst/Cyst- (7).jpg",
    }
    assert (row["source"], row["subset"], row["modality"], row["published_task"]) == (
        "ct_kidney",
        "02",
        "ct",
        sources["ct_kidney"].card.published_triplet.task,
    )
    assert row["image"] is None
    assert prompt(row) == CHOICE.format("What is seen?")
    loaded = datasets.load_dataset(str(tmp_path / "out"), split="train")
    assert loaded.features == features()
    assert len(explode(loaded)) == 1


def test_pictures_are_taken_as_a_build_takes_them(tmp_path: Path, sources: Registry) -> None:
    raw = noise_bytes("picture", "picture.bmp")
    place = tmp_path / WRAPPER / "Cyst"
    place.mkdir(parents=True)
    (place / "Cyst- (1).jpg").write_bytes(raw)
    (place / "Cyst- (3).jpg").write_bytes(b"no picture")
    path = write(tmp_path / "ori--02-train.json", item(1), item(2), item(3))
    for number, images in enumerate((tmp_path, tmp_path / "med-mat")):
        done = import_upstream([path], tmp_path / f"out{number}", sources, images=images)
        assert done.rows == {"ct_kidney": 2}
        assert done.without_picture == 1
        assert sum(done.left_out.values()) == 1
        assert list(done.named.values()) == [["ori--02-train.json, id 3"]]
        found, missing = rows_of(tmp_path / f"out{number}")
        assert found["image"]["bytes"] == publish(raw)
        assert found["raw_sha256"] == hashlib.sha256(raw).hexdigest()
        assert (found["width"], found["height"]) == (12, 10)
        assert missing["image"] is None
    with pytest.raises(LayoutError, match="none of 3 pictures is there"):
        import_upstream([path], tmp_path / "none", sources, images=tmp_path / "out0")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"Answer-choice": "E"}, "its right letter is none of its options"),
        ({"Answer-choice": "A"}, "the option of its right letter is not its answer"),
        ({"Question-choice": "What?\nA: one\nC: two\nAnswer."}, "its choice form does not list"),
        ({"Question-choice": "What?\nA: Cyst\nAnswer."}, "its choice form does not list"),
        ({"image": "med-mat/alone.jpg"}, "its image is no path below a title folder"),
        ({"image": "med-mat/../../etc/passwd"}, "its image is no path below a title folder"),
        ({"image": "/etc/passwd"}, "its image is no path below a title folder"),
    ],
)
def test_what_is_no_sound_item_is_left_out_by_name(
    tmp_path: Path, sources: Registry, changes: dict[str, Any], reason: str
) -> None:
    path = write(tmp_path / "x-train.json", item(1), item(2, **changes))
    done = import_upstream([path], tmp_path / "out", sources)
    assert sum(done.rows.values()) == 1
    ((told, names),) = done.named.items()
    assert told.startswith(reason)
    assert names == ["x-train.json, id 2"]


def test_questions_of_several_lines_stay_whole(tmp_path: Path, sources: Registry) -> None:
    question = "History: pain.\nB: is no option here\nWhat is seen?"
    path = write(tmp_path / "x-train.json", item(**{"Question-choice": CHOICE.format(question)}))
    import_upstream([path], tmp_path / "out", sources)
    assert rows_of(tmp_path / "out")[0]["question"] == question


def test_title_folders_are_placed_by_number_or_by_mapping(tmp_path: Path, sources: Registry) -> None:
    path = write(tmp_path / "x-train.json", item(1, **{"data-no": "999"}), item(2, **{"data-no": "999"}))
    lost = import_upstream([path], tmp_path / "lost", sources)
    assert lost.unplaced == {"CT_Kidney": 2}
    assert not rows_of(tmp_path / "lost") if lost.rows else True
    placed = import_upstream([path], tmp_path / "placed", sources, titles={"CT_Kidney": "head_ct"})
    assert placed.rows == {"head_ct": 2}
    assert {row["source"] for row in rows_of(tmp_path / "placed")} == {"head_ct"}
    with pytest.raises(MedMatError, match="nosuch is no source"):
        import_upstream([path], tmp_path / "x", sources, titles={"CT_Kidney": "nosuch"})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"id": 1}', "expected a list of upstream's items"),
        ("[]", "expected a list of upstream's items"),
        ('[{"id": 1}]', "item 1 is none of upstream's: it lacks 'caption'"),
        ("[7]", "item 1 is none of upstream's"),
        (json.dumps([item()])[:-30], "not JSON after item 0"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, sources: Registry, text: str, told: str) -> None:
    path = tmp_path / "x-train.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LayoutError, match=told):
        import_upstream([path], tmp_path / "out", sources)
    assert not list((tmp_path / "out").glob("*.parquet"))


def test_two_files_of_one_name_are_refused(tmp_path: Path, sources: Registry) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "x-train.json", item())
    with pytest.raises(MedMatError, match=r"x-train\.json is given twice"):
        import_upstream([tmp_path / name / "x-train.json" for name in ("a", "b")], tmp_path / "out", sources)


def test_what_is_exported_can_be_imported(tmp_path: Path, sources: Registry) -> None:
    add_source(tmp_path / "loaders", "several", kind="multilabel", presence="Is there {label}?")
    rows = [Row(f"{n}.png", ("cyst|stone", "tumor", "cyst", "normal")[n % 4]) for n in range(40)]
    write_raw(tmp_path / "raw" / "several", rows)
    build(registry_of(tmp_path / "loaders"), tmp_path / "raw", tmp_path / "med-mat")
    built = datasets.load_dataset(str(tmp_path / "med-mat"), "several", split="train")
    export_rows(built, tmp_path / "export", "upstream-json")
    done = import_upstream(
        [tmp_path / "export" / "train.json"],
        tmp_path / "back",
        sources,
        titles={"several": "ct_kidney"},
        images=tmp_path / "export",
    )
    assert not done.left_out
    assert not done.without_picture
    expected = list(explode(built).cast_column("image", datasets.Image(decode=False)))
    for name in ("question", "options", "answer", "answer_index", "pixel_hash", "width"):
        assert [row[name] for row in rows_of(tmp_path / "back")] == [row[name] for row in expected]
    assert [row["image"]["bytes"] for row in rows_of(tmp_path / "back")] == [row["image"]["bytes"] for row in expected]


def test_the_same_files_give_the_same_bytes(tmp_path: Path, sources: Registry) -> None:
    path = write(tmp_path / "x-train.json", *map(item, range(250)))
    for name in ("one", "two"):
        import_upstream([path], tmp_path / name, sources)
    first, second = ((tmp_path / name / "x-train.parquet").read_bytes() for name in ("one", "two"))
    assert first == second
    rows = rows_of(tmp_path / "one")
    assert len({row["id"] for row in rows}) == len(rows) == 250


def test_the_command_tells_what_it_could_not_place(tmp_path: Path) -> None:
    path = write(tmp_path / "x-train.json", item(1), item(2, **{"data-no": "999"}), item(3, **{"Answer-choice": "A"}))
    path.write_text(path.read_text().replace("CT_Kidney/Deep/Deep/Cyst/Cyst- (2)", "Other/Cyst- (2)"))
    done = med_mat("import-upstream", path, "--out", tmp_path / "out")
    assert done.returncode == 1, done.stderr
    assert "ct_kidney: 1 rows" in done.stdout
    assert "not placed: 1 items of 'Other'; tell its source with --title 'Other=SLUG'" in done.stdout
    assert "left out: 1 items, the option of its right letter is not its answer: x-train.json, id 3" in done.stdout
    placed = med_mat("import-upstream", path, "--out", tmp_path / "placed", "--title", "Other=head_ct")
    assert "head_ct: 1 rows" in placed.stdout
    assert med_mat("import-upstream", path, "--out", tmp_path / "x", "--title", "Other").returncode == 2
