"""A dozen answers to look at: chosen by hash, as many right as wrong, with pictures that may be shown."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image

from med_mat.baselines import runs
from med_mat.baselines.errors import BaselineError
from med_mat.baselines.outcomes import Outcome, Outcomes
from med_mat.baselines.questions import BLANK, Data, open_picture
from med_mat.hashing import rank
from med_mat.questions.ask import LETTERS
from med_mat.report.pictures import fitted
from med_mat.vocabulary import Redistribution

SIDE = 192
"""Longest side of a picture, in pixels."""
NUMBER = 12

_QUALITY = 80
_NOT_PASSED_ON = "picture left out: no card says that it may be passed on"
_COLUMNS = (
    "id",
    "source",
    "question",
    "options",
    "answer_index",
    "predicted_index",
    "correct",
    "log_probs",
    "text",
    "picture",
)


@dataclass(frozen=True, slots=True)
class Option:
    """An option as it stood: letter, text, and its share of the probability of all letters offered, if known."""

    letter: str
    text: str
    share: float | None


@dataclass(frozen=True, slots=True)
class SampleAnswer:
    """A question and what a model answered.

    Attributes:
        id: Of the question.
        source: Slug.
        outcome: The trial.
        question: Its text.
        options: What was offered.
        answer: Place of the right option.
        predicted: Place of the option chosen, -1 for none.
        correct: Whether they are one.
        text: What the model wrote; None where letters were scored.
        picture: A data URI; None where it is not shown.
        why: Why it is not shown; None where it is.
        private: Whether the answer stands here though no card says that its picture may be passed on.
    """

    id: str
    source: str
    outcome: Outcome
    question: str
    options: tuple[Option, ...]
    answer: int
    predicted: int
    correct: bool
    text: str | None
    picture: str | None
    why: str | None
    private: bool


def sample_answers(
    folder: Path,
    found: Outcomes,
    trials: Sequence[Outcome],
    rights: Mapping[str, Redistribution],
    *,
    all_pictures: bool = False,
) -> tuple[SampleAnswer, ...]:
    """Chooses answers of some trials, half of them right where there are as many.

    Questions whose picture may be shown come first, then others, each by hash; trials take turns.

    Args:
        folder: Of the experiment.
        found: Its outcomes.
        trials: Whose answers to show.
        rights: Source to what may be passed on of it. Pictures of ``annotations``, and of sources that are not
            named, are left out; of ``none`` nothing is shown.
        all_pictures: Show everything: for a page that is not passed on.
    """
    piles = {
        (trial, side): pile
        for trial in sorted(trials, key=lambda each: rank("sample_trial", each.scoring, *each.tasks))
        for side, pile in _candidates(folder, trial, rights, all_pictures).items()
    }
    chosen: list[tuple[Outcome, dict[str, Any]]] = []
    for side in (True, False):
        of_side = [(trial, pile) for (trial, which), pile in piles.items() if which == side]
        # The other way round, so that few answers come from many trials.
        chosen += _in_turn(of_side if side else of_side[::-1], NUMBER // 2, {row["id"] for _, row in chosen})
    data = Data(str(found.data["location"]), found.data.get("revision"))
    return tuple(_shown(trial, row, data, rights, all_pictures) for trial, row in chosen)


def _candidates(
    folder: Path, trial: Outcome, rights: Mapping[str, Redistribution], all_pictures: bool
) -> dict[bool, list[dict[str, Any]]]:
    table = pq.read_table(folder / trial.scoring / runs.PREDICTIONS_FILE, columns=["model_task", *_COLUMNS])
    wanted = pc.is_in(table["model_task"], pa.array(trial.tasks, pa.string()))
    table = table.filter(pc.and_(wanted, pc.is_valid(table["correct"])))
    order = []
    for place, (name, source) in enumerate(zip(*(table[each].to_pylist() for each in ("id", "source")), strict=True)):
        right = "images" if all_pictures else rights.get(source)
        if right != "none":
            order.append((right != "images", rank("sample", name), name, place))
    order.sort()
    sides: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
    correct = table["correct"].to_pylist()
    for *_, place in order:
        pile = sides[correct[place]]
        if len(pile) < NUMBER:
            pile.append(table.slice(place, 1).to_pylist()[0])
    return sides


def _in_turn(
    piles: Sequence[tuple[Outcome, list[dict[str, Any]]]], number: int, taken: set[str]
) -> Iterator[tuple[Outcome, dict[str, Any]]]:
    for depth in range(NUMBER):
        for trial, pile in piles:
            if number and depth < len(pile) and pile[depth]["id"] not in taken:
                taken.add(pile[depth]["id"])
                number -= 1
                yield trial, pile[depth]


def _shown(
    trial: Outcome, row: Mapping[str, Any], data: Data, rights: Mapping[str, Redistribution], all_pictures: bool
) -> SampleAnswer:
    picture, why = None, None
    if row["picture"] is None or row["picture"] == BLANK:
        why = "asked without a picture"
    elif not all_pictures and rights.get(row["source"]) != "images":
        why = _NOT_PASSED_ON
    else:
        try:
            picture = _embedded(open_picture(data, row["picture"]))
        except (BaselineError, OSError):
            why = "picture left out: it is not in the data at hand"
    return SampleAnswer(
        id=row["id"],
        source=row["source"],
        outcome=trial,
        question=row["question"],
        options=_options(row),
        answer=row["answer_index"],
        predicted=row["predicted_index"],
        correct=row["correct"],
        text=row["text"],
        picture=picture,
        why=why,
        private=all_pictures and rights.get(row["source"]) != "images",
    )


def _options(row: Mapping[str, Any]) -> tuple[Option, ...]:
    options = row["options"]
    shares: list[float | None] = [None] * len(options)
    if row["log_probs"]:
        highest = max(row["log_probs"])
        weights = [math.exp(value - highest) for value in row["log_probs"]]
        shares = [weight / sum(weights) for weight in weights]
    return tuple(
        Option(LETTERS[place], text, share) for place, (text, share) in enumerate(zip(options, shares, strict=True))
    )


def _embedded(image: Image.Image) -> str:
    # Made anew from pixels, so nothing that a file holds besides travels along.
    small = image.resize(fitted(image.width, image.height, SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
