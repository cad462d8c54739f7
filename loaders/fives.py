"""FIVES: fundus photographs in one folder per split, and masks of their vessels under the same names in another."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import official_split
from med_mat.sample import BinaryMask, Sample

NAME = "[0-9]*_[ADGN].png"


def samples(raw: RawRoot) -> Iterator[Sample]:
    masks = raw.find(f"{{train,test}}/Ground truth/{NAME}")
    # Both splits count from 1, so the folder is part of the key.
    for image in raw.glob(f"{{train,test}}/Original/{NAME}"):
        split = image.key.parts[0]
        mask = masks[f"{split}/Ground truth/{image.name}"]
        yield Sample(image, split=official_split(split), regions=[BinaryMask(mask, "vessel")])
