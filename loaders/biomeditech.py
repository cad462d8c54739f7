"""BioMediTech RPE: tiles of cell cultures, named after class, field, place in the field and two more digits."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    for image in raw.glob("Subwindows/*_*_*_*_*.{tif,tiff}"):
        label, field, *_ = image.stem.split("_")
        yield Sample(image, labels=[label], group=field)
