"""Contact sheets: what a source or a build looks like, by label."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any

from PIL import Image

from med_mat.errors import MedMatError
from med_mat.hashing import rank
from med_mat.images import pixels
from med_mat.index import Index
from med_mat.questions.ask import SET_SEPARATOR
from med_mat.raw import RawRoot
from med_mat.sheets import Cell, contact_sheet


def preview_index(index: Index, raw: RawRoot, *, per_label: int = 8) -> Image.Image:
    """Draws some pictures of every label of a source, as they would be published.

    Args:
        index: The source's index.
        raw: Its raw root.
        per_label: At most so many pictures of a label set, chosen by hash.

    Returns:
        A picture of mode ``RGB``. A picture that does not decode is a gray cell whose caption says why.
    """
    return contact_sheet(
        _index_cells(index, raw, per_label),
        title=f"{index.slug}: {index.found.total} pictures, {len(index.found.by_label)} labels",
    )


def _index_cells(index: Index, raw: RawRoot, per_label: int) -> Iterator[Cell]:
    by_heading: dict[str, list[dict[str, Any]]] = {}
    for line in index.table.to_pylist():
        by_heading.setdefault(SET_SEPARATOR.join(line["labels"]), []).append(line)
    for heading, lines in sorted(by_heading.items()):
        lines.sort(key=lambda line: rank("preview", line["key"]))
        for line in lines[:per_label]:
            caption = f"{line['key']} · {line['split'] or 'no split'}"
            try:
                image = pixels(raw.read(PurePosixPath(line["raw_path"])), frame=line["frame"])
            except (MedMatError, OSError) as error:
                yield Cell(None, f"{caption} · {error}", heading)
                continue
            yield Cell(image, caption, heading)


def preview_rows(rows: Iterable[dict[str, Any]], *, title: str) -> Image.Image:
    """Draws rows of a build with question and answer.

    Args:
        rows: As ``load_dataset`` gives them, pictures decoded.
        title: Line above the sheet.
    """
    cells = (Cell(row["image"], f"{row['answer']} ← {row['question']}", row["source"]) for row in rows)
    return contact_sheet(cells, title=title, columns=6, cell=200)
