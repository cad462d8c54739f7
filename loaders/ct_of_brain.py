"""Computed Tomography of the Brain: numbered slices, as JPEG and DICOM, in one folder per disease."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    files = raw.glob("{aneurysm,cancer,tumor}/[0-9]*.{dcm,jpg}")
    # The JPEG is the DICOM drawn in its own window; it comes later and takes the place of its twin.
    slices = {f"{file.parent.name}/{file.stem}": file for file in sorted(files, key=lambda file: file.suffix)}
    for key, image in slices.items():
        yield Sample(image, key=key, labels=[image.parent.name], group=image.parent.name)
