"""ODIR-5K: both eyes of each patient, and a sheet with keywords for each eye."""

import re
from collections.abc import Iterator

from med_mat.raw import Lookup, RawRoot
from med_mat.readers import sheet_rows
from med_mat.sample import Sample

FACTS = ["ID", "Patient Age", "Patient Sex"]
UNKNOWN_AGE = "1"
# What may stand beside a finding, or alone, without being one.
REMARKS = {
    "normal fundus",
    "lens dust",
    "low image quality",
    "image offset",
    "optic disk photographically invisible",
    "no fundus image",
    "anterior segment image",
}


def samples(raw: RawRoot) -> Iterator[Sample]:
    # Copies name the training folder in their own ways; preprocessed_images has other pictures of the same names.
    training = raw.glob("*Train*/[0-9]*_{left,right}.{jpg,jpeg}", optional=True)
    images = Lookup({image.name: image for image in training})
    columns = [*FACTS, *(f"{side}-{what}" for side in ("Left", "Right") for what in ("Fundus", "Diagnostic Keywords"))]
    for row in sheet_rows(raw, "data.xlsx", "ODIR-5K_Training_Annotations*.xlsx", columns=columns):
        patient, age, sex = (row[column] for column in FACTS)
        for side in ("Left", "Right"):
            yield Sample(
                images[row[f"{side}-Fundus"]],
                key=row[f"{side}-Fundus"],
                labels=findings(row[f"{side}-Diagnostic Keywords"]),
                group=patient,
                split="train",
                extra={"age": "" if age == UNKNOWN_AGE else age, "sex": sex, "laterality": side},
            )


def findings(keywords: str) -> list[str]:
    # Full-width commas part the keywords, in three cells plain ones.
    words = [word.strip() for word in re.split("[\uff0c,]", keywords)]
    return [word for word in words if word not in REMARKS] or words
