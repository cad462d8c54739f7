"""UW-Madison GI Tract: slices of abdominal MRI by patient and day, and a table of run lengths of three organs."""

import re
from collections import defaultdict
from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import csv_rows
from med_mat.sample import RunLengths, Sample

# Scans whose outlines the organizers leave out of their own evaluation.
FAULTY = {
    *["case7_day0", "case9_day27", "case13_day0", "case34_day20", "case43_day18", "case43_day26"],
    *["case61_day14", "case81_day30", "case83_day11", "case124_day19", "case138_day0", "case144_day15"],
}
# More than half of the slices show no organ, and neighbors hardly differ: one in ten of them is enough.
STEP = 10


def samples(raw: RawRoot) -> Iterator[Sample]:
    images = raw.find("case[0-9]*_day[0-9]*/scans/slice_[0-9]*_[0-9]*_[0-9]*_*.png")
    # Names of slices end in their size and spacing, of which the table knows nothing.
    files = {re.sub(r"/scans/(slice_\d+)_.*", r"_\1", name): name for name in images}
    organs: dict[str, dict[str, str]] = defaultdict(dict)
    for row in csv_rows(raw, "train.csv", columns=["id", "class", "segmentation"]):
        organs[row["id"]][row["class"]] = row["segmentation"]
    for name, runs in organs.items():
        image = images[files.get(name, name)]
        case, day, _, number = name.split("_")
        # Width stands before height; a slice that is not there has no size.
        width, height = [int(size) for size in image.name.split("_")[2:4]] if not image.missing else (0, 0)
        drawn = [RunLengths(organ, text, "kaggle_rows", width, height) for organ, text in runs.items() if text]
        if f"{case}_{day}" in FAULTY:
            drawn, labels = [], ["faulty"]
        else:
            labels = [] if drawn else ["spare" if int(number) % STEP else "none"]
        yield Sample(image, key=name, labels=labels, group=case.removeprefix("case"), regions=drawn)
