"""Controls of a task and its verdict, from what was scored. Everything is kept in the experiment's folder.

Controls learn from the training split of the target itself, whatever the model was trained on: the class prior from all
of it, file facts and neighbours from the label-balanced sample that a model would get. Copies are looked for among the
pictures that the model was trained on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from med_mat.baselines import runs
from med_mat.baselines.controls import (
    THUMBNAIL,
    Thumbnails,
    by_file_facts,
    class_prior,
    file_facts,
    nearest_neighbour,
    right,
    thumbnails,
)
from med_mat.baselines.errors import BaselineError
from med_mat.baselines.neighbours import NEAR, near
from med_mat.baselines.outcomes import (
    BLANK_PICTURE,
    CLASS_PRIOR,
    FILE_FACTS,
    NEAREST_NEIGHBOUR,
    NO_PICTURE,
    Judged,
)
from med_mat.baselines.questions import Questions
from med_mat.baselines.statistics import macro_accuracy
from med_mat.baselines.verdict import Evidence, judge
from med_mat.files import replacing

CONTROLS_FOLDER = "controls"
THUMBNAILS_FOLDER = "thumbnails"

Correct = dict[str, bool]
"""Id of a question to whether it was answered right."""


@dataclass(frozen=True, slots=True)
class Lessons:
    """What controls may learn of a target.

    Attributes:
        every: All training questions with options.
        sample: The label-balanced sample of them.
    """

    every: Questions
    sample: Questions


def key_of(content: Mapping[str, Any]) -> str:
    """Returns 16 hex digits that follow from a mapping of plain values."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]


def correct_of(scoring: Path, task: str) -> Correct:
    """Returns which questions of a task a scored model answered right; questions without options are left out.

    Raises:
        BaselineError: The folder has no answers to that task.
    """
    columns = ["id", "correct", "model_task"]
    table = pq.read_table(scoring / runs.PREDICTIONS_FILE, columns=columns).filter(pc.field("model_task") == task)
    if not table.num_rows:
        raise BaselineError(f"{scoring / runs.PREDICTIONS_FILE} has no answers to {task}; delete {scoring}, run again")
    pairs = zip(table["id"].to_pylist(), table["correct"].to_pylist(), strict=True)
    return {name: correct for name, correct in pairs if correct is not None}


def macro_of(questions: Questions, correct: Correct) -> float:
    """Returns macro accuracy over the questions of a task.

    Raises:
        BaselineError: A question was not answered.
    """
    return macro_accuracy(questions.table["label"].to_pylist(), _in_order(questions, correct))


def model_free_controls(out: Path, key: str, asked: Questions, lessons: Callable[[], Lessons]) -> dict[str, Path]:
    """Answers a task by class prior, file facts and nearest neighbour, unless that is done.

    Args:
        out: The experiment's folder.
        key: Digest of the task and of what controls learn from.
        asked: Questions with options.
        lessons: Loads what controls learn from.

    Returns:
        Control to its parquet of ``id`` and ``correct``.

    Raises:
        BaselineError: A picture is missing.
    """
    folder = out / CONTROLS_FOLDER / key
    paths = {name: _path(folder, name) for name in (CLASS_PRIOR, FILE_FACTS, NEAREST_NEIGHBOUR)}
    if all(path.exists() for path in paths.values()):
        return paths
    learnt = lessons()
    facts = [file_facts(questions) for questions in (learnt.sample, asked)]
    pixels = [_thumbnails(out, questions) for questions in (learnt.sample, asked)]
    chosen = {
        CLASS_PRIOR: class_prior(learnt.every, asked),
        FILE_FACTS: by_file_facts(learnt.sample, asked, *facts),
        NEAREST_NEIGHBOUR: nearest_neighbour(learnt.sample, asked, *pixels),
    }
    ids = asked.table["id"].to_pylist()
    for name, places in chosen.items():
        write_correct(paths[name], dict(zip(ids, right(asked, places), strict=True)))
    return paths


