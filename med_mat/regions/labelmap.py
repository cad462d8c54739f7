"""Label maps: the one picture that holds all masks of a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from med_mat.errors import ImageError
from med_mat.regions.components import Mask

LabelMap = npt.NDArray[np.uint8]
"""Shape (H, W): 0 is background, value i is the label in place i - 1."""

MOST_LABELS = 255


def label_map(masks: Mapping[str, Mask], labels: Sequence[str], *, priority: Sequence[str] = ()) -> LabelMap:
    """One map of all masks.

    Args:
        masks: One mask of shape (H, W) per label; at least one.
        labels: All labels of the source, so that a value means the same in each of its rows.
        priority: Labels that may overlap others; where masks overlap, the one that comes first here gets the
            pixel, and any of these before any that is not here.

    Returns:
        Value i where ``labels[i - 1]`` applies.

    Raises:
        ImageError: Masks of different sizes, a label that ``labels`` lacks, more labels than 255, one of them
            twice, or an overlap of labels that ``priority`` does not decide.
    """
    _check_labels(labels)
    unknown = [label for label in (*masks, *priority) if label not in labels]
    if unknown:
        raise ImageError(f"masks of {unknown}: expected labels among {list(labels)}")
    shapes = {mask.shape for mask in masks.values()}
    if len(shapes) != 1:
        raise ImageError(f"masks of shapes {sorted(shapes)}: expected one shape, that of the picture")
    found = np.zeros(shapes.pop(), dtype=np.uint8)
    undecided = [label for label in masks if label not in priority]
    for label in undecided:
        overlap = int(np.count_nonzero(found[masks[label]]))
        if overlap:
            others = [labels[value - 1] for value in np.unique(found[masks[label]]) if value]
            raise ImageError(
                f"the masks of {label!r} and {others} share {overlap} pixels, which a label map cannot hold: say which "
                "wins (priority)"
            )
        found[masks[label]] = labels.index(label) + 1
    for label in reversed(priority):
        if label in masks:
            found[masks[label]] = labels.index(label) + 1
    return found


def label_masks(found: LabelMap, labels: Sequence[str]) -> dict[str, Mask]:
    """The inverse of :func:`label_map` where no masks overlap.

    Args:
        found: Shape (H, W).
        labels: What its values mean.

    Returns:
        One mask per label that occurs in the map, in the order of ``labels``.

    Raises:
        ImageError: A value without a label.
    """
    _check_labels(labels)
    counts = np.bincount(found.ravel(), minlength=MOST_LABELS + 1)
    beyond = np.flatnonzero(counts[len(labels) + 1 :]) + len(labels) + 1
    if beyond.size:
        raise ImageError(
            f"a label map of {len(labels)} labels: expected values up to {len(labels)}, found "
            + ", ".join(f"{value} ({counts[value]} pixels)" for value in beyond.tolist())
        )
    return {label: found == value for value, label in enumerate(labels, start=1) if counts[value]}


def fit_mask(mask: Mask, width: int, height: int) -> Mask:
    """A mask in its picture's size, by nearest neighbour.

    A pixel takes the value of the mask's pixel under its centre: column ``floor((x + 1/2) * mask width / width)``.
    The mask must be the picture scaled evenly: there must be a scale from which neither side is a whole pixel away,
    so 565 x 584 fits 1130 x 1167, which somebody rounded.

    Args:
        mask: Shape (h, w).
        width: Width of the picture in pixels.
        height: Height of the picture in pixels.

    Returns:
        Shape (height, width); the mask itself if it has that size.

    Raises:
        ImageError: The mask's sides are in another proportion than the picture's.
    """
    rows, columns = mask.shape
    if (rows, columns) == (height, width):
        return mask
    if abs(columns * height - rows * width) >= max(width + height, columns + rows):
        turned = "; it fits if turned by 90 degrees" if (columns, rows) == (height, width) else ""
        raise ImageError(
            f"a mask of {columns} x {rows} on a picture of {width} x {height} pixels: expected the same proportions"
            f"{turned}"
        )
    return mask[np.ix_(_nearest(height, rows), _nearest(width, columns))]


def _nearest(wanted: int, stored: int) -> npt.NDArray[np.int64]:
    # In whole numbers: (2 i + 1) * stored / (2 wanted), rounded down.
    return (2 * np.arange(wanted, dtype=np.int64) + 1) * stored // (2 * wanted)


def _check_labels(labels: Sequence[str]) -> None:
    if len(labels) > MOST_LABELS or len(set(labels)) != len(labels):
        raise ImageError(f"{len(labels)} labels of a label map: expected at most {MOST_LABELS}, none of them twice")
