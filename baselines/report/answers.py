"""Answers as a report reads them: the columns of predictions that it needs, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from med_mat.baselines import runs
from med_mat.baselines.errors import BaselineError
from med_mat.baselines.outcomes import ControlOutcome

_REMEMBERED = 16
_COLUMNS = (
    "id",
    "label",
    "options",
    "predicted_index",
    "correct",
    "iou",
    "group",
    "source",
    "modality",
    "anatomy",
    "task_elements",
)
NONE_CHOSEN = "(none)"
"""What a model is said to have chosen where its text named no option."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers of one model; lists have one entry per question with options, in the order asked.

    Attributes:
        ids: Of the questions.
        labels: True labels.
        chosen: Options chosen, or ``NONE_CHOSEN``.
        offered: Numbers of options.
        correct: Whether the option chosen is the answer.
        groups: Groups of the rows.
        sources: Slugs.
        modalities: Codes.
        areas: Anatomical areas.
        words: Coarse task words of each; one question may bear several.
        overlaps: Mean IoU of each question without options.
    """

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    chosen: tuple[str, ...]
    offered: tuple[int, ...]
    correct: tuple[bool, ...]
    groups: tuple[str, ...]
    sources: tuple[str, ...]
    modalities: tuple[str, ...]
    areas: tuple[str, ...]
    words: tuple[tuple[str, ...], ...]
    overlaps: tuple[float, ...]


@lru_cache(maxsize=_REMEMBERED)
def read_answers(folder: Path, scoring: str, tasks: tuple[str, ...]) -> Answers:
    """Reads the answers of a scoring run.

    Args:
        folder: Of the experiment.
        scoring: Scoring folder, relative to it.
        tasks: Values of ``model_task`` to take.

    Raises:
        BaselineError: There are no predictions, or none for a task.
    """
    path = folder / scoring / runs.PREDICTIONS_FILE
    table = _read(path, ["model_task", *_COLUMNS])
    absent = sorted(set(tasks) - set(table["model_task"].to_pylist()))
    if absent:
        raise BaselineError(f"{path}: no answers to {', '.join(absent)}. Delete {path.parent} and score again")
    table = table.filter(pc.is_in(table["model_task"], pa.array(tasks, pa.string())))
    overlaps = tuple(value for value in table["iou"].to_pylist() if value is not None)
    table = table.filter(pc.is_valid(table["correct"]))
    column = {name: tuple(table[name].to_pylist()) for name in _COLUMNS}
    return Answers(
        ids=column["id"],
        labels=column["label"],
        chosen=tuple(
            options[place] if 0 <= place < len(options) else NONE_CHOSEN
            for options, place in zip(column["options"], column["predicted_index"], strict=True)
        ),
        offered=tuple(map(len, column["options"])),
        correct=column["correct"],
        groups=column["group"],
        sources=column["source"],
        modalities=column["modality"],
        areas=column["anatomy"],
        words=tuple(map(tuple, column["task_elements"])),
        overlaps=overlaps,
    )


def control_answers(folder: Path, control: ControlOutcome) -> dict[str, bool]:
    """Reads which questions a control has right: id to whether.

    Raises:
        BaselineError: There are no predictions.
    """
    table = _read(folder / control.predictions, ["id", "correct"])
    return dict(zip(table["id"].to_pylist(), table["correct"].to_pylist(), strict=True))


def _read(path: Path, columns: Sequence[str]) -> pa.Table:
    try:
        return pq.read_table(path, columns=list(columns))
    except FileNotFoundError:
        raise BaselineError(
            f"{path}: not there, though the experiment names it. Run the recipe again: what is done is not done again"
        ) from None
