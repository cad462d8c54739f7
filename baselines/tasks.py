"""lm-eval tasks made from tables of questions, and the functions that they name.

The harness reads tasks as YAML whose functions must be importable, so they stand here and not beside the YAML.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import yaml

from med_mat.baselines import runs
from med_mat.baselines.errors import BaselineError
from med_mat.baselines.harness import PLACEHOLDER
from med_mat.baselines.letters import Picture, letter_of
from med_mat.baselines.prompts import question_text
from med_mat.baselines.questions import Data, Kinds, Questions, config_names, load_questions, split_names
from med_mat.metrics import AveragePrecision, Box, Detection, average_precision, iou_matrix
from med_mat.questions.ask import LETTERS
from med_mat.regions import parse_boxes

if TYPE_CHECKING:
    from datasets import Dataset
    from PIL.Image import Image

Method = Literal["letters", "generation"]

GROUP = "med_mat"
PREFIX = "med_mat_"
BOXES_SUFFIX = "_boxes"
SPLIT = "test"
"""What the harness calls the questions of a task, whatever split of the dataset they are from."""

_MODULE = __name__
_LETTER_TOKENS = 16
_BOX_TOKENS = 128
_Doc = Mapping[str, Any]


def tasks_of(
    data: Data, names: Sequence[str], *, split: str = "test", kinds: Kinds = "primary"
) -> dict[str, Questions]:
    """Reads the questions of lm-eval tasks.

    Args:
        data: The dataset.
        names: ``med_mat_<config>``, or ``med_mat`` for all subsets of the dataset.
        split: Split of the dataset.
        kinds: As for ``load_questions``.

    Returns:
        Task name to questions. Questions without options stand in ``<name>_boxes``. Subsets without questions in this
        split are left out of ``med_mat``.

    Raises:
        BaselineError: No such config, or a config that was named has no question in this split.
    """
    known = config_names(data)
    tasks: dict[str, Questions] = {}
    for name in names:
        if name == GROUP:
            for config in known:
                if config.startswith("subset_") and split in split_names(data, config):
                    tasks |= _parted(PREFIX + config, load_questions(data, [config], split, kinds=kinds))
            continue
        config = name.removeprefix(PREFIX)
        if not name.startswith(PREFIX) or config not in known:
            raise BaselineError(
                f"{name!r} is no task of {data.location}: expected {GROUP}, or {PREFIX} and one of {', '.join(known)}"
            )
        tasks |= _parted(name, load_questions(data, [config], split, kinds=kinds))
    return tasks


def write_tasks(
    folder: Path, tasks: Mapping[str, Questions], *, method: Method = "letters", opened: bool = False
) -> None:
    """Writes tables of questions as lm-eval tasks, and the group ``med_mat`` of all of them.

    Args:
        folder: Gets ``questions/<task>.parquet`` and ``tasks/<task>.yaml``.
        tasks: Task name to questions: all with options, or all without.
        method: Whether letters are scored or text is generated. Boxes are generated in any case.
        opened: Hand pictures to the model opened, as models of the harness expect; not as references.

    Raises:
        BaselineError: A task has no questions, or both kinds.
    """
    for name, questions in tasks.items():
        boxes = _without_options(name, questions)
        path = (folder / "questions" / f"{name}.parquet").resolve()
        runs.write_questions(path, questions)
        config = _boxes_task() if boxes else _choice_task(method)
        image = "opened_image" if opened else "doc_to_image"
        config = {"task": name, **_common(path, image), **config}
        _write_yaml(folder / "tasks" / f"{name}.yaml", config)
    for boxes in (False, True):
        names = [name for name, questions in tasks.items() if _without_options(name, questions) == boxes]
        if names:
            group = GROUP + BOXES_SUFFIX if boxes else GROUP
            metrics = ["iou", "found_50"] if boxes else ["acc", "macro_acc"]
            listed = [
                {"metric": metric, "aggregation": "mean", "weight_by_size": metric != "macro_acc"} for metric in metrics
            ]
            _write_yaml(
                folder / "tasks" / f"_{group}.yaml", {"group": group, "task": names, "aggregate_metric_list": listed}
            )


def group_names(tasks: Mapping[str, Questions]) -> list[str]:
    """Returns the groups that ``write_tasks`` makes of these tasks."""
    kinds = {_without_options(name, questions) for name, questions in tasks.items()}
    return [GROUP + BOXES_SUFFIX if boxes else GROUP for boxes in sorted(kinds)]


# What the tasks name ----------------------------------------------------------------------------------------------


def dataset(questions_path: str, **_: Any) -> dict[str, Dataset]:
    """Reads a task's questions. The harness adds the model's arguments, which do not matter here."""
    from datasets import Dataset

    questions = runs.read_questions(Path(questions_path))
    rows = questions.table.num_rows
    table = questions.table.append_column("location", pa.array([questions.data.location] * rows, pa.string()))
    table = table.append_column("revision", pa.array([questions.data.revision] * rows, pa.string()))
    return {SPLIT: Dataset(table)}


def doc_to_text(doc: _Doc) -> str:
    """Returns the question as it is put, with a place for its picture."""
    return ("" if doc["picture"] is None else PLACEHOLDER) + question_text(doc)


def doc_to_choice(doc: _Doc) -> list[str]:
    """Returns the letters of a question's options."""
    return list(LETTERS[: len(doc["options"])])


