"""Scoring with lm-eval: its own command runs, with our model registered and our tasks beside its own."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from med_mat.baselines import runs
from med_mat.baselines.errors import BaselineError
from med_mat.baselines.harness import MODEL_NAME
from med_mat.baselines.letters import letter_of
from med_mat.baselines.models import Precision
from med_mat.baselines.processes import this_process
from med_mat.baselines.questions import QUESTION, Questions, resolved
from med_mat.baselines.tasks import Method, boxes_of, group_names, matched, write_tasks

HARNESS_FOLDER = "harness"

_PACE = ("batch_size", "workers")  # settings that change how fast a run is, and nothing else


@dataclass(frozen=True, slots=True)
class Scoring:
    """Settings of a scoring run.

    Attributes:
        method: ``letters`` reads their log-probabilities; ``generation`` looks for a letter in what the model writes,
            as the paper did.
        batch_size: Questions at once on a device.
        workers: Processes that open and prepare pictures.
        precision: Type of the weights.
        model_revision: Commit, tag or branch on the Hub.
        device: The process's own if None.
        limit: Only the first so many questions of each task.
    """

    method: Method = "letters"
    batch_size: int = 8
    workers: int = 4
    precision: Precision = "auto"
    model_revision: str | None = None
    device: str | None = None
    limit: int | None = None


def score(
    model: str, tasks: Mapping[str, Questions], out: Path, scoring: Scoring | None = None, extra: Sequence[str] = ()
) -> Path:
    """Scores a model with lm-eval. A run that is done is left as it is.

    Args:
        model: As for ``load_model``; a run folder of ``train`` means what it trained.
        tasks: Task name to questions, as ``tasks_of`` gives them.
        out: Scoring folder.
        scoring: Settings; defaults if None.
        extra: Further arguments of ``lm-eval run``, as on its command line.

    Returns:
        ``out``, with ``predictions.parquet`` and ``metrics.json``.

    Raises:
        BaselineError: No tasks, a folder with another run, or a model that does not load.
    """
    if not tasks:
        raise BaselineError("there are no tasks to score: the dataset has no question for them in this split")
    scoring = scoring or Scoring()
    state = this_process()
    data = {name: resolved(questions.data) for name, questions in tasks.items()}
    listed = asdict(scoring)
    about = {name: listed.pop(name) for name in _PACE}
    settings = {
        **listed,
        "model": model,
        "extra": list(extra),
        "data": data,
        "tasks": {name: runs.digest(questions) for name, questions in tasks.items()},
    }
    about["questions"] = {name: len(each) for name, each in tasks.items()}
    done = False
    if state.is_main_process:
        done = runs.begin(out, "scoring", settings, about)
        if not done:
            shutil.rmtree(out / HARNESS_FOLDER, ignore_errors=True)
            write_tasks(out, tasks, method=scoring.method)
    state.wait_for_everyone()
    if runs.read_json(out / runs.RUN_FILE)["status"] == "done":
        return out
    harness(arguments(model, list(tasks) if len(tasks) == 1 else group_names(tasks), out, scoring, extra))
    if state.is_main_process:
        pq.write_table(predictions(out, tasks), out / runs.PREDICTIONS_FILE)
        runs.write_json(out / runs.METRICS_FILE, _results(out))
        runs.finish(out)
    state.wait_for_everyone()
    return out


def arguments(model: str, names: Sequence[str], out: Path, scoring: Scoring, extra: Sequence[str]) -> list[str]:
    """Returns the arguments of ``lm-eval run`` for a scoring run."""
    of_model = {
        "model": model,
        "revision": scoring.model_revision,
        "precision": scoring.precision,
        "workers": scoring.workers,
    }
    from med_mat.baselines.models import best_device

    listed = ["--model", MODEL_NAME, "--model_args", json.dumps(of_model), "--tasks", ",".join(names)]
    listed += ["--include_path", str(out / "tasks"), "--output_path", str(out / HARNESS_FOLDER), "--log_samples"]
    listed += ["--apply_chat_template", "--batch_size", str(scoring.batch_size)]
    # Unless told, the harness takes a GPU for granted.
    listed += ["--device", scoring.device or best_device()]
    if scoring.limit is not None:
        listed += ["--limit", str(scoring.limit)]
    return [*listed, *extra]


def harness(arguments: Sequence[str]) -> None:
    """Runs lm-eval's own ``run`` command in this process; ``med_mat.baselines.harness`` has registered the model."""
    from lm_eval._cli.run import Run

    parser = argparse.ArgumentParser(prog="lm-eval")
    Run.create(parser.add_subparsers(dest="command"))
    parsed = parser.parse_args(["run", *arguments])
    with _without_delays():
        parsed.func(parsed)


