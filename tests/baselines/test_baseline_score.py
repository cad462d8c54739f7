"""Scoring: letters from one pass are those of separate passes, and lm-eval's results are those of the predictions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from lm_eval.api.registry import get_model
from PIL import Image
from transformers import LlavaNextConfig, LlavaNextForConditionalGeneration, LlavaNextProcessor
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil

from med_mat.baselines import runs, tasks
from med_mat.baselines.errors import BaselineError
from med_mat.baselines.harness import MODEL_NAME, MedMatLM
from med_mat.baselines.letters import Picture, Request, generate, letter_of, score_letters
from med_mat.baselines.models import Loaded, load_model
from med_mat.baselines.prompts import question_text
from med_mat.baselines.questions import BLANK, QUESTION, Data, Questions, load_questions, open_picture
from med_mat.baselines.score import Scoring, score
from med_mat.baselines.tasks import tasks_of, write_tasks
from med_mat.baselines.tiny import CHAT_TEMPLATE, PATCH, SIDE, tiny_config, train_tokenizer
from med_mat.regions import format_boxes

CHOICE = {"question": "What is it?", "options": ["cyst", "stone"], "answer": "stone", "answer_index": 1}
OFFLINE = Scoring(batch_size=4, workers=0, device="cpu", precision="float32")


def _request(row: dict[str, object], data: Data, loaded: Loaded) -> Request:
    shown = [] if row["picture"] is None else [Picture(data.location, data.revision, str(row["picture"]))]
    return Request(loaded.prompter.text(row, len(shown)), tuple(shown))


def _save_llava_next(folder: Path, texts: list[str]) -> None:
    tokenizer = train_tokenizer(texts)
    base, grid = tiny_config(len(tokenizer)), [[SIDE, 2 * SIDE], [2 * SIDE, SIDE], [2 * SIDE, 2 * SIDE]]
    config = LlavaNextConfig(
        vision_config=base.vision_config,
        text_config=base.text_config,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
        image_grid_pinpoints=grid,
    )
    pictures = LlavaNextImageProcessorPil(
        size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}, image_grid_pinpoints=grid
    )
    processor = LlavaNextProcessor(
        image_processor=pictures,
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )
    torch.manual_seed(0)
    LlavaNextForConditionalGeneration(config).save_pretrained(folder)
    processor.save_pretrained(folder)


def _one_by_one(row: dict[str, object], data: Data, loaded: Loaded) -> list[float]:
    """A full pass per letter, unpadded, all logits kept: what the harness would do for a model of text."""
    prompter, found = loaded.prompter, []
    for letter in "ABCD":
        text = prompter.text(row, 0 if row["picture"] is None else 1) + prompter.lead + letter
        shown = {} if row["picture"] is None else {"images": [open_picture(data, str(row["picture"]))]}
        batch = prompter.processor(text=[text], return_tensors="pt", **shown)
        with torch.inference_mode():
            logits = loaded.model(**batch).logits[0].double()
        found.append(logits[-2].log_softmax(-1)[batch["input_ids"][0, -1]].item())
    return found


@pytest.fixture(scope="module")
def mixed(data: Data) -> list[dict[str, object]]:
    """Questions of all kinds and lengths; one without a picture, one with a blank one."""
    rows = load_questions(data, ["single", "several"], "train", kinds="all").table.to_pylist()[::3]
    rows[1] = {**rows[1], "picture": None}
    rows[2] = {**rows[2], "picture": BLANK}
    assert len({len(question_text(row)) for row in rows}) > 5
    return rows


@pytest.fixture(scope="module", params=["llava", "llava_next"])
def architecture(
    request: pytest.FixtureRequest,
    tiny_model: Loaded,
    train_questions: Questions,
    tmp_path_factory: pytest.TempPathFactory,
) -> Loaded:
    """Two real architectures; the second cuts a picture into as many tiles as its shape asks for."""
    if request.param == "llava":
        return tiny_model
    folder = tmp_path_factory.mktemp("next")
    _save_llava_next(folder, [question_text(row) for row in train_questions.table.to_pylist()])
    return load_model(str(folder), precision="float32", device="cpu")


def test_one_pass_agrees_with_four(mixed: list[dict[str, object]], data: Data, architecture: Loaded) -> None:
    found = score_letters(architecture, [_request(row, data, architecture) for row in mixed], batch_size=7)
    for row, score_ in zip(mixed, found, strict=True):
        assert score_.log_probs == pytest.approx(_one_by_one(row, data, architecture), abs=1e-3)


def test_pictures_of_all_shapes_score_as_they_do_alone(architecture: Loaded) -> None:
    requests = [
        Request(architecture.prompter.text(CHOICE), (Image.effect_noise(size, 60),))
        for size in ((40, 32), (100, 30), (64, 200), (300, 300))
    ]
    together = score_letters(architecture, requests, batch_size=4)
    for request, found in zip(requests, together, strict=True):
        assert found.log_probs == pytest.approx(score_letters(architecture, [request])[0].log_probs, abs=1e-4)


@pytest.mark.parametrize("batch_size", [1, 3, 64])
@pytest.mark.parametrize("workers", [0, 1])
def test_scores_depend_on_no_neighbour_and_no_worker(
    mixed: list[dict[str, object]], data: Data, tiny_model: Loaded, batch_size: int, workers: int
) -> None:
    requests = [_request(row, data, tiny_model) for row in mixed[:9]]
    alone = [score_letters(tiny_model, [request])[0] for request in requests]
    together = score_letters(tiny_model, requests[::-1], batch_size=batch_size, workers=workers)[::-1]
    for one, other in zip(alone, together, strict=True):
        assert one.log_probs == pytest.approx(other.log_probs, abs=1e-4)
        assert one.top == other.top


def test_the_side_of_the_tokeniser_does_not_matter(
    mixed: list[dict[str, object]], data: Data, tiny_model: Loaded
) -> None:
    tokenizer = tiny_model.prompter.processor.tokenizer
    requests = [_request(row, data, tiny_model) for row in mixed[:9]]
    before, scores, texts = tokenizer.padding_side, [], []
    for side in ("left", "right"):
        tokenizer.padding_side = side
        scores.append([list(each.log_probs) for each in score_letters(tiny_model, requests, batch_size=4)])
        texts.append(generate(tiny_model, requests, new_tokens=3, batch_size=4))
    tokenizer.padding_side = before
    assert scores[0] == scores[1]
    assert texts[0] == texts[1]


def test_a_picture_changes_the_scores(data: Data, tiny_model: Loaded, train_questions: Questions) -> None:
    row = train_questions.table.slice(0, 1).to_pylist()[0]
    versions = [row, {**row, "picture": BLANK}, {**row, "picture": None}]
    found = [score_letters(tiny_model, [_request(each, data, tiny_model)])[0].log_probs for each in versions]
    assert len(set(found)) == 3


def test_generation_writes_what_is_likeliest(mixed: list[dict[str, object]], data: Data, tiny_model: Loaded) -> None:
    requests = [_request(row, data, tiny_model) for row in mixed[:6]]
    alone = [generate(tiny_model, [request], new_tokens=4)[0] for request in requests]
    assert generate(tiny_model, requests, new_tokens=4, batch_size=4) == alone


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("B", 1),
        (" (C).", 2),
        ("Answer: B", 1),
        ("The answer is D, not A", 3),
        ("B: stone", 1),
        ("A tumor can be seen", 2),
        ("a stone", 1),
        ("no tumor", 3),
        ("cyst or stone", -1),
        ("", -1),
        ("Banana", -1),
        ("E", -1),
    ],
)
def test_letters_in_text(text: str, expected: int) -> None:
    assert letter_of(text, ["cyst", "stone", "tumor", "no tumor"]) == expected


def test_a_letter_that_was_not_offered() -> None:
    assert letter_of("D", ["yes", "no"]) == -1


@given(place=st.integers(0, 3), around=st.sampled_from(["{}", "{}.", "({})", "**{}**", "Answer: {}", "{}: x", "{}\n"]))
def test_any_letter_standing_alone_is_found(place: int, around: str) -> None:
    assert letter_of(around.format("ABCD"[place]), ["w", "xx", "y", "z"]) == place


@pytest.fixture(scope="module")
def scored(data: Data, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    asked = tasks_of(data, ["med_mat_single", "med_mat_subset_20"])
    return score(str(tiny_folder), asked, tmp_path_factory.mktemp("scored") / "run", OFFLINE)


def test_predictions_hold_every_question(scored: Path, data: Data, tiny_model: Loaded) -> None:
    table = runs.read_predictions(scored)
    assert table.schema.equals(runs.PREDICTION)
    single, several = (load_questions(data, [name], "test").table for name in ("single", "several"))
    asked = pa.concat_tables([single, several])
    rows = table.to_pylist()
    assert [row["id"] for row in rows] == asked["id"].to_pylist()
    assert [row["model_task"] for row in rows] == ["med_mat_single"] * len(single) + ["med_mat_subset_20"] * len(
        several
    )
    # The two configs point to one picture by different names; all else is the questions'.
    same = [name for name in QUESTION.names if name != "picture"]
    assert table.select(same).equals(asked.select(same))
    requests = [_request(row, data, tiny_model) for row in asked.to_pylist()]
    for row, expected in zip(rows, score_letters(tiny_model, requests), strict=True):
        offered = len(row["options"])
        assert row["log_probs"] == pytest.approx(expected.log_probs[:offered], abs=1e-4)
        assert row["predicted_index"] == row["log_probs"].index(max(row["log_probs"]))
        assert row["correct"] == (row["predicted_index"] == row["answer_index"])
        assert row["text"] is None


def test_lm_evals_scores_are_those_of_the_predictions(scored: Path) -> None:
    metrics = runs.read_json(scored / runs.METRICS_FILE)
    rows = runs.read_predictions(scored).to_pandas()
    for task, part in rows.groupby("model_task"):
        assert metrics[task]["acc"] == pytest.approx(part.correct.mean())
        assert metrics[task]["macro_acc"] == pytest.approx(part.groupby("label").correct.mean().mean())
    assert metrics["med_mat"]["acc"] == pytest.approx(rows.correct.mean())


def test_a_scoring_that_is_done_is_left_alone(scored: Path, data: Data, tiny_folder: Path) -> None:
    asked = tasks_of(data, ["med_mat_single", "med_mat_subset_20"])
    stamp = (scored / runs.PREDICTIONS_FILE).stat().st_mtime_ns
    assert score(str(tiny_folder), asked, scored, OFFLINE) == scored
    assert (scored / runs.PREDICTIONS_FILE).stat().st_mtime_ns == stamp
    with pytest.raises(BaselineError, match=r"another run \(scoring; differs in limit\)"):
        score(
            str(tiny_folder),
            asked,
            scored,
            Scoring(batch_size=4, workers=0, device="cpu", precision="float32", limit=1),
        )


def test_scoring_by_generation(data: Data, train_questions: Questions, tiny_folder: Path, tmp_path: Path) -> None:
    """Choices are scored by the letter in the text, questions for boxes by overlap."""
    row = train_questions.table.slice(0, 1).to_pylist()[0]
    boxes = format_boxes([(0.1, 0.1, 0.5, 0.5), (0.6, 0.6, 0.9, 0.9)], "unit")
    where = {"kind": "where", "question": "Where is it?", "options": [], "answer": boxes, "answer_index": -1}
    asked = pa.Table.from_pylist([{**row, **where, "label": None}], schema=QUESTION)
    every = {**tasks_of(data, ["med_mat_single"]), "med_mat_single_boxes": train_questions.with_table(asked)}
    generation = Scoring(method="generation", batch_size=4, workers=0, device="cpu", precision="float32", limit=5)
    out = score(str(tiny_folder), every, tmp_path / "run", generation)
    *rows, boxed = runs.read_predictions(out).to_pylist()
    assert len(rows) == 5
    for row in rows:
        assert row["log_probs"] is None
        assert row["predicted_index"] == letter_of(row["text"], row["options"])
        assert row["correct"] == (row["predicted_index"] == row["answer_index"])
    metrics = runs.read_json(out / runs.METRICS_FILE)
    assert metrics["med_mat"]["acc"] == metrics["med_mat_single"]["acc"] == sum(row["correct"] for row in rows) / 5
    assert {"iou", "found_50", "map", "map_50"} <= metrics["med_mat_single_boxes"].keys()
    assert boxed["text"] is not None
    assert boxed["correct"] is None
    assert boxed["iou"] == metrics["med_mat_single_boxes"]["iou"] == 0.0


_BOX = (0.1, 0.1, 0.5, 0.5)


@pytest.mark.parametrize(
    ("predicted", "iou", "found"),
    [
        ([_BOX], 1.0, (1, 1)),
        ([], 0.0, (0, 1)),
        ([_BOX, (0.6, 0.6, 0.9, 0.9)], 0.5, (1, 1)),
        ([(0.1, 0.1, 0.5, 0.3)], 0.5, (1, 1)),
        ([(0.1, 0.1, 0.5, 0.25)], 0.375, (0, 1)),
        ([_BOX, _BOX], 0.5, (1, 1)),
    ],
)
def test_scores_of_boxes(
    predicted: Sequence[tuple[float, float, float, float]], iou: float, found: tuple[int, int]
) -> None:
    doc = {"question": "Where is it?", "answer": format_boxes([_BOX], "unit")}
    scores = tasks.score_boxes(doc, ["It is at " + format_boxes(predicted, "unit") + "."])
    assert scores["iou"] == pytest.approx(iou, abs=1e-6)
    assert scores["found_50"] == found
    assert tasks.share_found([found]) == found[0] / found[1]
    perfect = predicted[:1] == [_BOX]
    assert math.isclose(tasks.average_precision_50([scores["map_50"]]), 1.0) == (iou >= 0.5 or perfect)


_PAIRS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([0.0, 1.0])), min_size=1, max_size=30)


@settings(max_examples=50)
@given(pairs=_PAIRS, label=st.sampled_from("abc"))
def test_a_label_weighs_no_more_for_being_frequent(pairs: list[tuple[str, float]], label: str) -> None:
    mine = [pair for pair in pairs if pair[0] == label]
    assert tasks.macro(pairs + mine) == pytest.approx(tasks.macro(pairs))
    assert 0 <= tasks.macro(pairs) <= 1


def test_tasks_are_those_of_the_configs(data: Data) -> None:
    every = tasks_of(data, ["med_mat"])
    assert list(every) == ["med_mat_subset_02", "med_mat_subset_20"]
    assert sum(map(len, every.values())) == len(load_questions(data, ["everything"], "test"))
    with pytest.raises(BaselineError, match=r"'med_mat_subset_99' is no task .* med_mat_ and one of .*subset_02"):
        tasks_of(data, ["med_mat_subset_99"])
    with pytest.raises(BaselineError, match="is no task"):
        tasks_of(data, ["subset_02"])


def test_tasks_are_plain_yaml_whose_functions_are_importable(data: Data, tmp_path: Path) -> None:
    write_tasks(tmp_path, tasks_of(data, ["med_mat_single"]))
    text = (tmp_path / "tasks" / "med_mat_single.yaml").read_text(encoding="utf-8")
    names = [line.split("!function ")[1].strip("'\"") for line in text.splitlines() if "!function" in line]
    assert "med_mat.baselines.tasks.doc_to_text" in names
    for name in names:
        assert callable(getattr(tasks, name.rpartition(".")[2]))
    assert yaml.safe_load((tmp_path / "tasks" / "_med_mat.yaml").read_text(encoding="utf-8"))["task"] == [
        "med_mat_single"
    ]


def test_a_task_of_both_kinds_is_refused(train_questions: Questions, tmp_path: Path) -> None:
    rows = train_questions.table.slice(0, 2).to_pylist()
    rows[0] = {**rows[0], "options": []}
    both = train_questions.with_table(pa.Table.from_pylist(rows, schema=QUESTION))
    with pytest.raises(BaselineError, match="questions with and without options"):
        write_tasks(tmp_path, {"med_mat_x": both})
    with pytest.raises(BaselineError, match="no questions"):
        write_tasks(tmp_path, {"med_mat_x": both.with_table(both.table.slice(0, 0))})
    with pytest.raises(BaselineError, match="no tasks to score"):
        score("tiny", {}, tmp_path / "run")


def test_the_model_is_registered_and_says_what_it_cannot_do(tiny_folder: Path) -> None:
    assert get_model(MODEL_NAME) is MedMatLM
    model = MedMatLM(str(tiny_folder), device="cpu", batch_size="2")
    assert model.MULTIMODAL
    rendered = model.apply_chat_template([{"role": "user", "content": "<image>What is it?"}])
    assert rendered == "USER: <image>\nWhat is it?\nASSISTANT:\n"
    with pytest.raises(BaselineError, match="no perplexity"):
        model.loglikelihood_rolling([])
    with pytest.raises(BaselineError, match="expected a number"):
        MedMatLM(str(tiny_folder), device="cpu", batch_size="auto")
