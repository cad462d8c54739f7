"""Masks and boxes of official downloads, where the environment variable MED_MAT_RAW names a folder that holds some.

There is one test per source found there; without the variable there is none.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from skimage import measure

from med_mat.regions import (
    JPEG_THRESHOLD,
    SIIM_ACR,
    Regions,
    binary_mask,
    components,
    decode_runs,
    edges,
    encode_runs,
    mask_boxes,
    mask_pixels,
    polygon_mask,
    ring_box,
    speck_limit,
    united,
)
from med_mat.sample import Region

RAW = os.environ.get("MED_MAT_RAW")


def _busi(root: Path) -> None:
    masks = sorted(root.rglob("*_mask*.png"))
    assert masks
    for path in masks:
        mask = binary_mask(mask_pixels(path.read_bytes()))
        assert mask.any() == (path.parent.name != "normal")
    pair = [binary_mask(mask_pixels(path.read_bytes())) for path in masks if path.name.startswith("benign (25)_")]
    assert len(pair) == 2
    assert len(mask_boxes(united(("tumour", mask) for mask in pair)["tumour"])) == 2


def _edd_2020(root: Path) -> None:
    masks = sorted(root.rglob("masks/*.tif"))
    assert len(masks) == 2
    for path in masks:
        mask = binary_mask(mask_pixels(path.read_bytes()))
        height, width = mask.shape
        # A box as its text files number pixels, from 1 with the last inside, is the component's box.
        (found,) = components(mask)
        rows, columns = np.flatnonzero(mask.any(axis=1)) + 1, np.flatnonzero(mask.any(axis=0)) + 1
        released = float(columns[0]), float(rows[0]), float(columns[-1]), float(rows[-1])
        assert edges(released, first=1, inclusive=True) == found.box
        assert Regions(width, height, {"BE": mask}).objects()[0]["bbox"] == list(mask_boxes(mask)[0])


def _kvasir_seg(root: Path) -> None:
    released = json.loads(next(root.rglob("kavsir_bboxes.json")).read_text())
    masks = sorted(root.rglob("masks/*.jpg"))
    assert len(masks) == 5
    for path in masks:
        mask = binary_mask(mask_pixels(path.read_bytes()), threshold=JPEG_THRESHOLD)
        entry = released[path.stem]
        assert mask.shape == (entry["height"], entry["width"])
        limit = speck_limit(entry["width"], entry["height"])
        # The release's left and upper sides are a pixel out, its right and lower sides at edges; and it has boxes
        # of holes in the mask, too.
        boxes = {(box["xmin"] + 1, box["ymin"] + 1, box["xmax"], box["ymax"]) for box in entry["bbox"]}
        found = {item.box for item in components(mask) if item.area >= limit}
        assert found <= boxes
        outside = measure.label(~mask, connectivity=1)
        holes = {(x0, y0, x1, y1) for region in measure.regionprops(outside) for y0, x0, y1, x1 in [region.bbox]}
        assert boxes - found <= holes


def _ph2(root: Path) -> None:
    masks = sorted(root.rglob("*_lesion.bmp"))
    assert len(masks) == 7
    for path in masks:
        mask = binary_mask(mask_pixels(path.read_bytes()))
        assert not mask[0, 0]
        assert 0.03 < mask.mean() < 0.98
        assert mask_boxes(mask)


def _tn3k(root: Path) -> None:
    masks = sorted(root.rglob("*-mask/*.jpg"))
    assert masks
    for path in masks:
        pixels = mask_pixels(path.read_bytes())
        assert mask_boxes(binary_mask(pixels, threshold=JPEG_THRESHOLD))
        assert np.count_nonzero((pixels > 64) & (pixels < 191)) < 0.001 * pixels.size


def _siim_acr_pneumothorax(root: Path) -> None:
    with next(root.rglob("train-rle.csv")).open(newline="") as stream:
        rows = [(name, runs.strip()) for name, runs in list(csv.reader(stream))[1:]]
    assert len(rows) == 978
    seen = np.zeros((1024, 1024), dtype=np.int64)
    for number, (_, runs) in enumerate(rows):
        mask = decode_runs(runs, 1024, 1024, SIIM_ACR)
        assert mask.any() == (runs != "-1")
        if number % 10 == 0:
            assert encode_runs(mask, SIIM_ACR) == runs
        if runs != "-1":
            seen += mask
    # Air gathers above and on either side; read along the rows it would gather on one side, above and below.
    assert seen[:512].sum() > 0.6 * seen.sum()
    assert 0.35 * seen.sum() < seen[:, :512].sum() < 0.65 * seen.sum()


def _chestx_det(root: Path) -> None:
    document = json.loads((root / "ChestX_Det_test.json").read_text())
    assert len(document) == 553
    agree = 0
    instances = [
        (name, tuple(map(float, box)), ring)
        for row in document
        for name, box, ring in zip(row["syms"], row["boxes"], row["polygons"], strict=True)
    ]
    for _, box, ring in instances:
        agree += ring_box(ring) == box
    assert agree > 0.95 * len(instances)
    for name, box, ring in instances[::20]:
        mask = polygon_mask([ring], 1024, 1024, points="edges")
        objects = Regions(1024, 1024, {name: mask}, [Region(name, box)]).objects()
        assert len(objects) == 1
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        tight = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
        assert np.abs(np.subtract(tight, ring_box(ring))).max() <= 8


CHECKS: dict[str, Callable[[Path], None]] = {
    "busi": _busi,
    "chestx_det": _chestx_det,
    "edd_2020": _edd_2020,
    "kvasir_seg": _kvasir_seg,
    "ph2": _ph2,
    "siim_acr_pneumothorax": _siim_acr_pneumothorax,
    "tn3k": _tn3k,
}
FOUND = sorted(name for name in CHECKS if RAW and (Path(RAW) / name).is_dir())

if FOUND:
    import pytest

    @pytest.mark.parametrize("name", FOUND)
    def test_regions_of(name: str) -> None:
        assert RAW is not None
        CHECKS[name](Path(RAW) / name)
