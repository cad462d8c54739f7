"""The smallest honest trial: ``tiny`` learns the demo's phantoms from nothing, in about a minute on two cores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from med_mat.baselines.questions import Data, Questions, load_questions
from med_mat.baselines.train import Training
from med_mat.baselines.variants import ordered, within_source

if TYPE_CHECKING:
    from med_mat.card import Card

CONFIG = "default"

SMOKE = Training(
    "tiny",
    epochs=20.0,
    learning_rate=1e-3,
    schedule="linear",
    warmup=0.05,
    gradient_checkpointing=False,
    log_steps=50,
    save_steps=1000,
    workers=1,
)
"""A learning rate for random weights, and epochs for few pictures."""


def smoke_questions(data: Data, cards: Mapping[str, Card], split: str) -> Questions:
    """Returns questions for one label of several, with the labels of the picture's own source in a fixed order.

    With the published options the demo could be answered without looking: of the labels of a subset, its few sources
    bear only some. Among the labels of one source, drawn equally often, nothing but the picture tells. The order is
    fixed because a random model needs far more than a minute to learn that a letter follows from the option's text;
    so this trial shows that pictures are learnt from, not that options are read.

    Args:
        data: A build of the demo.
        cards: Slug to card.
        split: ``train`` or ``test``.
    """
    return ordered(within_source(load_questions(data, [CONFIG], split, kinds=["choice"]), cards))
