"""Tables of questions: what they hold, how they are balanced, and where pictures come from."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny import LABELS, make_card

from med_mat import explode
from med_mat.baselines import runs
from med_mat.baselines.errors import BaselineError
from med_mat.baselines.questions import (
    BLANK,
    QUESTION,
    Data,
    Questions,
    config_names,
    load_questions,
    open_picture,
    resolved,
)
from med_mat.baselines.variants import (
    balanced,
    joined,
    ordered,
    permuted_pictures,
    reordered,
    shuffled_answers,
    with_blank_pictures,
    within_source,
    without_pictures,
)
from med_mat.card import Card


def _questions(labels: list[tuple[str, str]]) -> Questions:
    """Made up: subset and label of each."""
    rows = [
        {
            "id": f"made/{number:04d}#0",
            "kind": "choice",
            "question": "What is it?",
            "options": [label, "another", "a third"],
            "answer": label,
            "answer_index": 0,
            "label": label,
            "subset": subset,
            "source": "made",
        }
        for number, (subset, label) in enumerate(labels)
    ]
    return Questions(pa.Table.from_pylist(rows, schema=QUESTION), Data("nowhere"))


def _without_options(table: pa.Table) -> pa.Table:
    return pa.Table.from_pylist([{**row, "options": []} for row in table.to_pylist()], schema=QUESTION)


def test_questions_are_those_of_the_dataset(data: Data) -> None:
    for config, split in (("single", "train"), ("single", "test"), ("several", "train")):
        rows = datasets.load_dataset(data.location, config, split=split)
        exploded = explode(rows)
        found = load_questions(data, [config], split, kinds="all").table
        assert found["id"].to_pylist() == exploded["question_id"][:]
        for name in ("question", "options", "answer", "answer_index", "labels", "source", "subset", "group"):
            assert found[name].to_pylist() == exploded[name][:]
        assert set(found["split"].to_pylist()) == {split}
        primary = load_questions(data, [config], split).table
        assert primary["row_id"].to_pylist() == rows["id"][:]
        assert primary["answer"].to_pylist() == rows["answer"][:]


def test_kinds_are_chosen_by_name(data: Data) -> None:
    every = load_questions(data, ["several"], "train", kinds="all").table["kind"].to_pylist()
    presence = load_questions(data, ["several"], "train", kinds=["presence"]).table["kind"].to_pylist()
    assert presence == ["presence"] * Counter(every)["presence"]
    assert len(presence) < len(every)
    with pytest.raises(BaselineError, match="no question of kind"):
        load_questions(data, ["single"], "train", kinds=["presence"])


def test_a_row_of_two_configs_is_taken_once(data: Data) -> None:
    one = load_questions(data, ["single"], "train")
    both = load_questions(data, ["single", "everything"], "train")
    assert both.table["id"].to_pylist()[: len(one)] == one.table["id"].to_pylist()
    assert len(set(both.table["id"].to_pylist())) == len(both) > len(one)


def test_pictures_are_the_datasets_own(data: Data) -> None:
    rows = {row["id"]: row for row in datasets.load_dataset(data.location, "everything", split="train")}
    for question in load_questions(data, ["single", "several"], "train").table.to_pylist():
        expected = np.asarray(rows[question["row_id"]]["image"].convert("RGB"))
        assert np.array_equal(np.asarray(open_picture(data, question["picture"])), expected)


def test_a_blank_picture_is_of_one_colour(data: Data) -> None:
    blank = open_picture(data, BLANK)
    assert blank.mode == "RGB"
    assert len(Image.Image.getcolors(blank)) == 1


@pytest.mark.parametrize("reference", ["single/train/100000", "nonsense", "single/train/x"])
def test_a_picture_that_is_not_there(data: Data, reference: str) -> None:
    with pytest.raises(BaselineError, match=r"expected <config>/<split>/<number>"):
        open_picture(data, reference)


def test_what_is_no_dataset(data: Data, tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match="is no dataset"):
        config_names(Data(str(tmp_path / "absent")))
    with pytest.raises(BaselineError, match="'kidneys'"):
        load_questions(data, ["kidneys"], "train")
    with pytest.raises(BaselineError, match="'exam'"):
        load_questions(data, ["single"], "exam")


def test_rows_without_pixels_are_left_out_and_counted(data: Data, tmp_path: Path) -> None:
    rows = datasets.load_dataset(data.location, "single", split="train").cast_column(
        "image", datasets.Image(decode=False)
    )
    blind = rows.map(lambda row, place: {"image": None if place < 5 else row["image"]}, with_indices=True)
    folder = tmp_path / "part" / "train"
    folder.mkdir(parents=True)
    blind.to_parquet(folder / "0.parquet")
    found = load_questions(Data(str(tmp_path / "part")), ["default"], "train")
    assert found.without_pixels == 5
    assert found.table["row_id"].to_pylist() == rows["id"][5:]
    first = open_picture(found.data, found.table["picture"][0].as_py())
    assert first.size == (40, 32)


def test_the_record_of_the_data_changes_with_its_bytes(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.json"
    manifest.write_text("{}", encoding="utf-8")
    before = resolved(Data(str(tmp_path)))
    manifest.write_text("{ }", encoding="utf-8")
    assert before["manifest_sha256"] != resolved(Data(str(tmp_path)))["manifest_sha256"]


_MANY = st.lists(
    st.tuples(st.sampled_from(["02", "22"]), st.sampled_from(["cyst", "stone", "tumor"])), min_size=1, max_size=60
)


@settings(max_examples=60)
@given(labels=_MANY, limit=st.integers(1, 40))
def test_balance(labels: list[tuple[str, str]], limit: int) -> None:
    questions = _questions(labels)
    found = balanced(questions, limit)
    asked, taken = (
        Counter(labels),
        Counter(zip(*(found.table[name].to_pylist() for name in ("subset", "label")), strict=True)),
    )
    for subset in {subset for subset, _ in labels}:
        mine = {pair: number for pair, number in asked.items() if pair[0] == subset}
        assert sum(taken[pair] for pair in mine) == min(limit, sum(mine.values()))
        # A label that gave less than another gave all that it has, but for what does not divide.
        most = max(taken[pair] for pair in mine)
        assert all(taken[pair] == number or taken[pair] >= most - 1 for pair, number in mine.items())
    ids = found.table["id"].to_pylist()
    assert len(ids) == len(set(ids))
    backwards = questions.with_table(questions.table.take(pa.array(range(len(labels))[::-1])))
    assert balanced(backwards, limit).table["id"].to_pylist() == ids


def test_no_questions_is_no_limit() -> None:
    with pytest.raises(BaselineError, match="1 or more"):
        balanced(_questions([("02", "cyst")]), 0)


def test_orders_of_options_keep_the_answer() -> None:
    questions = _questions([("02", "cyst")] * 40)
    found = reordered(questions, 4)
    assert found.table.slice(0, 40).equals(questions.table)
    assert len(set(found.table["id"].to_pylist())) == 160
    for row in found.table.to_pylist():
        assert row["options"][row["answer_index"]] == row["answer"] == "cyst"
        assert sorted(row["options"]) == ["a third", "another", "cyst"]
    turned = Counter(found.table["answer_index"].to_pylist()[40:])
    assert min(turned[place] for place in range(3)) > 120 / 3 / 2


def test_options_in_order() -> None:
    questions = reordered(_questions([("02", "cyst")] * 5), 3)
    for before, after in zip(questions.table.to_pylist(), ordered(questions).table.to_pylist(), strict=True):
        assert after["options"] == sorted(before["options"])
        assert after["options"][after["answer_index"]] == before["answer"] == after["answer"]


def test_joined(train_questions: Questions) -> None:
    both = joined(train_questions, without_pictures(train_questions))
    assert both.table.slice(0, len(train_questions)).equals(train_questions.table)
    assert len(both) == 2 * len(train_questions)
    with pytest.raises(BaselineError, match="2 datasets"):
        joined(train_questions, Questions(train_questions.table, Data("elsewhere")))


def _cards(**fields: object) -> dict[str, Card]:
    return {"made": make_card("made", **fields)}


def test_distractors_of_the_same_source() -> None:
    labels = ["kidney cyst", "kidney stone", "kidney tumor", "normal kidney"]
    questions = _questions([("02", label) for label in labels] * 30)
    found = within_source(questions, _cards()).table.to_pylist()
    assert [row["id"] for row in found] == questions.table["id"].to_pylist()
    for row in found:
        assert sorted(row["options"]) == labels
        assert row["options"][row["answer_index"]] == row["answer"] == row["label"]
    places = Counter(row["answer_index"] for row in found)
    assert min(places[place] for place in range(4)) > 15
    assert within_source(questions, _cards()).table.equals(within_source(questions, _cards()).table)


def test_distractors_of_the_same_source_are_never_right_too() -> None:
    related = {**LABELS, "cyst": {**LABELS["cyst"], "is_a": ["kidney tumor"]}}
    questions = _questions([("02", label) for label in ("kidney cyst", "kidney tumor", "normal kidney")] * 10)
    for row in within_source(questions, _cards(labels=related)).table.to_pylist():
        assert not {"kidney cyst", "kidney tumor"} <= set(row["options"])
        assert len(row["options"]) == 3


def test_distractors_of_the_same_source_need_its_card(data: Data) -> None:
    questions = _questions([("02", "kidney cyst")])
    with pytest.raises(BaselineError, match="no card of 'made'"):
        within_source(questions, {})
    with pytest.raises(BaselineError, match="'cyst' is no label of the card"):
        within_source(_questions([("02", "cyst")]), _cards())
    presence = load_questions(data, ["several"], "train", kinds=["presence"])
    assert within_source(presence, {}).table.equals(presence.table)


def test_pictures_taken_away(train_questions: Questions, data: Data) -> None:
    assert set(without_pictures(train_questions).table["picture"].to_pylist()) == {None}
    assert set(with_blank_pictures(train_questions).table["picture"].to_pylist()) == {BLANK}
    every = load_questions(data, ["single", "several"], "train", kinds="all")
    before, after = every.table.to_pylist(), permuted_pictures(every).table.to_pylist()
    moved: dict[str, set[str]] = {}
    for one, other in zip(before, after, strict=True):
        assert {**one, "picture": None} == {**other, "picture": None}
        assert one["picture"] != other["picture"]
        moved.setdefault(one["picture"], set()).add(other["picture"])
    assert all(len(some) == 1 for some in moved.values())
    for source in ("single", "several"):
        assert {row["picture"] for row in before if row["source"] == source} == {
            row["picture"] for row in after if row["source"] == source
        }


def test_answers_shuffled() -> None:
    questions = _questions([("02", "cyst")] * 90)
    rows = shuffled_answers(questions).table.to_pylist()
    for row in rows:
        assert row["options"][row["answer_index"]] == row["answer"] == row["label"]
    assert min(Counter(row["answer"] for row in rows)[option] for option in ("cyst", "another", "a third")) > 15
    with pytest.raises(BaselineError, match="has no options"):
        shuffled_answers(questions.with_table(_without_options(questions.table)))


def test_a_table_of_other_columns_is_refused() -> None:
    questions = _questions([("02", "cyst")])
    with pytest.raises(BaselineError, match="expected the columns"):
        questions.with_table(questions.table.drop_columns(["picture"]))


def test_questions_survive_a_file(train_questions: Questions, tmp_path: Path) -> None:
    runs.write_questions(tmp_path / "questions.parquet", train_questions)
    again = runs.read_questions(tmp_path / "questions.parquet")
    assert again.table.equals(train_questions.table)
    assert (again.data, again.without_pixels) == (train_questions.data, train_questions.without_pixels)
    assert runs.digest(again) == runs.digest(train_questions)
    assert runs.digest(balanced(again, 3)) != runs.digest(again)
