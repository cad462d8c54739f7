"""Cataract dataset: fundus photographs, one folder for each of four states of the eye."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    for image in raw.glob("{1_normal,2_cataract,2_glaucoma,3_retina_disease}/*.{png,jpg,jpeg}"):
        yield Sample(image, labels=[image.parent.name])
