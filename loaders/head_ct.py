"""Head CT - hemorrhage: one slice per person, named by a number that a table joins to bleeding or none."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import csv_rows
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    # Some copies lack a folder of the doubled head_ct/head_ct.
    images = raw.find("[0-9][0-9][0-9].png", by="stem")
    for row in csv_rows(raw, "labels.csv", columns=["id", "hemorrhage"]):
        yield Sample(images[row["id"].zfill(3)], labels=[row["hemorrhage"]])