def doc_to_target(doc: _Doc) -> int:
    """Returns the place of the answer among the options."""
    return int(doc["answer_index"])


def doc_to_answer(doc: _Doc) -> str:
    """Returns the answer as text: the letter of a choice, the boxes of a question without options."""
    return LETTERS[doc["answer_index"]] if doc["options"] else str(doc["answer"])


def doc_to_image(doc: _Doc) -> list[Picture]:
    """Returns references to a question's pictures: workers open them when their turn comes."""
    return [] if doc["picture"] is None else [Picture(doc["location"], doc["revision"], doc["picture"])]


def opened_image(doc: _Doc) -> list[Image]:
    """Returns a question's pictures."""
    return [picture.open() for picture in doc_to_image(doc)]


def score_choice(doc: _Doc, results: Sequence[tuple[float, bool]]) -> dict[str, Any]:
    """Scores a choice by the likeliest letter; of equals the first."""
    correct = float(int(np.argmax([result[0] for result in results])) == doc["answer_index"])
    return {"acc": correct, "macro_acc": (doc["label"], correct)}


def score_text(doc: _Doc, results: Sequence[str]) -> dict[str, Any]:
    """Scores a choice by the letter in a generated text."""
    correct = float(letter_of(results[0], doc["options"]) == doc["answer_index"])
    return {"acc": correct, "macro_acc": (doc["label"], correct)}


def score_boxes(doc: _Doc, results: Sequence[str]) -> dict[str, Any]:
    """Scores generated boxes against the answer's."""
    truth, predicted = boxes_of(doc["answer"]), boxes_of(results[0])
    overlaps = matched(truth, predicted)
    return {
        "iou": sum(overlaps) / max(len(truth), len(predicted), 1),
        "found_50": (sum(overlap >= 0.5 for overlap in overlaps), len(truth)),
        "map": (doc["question"], truth, predicted),
        "map_50": (doc["question"], truth, predicted),
    }


def macro(pairs: Iterable[tuple[str, float]]) -> float:
    """Averages accuracy within each label, then over labels, so that frequent labels weigh no more than rare ones."""
    by_label: dict[str, list[float]] = {}
    for label, correct in pairs:
        by_label.setdefault(label, []).append(correct)
    return float(np.mean([np.mean(values) for values in by_label.values()]))


def share_found(pairs: Iterable[tuple[int, int]]) -> float:
    """Share of all true boxes that have a partner of IoU 0.5 or more."""
    found, total = (sum(column) for column in zip(*pairs, strict=True))
    return float(found / total)


def mean_average_precision(pictures: Iterable[tuple[str, list[Box], list[Box]]]) -> float:
    """COCO's mean average precision over IoU 0.50 to 0.95; the question stands for the label."""
    return float(_average_precision(pictures).mean)


def average_precision_50(pictures: Iterable[tuple[str, list[Box], list[Box]]]) -> float:
    """COCO's average precision at IoU 0.50; the question stands for the label."""
    return float(_average_precision(pictures).at_50)


