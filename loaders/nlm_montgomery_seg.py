"""Montgomery County Chest X-ray Set, masks: a folder for each lung holds masks under the names of the films."""

from collections.abc import Iterator
from dataclasses import replace

from med_mat.loaders import nlm_montgomery
from med_mat.raw import RawRoot
from med_mat.sample import BinaryMask, Sample

SIDES = ["leftMask", "rightMask"]


def samples(raw: RawRoot) -> Iterator[Sample]:
    masks = raw.find("{leftMask,rightMask}/MCUCXR_*.png")
    for film in nlm_montgomery.samples(raw):
        regions = [BinaryMask(masks[f"{side}/{film.image.name}"], side) for side in SIDES]
        yield replace(film, labels=[], regions=regions)
