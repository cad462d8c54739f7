"""Tuberculosis (TB) Chest X-ray Database: radiographs of one size in two class folders."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    # Tuberculosis films above 700 are given out under an agreement and are no part of the open download.
    for image in raw.glob("Normal/Normal-*.png", "Tuberculosis/Tuberculosis-{?,??,[1-6]??,700}.png"):
        yield Sample(image, labels=[image.parent.name])
