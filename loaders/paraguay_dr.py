"""Fundus photographs of a Paraguayan hospital, one numbered folder for each stage of diabetic retinopathy."""

import re
from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample

STAGES = "{No DR signs,{Mild (or early),Moderate,Severe,Very Severe} NPDR,{,Advanced }PDR}"


def samples(raw: RawRoot) -> Iterator[Sample]:
    # Versions differ in the case of the folders and in whether a number comes before the stage.
    for image in raw.glob(f"{{,[1-7].,[1-7]. }}{STAGES}/*.{{jpg,jpeg,png}}"):
        stage = re.sub("^[1-7][.] ?", "", image.parent.name.lower())
        yield Sample(image, key=f"{stage}/{image.name}", labels=[stage])
