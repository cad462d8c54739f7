"""WebDataset: tar files whose members of one name are one sample."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from med_mat.export.listed import answer_text
from med_mat.export.writing import Question
from med_mat.files import replacing

TAR_BYTES = 1_000_000_000
"""Aim for the size of a tar file."""

FIELDS = (
    "id",
    "question_id",
    "question_kind",
    "question",
    "options",
    "answer",
    "answer_index",
    "labels",
    "kind",
    "source",
    "modality",
    "anatomy",
    "task",
    "group",
    "key",
    "raw_sha256",
    "pixel_hash",
    "width",
    "height",
    "licence",
)
"""Columns that go into a sample's JSON. datasets takes the types from the first samples of a file, so what is null or
empty in some rows is told in another way, or not at all."""


class Tars:
    """Writes ``<split>-<number>.tar``: of a sample, the picture, the row as JSON, and the mask where there is one.

    A picture's extension is ``jpg`` whether it is JPEG or PNG: readers make a column of each extension, and tell the
    two apart by their bytes.
    """

    def __init__(self, out: Path, tar_bytes: int = TAR_BYTES) -> None:
        self.pictures = 0
        self._out, self._tar_bytes = out, tar_bytes

    @contextmanager
    def split(self, name: str) -> Iterator[Callable[[Question], None]]:
        """Gives what takes one question after the other; a tar file is there once the next one begins."""
        number = 0
        size = 0
        with ExitStack() as stack:
            tar = self._open(stack, name, number)

            def take(question: Question) -> None:
                nonlocal number, size, tar
                members = _members(question)
                length = sum(map(len, members.values()))
                if size and size + length > self._tar_bytes:
                    stack.close()
                    number, size = number + 1, 0
                    tar = self._open(stack, name, number)
                for member, data in members.items():
                    _add(tar, member, data)
                size += length
                self.pictures += 1

            yield take

    def finish(self) -> None:
        """Nothing is left to write."""

    def _open(self, stack: ExitStack, split: str, number: int) -> tarfile.TarFile:
        partial = stack.enter_context(replacing(self._out / f"{split}-{number:06d}.tar"))
        return stack.enter_context(tarfile.open(partial, "w", format=tarfile.USTAR_FORMAT))


def _members(question: Question) -> dict[str, bytes]:
    row = question.row
    told = {
        **{name: row[name] for name in FIELDS},
        "subset": row["subset"] or "",
        "prompt": question.prompt,
        "answer_text": answer_text(row),
        "regions": json.dumps({name: row[name] for name in ("objects", "mask_labels")}, ensure_ascii=False),
    }
    # Readers take all up to the first dot for the sample's name, and the rest for the name of a column.
    name = row["question_id"].replace("#", "-")
    members = {
        f"{name}.jpg": question.picture,
        f"{name}.json": json.dumps(told, ensure_ascii=False).encode(),
    }
    return members if question.mask is None else {**members, f"{name}.mask.png": question.mask}


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    # A fresh TarInfo bears no time and no owner: equal rows give equal bytes.
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))
