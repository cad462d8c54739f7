"""Malignant lymphoma: fields of lymph nodes, one folder per disease, numbered within each case."""

import re
from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    for image in raw.glob("{CLL,FL,MCL}/*.{tif,tiff}"):
        yield Sample(image, labels=[image.parent.name], group=re.sub(r"(-R\d+)?_\d+$", "", image.stem))
