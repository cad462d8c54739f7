"""PALM (iChallenge-PM): fundus photographs of myopic eyes, and a mask of the optic disc for those that show it."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import BinaryMask, Sample, Split

# The first letter of a name; in training it tells high myopia, normal and pathologic myopia apart.
SPLITS: dict[str, Split] = {"H": "train", "N": "train", "P": "train", "V": "validation", "T": "test"}
NAME = "[HNPVT][0-9][0-9][0-9][0-9]"


def samples(raw: RawRoot) -> Iterator[Sample]:
    masks = {mask.stem.upper(): mask for mask in raw.glob(f"Disc{{_, }}Masks/{NAME}.bmp")}
    # The challenge kept the masks of its test part, the later release has them.
    outlined = {SPLITS[name[0]] for name in masks}
    for image in raw.glob(f"{{PALM-*400,PALM-*400-Images,Images}}/{NAME}.jpg"):
        name = image.stem.upper()
        split = SPLITS[name[0]]
        if name in masks:
            yield Sample(image, key=image.name, split=split, regions=[BinaryMask(masks[name], "disc", inverted=True)])
        elif split in outlined:
            yield Sample(image, key=image.name, split=split, labels=["no mask"])
