"""SIIM-ISIC 2020: dermoscopic images of patients, joined to one table by file name."""

from collections.abc import Iterator

from med_mat.raw import RawFile, RawRoot
from med_mat.readers import csv_rows
from med_mat.sample import Sample

SITE = "anatom_site_general_challenge"
COLUMNS = ["image_name", "patient_id", "sex", "age_approx", SITE, "benign_malignant"]


def samples(raw: RawRoot) -> Iterator[Sample]:
    images = raw.find("ISIC_" + "[0-9]" * 7 + ".{jpg,jpeg}", by="stem")
    for row in csv_rows(raw, str(ground_truth(raw).key), columns=COLUMNS):
        yield Sample(
            images[row["image_name"]],
            labels=[row["benign_malignant"]],
            split="train",
            group=row["patient_id"],
            extra={"age": row["age_approx"], "sex": row["sex"], "site": row[SITE]},
        )


def ground_truth(raw: RawRoot) -> RawFile:
    # The second version adds a column with lesions to the same rows; the competition calls its table train.csv.
    first = raw.maybe("ISIC_2020_Training_GroundTruth.csv")
    return first or raw.one("ISIC_2020_Training_GroundTruth_v2.csv", "train.csv")
