from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from med_mat.baselines.controls import (
    FileFacts,
    by_file_facts,
    class_prior,
    file_facts,
    nearest_neighbour,
    right,
    thumbnails,
)
from med_mat.baselines.errors import BaselineError
from med_mat.baselines.questions import QUESTION, Data, Questions, load_questions, open_picture
from med_mat.baselines.variants import without_pictures

OPTIONS = ["cyst", "normal", "stone", "tumor"]


def questions(labels: list[str], subset: str = "02", offered: list[str] = OPTIONS) -> Questions:
    rows = [
        {
            "id": f"{subset}/{number}#0",
            "subset": subset,
            "source": "s",
            "label": label,
            "answer": label,
            "options": offered,
            "answer_index": offered.index(label),
        }
        for number, label in enumerate(labels)
    ]
    return Questions(pa.Table.from_pylist(rows, schema=QUESTION), Data("nowhere"))


def joined(*parts: Questions) -> Questions:
    return parts[0].with_table(pa.concat_tables([part.table for part in parts]))


def test_the_prior_is_that_of_the_training_rows_of_the_subset() -> None:
    train = joined(questions(["stone"] * 5 + ["cyst"] * 4), questions(["tumor"] * 9, "05"))
    test = joined(
        questions(["stone", "cyst"]), questions(["tumor"], "05"), questions(["cyst"], "02", ["tumor", "cyst"])
    )
    assert [OPTIONS[place] for place in class_prior(train, test)[:3]] == ["stone", "stone", "tumor"]
    assert class_prior(train, test)[3] == 1
    assert right(test, class_prior(train, test)) == [True, False, True, True]


def test_where_nothing_is_known_no_letter_is_preferred() -> None:
    chosen = class_prior(questions(["cyst"], "05"), questions(["cyst"] * 400))
    assert np.bincount(chosen, minlength=4).min() > 60


def test_the_prior_answers_a_build(train_questions: Questions, data: Data) -> None:
    test = load_questions(data, ["single"], "test")
    share = np.mean(right(test, class_prior(train_questions, test)))
    # Half of the rows are cysts.
    assert 0.4 <= share <= 0.6


def test_facts_are_those_of_the_stored_files(train_questions: Questions) -> None:
    found = file_facts(train_questions)
    assert len(found) == len(train_questions)
    assert {(fact.source, fact.width, fact.height, fact.mode, fact.format) for fact in found} == {
        ("single", 40, 32, "RGB", "PNG")
    }
    assert all(fact.size > 40 * 32 for fact in found)  # noise does not shrink
    with pytest.raises(BaselineError, match="picture None is no file"):
        file_facts(without_pictures(train_questions))


@pytest.mark.parametrize(
    ("of_first", "of_second"),
    [
        (("s", 512, 512, "L", "PNG", 9000), ("s", 640, 480, "L", "PNG", 9000)),
        (("s", 512, 512, "L", "PNG", 9000), ("s", 512, 512, "RGB", "PNG", 9000)),
        (("s", 512, 512, "L", "PNG", 9000), ("s", 512, 512, "L", "JPEG", 9000)),
        (("s", 512, 512, "L", "PNG", 9000), ("other", 512, 512, "L", "PNG", 9000)),
        (("s", 512, 512, "L", "PNG", 9000), ("s", 512, 512, "L", "PNG", 2000)),
    ],
)
def test_any_fact_that_tells_the_label_is_found(
    of_first: tuple[str, int, int, str, str, int], of_second: tuple[str, int, int, str, str, int]
) -> None:
    labels = ["cyst", "stone"] * 20
    facts = [FileFacts(*of_first), FileFacts(*of_second)] * 20
    train, test = questions(labels), questions(labels[:10])
    assert all(right(test, by_file_facts(train, test, facts, facts[:10])))


def test_facts_that_tell_nothing_give_the_most_frequent_offered_label() -> None:
    train, test = questions(["cyst"] * 10 + ["stone"] * 20), questions(["stone", "cyst"])
    same = [FileFacts("s", 8, 8, "L", "PNG", 100)] * 30
    assert right(test, by_file_facts(train, test, same, same[:2])) == [True, False]
    only = questions(["cyst"], "02", ["cyst", "tumor"])
    assert right(only, by_file_facts(train, only, same, same[:1])) == [True]
    with pytest.raises(BaselineError, match="29 values for 30 questions"):
        by_file_facts(train, test, same[:29], same[:2])


def test_the_forest_does_not_follow_the_order_of_rows() -> None:
    train, test = questions(OPTIONS * 8), questions(OPTIONS * 5)
    facts = [FileFacts("s", 8 + number % 3, 8, "L", "PNG", 100 + number * 7 % 19) for number in range(32)]
    turned = train.with_table(train.table.take(pa.array(list(range(32))[::-1])))
    first = by_file_facts(train, test, facts, facts[:20])
    assert first.tolist() == by_file_facts(turned, test, facts[::-1], facts[:20]).tolist()


def test_the_nearest_picture_with_an_offered_label_answers() -> None:
    train = questions(["cyst", "stone", "tumor"])
    pixels = np.array([[0, 0], [100, 100], [200, 200]], np.uint8)
    test = joined(questions(["cyst", "tumor"]), questions(["tumor"], "02", ["stone", "tumor"]))
    chosen = nearest_neighbour(train, test, pixels, np.array([[40, 0], [120, 120], [10, 10]], np.uint8))
    assert [OPTIONS[chosen[0]], OPTIONS[chosen[1]]] == ["cyst", "stone"]
    assert chosen[2] == 0  # the cyst is nearer, and not offered


def test_pictures_beyond_one_block_are_looked_at() -> None:
    train = np.zeros((5000, 3), np.uint8)
    train[4999] = 200
    test = np.full((300, 3), 200, np.uint8)
    asked, learnt = questions(["stone"] * 300), questions(["cyst"] * 4999 + ["stone"])
    assert all(right(asked, nearest_neighbour(learnt, asked, train, test)))
    # A nearer picture of another subset is not asked.
    other = joined(learnt, questions(["tumor"], "05"))
    pixels = np.vstack([train, np.full((1, 3), 190, np.uint8)])
    wrong = questions(["tumor"])
    assert right(wrong, nearest_neighbour(other, wrong, pixels, np.full((1, 3), 190, np.uint8))) == [False]


def test_a_build_is_nearest_to_itself(train_questions: Questions, data: Data) -> None:
    pixels = thumbnails(train_questions)
    assert pixels.shape == (len(train_questions), 1024)
    assert all(right(train_questions, nearest_neighbour(train_questions, train_questions, pixels, pixels)))
    picture = train_questions.table["picture"][3].as_py()
    grey = np.asarray(open_picture(data, picture).convert("L"), float)
    assert abs(pixels[3].mean() - grey.mean()) < 1
    test = load_questions(data, ["single"], "test")
    with pytest.raises(BaselineError, match="has no picture"):
        thumbnails(without_pictures(test))


def test_questions_without_options_are_an_error() -> None:
    boxes = Questions(pa.Table.from_pylist([{"id": "x#0", "options": []}], schema=QUESTION), Data("nowhere"))
    with pytest.raises(BaselineError, match="x#0 has no options"):
        class_prior(questions(["cyst"]), boxes)
