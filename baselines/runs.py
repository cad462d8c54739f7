"""Files of a run folder: what was asked for, what came of it, and predictions."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from med_mat.baselines.errors import BaselineError
from med_mat.baselines.processes import this_process
from med_mat.baselines.questions import QUESTION, Data, Questions

RUN_FILE = "run.json"
QUESTIONS_FILE = "questions.parquet"
PREDICTIONS_FILE = "predictions.parquet"
METRICS_FILE = "metrics.json"
LOG_FILE = "log.jsonl"

_PACKAGES = ("med-mat", "torch", "transformers", "trl", "peft", "accelerate", "lm-eval", "datasets")
_BOX = pa.list_(pa.float32())

PREDICTION = pa.schema(
    [
        *QUESTION,
        ("model_task", pa.string()),
        ("log_probs", pa.list_(pa.float64())),
        ("text", pa.string()),
        ("predicted_index", pa.int8()),
        ("correct", pa.bool_()),
        ("predicted_boxes", pa.list_(_BOX)),
        ("iou", pa.float64()),
    ]
)
"""Columns of ``predictions.parquet``."""


def read_predictions(folder: Path) -> pa.Table:
    """Reads what a scoring run predicted, in the columns of ``PREDICTION``."""
    return pq.read_table(folder / PREDICTIONS_FILE)


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object."""
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return value


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Writes a JSON object at once: a reader sees the old file or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(path)


def write_questions(path: Path, questions: Questions) -> None:
    """Writes a table of questions; where its pictures are travels in the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = json.dumps([questions.data.location, questions.data.revision, questions.without_pixels])
    pq.write_table(questions.table.replace_schema_metadata({"med_mat.data": data}), path)


def read_questions(path: Path) -> Questions:
    """Reads what ``write_questions`` wrote."""
    table = pq.read_table(path)
    location, revision, absent = json.loads(table.schema.metadata[b"med_mat.data"])
    return Questions(table.replace_schema_metadata(None), Data(location, revision), absent)


def digest(questions: Questions) -> str:
    """Returns 64 hex digits that change with any question, answer, picture or their order."""
    lines = (json.dumps(row, sort_keys=True) for row in questions.table.to_pylist())
    state = hashlib.sha256()
    for line in lines:
        state.update(line.encode() + b"\n")
    return state.hexdigest()


def begin(folder: Path, kind: str, settings: Mapping[str, Any], about: Mapping[str, Any]) -> bool:
    """Opens a run folder.

    Args:
        folder: The folder; may exist.
        kind: ``training`` or ``scoring``.
        settings: What makes this run this run.
        about: What is recorded besides: versions, device.

    Returns:
        Whether the run is done already.

    Raises:
        BaselineError: The folder holds a run with other settings.
    """
    path = folder / RUN_FILE
    plain = json.loads(json.dumps(dict(settings)))
    if path.exists():
        before = read_json(path)
        other = {name for name in {*plain, *before["settings"]} if plain.get(name) != before["settings"].get(name)}
        if before["kind"] != kind or other:
            raise BaselineError(
                f"{folder} holds another run ({before['kind']}; differs in {', '.join(sorted(other)) or 'kind'}). "
                "Choose another folder, or delete this one"
            )
        if before["status"] == "done":
            return True
    write_json(path, {"kind": kind, "status": "started", "settings": plain, **environment(), **about})
    return False


def finish(folder: Path) -> None:
    """Marks a run as done."""
    write_json(folder / RUN_FILE, {**read_json(folder / RUN_FILE), "status": "done"})


def environment() -> dict[str, Any]:
    """Tells what a run ran with: versions, device, number of processes."""
    import torch

    state = this_process()
    device = torch.cuda.get_device_name(state.device) if state.device.type == "cuda" else platform.processor() or "CPU"
    return {
        "versions": {"python": platform.python_version(), **{name: metadata.version(name) for name in _PACKAGES}},
        "device": f"{state.device.type}: {device}",
        "processes": state.num_processes,
    }
