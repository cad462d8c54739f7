"""Breast Ultrasound Images (BUSI): scans in one folder per finding, each beside its masks."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    for image in raw.glob("{benign/benign,malignant/malignant,normal/normal} ([0-9]*).png"):
        yield Sample(image, labels=[image.parent.name])
