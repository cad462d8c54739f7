"""One question a row, for trainers that know nothing of ``more_questions``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from med_mat.questions.ask import choice_prompt, open_prompt

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict, IterableDataset, IterableDatasetDict

    Rows = TypeVar("Rows", Dataset, DatasetDict, IterableDataset, IterableDatasetDict)

PICTURE_COLUMNS = ("image", "mask")
QUESTION_COLUMNS = ("question", "options", "answer", "answer_index")


def explode(rows: Rows) -> Rows:
    """Turns a dataset of pictures with questions into one of questions with pictures.

    The primary question comes first, then those of ``more_questions`` in their order.

    Args:
        rows: As ``load_dataset`` gives it, streaming or not; one split or a dictionary of splits.

    Returns:
        The same kind of dataset. ``question_id`` is ``<id>#<number>``, with 0 for the primary question;
        ``question_kind`` is its kind; ``more_questions`` is gone; all else is repeated.
    """
    from datasets import Features, Image, IterableDataset, Value

    if isinstance(rows, dict):
        return type(rows)({split: explode(part) for split, part in rows.items()})
    # Decoding would write JPEG anew: the bytes are passed on as they are.
    stored: Rows = rows
    if isinstance(rows, IterableDataset):
        # A stream that decodes in threads, as one from the Hub does, keeps doing so after a cast.
        stored = rows.decode(False)
    for name in PICTURE_COLUMNS:
        stored = stored.cast_column(name, Image(decode=False))
    plain = {**stored.features, **{name: Image() for name in PICTURE_COLUMNS}}
    out = Features(
        {
            **{name: plain[name] for name in plain if name not in ("more_questions", *QUESTION_COLUMNS)},
            "question_id": Value("string"),
            "question_kind": Value("string"),
            **{name: plain[name] for name in QUESTION_COLUMNS},
        }
    )
    exploded: Rows = stored.map(
        _explode_batch, batched=True, batch_size=100, remove_columns=["more_questions"], features=out
    )
    if isinstance(exploded, IterableDataset):
        # A stream remembers that its pictures were not to be decoded.
        exploded = exploded.decode(True)
    return exploded


def _explode_batch(batch: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    columns = [name for name in batch if name not in ("more_questions", *QUESTION_COLUMNS)]
    out: dict[str, list[Any]] = {name: [] for name in [*columns, "question_id", "question_kind", *QUESTION_COLUMNS]}
    for number, more in enumerate(batch["more_questions"]):
        primary = {name: batch[name][number] for name in QUESTION_COLUMNS}
        for place, question in enumerate([{"kind": _primary_kind(primary, batch, number), **primary}, *more]):
            for name in columns:
                out[name].append(batch[name][number])
            out["question_id"].append(f"{batch['id'][number]}#{place}")
            out["question_kind"].append(question["kind"])
            for name in QUESTION_COLUMNS:
                out[name].append(question[name])
    return out


def _primary_kind(primary: Mapping[str, Any], batch: Mapping[str, Sequence[Any]], number: int) -> str:
    if not primary["options"]:
        return "where"
    if list(primary["options"]) == ["yes", "no"]:
        return "presence"
    return "choice_of_sets" if batch["kind"][number] == "multilabel" else "choice"


def prompt(row: Mapping[str, Any]) -> str:
    """Returns a row's question as it is put to a model.

    With options: question, one ``A: …`` line per option, the letter instruction. Without: question, and how to write
    boxes (or a number, for an exploded row of kind ``count``).
    """
    if row["options"]:
        return choice_prompt(row["question"], row["options"])
    return open_prompt(row["question"], count=row.get("question_kind") == "count")
