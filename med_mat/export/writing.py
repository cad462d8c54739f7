"""What all exports share: one question after the other, each picture as the bytes that it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from med_mat.errors import MedMatError
from med_mat.files import replacing
from med_mat.rows import explode, prompt

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict, IterableDataset, IterableDatasetDict

Format = Literal["upstream-json", "llava", "sharegpt", "webdataset"]
Boxes = Literal["canonical", "permille", "percent", "pixels"]
"""How boxes are written in questions and answers: shares of the picture as rows have them, or as others do."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote.

    Attributes:
        questions: Number of questions by split.
        pictures: Number of pictures written.
    """

    questions: Mapping[str, int]
    pictures: int


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its picture.

    Attributes:
        row: The exploded row but for its pictures.
        prompt: What a model is shown.
        number: Place among the questions of the split, from 0.
        picture: Encoded bytes.
        name: ``<source>/<16 hex>.<extension>``.
        mask: Encoded label map, or None.
    """

    row: Mapping[str, Any]
    prompt: str
    number: int
    picture: bytes
    name: str
    mask: bytes | None


class Writer(Protocol):
    """A format: writes the questions of one split."""

    pictures: int

    def split(self, name: str) -> AbstractContextManager[Callable[[Question], None]]:
        """Gives what takes one question after the other; files are there when the block ends."""

    def finish(self) -> None:
        """All splits are written."""


def _formats() -> dict[Format, Callable[[Path], Writer]]:
    from med_mat.export.listed import llava, sharegpt, upstream
    from med_mat.export.tars import Tars

    return {"upstream-json": upstream, "llava": llava, "sharegpt": sharegpt, "webdataset": Tars}


FORMATS: tuple[Format, ...] = ("upstream-json", "llava", "sharegpt", "webdataset")


def export_rows(
    rows: Dataset | DatasetDict | IterableDataset | IterableDatasetDict,
    out: Path,
    form: Format,
    *,
    boxes: Boxes = "canonical",
) -> Exported:
    """Writes rows in another tool's format, one question an item; ``docs/exports.md`` describes each.

    Reads and writes as it goes: memory does not grow with the number of rows. The same rows give the same bytes.

    Args:
        rows: As ``med_mat.load`` or ``load_dataset`` gives them, not exploded; one split or a dictionary of splits.
        out: Folder to write; must be empty or not there.
        form: One of ``FORMATS``.
        boxes: How boxes in questions, options and answers are written.

    Raises:
        MedMatError: If the folder holds something, or a row has no picture.
    """
    if form not in FORMATS:
        raise ValueError(f"form must be one of {', '.join(FORMATS)}, found {form!r}")
    if out.exists() and any(out.iterdir()):
        raise MedMatError(f"{out}: not empty; an export must not mix with other files. Choose another folder")
    out.mkdir(parents=True, exist_ok=True)
    parts = rows if isinstance(rows, dict) else {str(rows.split or "train"): rows}
    writer = _formats()[form](out)
    counts = {}
    for split, part in parts.items():
        counts[split] = 0
        with writer.split(split) as take:
            for question in _questions(part, boxes):
                take(question)
                counts[split] += 1
    writer.finish()
    return Exported(counts, writer.pictures)


def _questions(rows: Dataset | IterableDataset, boxes: Boxes) -> Iterator[Question]:
    from datasets import IterableDataset

    if not isinstance(rows, IterableDataset) and not len(rows):
        return
    stream = rows if isinstance(rows, IterableDataset) else rows.to_iterable_dataset()
    # Decoding would write JPEG anew: the bytes are passed on as they are.
    stream = stream.decode(False)
    if boxes != "canonical":
        stream = stream.map(partial(_rewritten, boxes=boxes)).cast(stream.features)
    for number, row in enumerate(explode(stream).decode(False)):
        image, mask = row.pop("image"), row.pop("mask")
        if image is None or image["bytes"] is None:
            raise MedMatError(
                f"{row['id']} has no picture; load the rows with med_mat.load and raw=, or with empty='drop'"
            )
        extension = "jpg" if image["bytes"][:2] == b"\xff\xd8" else "png"
        yield Question(
            row, _prompt(row, boxes), number, image["bytes"], f"{row['id']}.{extension}", mask and mask["bytes"]
        )


def _rewritten(row: dict[str, Any], boxes: Boxes) -> dict[str, Any]:
    from med_mat.regions import rewrite_boxes

    return rewrite_boxes(row, boxes)


def _prompt(row: Mapping[str, Any], boxes: Boxes) -> str:
    text = prompt(row)
    if boxes == "canonical":
        return text
    from med_mat.questions.ask import BOX_INSTRUCTION
    from med_mat.regions import BOX_INSTRUCTIONS

    # Says how boxes are to be written, in the style that the answer is in.
    return text.replace(BOX_INSTRUCTION, BOX_INSTRUCTIONS[boxes])


@contextmanager
def json_list(path: Path) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Gives what writes one item after the other into a JSON list; the file is there when the block ends."""
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="\n") as stream:
        first = True

        def write(item: Mapping[str, Any]) -> None:
            nonlocal first
            stream.write("[\n" if first else ",\n")
            stream.write(json.dumps(item, ensure_ascii=False))
            first = False

        yield write
        stream.write("[]\n" if first else "\n]\n")