@contextmanager
def _without_delays() -> Iterator[None]:
    """Spares the harness ten seconds a call, for which its command has no option.

    It would read the 13,000 YAML files of its own tasks, which its TaskManager can leave out; and it lists the packages
    of this environment with pip, which need not be done twice in a process.
    """
    import lm_eval.tasks
    from torch.utils import collect_env

    managed, described = lm_eval.tasks.TaskManager, collect_env.get_pretty_env_info
    lm_eval.tasks.TaskManager = partial(managed, include_defaults=False)
    collect_env.get_pretty_env_info = _environment
    try:
        yield
    finally:
        lm_eval.tasks.TaskManager, collect_env.get_pretty_env_info = managed, described


@cache
def _environment() -> str:
    from torch.utils.collect_env import get_env_info, pretty_str

    return str(pretty_str(get_env_info()))


def predictions(out: Path, tasks: Mapping[str, Questions]) -> pa.Table:
    """Gathers what the harness logged into one table.

    Args:
        out: Scoring folder.
        tasks: What was asked.

    Returns:
        In the columns of ``PREDICTION``, task by task in the order asked.
    """
    rows = []
    for name in tasks:
        for path in (out / HARNESS_FOLDER).glob(f"*/samples_{name}_[0-9]*.jsonl"):
            with path.open(encoding="utf-8") as lines:
                found = [json.loads(line) for line in lines]
            rows += [_prediction(name, sample) for sample in sorted(found, key=lambda sample: int(sample["doc_id"]))]
    return pa.Table.from_pylist(rows, schema=runs.PREDICTION)


def _prediction(task: str, sample: Mapping[str, Any]) -> dict[str, Any]:
    doc, answers = sample["doc"], sample["filtered_resps"]
    row = {**{name: doc[name] for name in QUESTION.names}, "model_task": task}
    if not doc["options"]:
        predicted, truth = boxes_of(answers[0]), boxes_of(doc["answer"])
        overlap = sum(matched(truth, predicted)) / max(len(truth), len(predicted), 1)
        boxes = [list(box) for box in predicted]
        return {**row, "text": answers[0], "predicted_index": -1, "predicted_boxes": boxes, "iou": overlap}
    if isinstance(answers[0], str):
        chosen = letter_of(answers[0], doc["options"])
        return {**row, "text": answers[0], "predicted_index": chosen, "correct": chosen == doc["answer_index"]}
    # The harness logs numbers as text.
    log_probs = [float(answer[0]) for answer in answers]
    chosen = log_probs.index(max(log_probs))
    return {**row, "log_probs": log_probs, "predicted_index": chosen, "correct": chosen == doc["answer_index"]}


def _results(out: Path) -> dict[str, Any]:
    path = max((out / HARNESS_FOLDER).glob("*/results_*.json"))
    results = runs.read_json(path)
    plain = {}
    for name, values in {**results["results"], **results.get("groups", {})}.items():
        scores = {key.removesuffix(",none"): value for key, value in values.items() if isinstance(value, int | float)}
        plain[name] = scores
    return plain
