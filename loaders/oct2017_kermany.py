"""Kermany's OCT images: slices through the macula, one folder per split and class, patients in the file names."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import official_split
from med_mat.sample import Sample

CLASSES = ["CNV", "DME", "DRUSEN", "NORMAL"]


def samples(raw: RawRoot) -> Iterator[Sample]:
    # Numbers of pictures have no leading zero, unlike those of the chest radiographs that a release holds beside.
    patterns = [f"{{train,test,val}}/{name}/{name}-[0-9]*-[1-9]*.{{jpeg,jpg}}" for name in CLASSES]
    for image in raw.glob(*patterns):
        split, label, name = image.key.parts
        yield Sample(image, labels=[label.upper()], split=official_split(split), group=name.split("-")[1])
