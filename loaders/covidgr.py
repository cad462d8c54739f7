"""COVIDGR: radiographs of one hospital, the folder N for negative and P for positive."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    for image in raw.glob("{N,P}/*.{jpg,jpeg,png}"):
        yield Sample(image, labels=[image.parent.name.upper()])
