"""Bone Fracture Multi-Region X-ray Data: radiographs and rotated copies, one folder per split and finding."""

import re
from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import official_split
from med_mat.sample import Sample

# What copying and rotating put behind the name of the original.
COPY = re.compile(r"(-rotated\d+|\s*-\s*Copy(\s*\(\d+\))?|\s*\(\d+\))+$", re.IGNORECASE)


def samples(raw: RawRoot) -> Iterator[Sample]:
    for image in raw.glob("{train,val,test}/{fractured,not fractured}/*.{jpg,jpeg,png}"):
        split, label, _ = image.key.parts
        original = COPY.sub("", image.stem)
        yield Sample(image, labels=[label], split=official_split(split), group=f"{label}/{original}")
