"""Knee Osteoarthritis with Severity Grading: single knees in one folder per split and Kellgren-Lawrence grade."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import official_split
from med_mat.sample import Sample

KNEES = "{train,val,test}/[0-4]/[0-9]*.png"


def samples(raw: RawRoot) -> Iterator[Sample]:
    # The Mendeley record has every knee at two sizes, Kaggle's copy at the smaller one without a folder for it.
    for image in raw.glob(f"kneeKL224/{KNEES}", optional=True) or raw.glob(KNEES):
        split, grade, name = image.key.parts[-3:]
        yield Sample(
            image,
            labels=[grade],
            key=f"{split}/{grade}/{name}",
            group=name[:7],
            split=official_split(split),
            extra={"laterality": name[7]},
        )
