"""Oral Cancer Dataset: photographs of lips, tongue and mouth, two class folders in each of two versions."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample

VERSIONS = "{Oral Cancer Dataset,OC Dataset kaggle new}"


def samples(raw: RawRoot) -> Iterator[Sample]:
    for image in raw.glob(f"{VERSIONS}/{{CANCER,NON CANCER}}/*.{{jpeg,jpg,jfif,png,webp,gif,bmp}}"):
        yield Sample(image, labels=[image.parent.name.upper()])
