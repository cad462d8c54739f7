"""The commands, and processes that share a training."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny import med_mat
from typer.testing import CliRunner

from med_mat.baselines import runs
from med_mat.baselines.models import load_model
from med_mat.baselines.questions import Data, Questions
from med_mat.cli import app

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.slow
def test_train_and_score(data: Data, tmp_path: Path) -> None:
    train = ["baselines", "train", "--model", "tiny", "--data", data.location, "--config", "single", "--max-steps", 2]
    invoked(*train, "--batch-size", 4, "--per-subset", 9, "--workers", 0, "--out", tmp_path / "run")
    assert len(runs.read_questions(tmp_path / "run" / runs.QUESTIONS_FILE)) == 9
    score = ["baselines", "score", "--model", tmp_path / "run", "--data", data.location, "--tasks", "med_mat_single"]
    said = invoked(*score, "--workers", 0, "--json", "--out", tmp_path / "score", "--", "--limit", 3)
    assert runs.read_predictions(tmp_path / "score").num_rows == 3
    printed = json.loads(said[said.rindex("\n{") :])
    assert printed == runs.read_json(tmp_path / "score" / runs.METRICS_FILE)


def invoked(*arguments: object) -> str:
    # In this process: torch and the harness take ten seconds to import.
    done = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output[-2000:]
    return done.stdout


def test_errors_are_for_people(data: Data, tmp_path: Path) -> None:
    asked = ["baselines", "score", "--model", "tiny", "--data", data.location, "--out", tmp_path / "score"]
    done = med_mat(*asked, "--tasks", "med_mat_kidneys")
    assert done.returncode == 2
    assert "'med_mat_kidneys' is no task" in done.stderr
    assert "Traceback" not in done.stderr


TWO = """
import sys
from pathlib import Path
import torch
from med_mat.baselines import runs
from med_mat.baselines.score import Scoring, score
from med_mat.baselines.tasks import tasks_of
from med_mat.baselines.train import Training, train

torch.set_num_threads(1)
questions = runs.read_questions(Path(sys.argv[1]))
options = {"max_steps": 2, "batch_size": 8, "learning_rate": 1e-3, "workers": 0, "warmup": 0}
quick = Training("tiny", gradient_checkpointing=False, **options)
run = train(questions, quick, Path(sys.argv[2]) / "run")
tasks = tasks_of(questions.data, ["med_mat_single"])
score(str(run), tasks, Path(sys.argv[2]) / "score", Scoring(workers=0, batch_size=4, precision="float32"))
"""


@pytest.mark.slow
def test_two_processes_train_and_score_as_one_does(
    train_questions: Questions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sharded over two processes with the configuration for GPUs, but for the device."""
    config = (ROOT / "baselines" / "fsdp.yaml").read_text(encoding="utf-8")
    config = config.replace("bf16", '"no"').replace("num_processes: 8", "num_processes: 2\nuse_cpu: true")
    (tmp_path / "two.yaml").write_text(config, encoding="utf-8")
    (tmp_path / "two.py").write_text(TWO, encoding="utf-8")
    runs.write_questions(tmp_path / "questions.parquet", train_questions)
    files = [str(tmp_path / name) for name in ("two.py", "questions.parquet")]
    with monkeypatch.context() as alone:
        alone.setattr(sys, "argv", [*files, str(tmp_path / "one")])
        runpy.run_path(files[0])
    launch = [Path(sys.executable).with_name("accelerate"), "launch", "--main_process_port", "0"]
    command = [*launch, "--config_file", tmp_path / "two.yaml", *files, tmp_path / "two"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert runs.read_json(tmp_path / "two" / "run" / runs.RUN_FILE)["processes"] == 2
    one, two = (load_model(str(tmp_path / name / "run"), device="cpu").model.state_dict() for name in ("one", "two"))
    torch.testing.assert_close(two, one, atol=1e-5, rtol=1e-4)
    one, two = (runs.read_predictions(tmp_path / name / "score") for name in ("one", "two"))
    assert one["id"].to_pylist() == two["id"].to_pylist()
    for left, right in zip(one["log_probs"].to_pylist(), two["log_probs"].to_pylist(), strict=True):
        assert left == pytest.approx(right, abs=1e-3)
