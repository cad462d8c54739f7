"""Formats that list questions in JSON and keep pictures beside: upstream's, LLaVA's, ShareGPT's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from med_mat.export.writing import Question, json_list
from med_mat.files import write_json
from med_mat.questions.ask import LETTERS, SET_SEPARATOR
from med_mat.vocabulary import catalogue

PICTURE_MARK = "<image>\n"
"""Where LLaVA and ShareGPT tools put the picture."""


class _Listed:
    """Writes ``<split>.json`` and each picture once."""

    def __init__(
        self, out: Path, folder: str, item: Callable[[Question], Mapping[str, Any]], info: Mapping[str, Any] | None
    ) -> None:
        self.pictures = 0
        self._out, self._folder, self._item, self._info = out, folder, item, info
        self._splits: list[str] = []

    @contextmanager
    def split(self, name: str) -> Iterator[Callable[[Question], None]]:
        self._splits.append(name)
        last = ""
        with json_list(self._out / f"{name}.json") as write:

            def take(question: Question) -> None:
                nonlocal last
                # The questions of a picture follow one another.
                if question.name != last:
                    self._save(question)
                    last = question.name
                write(self._item(question))

            yield take

    def _save(self, question: Question) -> None:
        path = self._out / self._folder / question.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(question.picture)
        self.pictures += 1

    def finish(self) -> None:
        if self._info is not None:
            files = {f"med_mat_{split}": {"file_name": f"{split}.json", **self._info} for split in self._splits}
            write_json(self._out / "dataset_info.json", files)


def upstream(out: Path) -> _Listed:
    """Upstream's question files; pictures below ``med-mat/``, as their paths say."""
    return _Listed(out, "med-mat", _upstream_item, None)


def llava(out: Path) -> _Listed:
    """What LLaVA's training reads; ``--image_folder`` is ``images/``."""
    return _Listed(out, "images", _llava_item, None)


def sharegpt(out: Path) -> _Listed:
    """ShareGPT's conversations with ``images``, and the ``dataset_info.json`` that LLaMA-Factory wants."""
    return _Listed(
        out,
        "images",
        _sharegpt_item,
        {"formatting": "sharegpt", "columns": {"messages": "conversations", "images": "images"}},
    )


def answer_text(row: Mapping[str, Any]) -> str:
    """Returns what a model is to say: the letter of the right option, or the answer where there are no options."""
    return LETTERS[row["answer_index"]] if row["options"] else str(row["answer"])


def _upstream_item(question: Question) -> dict[str, Any]:
    row = question.row
    entry = catalogue().get(row["source"])
    return {
        "id": question.number + 1,
        "caption": SET_SEPARATOR.join(row["labels"]),
        "image": f"med-mat/{question.name}",
        "Question": row["question"],
        "Answer": row["answer"],
        "Question-choice": question.prompt,
        "Answer-choice": answer_text(row),
        "data-no": "" if entry is None else str(entry.number),
    }


def _llava_item(question: Question) -> dict[str, Any]:
    return {
        "id": question.row["question_id"],
        "image": question.name,
        "conversations": _conversation(question),
    }


def _sharegpt_item(question: Question) -> dict[str, Any]:
    return {"conversations": _conversation(question), "images": [f"images/{question.name}"]}


def _conversation(question: Question) -> list[dict[str, str]]:
    return [
        {"from": "human", "value": PICTURE_MARK + question.prompt},
        {"from": "gpt", "value": answer_text(question.row)},
    ]
