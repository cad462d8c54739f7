"""Histopathologic Cancer Detection: patches of lymph nodes, named by hash, joined to a table of two columns."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import csv_rows
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    images = raw.find("[0-9a-f]" * 40 + ".tif", by="stem")
    for row in csv_rows(raw, "train_labels.csv", columns=["id", "label"]):
        yield Sample(images[row["id"]], labels=[row["label"]])
