"""Montgomery County Chest X-ray Set: the file name ends in 0 (normal) or 1; a reading lies beside each film."""

import re
from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample

NUMBER = "[0-9][0-9][0-9][0-9]"
# Later films of a patient, as their readings say.
SAME_PATIENT = {"0117": "0113", "0166": "0162", "0170": "0162"}


def samples(raw: RawRoot) -> Iterator[Sample]:
    readings = raw.find(f"ClinicalReadings/MCUCXR_{NUMBER}_[01].txt")
    # Masks of the lungs have the names of the films; only these folders hold films.
    for image in raw.glob(f"{{CXR_png,images}}/MCUCXR_{NUMBER}_[01].png"):
        reading = readings[f"ClinicalReadings/{image.stem}.txt"]
        text = "" if reading.missing else raw.read(reading).decode("latin-1")
        number = image.stem.split("_")[1]
        yield Sample(
            image,
            key=image.name,
            labels=[image.stem[-2:]],
            group=SAME_PATIENT.get(number, number),
            extra={
                # One sex is O, which the schema does not have.
                "sex": "".join(re.findall(r"Patient's Sex: *([FM])", text)),
                "age": "".join(re.findall(r"Patient's Age: *(\d+Y)", text)),
            },
        )
