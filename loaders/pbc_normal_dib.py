"""PBC dataset of normal peripheral blood cells: one cell a picture, one folder per kind."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample

KINDS = "basophil,eosinophil,erythroblast,ig,lymphocyte,monocyte,neutrophil,platelet"


def samples(raw: RawRoot) -> Iterator[Sample]:
    for image in raw.glob(f"{{{KINDS}}}/*.jpg"):
        yield Sample(image, labels=[image.parent.name])
