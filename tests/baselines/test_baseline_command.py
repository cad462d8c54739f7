"""The commands, as processes of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny import med_mat

from med_mat.baselines import runs
from med_mat.baselines.questions import Data


@pytest.mark.slow
def test_train_and_score(data: Data, tmp_path: Path) -> None:
    train = ["baselines", "train", "--model", "tiny", "--data", data.location, "--config", "single", "--max-steps", 2]
    done = med_mat(*train, "--batch-size", 4, "--per-subset", 9, "--workers", 0, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(runs.read_questions(tmp_path / "run" / runs.QUESTIONS_FILE)) == 9
    score = ["baselines", "score", "--model", tmp_path / "run", "--data", data.location, "--tasks", "med_mat_single"]
    done = med_mat(*score, "--workers", 0, "--json", "--out", tmp_path / "score", "--", "--limit", 3)
    assert done.returncode == 0, done.stderr[-2000:]
    assert runs.read_predictions(tmp_path / "score").num_rows == 3
    printed = json.loads(done.stdout[done.stdout.rindex("\n{") :])
    assert printed == runs.read_json(tmp_path / "score" / runs.METRICS_FILE)


def test_errors_are_for_people(data: Data, tmp_path: Path) -> None:
    asked = ["baselines", "score", "--model", "tiny", "--data", data.location, "--out", tmp_path / "score"]
    done = med_mat(*asked, "--tasks", "med_mat_kidneys")
    assert done.returncode == 2
    assert "'med_mat_kidneys' is no task" in done.stderr
    assert "Traceback" not in done.stderr
