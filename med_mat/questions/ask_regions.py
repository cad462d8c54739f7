"""Questions of pictures with regions: where, how many, and which of several boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from med_mat.hashing import rank, shuffled
from med_mat.questions.ask import Question
from med_mat.questions.label_sets import in_blocks
from med_mat.regions import Box, format_boxes
from med_mat.regions.boxes import reading_order

MOST_OVERLAP = 0.3
"""A wrong box has an intersection over union below this with every right one and with each other wrong one."""

_WINDOW = 32


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


def box_offers(boxes: Mapping[str, Mapping[str, Sequence[Box]]]) -> dict[tuple[str, str], tuple[Box, ...]]:
    """Puts the boxes of a label in blocks: each picture of a block is asked with the same two to four boxes.

    Each box of a block is right of one picture, and lies apart from all boxes of the label in the others. So who sees
    the boxes without a picture knows nothing: not by place, size or shape, nor by what is usual for the label.

    Args:
        boxes: Label to row id to the canonical boxes of the label in the row's picture, at least one.

    Returns:
        Row id and label to the right box, and after it the wrong ones. A picture whose boxes lie apart from those of
        none that were tried is not there: where a label always stands in one place, no box of it is wrong.
    """
    return {(row, label): block for label, found in boxes.items() for row, block in _offers(label, found).items()}


def _offers(label: str, found: Mapping[str, Sequence[Box]]) -> dict[str, tuple[Box, ...]]:
    rows = shuffled("distractor", label, found)
    right = [min(found[row], key=lambda box: (rank("box", row, label, repr(box)), box)) for row in rows]
    # They must stay apart in the coarsest spelling too.
    spelled = [format_boxes([box], "percent") for box in right]

    def apart(one: int, other: int) -> bool:
        return spelled[one] != spelled[other] and all(
            overlap(right[here], box) < MOST_OVERLAP
            for here, there in ((one, other), (other, one))
            for box in found[rows[there]]
        )

    blocks, _ = in_blocks(range(len(rows)), apart, _WINDOW)
    return {
        rows[one]: (right[one], *(right[other] for other in block if other != one)) for block in blocks for one in block
    }


def ask_box(row_id: str, label: str, offered: Sequence[Box], template: str) -> Question:
    """Asks which of some boxes holds a label, for models that only choose.

    Args:
        row_id: The row.
        label: A label that the picture bears.
        offered: The right box and the wrong ones, as ``box_offers`` gives them.
        template: The question, with ``{label}``.
    """
    texts = [format_boxes([box], "unit") for box in offered]
    options = tuple(sorted(texts, key=lambda text: (rank("option", row_id, label, text), text)))
    return Question("choice_of_boxes", template.format(label=label), options, texts[0], options.index(texts[0]))


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (sum(areas) - width * height)
