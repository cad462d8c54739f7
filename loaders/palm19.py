"""PALM (iChallenge-PM): fundus photographs of myopic eyes, and a mask of the optic disc for those that show it."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import csv_rows, sheet_rows
from med_mat.sample import BinaryMask, Sample, Split

# The first letter of a name; in training it tells high myopia, normal and pathologic myopia apart.
SPLITS: dict[str, Split] = {"H": "train", "N": "train", "P": "train", "V": "validation", "T": "test"}
NAME = "[HNPVT][0-9][0-9][0-9][0-9]"
MASKS = f"Disc{{_, }}Masks/{NAME}.bmp"
PICTURES = f"{{PALM-*400,PALM-*400-Images,Images}}/{NAME}.jpg"


def samples(raw: RawRoot) -> Iterator[Sample]:
    table = raw.maybe("PALM-Validation-GT/{PM_Label_and_Fovea_Location.xlsx,labels.csv}")
    masks = {mask.stem.upper(): mask for mask in raw.glob(MASKS, optional=table is not None)}
    # The challenge kept the masks of its test part, the later release has them.
    outlined = {SPLITS[name[0]] for name in masks}
    images = raw.glob(PICTURES, optional=table is not None)
    for image in images:
        name = image.stem.upper()
        split = SPLITS[name[0]]
        if name in masks:
            yield Sample(image, key=image.name, split=split, regions=[BinaryMask(masks[name], "disc", inverted=True)])
        elif split in outlined:
            yield Sample(image, key=image.name, split=split, labels=["no mask"])
    if table is not None:
        found = {image.name.upper() for image in images}
        absent = raw.find(PICTURES)
        read = sheet_rows if table.suffix == ".xlsx" else csv_rows
        for row in read(raw, str(table.key), columns=["imgName"]):
            if row["imgName"].upper() not in found:
                yield Sample(absent[f"PALM-Validation400/{row['imgName']}"], split="validation")
