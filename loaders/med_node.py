"""MED-NODE: close-up photographs of skin, one folder for melanoma and one for nevi."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    # Re-uploads spell the folder naevus in other ways.
    for image in raw.glob("{melanoma,naevus,nevus,naevi}/*.{jpg,jpeg,png}"):
        yield Sample(image, labels=[image.parent.name.lower()])
