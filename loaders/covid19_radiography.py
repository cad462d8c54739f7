"""COVID-19 Radiography Database: one folder of radiographs per class, in later versions with masks beside them."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    # Masks have the names of their films: of a class folder only images/ or its own files are films.
    for image in raw.glob("{COVID,COVID-19,NORMAL,Viral Pneumonia,Lung_Opacity}/{images/,}*.png"):
        yield Sample(image, key=image.name, labels=[image.key.parts[0].upper()])
