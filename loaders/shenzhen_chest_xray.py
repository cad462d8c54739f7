"""Shenzhen Hospital Chest X-ray Set: the file name ends in 0 (normal) or 1; a reading lies beside each film."""

import re
from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample

NUMBER = "[0-9][0-9][0-9][0-9]"
# male 45yrs; Female, 28yrs; femal 32yrs; female24yrs; male 16month; female 64days. A bare number is no age.
SEX_AND_AGE = re.compile(r"(fem|m)ale?\W*(?:(\d+)\s*([ymd]))?", re.IGNORECASE)


def samples(raw: RawRoot) -> Iterator[Sample]:
    readings = raw.find(f"ClinicalReadings/CHNCXR_{NUMBER}_[01].txt")
    # Outlines of findings and lungs bear names like the films'; only these folders hold films.
    for image in raw.glob(f"{{CXR_png,images}}/CHNCXR_{NUMBER}_[01].png"):
        reading = readings[f"ClinicalReadings/{image.stem}.txt"]
        text = "" if reading.missing else raw.read(reading).decode("latin-1")
        yield Sample(
            image,
            key=image.name,
            labels=[image.stem[-2:]],
            group=image.stem.split("_")[1],
            extra=sex_and_age(text),
        )


def sex_and_age(reading: str) -> dict[str, str]:
    found = SEX_AND_AGE.search(reading.strip().partition("\n")[0])
    if found is None:
        return {}
    sex, age, unit = found.groups(default="")
    return {"sex": sex[0], "age": age + unit}
