"""Fine-tuning: what the loss sees, what a run leaves behind, and that it goes on where it was stopped."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
import torch
from transformers import TrainerCallback

from med_mat.baselines import runs, train
from med_mat.baselines.errors import BaselineError
from med_mat.baselines.models import Loaded, load_model
from med_mat.baselines.questions import Data, Questions, load_questions
from med_mat.baselines.tiny import PATCH, SIDE
from med_mat.baselines.train import AnswerCollator, Lora, Training, prepared, training_rows
from med_mat.baselines.variants import balanced
from med_mat.questions.ask import LETTERS

STEPS = 5
QUICK = Training("tiny", max_steps=STEPS, batch_size=8, learning_rate=1e-3, workers=0, log_steps=1, save_steps=2)


class Interrupted(TrainerCallback):
    """Stops a run the hard way."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, _args: object, state: object, _control: object, **_: object) -> None:
        if state.global_step == self.step:
            raise KeyboardInterrupt


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_model(str(folder), device="cpu").model.state_dict()


def _log(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / runs.LOG_FILE).read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def done(train_questions: Questions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train.train(train_questions, QUICK, tmp_path_factory.mktemp("run") / "full")


@pytest.mark.parametrize("side", ["left", "right"])
def test_loss_is_taken_on_the_letter_alone(train_questions: Questions, tiny_model: Loaded, side: str) -> None:
    tokenizer = tiny_model.prompter.processor.tokenizer
    tokenizer.padding_side = side
    rows = balanced(train_questions, 6).table.to_pylist()
    examples = _examples(rows, train_questions.data, tiny_model)
    batch = AnswerCollator(tiny_model.prompter)(examples)
    assert batch["input_ids"].shape == batch["labels"].shape
    for row, ids, labels, mask in zip(rows, batch["input_ids"], batch["labels"], batch["attention_mask"], strict=True):
        learnt = (labels != -100).nonzero().flatten().tolist()
        assert learnt == [int(mask.sum()) - 1]
        assert labels[learnt[0]] == ids[learnt[0]] == tiny_model.prompter.letters[row["answer_index"]]
        text = tokenizer.decode(ids[: learnt[0] + 1], skip_special_tokens=True)
        assert text.endswith("ASSISTANT:\n" + LETTERS[row["answer_index"]])


def test_an_answer_without_options_is_learnt_whole_and_with_its_end(
    train_questions: Questions, tiny_model: Loaded
) -> None:
    answer = "[0.125, 0.250, 0.500, 0.750]"
    row = {**train_questions.table.slice(0, 1).to_pylist()[0], "options": [], "answer": answer, "answer_index": -1}
    batch = AnswerCollator(tiny_model.prompter)(_examples([row], train_questions.data, tiny_model))
    learnt = batch["labels"][0][batch["labels"][0] != -100]
    tokenizer = tiny_model.prompter.processor.tokenizer
    assert tokenizer.decode(learnt) == answer + tokenizer.eos_token


def test_a_question_without_a_picture(train_questions: Questions, tiny_model: Loaded) -> None:
    row = {**train_questions.table.slice(0, 1).to_pylist()[0], "picture": None}
    examples = _examples([row], train_questions.data, tiny_model)
    assert examples[0]["images"] == []
    assert "pixel_values" not in AnswerCollator(tiny_model.prompter)(examples)


def test_rows_are_read_with_their_pictures(train_questions: Questions, tiny_model: Loaded) -> None:
    rows = training_rows(train_questions, tiny_model.prompter)
    assert rows[:]["id"] == train_questions.table["id"].to_pylist()
    assert rows[0]["images"][0].size == (40, 32)


def test_a_run_leaves_all_that_it_was(done: Path, train_questions: Questions) -> None:
    run = runs.read_json(done / runs.RUN_FILE)
    assert run["status"] == "done"
    assert run["settings"]["learning_rate"] == QUICK.learning_rate
    assert run["settings"]["data"]["manifest_sha256"]
    assert {"torch", "transformers", "trl", "peft", "datasets"} <= run["versions"].keys()
    assert runs.read_questions(done / runs.QUESTIONS_FILE).table.equals(train_questions.table)
    metrics = runs.read_json(done / runs.METRICS_FILE)
    assert metrics["steps"] == STEPS
    assert 0 <= metrics["waiting_share"] < 1
    assert metrics["tokens"] > STEPS * 8 * (SIDE // PATCH) ** 2
    assert metrics["trainable_parameters"] == metrics["parameters"] > 1e6
    assert [entry["step"] for entry in _log(done)] == [*range(1, STEPS + 1), STEPS]
    assert not (done / train.CHECKPOINTS_FOLDER).exists()


def test_a_run_changes_every_weight(done: Path) -> None:
    before, after = _weights(done / "base"), _weights(done)
    same = [name for name in before if torch.equal(before[name], after[name])]
    # LLaVA reads the layer before the tower's last norm; the last token to read stands in no text.
    assert all("post_layernorm" in name or "position" in name for name in same), same


def test_a_run_that_is_done_is_left_alone(done: Path, train_questions: Questions) -> None:
    stamp = (done / "model" / "model.safetensors").stat().st_mtime_ns
    assert train.train(train_questions, QUICK, done) == done
    assert (done / "model" / "model.safetensors").stat().st_mtime_ns == stamp


def test_other_settings_need_another_folder(done: Path, train_questions: Questions) -> None:
    with pytest.raises(BaselineError, match=r"another run \(training; differs in learning_rate\)"):
        train.train(train_questions, replace(QUICK, learning_rate=1e-4), done)
    with pytest.raises(BaselineError, match="questions_sha256"):
        train.train(balanced(train_questions, 8), QUICK, done)


@pytest.mark.parametrize("lora", [None, Lora(rank=2, alpha=4, dropout=0.0)], ids=["full", "lora"])
def test_a_run_that_was_stopped_goes_on(
    done: Path, train_questions: Questions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lora: Lora | None
) -> None:
    training = replace(QUICK, lora=lora)
    out = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(train, "_log_writer", lambda _: Interrupted(3))
        with pytest.raises(KeyboardInterrupt):
            train.train(train_questions, training, out)
    assert [path.name for path in (out / train.CHECKPOINTS_FOLDER).glob("checkpoint-*")] == ["checkpoint-2"]
    with pytest.raises(BaselineError, match="training is not done"):
        load_model(str(out))
    train.train(train_questions, training, out)
    assert [entry["step"] for entry in _log(out)] == [*range(1, STEPS + 1), STEPS]
    uninterrupted = done if lora is None else train.train(train_questions, training, tmp_path / "whole")
    resumed = _weights(out)
    for name, weight in _weights(uninterrupted).items():
        torch.testing.assert_close(resumed[name], weight, msg=name)


def test_the_seed_decides(done: Path, train_questions: Questions, tmp_path: Path) -> None:
    other = _weights(train.train(train_questions, replace(QUICK, seed=1, max_steps=2), tmp_path / "other"))
    assert not torch.allclose(other["lm_head.weight"], _weights(done)["lm_head.weight"])


def test_lora_trains_the_language_model_alone_and_is_scored_with_its_base(
    train_questions: Questions, tmp_path: Path
) -> None:
    training = replace(QUICK, lora=Lora(rank=4, alpha=8, dropout=0.0), max_steps=2, batch_size=8, device_batch_size=4)
    out = train.train(train_questions, training, tmp_path / "run")
    assert (out / "model" / "adapter_config.json").exists()
    metrics = runs.read_json(out / runs.METRICS_FILE)
    assert metrics["trainable_parameters"] < metrics["parameters"] / 10
    moved = tmp_path / "elsewhere"
    out.rename(moved)
    before, after = _weights(moved / "base"), _weights(moved)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all("language_model" in name and "_proj" in name for name in changed)


def test_a_vision_tower_can_be_left_as_it_is(train_questions: Questions, tmp_path: Path) -> None:
    out = train.train(train_questions, replace(QUICK, freeze_vision=True, max_steps=2), tmp_path / "run")
    before, after = _weights(out / "base"), _weights(out)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert not any("vision_tower" in name for name in changed)


def test_workers_give_the_same_run(done: Path, train_questions: Questions, tmp_path: Path) -> None:
    out = train.train(train_questions, replace(QUICK, workers=1), tmp_path / "run")
    torch.testing.assert_close(_weights(out), _weights(done))


def test_what_cannot_be_trained(train_questions: Questions, data: Data, tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match="no questions to train on"):
        train.train(Questions(train_questions.table.slice(0, 0), data), QUICK, tmp_path / "none")
    with pytest.raises(BaselineError, match="do not divide"):
        train.train(train_questions, replace(QUICK, batch_size=8, device_batch_size=3), tmp_path / "odd")
    gone = train_questions.table.set_column(
        train_questions.table.column_names.index("picture"),
        "picture",
        pa.array(["single/train/999"] * len(train_questions)),
    )
    with pytest.raises(BaselineError, match="no picture 'single/train/999'"):
        train.train(Questions(gone, data), QUICK, tmp_path / "gone")


def test_several_kinds_of_question_train_together(data: Data, tmp_path: Path) -> None:
    questions = load_questions(data, ["single", "several"], "train", kinds="all")
    out = train.train(questions, replace(QUICK, max_steps=2, option_orders=2), tmp_path / "run")
    assert runs.read_json(out / runs.METRICS_FILE)["steps"] == 2


def _examples(rows: list[dict[str, object]], data: Data, loaded: Loaded) -> list[dict[str, object]]:
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    batch = prepared(columns, data, loaded.prompter)
    return [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]
