"""From nothing to a score: the tiny model learns to look, with the real trainer and the real harness."""

from __future__ import annotations

from pathlib import Path

import pytest

from med_mat.baselines import runs
from med_mat.baselines.chance import chance_p_value
from med_mat.baselines.questions import Data
from med_mat.baselines.score import Scoring, score
from med_mat.baselines.smoke import SMOKE, smoke_questions
from med_mat.baselines.train import train
from med_mat.card import Card


@pytest.mark.slow
def test_the_tiny_model_learns_what_the_demo_shows(demo: Data, cards: dict[str, Card], tmp_path: Path) -> None:
    run = train(smoke_questions(demo, cards, "train"), SMOKE, tmp_path / "run")
    asked = smoke_questions(demo, cards, "test")
    out = score(
        str(run), {"med_mat_default": asked}, tmp_path / "score", Scoring(batch_size=32, workers=1, device="cpu")
    )
    predictions = runs.read_predictions(out).to_pydict()
    offered = [len(options) for options in predictions["options"]]
    assert len(offered) == len(asked) > 100
    assert chance_p_value(predictions["correct"], offered) < 0.01
    accuracy = sum(predictions["correct"]) / len(offered)
    assert runs.read_json(out / runs.METRICS_FILE)["med_mat_default"]["acc"] == pytest.approx(accuracy)
