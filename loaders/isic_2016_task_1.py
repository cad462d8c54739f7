"""ISIC 2016 task 1: dermoscopic images in one folder per split, and masks of their lesions in others."""

import re
from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import official_split
from med_mat.sample import BinaryMask, Sample

NAME = "ISIC_" + "[0-9]" * 7


def samples(raw: RawRoot) -> Iterator[Sample]:
    return lesions(raw, "_Segmentation.png")


def lesions(raw: RawRoot, mask_end: str) -> Iterator[Sample]:
    """Yields the images with their masks, whose names end so."""
    masks = raw.find(f"{NAME}{mask_end}")
    for image in raw.glob(f"{NAME}.{{jpg,jpeg}}"):
        folder = image.path.parent.name.lower()  # ISBI2016_ISIC_Part1_Test_Data, ISIC-2017_Test_v2_Data
        yield Sample(
            image,
            split=official_split(re.sub(".*(train|valid|test).*", r"\1", folder)),
            group=image.stem[-7:],
            regions=[BinaryMask(masks[f"{image.stem}{mask_end}"], "lesion")],
        )
