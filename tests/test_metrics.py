"""Scores beside references written another way: boxes drawn on a grid, sets of pixels, average precision by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from med_mat.metrics import (
    Box,
    Detection,
    MetricError,
    average_precision,
    box_accuracy,
    cumulative_mask_iou,
    dice,
    generalised_iou_matrix,
    iou_matrix,
    mask_iou,
    mean_mask_iou,
)

Mask = npt.NDArray[np.bool_]
GRID = 12


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    xmin, ymin = draw(st.integers(0, GRID - 1)), draw(st.integers(0, GRID - 1))
    return xmin, ymin, draw(st.integers(xmin + 1, GRID)), draw(st.integers(ymin + 1, GRID))


def _pixels(box: Box) -> set[tuple[int, int]]:
    return {(x, y) for x in range(int(box[0]), int(box[2])) for y in range(int(box[1]), int(box[3]))}


@given(st.lists(boxes(), max_size=5), st.lists(boxes(), max_size=5))
def test_iou_of_boxes_beside_counted_pixels(first: list[Box], second: list[Box]) -> None:
    found, generalised = iou_matrix(first, second), generalised_iou_matrix(first, second)
    assert found.shape == generalised.shape == (len(first), len(second))
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            shared, joined = len(_pixels(a) & _pixels(b)), len(_pixels(a) | _pixels(b))
            around = _pixels((min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])))
            assert found[i, j] == pytest.approx(shared / joined)
            assert generalised[i, j] == pytest.approx(shared / joined - (len(around) - joined) / len(around))


def test_boxes_that_are_empty_or_turned_over() -> None:
    good: Box = (0.0, 0.0, 1.0, 1.0)
    for bad in ((0.5, 0.5, 0.5, 0.9), (0.9, 0.9, 0.1, 0.1)):
        assert iou_matrix([bad], [good, bad]).tolist() == [[0.0, 0.0]]
        with pytest.raises(MetricError, match="empty or turned over"):
            generalised_iou_matrix([bad], [good])


def test_box_accuracy() -> None:
    truth: list[Box] = [(0, 0, 2, 1), (0, 0, 1, 1), (0, 0, 1, 1), (0, 0, 1, 1)]
    answers: list[Box | None] = [(0, 0, 1, 1), None, (0, 0, 1, 1), (2, 2, 3, 3)]  # the first has exactly one half
    assert box_accuracy(truth, answers) == 0.5
    assert box_accuracy(truth, answers, threshold=0.51) == 0.25
    with pytest.raises(MetricError):
        box_accuracy([], [])
    with pytest.raises(MetricError):
        box_accuracy(truth, answers[:2])


def _by_hand(
    truth: Sequence[Sequence[Detection]], predicted: Sequence[Sequence[Detection]], label: str, threshold: float
) -> float:
    """Average precision of a label: greedy matches by score, precision at 101 recalls, each the best from there on."""
    left = [[item.box for item in picture if item.label == label] for picture in truth]
    total = sum(map(len, left))
    ranked = sorted(
        (
            (item.score, picture, item.box)
            for picture, items in enumerate(predicted)
            for item in items
            if item.label == label
        ),
        key=lambda entry: -entry[0],
    )
    hits: list[bool] = []
    for _, picture, box in ranked:
        overlaps = [float(iou_matrix([box], [other])[0, 0]) for other in left[picture]]
        best = max(range(len(overlaps)), key=lambda at: overlaps[at], default=None)
        hit = best is not None and overlaps[best] >= threshold
        if hit and best is not None:
            left[picture].pop(best)
        hits.append(hit)
    points = [(sum(hits[: n + 1]) / total, sum(hits[: n + 1]) / (n + 1)) for n in range(len(hits))]
    levels = [max((precision for recall, precision in points if recall >= level), default=0.0) for level in LEVELS]
    return sum(levels) / len(levels)


LEVELS = np.linspace(0, 1, 101).tolist()
THRESHOLDS = np.linspace(0.5, 0.95, 10).tolist()


@st.composite
def pictures(draw: st.DrawFn) -> tuple[list[list[Detection]], list[list[Detection]]]:
    # Sides are drawn from many values and scores are distinct, so that no tie decides.
    unit = st.floats(0, 1, width=32)
    scores = iter(draw(st.permutations(range(24))))

    def detection(near: Box | None) -> Detection:
        label = draw(st.sampled_from("ab"))
        score = next(scores) / 24
        if near is not None and draw(st.booleans()):
            shift = draw(st.floats(-0.05, 0.05))
            return Detection(label, (near[0] + shift, near[1], near[2] + shift, near[3]), score)
        x, y = draw(unit), draw(unit)
        return Detection(label, (x, y, x + 0.05 + draw(unit), y + 0.05 + draw(unit)), score)

    truth, predicted = [], []
    for _ in range(draw(st.integers(1, 4))):
        truth.append([detection(None) for _ in range(draw(st.integers(0, 3)))])
        predicted.append(
            [detection(draw(st.sampled_from([None, *(item.box for item in truth[-1])]))) for _ in range(3)]
        )
    return truth, predicted


@settings(max_examples=40, deadline=None)
@given(pictures())
def test_average_precision_beside_one_by_hand(case: tuple[list[list[Detection]], list[list[Detection]]]) -> None:
    truth, predicted = case
    labels = sorted({item.label for picture in truth for item in picture})
    if not labels:
        with pytest.raises(MetricError, match="without boxes"):
            average_precision(truth, predicted)
        return
    found = average_precision(truth, predicted)
    table = {label: [_by_hand(truth, predicted, label, threshold) for threshold in THRESHOLDS] for label in labels}
    assert found.by_label == pytest.approx({label: np.mean(values) for label, values in table.items()})
    assert found.mean == pytest.approx(np.mean(list(table.values())))
    assert found.at_50 == pytest.approx(np.mean([values[0] for values in table.values()]))
    assert found.at_75 == pytest.approx(np.mean([values[5] for values in table.values()]))


def test_average_precision_of_the_truth_itself(capsys: pytest.CaptureFixture[str]) -> None:
    truth = [
        [Detection("a", (0.1, 0.1, 0.2, 0.2)), Detection("b", (0.5, 0.5, 0.9, 0.9))],
        [],
        [Detection("a", (0, 0, 1, 1))],
    ]
    found = average_precision(truth, truth)
    assert (found.mean, found.at_50, found.at_75) == pytest.approx((1, 1, 1))
    assert average_precision(truth, [[], [], []]).mean == 0.0
    # A false box in a picture without truth costs, a label that the truth never bears does not.
    false = [truth[0], [Detection("b", (0, 0, 0.5, 0.5), 2.0), Detection("c", (0, 0, 1, 1))], truth[2]]
    assert average_precision(truth, false).by_label == pytest.approx({"a": 1.0, "b": 0.5})
    assert capsys.readouterr().out == ""


def test_average_precision_of_what_cannot_be_scored() -> None:
    good = Detection("a", (0, 0, 1, 1))
    for bad in (Detection("a", (0, 0, 0, 1)), Detection("a", (1, 1, 0, 0)), Detection("a", (0, 0, 1, 1), math.nan)):
        with pytest.raises(MetricError):
            average_precision([[good]], [[bad]])
    with pytest.raises(MetricError, match="expected as many"):
        average_precision([[good]], [[good], []])


@given(hnp.arrays(np.bool_, st.tuples(st.integers(1, 6), st.just(2), st.integers(1, 5), st.integers(1, 5))))
def test_scores_of_masks_beside_sets_of_pixels(stack: npt.NDArray[np.bool_]) -> None:
    pairs = [(truth, predicted) for truth, predicted in stack]
    sets = [tuple({tuple(at) for at in np.argwhere(mask)} for mask in pair) for pair in pairs]
    ious = [len(a & b) / len(a | b) if a | b else 1.0 for a, b in sets]
    for (truth, predicted), (a, b), iou in zip(pairs, sets, ious, strict=True):
        assert mask_iou(truth, predicted) == pytest.approx(iou)
        assert dice(truth, predicted) == pytest.approx(2 * len(a & b) / (len(a) + len(b)) if a or b else 1.0)
    assert mean_mask_iou(iter(pairs)) == pytest.approx(sum(ious) / len(ious))
    joined = sum(len(a | b) for a, b in sets)
    expected = sum(len(a & b) for a, b in sets) / joined if joined else 1.0
    assert cumulative_mask_iou(iter(pairs)) == pytest.approx(expected)


def test_the_two_means_differ() -> None:
    big, small, none = (
        np.ones((10, 10), dtype=np.bool_),
        np.zeros((10, 10), dtype=np.bool_),
        np.zeros((10, 10), dtype=np.bool_),
    )
    small[0, 0] = True
    pairs = [(big, big), (small, none), (none, none)]
    assert mean_mask_iou(pairs) == pytest.approx(2 / 3)
    assert cumulative_mask_iou(pairs) == pytest.approx(100 / 101)


def test_masks_that_do_not_match() -> None:
    mask = np.zeros((2, 3), dtype=np.bool_)
    for score in (dice, mask_iou):
        with pytest.raises(MetricError, match="expected one shape"):
            score(mask, mask.T)
    for mean in (mean_mask_iou, cumulative_mask_iou):
        with pytest.raises(MetricError, match="no pictures"):
            mean([])
