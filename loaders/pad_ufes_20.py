"""PAD-UFES-20: smartphone photographs of skin lesions in three part folders, joined to one table by file name."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import csv_rows
from med_mat.sample import Sample

COLUMNS = ["patient_id", "age", "gender", "region", "diagnostic", "img_id"]


def samples(raw: RawRoot) -> Iterator[Sample]:
    # Copies differ in how the three parts are nested; file names are unique.
    images = raw.find("PAT_*.png")
    for row in csv_rows(raw, "metadata.csv", columns=COLUMNS):
        yield Sample(
            images[row["img_id"]],
            labels=[row["diagnostic"]],
            group=row["patient_id"],
            extra={"age": row["age"], "sex": row["gender"], "site": row["region"]},
        )
