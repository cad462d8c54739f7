"""What a plan needs of the regions of a source, kept as Arrow: most of a large source's scan is boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from med_mat.card import Card
from med_mat.regions import Box

UNFIT = "its regions do not fit it"
SPECKS_ONLY = "its regions are specks, so that nothing can be asked"
CONTRADICTION = "it is labeled as without finding, and has regions"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a picture becomes no row: kind, reason and detail as in ``med_mat.plan.Loss``."""

    kind: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Found:
    """What a picture has of one label: its boxes, and the number of parts that are too small for one."""

    boxes: list[Box]
    specks: int


@dataclass(frozen=True)
class RegionTable:
    """Regions of a source's pictures, by their line in the scan.

    Attributes:
        card: The source's card.
        objects: As a row holds them.
        areas: List of ``schema.LABEL_AREA``.
        errors: Why the regions do not fit; null where they do.
        mask_hash: Null without a mask.
        mask_bytes: Size of the encoded mask.
        annotations: What the regions are drawn from.
    """

    card: Card
    objects: pa.Array
    areas: pa.Array
    errors: pa.Array
    mask_hash: pa.Array
    mask_bytes: pa.Array
    annotations: pa.Array

    @classmethod
    def of(cls, card: Card, index: pa.Table, scan: pa.Table) -> RegionTable:
        """Takes the columns of a scan, and the annotations of the index in the scan's order."""
        places = zip(index["raw_path"].to_pylist(), index["frame"].to_pylist(), strict=True)
        line_of = {place: line for line, place in enumerate(places)}
        wanted = zip(scan["raw_path"].to_pylist(), scan["frame"].to_pylist(), strict=True)
        lines = pa.array([line_of.get(place) for place in wanted], pa.int64())
        return cls(
            card,
            objects=_whole(scan["objects"]),
            areas=_whole(scan["areas"]),
            errors=_whole(scan["region_error"]),
            mask_hash=_whole(scan["mask_hash"]),
            mask_bytes=_whole(scan["mask_bytes"]),
            annotations=_whole(index["regions"].take(lines)),
        )

    def found(self, place: int) -> dict[str, Found]:
        """What a picture has of each label with a box, that of most area first."""
        boxes: dict[str, list[Box]] = {}
        for item in self.objects[place].as_py() or ():
            xmin, ymin, xmax, ymax = item["bbox"]
            boxes.setdefault(item["label"], []).append((xmin, ymin, xmax, ymax))
        areas = self.areas[place].as_py() or []
        # Sorting is stable, and the areas stand in the card's order.
        areas.sort(key=lambda entry: -entry["area"])
        return {
            entry["label"]: Found(boxes[entry["label"]], entry["specks"]) for entry in areas if entry["label"] in boxes
        }

    def labels(
        self, place: int, named: Sequence[str], uncertain: Sequence[str]
    ) -> tuple[list[str], list[str], Problem | None]:
        """Labels of a picture: those of its boxes and those that the release gives the picture as a whole.

        Args:
            place: Line in the scan.
            named: Labels of the picture as a whole.
            uncertain: Labels that the release neither affirms nor denies.

        Returns:
            Labels in the card's order; labels that can be neither affirmed nor denied, among them those of which there
            are specks only; and why the picture can be no row, if so.
        """
        error = self.errors[place].as_py()
        if error is not None:
            return [], [], Problem("region", UNFIT, error)
        found = self.found(place)
        specks = [entry["label"] for entry in self.areas[place].as_py() or () if entry["label"] not in found]
        nothing = [label for label in named if label not in self.card.region_labels]
        if nothing and found:
            detail = f"{'; '.join(nothing)} against boxes of {'; '.join(found)}"
            return [], [], Problem("contradiction", CONTRADICTION, detail)
        labels = [label for label in self.card.clean_labels if label in found or label in named]
        doubtful = list(dict.fromkeys(label for label in (*uncertain, *specks) if label not in labels))
        if set(labels).isdisjoint(self.card.region_labels) and set(doubtful) >= set(self.card.region_labels):
            return [], [], Problem("region", SPECKS_ONLY, f"of {'; '.join(doubtful)}")
        return labels, doubtful, None

    def columns(self, places: npt.NDArray[np.int64]) -> dict[str, Any]:
        """The columns of planned rows that tell of regions."""
        lines = pa.array(places)
        mask_hash = self.mask_hash.take(lines)
        labels = list(self.card.region_labels)
        return {
            "objects": self.objects.take(lines),
            "mask_labels": [labels if there else [] for there in mask_hash.is_valid().to_pylist()],
            "mask_hash": mask_hash,
            "regions": self.annotations.take(lines),
        }


def _whole(column: pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks()
    return whole.combine_chunks() if isinstance(whole, pa.ChunkedArray) else whole
