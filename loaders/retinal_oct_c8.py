"""Retinal OCT C8: slices through the macula, one folder per split and disease."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import official_split
from med_mat.sample import Sample

CLASSES = "{AMD,CNV,CSR,DME,DR,DRUSEN,MH,NORMAL}"


def samples(raw: RawRoot) -> Iterator[Sample]:
    for image in raw.glob(f"{{train,val,test}}/{CLASSES}/*.{{jpg,jpeg,png}}"):
        split, label, _ = image.key.parts
        yield Sample(image, labels=[label.upper()], split=official_split(split))
