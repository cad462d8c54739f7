"""From nothing to a report: the tiny model learns to look, with the real trainer and the real harness.

What cannot be learnt is not: the same training on pictures or answers that tell nothing stays at guessing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from tiny import med_mat

from med_mat.baselines import runs
from med_mat.baselines.outcomes import PERMUTED_PICTURES, SHUFFLED_ANSWERS, read_outcomes
from med_mat.baselines.smoke import complaints, p_values, run_smoke
from med_mat.registry import Registry


@pytest.fixture(scope="module")
def out(sources: Registry, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("smoke")
    run_smoke(sources, folder, spoilt=("shuffled", "permuted"), workers=0)
    return folder


@pytest.mark.slow
def test_the_tiny_model_learns_what_the_demo_shows_and_nothing_from_spoilt_questions(out: Path) -> None:
    found = read_outcomes(out)
    chances = p_values(out, found)
    assert set(chances) == {"model", SHUFFLED_ANSWERS, PERMUTED_PICTURES}
    assert complaints(chances) == []
    assert chances["model"] < 1e-4  # far from the line, so that another machine stays on this side
    (outcome,) = found.outcomes
    predictions = runs.read_predictions(out / outcome.scoring)
    accuracy = sum(predictions["correct"].to_pylist()) / predictions.num_rows
    assert runs.read_json(out / outcome.scoring / runs.METRICS_FILE)["med_mat_demo"]["acc"] == pytest.approx(accuracy)
    (judged,) = found.judged
    assert judged.judgement["natural"]["estimate"] == pytest.approx(accuracy)


@pytest.mark.slow
def test_the_command_goes_on_from_there_and_says_whether_it_looks(out: Path) -> None:
    done = med_mat("baselines", "run", "smoke", "--model", "tiny", "--out", out, "--workers", 0)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "training on" not in done.stdout
    assert "scoring" not in done.stdout
    assert "model: as many right answers by guessing" in done.stdout
    assert (out / "report" / "index.html").exists()


@pytest.mark.parametrize(
    ("found", "wrong"),
    [
        ({"model": 1e-6, "shuffled answers": 0.4}, []),
        ({"model": 0.02}, ["the model does not beat guessing"]),
        ({"model": 1e-6, "permuted pictures": 1e-3}, ["training on permuted pictures beats guessing"]),
    ],
)
def test_what_is_wrong_is_said(found: dict[str, float], wrong: Sequence[str]) -> None:
    said = complaints(found)
    assert len(said) == len(wrong)
    assert all(line.startswith(start) for line, start in zip(said, wrong, strict=True))
