"""Scores of boxes and masks.

Boxes are ``(xmin, ymin, xmax, ymax)``, all in one unit; masks are boolean arrays of shape (H, W). Two quite different
scores are called gIoU: the mean over pictures of the IoU of masks (papers on segmentation by language, beside cIoU),
which is :func:`mean_mask_iou` here, and an IoU of boxes that also tells how far apart they are, which is
:func:`generalised_iou_matrix`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any

import numpy as np
import numpy.typing as npt

from med_mat.errors import MedMatError

Box = tuple[float, float, float, float]
Mask = npt.NDArray[np.bool_]
Matrix = npt.NDArray[np.float64]


class MetricError(MedMatError, ValueError):
    """A score was asked for that these inputs do not have."""


@dataclass(frozen=True, slots=True)
class Detection:
    """A labelled box of a truth or of a prediction.

    Attributes:
        label: The clean label.
        box: Canonical.
        score: The larger, the surer; only the order within a label counts. A truth's is not looked at.
    """

    label: str
    box: Box
    score: float = 1.0


@dataclass(frozen=True, slots=True)
class AveragePrecision:
    """Mean average precision as COCO defines it, in 0..1.

    Attributes:
        mean: Over labels and over IoU thresholds 0.50, 0.55, ..., 0.95.
        at_50: Over labels, at IoU 0.50 (PASCAL VOC's threshold).
        at_75: Over labels, at IoU 0.75.
        by_label: Over the ten thresholds, per label that the truth bears.
    """

    mean: float
    at_50: float
    at_75: float
    by_label: Mapping[str, float]


def iou_matrix(first: Sequence[Box], second: Sequence[Box]) -> Matrix:
    """Intersection over union of every box with every other.

    Args:
        first: N boxes.
        second: M boxes.

    Returns:
        Shape (N, M), in 0..1. A box that is empty or turned over has 0 with all, itself included.
    """
    shared, joined, _ = _overlaps(first, second)
    return _quotient(shared, joined)


def generalised_iou_matrix(first: Sequence[Box], second: Sequence[Box]) -> Matrix:
    """Generalised IoU of every box with every other (Rezatofighi et al., arXiv 1902.09630).

    IoU less the share of the smallest box around both that neither covers: below 0 for boxes apart, down to -1.

    Args:
        first: N boxes that are not empty.
        second: M boxes that are not empty.

    Returns:
        Shape (N, M), over -1 and up to 1.

    Raises:
        MetricError: A box is empty or turned over.
    """
    for box in (*first, *second):
        _check_not_empty(box)
    shared, joined, around = _overlaps(first, second)
    return _quotient(shared, joined) - _quotient(around - joined, around)


def box_accuracy(truth: Sequence[Box], predicted: Sequence[Box | None], *, threshold: float = 0.5) -> float:
    """Share of questions for one box that are answered by a box of at least some IoU with it.

    Args:
        truth: One box per question.
        predicted: One per question; None for an answer without a box, which is wrong.
        threshold: Smallest IoU that counts. It counts itself, as in PASCAL VOC and COCO.

    Returns:
        In 0..1.

    Raises:
        MetricError: No questions, or not one prediction for each.
    """
    if not truth or len(truth) != len(predicted):
        raise MetricError(f"box accuracy of {len(truth)} boxes and {len(predicted)} answers: expected one for each")
    hits = [
        answer is not None and float(iou_matrix([box], [answer])[0, 0]) >= threshold
        for box, answer in zip(truth, predicted, strict=True)
    ]
    return sum(hits) / len(hits)


def average_precision(
    truth: Sequence[Sequence[Detection]], predicted: Sequence[Sequence[Detection]]
) -> AveragePrecision:
    """Mean average precision by COCO's own evaluation: all sizes, at most 100 boxes per picture and label.

    Predictions of one score count in the order given, picture by picture; so for a model without scores the result
    depends on that order. A label that is only predicted does not enter the mean, as in COCO.

    Args:
        truth: Boxes per picture; some may have none.
        predicted: Boxes per picture, in the same order of pictures.

    Raises:
        MetricError: Another number of pictures, no box in the truth, a score that is not finite, or a box that is
            empty or turned over.
    """
    # Deferred, for it takes a while to load and only detection needs it.
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    if len(truth) != len(predicted):
        raise MetricError(f"truth of {len(truth)} pictures and predictions of {len(predicted)}: expected as many")
    labels = sorted({item.label for picture in truth for item in picture})
    if not labels:
        raise MetricError("mean average precision of a truth without boxes is not defined")
    numbers = {label: number for number, label in enumerate(labels, start=1)}
    images = [{"id": number} for number in range(1, len(truth) + 1)]
    categories = [{"id": number, "name": label} for label, number in numbers.items()]

    def table(pictures: Sequence[Sequence[Detection]]) -> Any:
        found = COCO()
        found.dataset = {"images": images, "categories": categories, "annotations": _annotations(pictures, numbers)}
        found.createIndex()
        return found

    with redirect_stdout(StringIO()):
        evaluation = COCOeval(table(truth), table(predicted), "bbox")
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0.0, 1e10]], ["all"]
        evaluation.params.maxDets = [100]
        evaluation.evaluate()
        evaluation.accumulate()
    # Axes: threshold, recall, label, size, most boxes. Every label has a truth, so no entry is COCO's -1.
    precision: Matrix = evaluation.eval["precision"][:, :, :, 0, 0]
    by_threshold = precision.mean(axis=(1, 2))
    by_label = precision.mean(axis=(0, 1))
    return AveragePrecision(
        mean=float(precision.mean()),
        at_50=float(by_threshold[0]),
        at_75=float(by_threshold[5]),
        by_label={label: float(value) for label, value in zip(labels, by_label, strict=True)},
    )


def dice(truth: Mask, predicted: Mask) -> float:
    """Dice's coefficient of two masks: twice what they share over the sum of their areas.

    Returns:
        In 0..1. Two empty masks agree: 1.

    Raises:
        MetricError: Masks of different shapes.
    """
    shared, joined = _areas(truth, predicted)
    # |A| + |B| is union and intersection together.
    return 2 * shared / (joined + shared) if joined else 1.0


def mask_iou(truth: Mask, predicted: Mask) -> float:
    """Intersection over union of two masks.

    Returns:
        In 0..1. Two empty masks agree: 1.

    Raises:
        MetricError: Masks of different shapes.
    """
    shared, joined = _areas(truth, predicted)
    return shared / joined if joined else 1.0


def cumulative_mask_iou(pairs: Iterable[tuple[Mask, Mask]]) -> float:
    """cIoU: the intersections of all pictures over the unions of all pictures, so large regions weigh more.

    Args:
        pairs: Truth and prediction per picture. They are read one by one.

    Returns:
        In 0..1; 1 if all masks are empty.

    Raises:
        MetricError: No pictures, or masks of different shapes in one.
    """
    total_shared = total_joined = count = 0
    for truth, predicted in pairs:
        shared, joined = _areas(truth, predicted)
        total_shared, total_joined, count = total_shared + shared, total_joined + joined, count + 1
    if not count:
        raise MetricError("cumulative IoU of no pictures is not defined")
    return total_shared / total_joined if total_joined else 1.0


def mean_mask_iou(pairs: Iterable[tuple[Mask, Mask]]) -> float:
    """Mean IoU of masks, gIoU as papers on segmentation by language use it: the mean of :func:`mask_iou` over pictures.

    A picture whose truth and prediction are both empty counts 1; one where only one is empty counts 0 (GRES,
    arXiv 2306.00968; LISA, arXiv 2308.00692).

    Args:
        pairs: Truth and prediction per picture. They are read one by one.

    Returns:
        In 0..1.

    Raises:
        MetricError: No pictures, or masks of different shapes in one.
    """
    total, count = 0.0, 0
    for truth, predicted in pairs:
        total, count = total + mask_iou(truth, predicted), count + 1
    if not count:
        raise MetricError("mean IoU of no pictures is not defined")
    return total / count


def _overlaps(first: Sequence[Box], second: Sequence[Box]) -> tuple[Matrix, Matrix, Matrix]:
    a = np.array(first, dtype=np.float64).reshape(-1, 1, 4)
    b = np.array(second, dtype=np.float64).reshape(1, -1, 4)
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared: Matrix = sides.clip(0).prod(axis=-1)
    spread = np.maximum(a[..., 2:], b[..., 2:]) - np.minimum(a[..., :2], b[..., :2])
    joined: Matrix = _box_areas(a) + _box_areas(b) - shared
    around: Matrix = spread.clip(0).prod(axis=-1)
    return shared, joined, around


def _box_areas(boxes: Matrix) -> Matrix:
    areas: Matrix = (boxes[..., 2:] - boxes[..., :2]).clip(0).prod(axis=-1)
    return areas


def _quotient(above: Matrix, below: Matrix) -> Matrix:
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def _check_not_empty(box: Box) -> None:
    if not (box[0] < box[2] and box[1] < box[3]):
        raise MetricError(f"box {box} is empty or turned over: expected xmin < xmax and ymin < ymax")


def _areas(truth: Mask, predicted: Mask) -> tuple[int, int]:
    if truth.shape != predicted.shape:
        raise MetricError(f"masks of shapes {truth.shape} and {predicted.shape}: expected one shape")
    return int(np.count_nonzero(truth & predicted)), int(np.count_nonzero(truth | predicted))


def _annotations(pictures: Sequence[Sequence[Detection]], numbers: Mapping[str, int]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for image, picture in enumerate(pictures, start=1):
        for item in picture:
            _check_not_empty(item.box)
            if not np.isfinite(item.score):
                raise MetricError(
                    f"score {item.score} of a {item.label!r} in picture {image}: expected a finite number"
                )
            if item.label in numbers:
                xmin, ymin, xmax, ymax = item.box
                rows.append(
                    {
                        # From 1: COCO's evaluation takes a match with number 0 for none.
                        "id": len(rows) + 1,
                        "image_id": image,
                        "category_id": numbers[item.label],
                        "bbox": [xmin, ymin, xmax - xmin, ymax - ymin],
                        "area": (xmax - xmin) * (ymax - ymin),
                        "iscrowd": 0,
                        "score": item.score,
                    }
                )
    return rows
