"""AIROGS: fundus photographs in numbered archives, and a table that says which eyes to refer for glaucoma."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import csv_rows
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    images = raw.find("TRAIN" + "[0-9]" * 6 + ".{jpg,jpeg,png}", by="stem")
    for row in csv_rows(raw, "train_labels.csv", columns=["challenge_id", "class"]):
        yield Sample(images[row["challenge_id"]], labels=[row["class"]], split="train")
