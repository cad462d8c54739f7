"""JSIEC 1000: fundus photographs, one folder for each of 39 numbered diseases, conditions and signs."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    for image in raw.glob("{[0-9],[0-9][0-9]}.*/*.{jpg,jpeg,png}"):
        yield Sample(image, labels=[image.parent.name])
