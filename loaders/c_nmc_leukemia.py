"""C-NMC 2019: single cells in three training folds by class, and a preliminary test part with a table."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import csv_rows
from med_mat.sample import Sample

TABLE = "C-NMC_test_prelim_phase_data_labels.csv"


def samples(raw: RawRoot) -> Iterator[Sample]:
    # The parts are downloads of their own; pictures whose table is missing are odd.
    tables = raw.glob(TABLE, optional=True)
    for image in raw.glob("fold_[0-2]/{all,hem}/*.bmp", optional=bool(tables)):
        yield Sample(image, labels=[image.parent.name], group=subject(image.name), split="train")
    images = raw.find("C-NMC_test_prelim_phase_data/*.bmp")
    for table in tables:
        for row in csv_rows(raw, str(table.key), columns=["Patient_ID", "new_names", "labels"]):
            yield Sample(
                images[f"C-NMC_test_prelim_phase_data/{row['new_names']}"],
                labels=[row["labels"]],
                group=subject(row["Patient_ID"]),
                split="validation",
            )


def subject(name: str) -> str:
    return name.split("_")[1]
