"""COVID19, Pneumonia and Normal Chest X-ray PA Dataset: one folder of radiographs per class."""

import re
from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample

NIH_PATIENT = re.compile(r"(\d{8})_\d{3}\b")


def samples(raw: RawRoot) -> Iterator[Sample]:
    for image in raw.glob("{covid,normal,pneumonia}/*.{png,jpg,jpeg}"):
        label = image.parent.name.lower()
        nih = NIH_PATIENT.match(image.name)
        # Pictures of the public COVID-19 collection stand here scaled, the size behind the name.
        name = re.sub(r"-\d+x\d+$", "", image.stem)
        yield Sample(image, key=f"{label}/{image.name}", labels=[label], group=nih[1] if nih else name)
