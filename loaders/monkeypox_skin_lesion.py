"""Monkeypox Skin Lesion Dataset: photographs of rashes in two class folders, and a split given by copies of them."""

from collections.abc import Iterator

from med_mat.raw import RawFile, RawRoot
from med_mat.readers import official_split
from med_mat.sample import Sample

CLASSES = "{Monkey Pox,Monkeypox,Others,Non Monkeypox}"


def samples(raw: RawRoot) -> Iterator[Sample]:
    split_of = {
        patient(copy): official_split(copy.parent.parent.name)
        for copy in raw.glob("Fold1/{Train,Val,Test}/*/*.{jpg,jpeg,png}", optional=True)
    }
    for image in raw.glob(f"Original Images/{CLASSES}/*.{{jpg,jpeg,png}}"):
        yield Sample(
            image,
            # Names are unique, and copies of the release spell the folders in other ways.
            key=image.name,
            labels=[image.parent.name],
            split=split_of.get(patient(image)),
            group=patient(image),
        )


def patient(image: RawFile) -> str:
    # NM110_01 is a picture, NM110_01_05 an augmented copy of it.
    return image.stem.split("_")[0]
