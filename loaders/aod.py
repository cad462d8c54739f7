"""Augmented ocular diseases: photographs of ODIR-5K and augmented copies, one folder per class."""

import re
from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample

CLASSES = "{amd,cataract,diabetes,glaucoma,hypertension,myopia,normal,other,others}"


def samples(raw: RawRoot) -> Iterator[Sample]:
    # A copy bears the name of its original, 43_left.jpg, within its own; without it, no patient can be told.
    for image in raw.glob(f"{CLASSES}/*[0-9]_{{left,right}}*.{{jpg,jpeg,png}}"):
        label = image.parent.name.lower()
        patient, _eye = re.findall("([0-9]+)_(left|right)", image.name.lower())[0]
        yield Sample(image, key=f"{label}/{image.name}", labels=[label], group=patient)
