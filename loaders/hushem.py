"""HuSHeM: cut-outs of single sperm heads, one numbered folder per shape."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    for image in raw.glob("{01_Normal,02_Tapered,03_Pyriform,04_Amorphous}/*.bmp"):
        yield Sample(image, labels=[image.parent.name])
