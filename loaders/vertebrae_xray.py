"""The vertebrae X-ray images: spines in one folder per disease, at their original size and at those of networks."""

import re
from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample

SPINES = "{Normal,Scol,Spond}{,Final}/*.{jpg,jpeg,png}"


def samples(raw: RawRoot) -> Iterator[Sample]:
    # A copy of one size only may lack the folder that tells the size.
    for image in raw.glob(f"ImagesOriginalSize/{SPINES}", optional=True) or raw.glob(SPINES):
        kind = image.parent.name.removesuffix("Final")
        number = re.match(r"N *(\d+)", image.name)
        # As in "N93, Rt TL AIS, F, 14 Yrs.jpg".
        person = re.search(r", *([MF]), *(\d+) *yrs", image.name, re.IGNORECASE)
        yield Sample(
            image,
            labels=[kind],
            key=f"{kind}/{image.name}",
            group=f"{kind}/{number[1]}" if number else None,
            extra={"sex": person[1], "age": person[2]} if person else {},
        )
