"""ACRIMA: fundus crops around the optic disc, of which the file name tells glaucoma."""

import re
from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    # Copies sort the pictures into class folders of their own naming; names are unique and hold the class.
    for image in raw.glob("Im[0-9][0-9][0-9]{,_g}_ACRIMA.{jpg,jpeg,png}"):
        yield Sample(image, labels=[re.sub("[0-9]{3}", "###", image.stem)])
