"""Breast Ultrasound Images (BUSI), masks: scans in one folder per finding, each beside one mask per lesion."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import BinaryMask, Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    masks = raw.find("{benign/benign,malignant/malignant} ([0-9]*)_mask{,_[0-9]}.png")
    for image in raw.glob("normal/normal ([0-9]*).png"):
        yield Sample(image, labels=["normal"])
    for image in raw.glob("{benign/benign,malignant/malignant} ([0-9]*).png"):
        name = image.key.with_suffix("")
        further = (f"{name}_mask_{number}.png" for number in range(10))
        files = [f"{name}_mask.png", *(file for file in further if file in masks)]
        yield Sample(image, regions=[BinaryMask(masks[file], image.parent.name) for file in files])
