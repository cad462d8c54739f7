"""Brain Tumor MRI Dataset: slices in one folder per split and tumour type."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import official_split
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    for image in raw.glob("{Training,Testing}/*/*.jpg"):
        split, label, _ = image.key.parts
        yield Sample(image, labels=[label], split=official_split(split))
