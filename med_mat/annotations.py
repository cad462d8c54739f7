"""What a loader says of the regions of a picture, with clean labels, as the index keeps it: one line of JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from med_mat.raw import RawFile
from med_mat.sample import Annotation, BinaryMask, ClassMask, Outline, Region, RunLengths


def region_files(annotations: Iterable[Annotation]) -> Iterator[RawFile]:
    """Yields the mask files of a picture, a file as often as it is named."""
    for annotation in annotations:
        if isinstance(annotation, BinaryMask | ClassMask):
            yield annotation.file


def raw_labels(annotations: Iterable[Annotation]) -> Iterator[str]:
    """Yields the raw labels that the annotations name, also those that a class mask only may hold."""
    for annotation in annotations:
        if isinstance(annotation, ClassMask):
            yield from (label for label in annotation.classes.values() if label is not None)
        else:
            yield annotation.label


def named_labels(annotations: str) -> list[str]:
    """Returns the labels of a line that ``to_json`` wrote, each once, but for those that class masks may hold."""
    entries = json.loads(annotations)
    return list(dict.fromkeys(entry["label"] for entry in entries if entry["form"] != "classes"))


def to_json(annotations: Iterable[Annotation], clean: Callable[[str], str | None]) -> str:
    """Writes annotations with clean labels.

    Args:
        annotations: As a loader yields them.
        clean: Raw label to clean one; None for what the card says is no region, which is left out.

    Returns:
        A list, in the order given; equal annotations give equal text.
    """
    entries = []
    for annotation in annotations:
        if isinstance(annotation, ClassMask):
            entries.append(_class_mask(annotation, clean))
            continue
        label = clean(annotation.label)
        if label is not None:
            entries.append(_entry(annotation, label))
    return json.dumps(entries, ensure_ascii=False, separators=(",", ":"))


def _entry(annotation: Region | Outline | RunLengths | BinaryMask, label: str) -> dict[str, Any]:
    match annotation:
        case Region():
            return {"form": "box", "label": label, "box": list(annotation.box)}
        case Outline():
            rings = [[[float(x), float(y)] for x, y in ring] for ring in annotation.rings]
            return {"form": "outline", "label": label, "rings": rings, "points": annotation.points}
        case RunLengths():
            return {
                "form": "runs",
                "label": label,
                "runs": annotation.runs,
                "dialect": annotation.dialect,
                "width": annotation.width,
                "height": annotation.height,
            }
        case BinaryMask():
            return {
                "form": "binary",
                "label": label,
                "path": str(annotation.file.path),
                "threshold": annotation.threshold,
                "inverted": annotation.inverted,
                "frame": annotation.frame,
            }


def _class_mask(annotation: ClassMask, clean: Callable[[str], str | None]) -> dict[str, Any]:
    return {
        "form": "classes",
        "path": str(annotation.file.path),
        "classes": [
            [value if isinstance(value, int) else list(value), None if label is None else clean(label)]
            for value, label in annotation.classes.items()
        ],
        "indices": annotation.indices,
        "frame": annotation.frame,
        "unnamed": annotation.unnamed,
    }
