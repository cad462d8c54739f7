"""ISIC 2017 task 3: dermoscopic images in one folder per split, each with a table of two findings as 0.0 or 1.0."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import csv_rows, official_split
from med_mat.sample import Sample

FINDINGS = ["melanoma", "seborrheic_keratosis"]
FACTS = {"age": "age_approximate", "sex": "sex"}


def samples(raw: RawRoot) -> Iterator[Sample]:
    images = raw.find("ISIC_" + "[0-9]" * 7 + ".{jpg,jpeg}", by="stem")
    facts = {
        row["image_id"]: {name: row[column] for name, column in FACTS.items()}
        for table in raw.glob("ISIC-2017_{Training,Validation,Test_v2}_Data_metadata.csv", optional=True)
        for row in csv_rows(raw, str(table.key), columns=["image_id", *FACTS.values()])
    }
    for table in raw.glob("ISIC-2017_{Training,Validation,Test_v2}_Part3_GroundTruth.csv"):
        split = official_split(table.name.split("_")[1])
        for row in csv_rows(raw, str(table.key), columns=["image_id", *FINDINGS]):
            name = row["image_id"]
            # Who has neither finding has a nevus: the challenge knows three diagnoses.
            yield Sample(
                images[name],
                labels=[finding for finding in FINDINGS if float(row[finding]) == 1] or ["nevus"],
                split=split,
                group=name.removeprefix("ISIC_"),
                extra=facts.get(name, {}),
            )
