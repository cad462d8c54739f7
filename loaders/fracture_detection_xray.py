"""Fracture Detection Using X-Ray Images: radiographs and rotated copies, one folder per split and finding."""

import re
from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import official_split
from med_mat.sample import Sample

# What copying and rotating put behind the name of the original.
COPY = re.compile(r"(-rotated\d+|\s*-\s*Copy(\s*\(\d+\))?|\s*\(\d+\))+$", re.IGNORECASE)


def samples(raw: RawRoot) -> Iterator[Sample]:
    for image in raw.glob("{train,val,valid,validation,test}/{fractured,not{ ,_,-}fractured}/*.{jpg,jpeg,png}"):
        folder, finding, name = image.key.parts
        # What copies of the release call the folders differs in case, blank and length.
        split, label = official_split(folder), re.sub("[_-]", " ", finding.lower())
        yield Sample(
            image,
            labels=[label],
            key=f"{split}/{label}/{name}",
            group=f"{label}/{COPY.sub('', image.stem)}",
            split=split,
        )
