"""DRIMDB: retinal photographs and other pictures, one folder per quality."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    for image in raw.glob("{Good,Bad,Outlier}/*.{jpg,jpeg,png}"):
        yield Sample(image, labels=[image.parent.name])
