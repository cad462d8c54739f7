"""SARS-CoV-2 CT-scan dataset: axial slices in one folder for infected patients and one for the others."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    # Copies spell the second folder in several ways; a name tells its class too, hence is enough as key.
    for image in raw.glob("{COVID,non[-_ ]COVID,nonCOVID}/*Covid (*).png"):
        infected = image.parent.name.casefold() == "covid"
        yield Sample(image, labels=["COVID" if infected else "non-COVID"], key=image.name)
