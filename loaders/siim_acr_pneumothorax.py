"""SIIM-ACR Pneumothorax: NIH radiographs as DICOM under new names, and a table of run lengths, one row per region."""

from collections import defaultdict
from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import csv_rows
from med_mat.sample import RunLengths, Sample

SIDE = 1024


def samples(raw: RawRoot) -> Iterator[Sample]:
    images = raw.find("*.{dcm,dicom}", by="stem")
    # The table of stage 2 holds that of stage 1, and its test part.
    table = "stage_2_train.csv" if raw.maybe("stage_2_train.csv") else "train-rle.csv"
    runs: dict[str, dict[str, None]] = defaultdict(dict)
    for row in csv_rows(raw, table, columns=["ImageId", "EncodedPixels"]):
        # Stage 1 repeats rows.
        runs[row["ImageId"]][row["EncodedPixels"]] = None
    for name, texts in runs.items():
        yield Sample(
            images[name],
            key=name,
            labels=["-1"] if "-1" in texts else [],
            regions=[RunLengths("pneumothorax", text, "siim_acr", SIDE, SIDE) for text in texts if text != "-1"],
        )
