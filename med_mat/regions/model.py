"""What an annotation says of one picture, and what a row holds of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

import numpy as np

from med_mat.errors import ImageError
from med_mat.regions.boxes import Box, canonical, reading_order
from med_mat.regions.components import Mask, mask_boxes
from med_mat.regions.labelmap import LabelMap, label_map
from med_mat.sample import Region


class Object(TypedDict):
    """An entry of a row's ``objects``: a label, and ``xmin, ymin, xmax, ymax`` in 0..1 that float32 holds."""

    label: str
    bbox: list[float]


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """What an annotation says of one picture.

    Attributes:
        width: Width of the picture in pixels.
        height: Height of the picture in pixels.
        masks: Shape (height, width) per label; empty where the release has boxes only.
        boxes: Labelled boxes of the release, in pixels at edges; empty where it has masks only.

    Raises:
        ImageError: A mask of another shape or type.
    """

    width: int
    height: int
    masks: Mapping[str, Mask] = field(default_factory=dict)
    boxes: Sequence[Region] = ()

    def __post_init__(self) -> None:
        for label, mask in self.masks.items():
            if mask.shape != (self.height, self.width) or mask.dtype != np.bool_:
                raise ImageError(
                    f"the mask of {label!r} has shape {mask.shape} and type {mask.dtype}: expected booleans of shape "
                    f"{(self.height, self.width)}, the picture's; fit_mask() resizes"
                )

    def objects(self, smallest: float | None = None) -> list[Object]:
        """Objects of the row.

        A label for which the release has boxes keeps these, one per object. A label with a mask only gets the box of
        each component, without specks.

        Args:
            smallest: As for :func:`med_mat.regions.mask_boxes`.

        Returns:
            From top to bottom, then from left to right; at equal boxes by label. Nothing is dropped for overlap.

        Raises:
            ImageError: A box that is empty, turned over or outside the picture by more than a pixel.
        """
        found: list[tuple[Box, str]] = [
            (canonical(region.box, self.width, self.height), region.label) for region in self.boxes
        ]
        boxed = {region.label for region in self.boxes}
        for label, mask in self.masks.items():
            if label not in boxed:
                found += [(box, label) for box in mask_boxes(mask, smallest=smallest)]
        found.sort(key=lambda pair: (reading_order(pair[0]), pair[1]))
        return [Object(label=label, bbox=list(box)) for box, label in found]

    def label_map(self, labels: Sequence[str], *, priority: Sequence[str] = ()) -> LabelMap | None:
        """The row's mask; None where the release has boxes only. See :func:`med_mat.regions.label_map`.

        Raises:
            ImageError: As there.
        """
        return label_map(self.masks, labels, priority=priority) if self.masks else None


def united(parts: Iterable[tuple[str, Mask]]) -> dict[str, Mask]:
    """One mask per label, from several files, rings or runs of it.

    Args:
        parts: Label and mask of shape (H, W), any number per label.

    Returns:
        Labels in the order of their first part.

    Raises:
        ImageError: Parts of different shapes.
    """
    masks: dict[str, Mask] = {}
    for label, mask in parts:
        first = masks.setdefault(label, np.zeros(mask.shape, dtype=np.bool_))
        if first.shape != mask.shape:
            raise ImageError(f"masks of {label!r} of shapes {first.shape} and {mask.shape}: expected one shape")
        first |= mask
    return masks
