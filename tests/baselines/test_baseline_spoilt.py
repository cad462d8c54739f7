"""What cannot be learnt is not: the same training on pictures or answers that tell nothing stays at guessing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from med_mat.baselines.chance import chance_p_value
from med_mat.baselines.letters import Picture, Request, score_letters
from med_mat.baselines.models import load_model
from med_mat.baselines.questions import Data, Questions
from med_mat.baselines.smoke import SMOKE, smoke_questions
from med_mat.baselines.train import train
from med_mat.baselines.variants import permuted_pictures, shuffled_answers
from med_mat.card import Card


@pytest.mark.slow
@pytest.mark.parametrize("spoil", [permuted_pictures, shuffled_answers])
def test_nothing_is_learnt_from_spoilt_questions(
    spoil: Callable[[Questions], Questions], demo: Data, cards: dict[str, Card], tmp_path: Path
) -> None:
    spoilt = spoil(smoke_questions(demo, cards, "train"))
    loaded = load_model(str(train(spoilt, SMOKE, tmp_path / "run")), device="cpu")
    rows = smoke_questions(demo, cards, "test").table.to_pylist()
    shown = [(Picture(demo.location, None, row["picture"]),) for row in rows]
    requests = [Request(loaded.prompter.text(row), some) for row, some in zip(rows, shown, strict=True)]
    correct = []
    for row, found in zip(rows, score_letters(loaded, requests, batch_size=32), strict=True):
        offered = found.log_probs[: len(row["options"])]
        correct.append(offered.index(max(offered)) == row["answer_index"])
    assert chance_p_value(correct, [len(row["options"]) for row in rows]) > 0.01
