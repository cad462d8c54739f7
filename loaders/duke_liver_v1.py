"""Duke Liver Dataset: MRI series by patient, a DICOM file for each slice, and a folder of masks beside each series."""

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import PurePosixPath

from med_mat.raw import RawFile, RawRoot
from med_mat.sample import BinaryMask, Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    masks = by_series(raw, "masks")
    for series, slices in by_series(raw, "images").items():
        drawn = masks.get(series, [])
        if len(slices) != len(drawn):
            yield from (Sample(image, labels=["unpaired"]) for image in slices)
            continue
        for image, mask in zip(slices, drawn, strict=True):
            yield Sample(image, group=series.parts[0], regions=[BinaryMask(mask, "liver", threshold=0)])


def by_series(raw: RawRoot, folder: str) -> dict[PurePosixPath, list[RawFile]]:
    # Slices and masks belong together by their order: names agree or run parallel, with or without zeros in front.
    found = defaultdict(list)
    for file in raw.glob(f"[0-9][0-9][0-9][0-9]/*/{folder}/*.{{dicom,dcm}}"):
        found[file.parent.parent].append(file)
    for files in found.values():
        files.sort(key=lambda file: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", file.name)])
    return found
