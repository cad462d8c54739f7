"""ADAM: fundus photographs whose names begin with A for age-related macular degeneration, else with N."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    # Copies differ in their folders, names are unique. Masks, of the same names, are not in JPEG.
    for image in raw.glob("[AN][0-9][0-9][0-9][0-9].jpg"):
        yield Sample(image, labels=[image.name[0].upper()], split="train")
