"""Contact sheets: what a source or a build looks like, by label."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from PIL import Image

from med_mat.annotations import named_labels
from med_mat.errors import MedMatError
from med_mat.hashing import rank
from med_mat.images import pixels
from med_mat.index import Index
from med_mat.questions.ask import SET_SEPARATOR
from med_mat.raw import RawRoot
from med_mat.regions import Rules, draw, orientation_of
from med_mat.scan import region_rules
from med_mat.sheets import XYXY, Cell, contact_sheet

_REGION_COLUMNS, _REGION_CELL = 5, 280
_UNNAMED = "labels in masks, or none"


def preview_index(index: Index, raw: RawRoot, *, per_label: int = 8) -> Image.Image:
    """Draws some pictures of every label of a source, as they would be published.

    Args:
        index: The source's index.
        raw: Its raw root.
        per_label: At most so many pictures of a label set, chosen by hash.

    Returns:
        A picture of mode ``RGB``. A picture that does not decode is a gray cell whose caption says why. Masks are
        tinted and bordered, boxes drawn and named; where regions do not fit, the picture stands without them, and the
        caption says why.
    """
    title = f"{index.slug}: {index.found.total} pictures, {len(index.found.by_label)} labels"
    cells = _index_cells(index, raw, per_label)
    if index.card.has_regions:
        return contact_sheet(cells, title=title, columns=_REGION_COLUMNS, cell=_REGION_CELL)
    return contact_sheet(cells, title=title)


def _index_cells(index: Index, raw: RawRoot, per_label: int) -> Iterator[Cell]:
    rules = region_rules(index.card)
    by_heading: dict[str, list[dict[str, Any]]] = {}
    for line in index.table.to_pylist():
        labels = line["labels"] if rules is None else [*line["labels"], *named_labels(line["regions"])]
        by_heading.setdefault(SET_SEPARATOR.join(labels) or _UNNAMED, []).append(line)
    for heading, lines in sorted(by_heading.items()):
        lines.sort(key=lambda line: rank("preview", line["key"]))
        for line in lines[:per_label]:
            caption = f"{line['key']} · {line['split'] or 'no split'}"
            try:
                data = raw.read(PurePosixPath(line["raw_path"]))
                image = pixels(data, frame=line["frame"])
            except (MedMatError, OSError) as error:
                yield Cell(None, f"{caption} · {error}", heading)
                continue
            cell = Cell(image, caption, heading)
            yield cell if rules is None else _region_cell(cell, image, data, line["regions"], rules, raw)


def _region_cell(cell: Cell, image: Image.Image, data: bytes, annotations: str, rules: Rules, raw: RawRoot) -> Cell:
    try:
        drawn = draw(
            annotations,
            image.size,
            rules,
            lambda path: raw.read(PurePosixPath(path)),
            orientation=orientation_of(data),
        )
    except (MedMatError, OSError) as error:
        return replace(cell, caption=f"{error} · {cell.caption}")
    return replace(
        cell,
        boxes=_boxes(drawn.objects),
        mask=None if drawn.mask is None else Image.fromarray(drawn.mask),
        mask_labels=rules.labels,
    )


def _boxes(objects: Iterable[Mapping[str, Any]]) -> list[tuple[str, XYXY]]:
    boxes = []
    for found in objects:
        xmin, ymin, xmax, ymax = found["bbox"]
        boxes.append((found["label"], (xmin, ymin, xmax, ymax)))
    return boxes


def preview_rows(rows: Iterable[dict[str, Any]], *, title: str) -> Image.Image:
    """Draws rows of a build with question and answer, boxes and masks.

    Args:
        rows: As ``load_dataset`` gives them, pictures decoded.
        title: Line above the sheet.
    """
    cells = (
        Cell(
            row["image"],
            f"{row['answer']} ← {row['question']}",
            row["source"],
            boxes=_boxes(row["objects"]),
            mask=row["mask"],
            mask_labels=row["mask_labels"],
        )
        for row in rows
    )
    return contact_sheet(cells, title=title, columns=6, cell=200)
