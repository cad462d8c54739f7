"""Brain Tumor Dataset, in truth MRI: slices of many formats, one folder with a tumor and one without."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    # A number is shared by different pictures of different extensions.
    for image in raw.glob("{Brain Tumor,Healthy}/*.{jpg,jpeg,png,tif}"):
        yield Sample(image, labels=[image.parent.name])
