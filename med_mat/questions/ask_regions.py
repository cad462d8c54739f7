"""Questions of pictures with regions: where, how many, and which of four boxes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from med_mat.hashing import rank, uniform
from med_mat.questions.ask import MAX_OPTIONS, Question
from med_mat.regions import Box, format_boxes
from med_mat.regions.boxes import reading_order

MOST_OVERLAP = 0.3
"""A wrong box has an intersection over union below this with every right one and with each other wrong one."""

_TRIES = 64

BoxPool = Mapping[str, npt.NDArray[np.float32]]
"""Label to all its boxes in a source, shape (n, 4), each once, sorted."""


def ask_where(row_id: str, label: str, boxes: Sequence[Box], instructions: Sequence[str]) -> Question:
    """Asks where a label is. The answer is all its boxes, from top to bottom; there are no options.

    Args:
        row_id: The row.
        label: A label that the picture bears.
        boxes: Its canonical boxes; at least one.
        instructions: The subset's questions, each with ``{label}``.
    """
    instruction = instructions[rank("instruction", row_id, label) % len(instructions)]
    answer = format_boxes(sorted(boxes, key=reading_order), "unit")
    return Question("where", instruction.format(label=label), (), answer, -1)


def ask_count(label: str, number: int, template: str) -> Question:
    """Asks how many regions of a label there are. The answer is a number; there are no options."""
    return Question("count", template.format(label=label), (), str(number), -1)


def ask_box(row_id: str, label: str, boxes: Sequence[Box], pool: BoxPool, template: str) -> Question | None:
    """Asks which of four boxes holds a label, for models that only choose.

    The three wrong boxes are boxes of the same label from other pictures of the source, or, where there are not enough
    that lie apart, the right box at three other places: so neither shape nor size gives the answer away.

    Args:
        row_id: The row.
        label: A label that the picture bears.
        boxes: Its canonical boxes; one of them is the answer.
        pool: Boxes of the source.
        template: The question, with ``{label}``.

    Returns:
        None where no three wrong boxes lie apart from the right ones and from one another.
    """
    right = min(boxes, key=lambda box: (rank("box", row_id, label, repr(box)), box))
    for candidates in (_elsewhere(row_id, label, pool[label]), _shifted(row_id, label, right)):
        wrong = _apart(candidates, boxes)
        if len(wrong) == MAX_OPTIONS - 1:
            texts = [format_boxes([box], "unit") for box in (right, *wrong)]
            # They must stay apart in the coarsest spelling too.
            if len({format_boxes([box], "percent") for box in (right, *wrong)}) == len(texts) == len(set(texts)):
                options = tuple(sorted(texts, key=lambda text: (rank("option", row_id, label, text), text)))
                return Question(
                    "choice_of_boxes", template.format(label=label), options, texts[0], options.index(texts[0])
                )
    return None


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (sum(areas) - width * height)


def _elsewhere(row_id: str, label: str, pool: npt.NDArray[np.float32]) -> Iterator[Box]:
    for number in range(_TRIES):
        xmin, ymin, xmax, ymax = pool[rank("distractor", row_id, label, str(number)) % len(pool)].tolist()
        yield xmin, ymin, xmax, ymax


def _shifted(row_id: str, label: str, box: Box) -> Iterator[Box]:
    width, height = box[2] - box[0], box[3] - box[1]
    for number in range(_TRIES):
        x = uniform("shift x", row_id, label, str(number)) * (1 - width)
        y = uniform("shift y", row_id, label, str(number)) * (1 - height)
        yield x, y, x + width, y + height


def _apart(candidates: Iterator[Box], right: Sequence[Box]) -> list[Box]:
    wrong: list[Box] = []
    for box in candidates:
        if all(overlap(box, other) < MOST_OVERLAP for other in (*right, *wrong)):
            wrong.append(box)
            if len(wrong) == MAX_OPTIONS - 1:
                break
    return wrong