def boxes_of(text: str) -> list[Box]:
    """Returns the canonical boxes in a text; what is no box of the picture is left out."""
    return [box for box in parse_boxes(text, "unit") if box is not None]


def matched(truth: Sequence[Box], predicted: Sequence[Box]) -> list[float]:
    """Pairs boxes one to one so that the sum of their IoU is largest.

    Returns:
        IoU of each pair, as many as the shorter list has boxes.
    """
    from scipy.optimize import linear_sum_assignment

    overlaps = iou_matrix(truth, predicted)
    rows, columns = linear_sum_assignment(overlaps, maximize=True)
    return [float(value) for value in overlaps[rows, columns]]


def _box(box: Sequence[float]) -> Box:
    # Between processes the harness passes lists.
    xmin, ymin, xmax, ymax = box
    return xmin, ymin, xmax, ymax


def _average_precision(pictures: Iterable[tuple[str, list[Box], list[Box]]]) -> AveragePrecision:
    truth, predicted = [], []
    for label, true_boxes, found in pictures:
        truth.append([Detection(label, _box(box)) for box in true_boxes])
        predicted.append([Detection(label, _box(box)) for box in found])
    return average_precision(truth, predicted)


def _parted(name: str, questions: Questions) -> dict[str, Questions]:
    has_options = pc.greater(pc.list_value_length(questions.table["options"]), 0)
    parts = {name: has_options, name + BOXES_SUFFIX: pc.invert(has_options)}
    tables = {part: questions.table.filter(mask) for part, mask in parts.items()}
    return {part: questions.with_table(table) for part, table in tables.items() if table.num_rows}


def _without_options(name: str, questions: Questions) -> bool:
    counts = set(pc.equal(pc.list_value_length(questions.table["options"]), 0).to_pylist())
    if len(counts) != 1:
        found = "questions with and without options" if counts else "no questions"
        raise BaselineError(f"task {name} has {found}: expected one or the other")
    return bool(counts.pop())


def _common(path: Path, image: str) -> dict[str, Any]:
    return {
        "custom_dataset": _function("dataset"),
        "dataset_kwargs": {"questions_path": str(path)},
        "test_split": SPLIT,
        "doc_to_text": _function("doc_to_text"),
        "doc_to_image": _function(image),
        "num_fewshot": 0,
    }


def _choice_task(method: Method) -> dict[str, Any]:
    metrics = {
        "metric_list": [
            {"metric": "acc", "aggregation": "mean", "higher_is_better": True},
            {"metric": "macro_acc", "aggregation": _function("macro"), "higher_is_better": True},
        ]
    }
    if method == "letters":
        return {
            "output_type": "multiple_choice",
            "doc_to_choice": _function("doc_to_choice"),
            "doc_to_target": _function("doc_to_target"),
            "process_results": _function("score_choice"),
            **metrics,
        }
    return {**_generated("score_text", _LETTER_TOKENS), **metrics}


def _boxes_task() -> dict[str, Any]:
    aggregations = {
        "iou": "mean",
        "found_50": _function("share_found"),
        "map": _function("mean_average_precision"),
        "map_50": _function("average_precision_50"),
    }
    listed = [
        {"metric": name, "aggregation": aggregation, "higher_is_better": True}
        for name, aggregation in aggregations.items()
    ]
    return {**_generated("score_boxes", _BOX_TOKENS), "metric_list": listed}


def _generated(process: str, tokens: int) -> dict[str, Any]:
    return {
        "output_type": "generate_until",
        "generation_kwargs": {"until": ["\n\n"], "max_gen_toks": tokens, "do_sample": False, "temperature": 0.0},
        "doc_to_target": _function("doc_to_answer"),
        "process_results": _function(process),
    }


class _Function(str):
    """Name of a function in a task's YAML."""


def _function(name: str) -> _Function:
    return _Function(f"{_MODULE}.{name}")


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(_Function, lambda dumper, value: dumper.represent_scalar("!function", str(value)))


def _write_yaml(path: Path, config: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.dump(dict(config), Dumper=_Dumper, sort_keys=False), encoding="utf-8")
