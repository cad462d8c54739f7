"""Random Sample of NIH Chest X-ray Dataset: a table with all findings of each radiograph, joined by '|'."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import csv_rows
from med_mat.sample import Sample

COLUMNS = ["Image Index", "Finding Labels", "Patient ID", "Patient Age", "Patient Gender", "View Position"]


def samples(raw: RawRoot) -> Iterator[Sample]:
    # The archive holds the pictures twice, at different depths: their names alone tell them apart.
    images = raw.find("[0-9]*_[0-9]*.png")
    for row in csv_rows(raw, "sample_labels.csv", columns=COLUMNS):
        yield Sample(
            images[row["Image Index"]],
            labels=row["Finding Labels"].split("|"),
            group=row["Patient ID"].zfill(8),
            extra={"age": row["Patient Age"], "sex": row["Patient Gender"], "view": row["View Position"]},
        )
