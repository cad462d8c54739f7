"""Kvasir-SEG: pictures of polyps, and a mask of the same name, saved as JPEG, in a folder beside them."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import BinaryMask, Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    masks = raw.find("masks/*.{jpg,jpeg}")
    for image in raw.glob("images/*.{jpg,jpeg}"):
        yield Sample(image, regions=[BinaryMask(masks[f"masks/{image.name}"], "polyp", threshold=127)])
