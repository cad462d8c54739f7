"""Chest CT-Scan images: slices in one folder per split and kind of lung cancer."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import official_split
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    for image in raw.glob("{train,valid,val,validation,test}/*/*.{png,jpg,jpeg}"):
        folder, label, name = image.key.parts
        split = official_split(folder)
        # The folder of the validation split is called valid on Kaggle and val on Tianchi.
        yield Sample(image, labels=[label], split=split, key=f"{split}/{label}/{name}")
