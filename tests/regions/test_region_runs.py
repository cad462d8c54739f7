"""Run lengths in every dialect, with real strings."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco

from med_mat.errors import ImageError
from med_mat.regions import (
    KAGGLE_COLUMNS,
    KAGGLE_ROWS,
    SIIM_ACR,
    RunDialect,
    components,
    decode_coco_runs,
    decode_runs,
    encode_runs,
)

Mask = npt.NDArray[np.bool_]
MASKS = hnp.arrays(np.bool_, st.tuples(st.integers(1, 20), st.integers(1, 20)))

# case123_day20_slice_0065 of UW-Madison GI Tract, 266 x 266.
STOMACH = (
    "28094 3 28358 7 28623 9 28889 9 29155 9 29421 9 29687 9 29953 9 30219 9 30484 10 30750 10 31016 10 31282 10 "
    "31548 10 31814 10 32081 9 32347 8 32614 6"
)


@given(MASKS, st.sampled_from([KAGGLE_COLUMNS, KAGGLE_ROWS, SIIM_ACR]))
def test_there_and_back(mask: Mask, dialect: RunDialect) -> None:
    height, width = mask.shape
    assert np.array_equal(decode_runs(encode_runs(mask, dialect), width, height, dialect), mask)


def test_a_real_string() -> None:
    mask = decode_runs(STOMACH, 266, 266, KAGGLE_ROWS)
    assert [(item.box, item.area) for item in components(mask)] == [((159.0, 105.0, 169.0, 123.0), 156)]
    assert encode_runs(mask, KAGGLE_ROWS) == STOMACH


def test_rows_and_columns_of_a_picture_that_is_not_square() -> None:
    # Pixels 2 and 3 of three columns and two rows.
    assert decode_runs("2 2", 3, 2, KAGGLE_ROWS).tolist() == [[False, True, True], [False, False, False]]
    assert decode_runs("2 2", 3, 2, KAGGLE_COLUMNS).tolist() == [[False, True, False], [True, False, False]]


def test_relative_offsets() -> None:
    # Skip 1, take 2, skip 0, take 1, skip 1, take 1: pixels 1, 2, 3 and 5 down the columns.
    mask = decode_runs(" 1 2 0 1 1 1", 3, 2, SIIM_ACR)
    assert mask.tolist() == [[False, True, False], [True, True, True]]
    assert encode_runs(mask, SIIM_ACR) == "1 3 1 1"


def test_masks_without_pixels() -> None:
    for dialect, text in ((SIIM_ACR, " -1"), (KAGGLE_ROWS, ""), (KAGGLE_COLUMNS, "  ")):
        mask = decode_runs(text, 4, 3, dialect)
        assert mask.shape == (3, 4)
        assert not mask.any()
    assert encode_runs(np.zeros((3, 4), dtype=np.bool_), SIIM_ACR) == "-1"
    for dialect, text in ((SIIM_ACR, ""), (KAGGLE_ROWS, "-1")):
        with pytest.raises(ImageError, match="expected pairs of whole numbers"):
            decode_runs(text, 4, 3, dialect)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1", "pairs of whole numbers"),
        ("1 2 3", "pairs of whole numbers"),
        ("1 x", "pairs of whole numbers"),
        ("1.0 2", "pairs of whole numbers"),
        ("1 -2", "pairs of whole numbers"),
        ("nan", "pairs of whole numbers"),
        ("1 99999999999999999999", "pairs of whole numbers"),
        ("1 0", "run 1 has no pixels"),
        ("0 1", "before pixel 1"),
        ("5 3 7 1", "inside the one before it"),
        ("5 3 2 1", "inside the one before it"),
        ("12 2", "ends at pixel 13, but a picture of 4 x 3 has 12"),
    ],
)
def test_damaged_strings(text: str, told: str) -> None:
    with pytest.raises(ImageError, match=told):
        decode_runs(text, 4, 3, KAGGLE_ROWS)


def test_relative_offsets_read_as_absolute_are_noticed() -> None:
    text = encode_runs(np.tile([False, True], (4, 3)), SIIM_ACR)
    with pytest.raises(ImageError, match="relative offsets"):
        decode_runs(text, 6, 4, KAGGLE_COLUMNS)


@given(MASKS)
def test_coco_compressed_beside_its_own_library(mask: Mask) -> None:
    height, width = mask.shape
    encoded = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert np.array_equal(decode_coco_runs(encoded, width, height), mask)
    text = {"size": encoded["size"], "counts": encoded["counts"].decode()}
    assert np.array_equal(decode_coco_runs(text, width, height), mask)


@given(MASKS)
def test_coco_counts(mask: Mask) -> None:
    height, width = mask.shape
    flat = mask.T.ravel()
    bounds = [0, *np.flatnonzero(np.diff(flat, prepend=False)).tolist(), flat.size]
    counts = np.diff(bounds).tolist()
    assert np.array_equal(decode_coco_runs({"size": [height, width], "counts": counts}, width, height), mask)


@given(st.binary(max_size=40) | st.text(alphabet=[chr(code) for code in range(48, 112)], max_size=40))
def test_damaged_coco_runs_are_an_error(counts: bytes | str) -> None:
    try:
        mask = decode_coco_runs({"size": [3, 4], "counts": counts}, 4, 3)
    except ImageError:
        return
    assert mask.shape == (3, 4)


@pytest.mark.parametrize(
    ("segmentation", "told"),
    [
        ({"size": [3, 4], "counts": [5, 3]}, "add up to 8 pixels"),
        ({"size": [3, 4], "counts": [5, -3, 10]}, "expected a list of counts"),
        ({"size": [3, 4], "counts": [5, 7.0]}, "expected a list of counts"),
        ({"size": [3, 4]}, "expected a list of counts"),
        ({"size": [4, 3], "counts": [12]}, r"of size \[4, 3\]: expected the picture's \[3, 4\]"),
        ({"counts": [12]}, "of size None"),
        ({"size": [3, 4], "counts": "P"}, "damaged at character 2 of 1"),
        ({"size": [3, 4], "counts": ""}, "add up to 0 pixels"),
        ({"size": [3, 4], "counts": "é"}, "expected a list of counts"),
    ],
)
def test_coco_runs_that_do_not_fit(segmentation: dict[str, object], told: str) -> None:
    with pytest.raises(ImageError, match=told):
        decode_coco_runs(segmentation, 4, 3)
