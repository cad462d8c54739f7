"""ISIC 2017 task 1: as ISIC 2016 task 1, with a validation split, and names of masks in lower case."""

from collections.abc import Iterator

from med_mat.loaders.isic_2016_task_1 import lesions
from med_mat.raw import RawRoot
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    return lesions(raw, "_segmentation.png")