def write_correct(path: Path, correct: Correct) -> None:
    """Writes ``id`` and ``correct``, one line per question, at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(
        {"id": pa.array(list(correct), pa.string()), "correct": pa.array(list(correct.values()), pa.bool_())}
    )
    with replacing(path) as part:
        pq.write_table(table, part)


def read_correct(path: Path) -> Correct:
    """Reads what ``write_correct`` wrote."""
    table = pq.read_table(path)
    return dict(zip(table["id"].to_pylist(), table["correct"].to_pylist(), strict=True))


def model_control(out: Path, name: str, task: str, scoring: Path, variant: str) -> Path:
    """Writes the answers of a model that was asked in another way, or taught in another way.

    Args:
        out: The experiment's folder.
        name: The control.
        task: The task that it belongs to.
        scoring: Scoring folder with the answers.
        variant: Task in that folder.
    """
    path = _path(out / CONTROLS_FOLDER / key_of({"scoring": scoring.name, "task": task, "variant": variant}), name)
    write_correct(path, correct_of(scoring, variant))
    return path


def judged(
    out: Path, task: str, asked: Questions, scoring: Path, training: Path, controls: Mapping[str, Path]
) -> Judged:
    """Judges a task by the answers of a trained model and of the controls.

    Args:
        out: The experiment's folder.
        task: Name of the task.
        asked: Its questions, all with options.
        scoring: Scoring folder of the model.
        training: Run folder of the model.
        controls: Control to its parquet: those without a picture, and file facts.

    Raises:
        BaselineError: A question was not answered.
    """
    learnt = runs.read_questions(training / runs.QUESTIONS_FILE)
    seen = _training_pictures(out, learnt)
    columns = asked.table.select(["row_id", "group", "label"]).to_pydict()
    groups = [group or row for group, row in zip(columns["group"], columns["row_id"], strict=True)]
    answers = {name: _in_order(asked, read_correct(path)) for name, path in controls.items()}
    judgement = judge(
        Evidence(
            name=task,
            labels=columns["label"],
            offered=[len(options) for options in asked.table["options"].to_pylist()],
            groups=groups,
            model=_in_order(asked, correct_of(scoring, task)),
            blind={name: answers[name] for name in (CLASS_PRIOR, NO_PICTURE, BLANK_PICTURE)},
            by_source={FILE_FACTS: answers[FILE_FACTS]},
            near=near(seen, _thumbnails(out, asked)),
        )
    )
    neighbours = {"pictures": float(len(seen)), "threshold": NEAR}
    plain: dict[str, Any] = json.loads(json.dumps(asdict(judgement)))
    return Judged(task, scoring.relative_to(out).as_posix(), neighbours, plain)


def _in_order(questions: Questions, correct: Correct) -> list[bool]:
    ids: Sequence[str] = questions.table["id"].to_pylist()
    absent = [name for name in ids if name not in correct]
    if absent:
        raise BaselineError(f"{len(absent)} of {len(ids)} questions were not answered, the first is {absent[0]}")
    return [correct[name] for name in ids]


def _training_pictures(out: Path, learnt: Questions) -> Thumbnails:
    # Subset by subset: what several models are trained on is shrunk once.
    parts = []
    for subset in pc.unique(learnt.table["subset"]).to_pylist():
        of_subset = pc.is_null(learnt.table["subset"]) if subset is None else pc.equal(learnt.table["subset"], subset)
        parts.append(_thumbnails(out, learnt.with_table(learnt.table.filter(of_subset)), unique=True))
    return np.concatenate(parts)


def _thumbnails(out: Path, questions: Questions, *, unique: bool = False) -> Thumbnails:
    table = questions.table.filter(pc.is_valid(questions.table["picture"]))
    if unique:
        pictures = sorted(set(table["picture"].to_pylist()))
        firsts = {picture: place for place, picture in reversed(list(enumerate(table["picture"].to_pylist())))}
        table = table.take(pa.array([firsts[picture] for picture in pictures], pa.int64()))
    names = {"data": asdict(questions.data), "pictures": table["picture"].to_pylist()}
    path = out / THUMBNAILS_FOLDER / f"{key_of(names)}.parquet"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [line.tobytes() for line in thumbnails(questions.with_table(table))]
        with replacing(path) as part:
            pq.write_table(pa.table({"pixels": pa.array(lines, pa.binary())}), part)
    stored = b"".join(pq.read_table(path)["pixels"].to_pylist())
    return np.frombuffer(stored, np.uint8).reshape(table.num_rows, THUMBNAIL * THUMBNAIL)


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name.replace(' ', '_')}.parquet"
