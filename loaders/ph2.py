"""PH2: one folder per case, with the dermoscopic image, the mask of its lesion and, in some, masks of the colors."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import BinaryMask, Sample

CASE = "IMD[0-9][0-9][0-9]"


def samples(raw: RawRoot) -> Iterator[Sample]:
    masks = raw.find(f"{CASE}_lesion.bmp")
    for image in raw.glob(f"{CASE}_Dermoscopic_Image/{CASE}.bmp"):
        yield Sample(image, key=image.name, regions=[BinaryMask(masks[f"{image.stem}_lesion.bmp"], "lesion")])
