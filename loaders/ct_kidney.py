"""CT KIDNEY DATASET: axial and coronal CT slices, one folder per finding."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    for image in raw.glob("{Cyst,Normal,Stone,Tumor}/*.jpg"):
        yield Sample(image, labels=[image.parent.name])
