"""BreaKHis: fields of breast tumors at four magnifications; the file name tells type, case and magnification."""

import string
from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    for image in raw.glob("SOB_[BM]_*-*-*-{40,100,200,400}-*.png"):
        tumor, year, slide, magnification, _ = image.stem.split("-")
        yield Sample(
            image,
            labels=[tumor.split("_")[2]],
            group=f"{year}-{slide.rstrip(string.ascii_letters)}",
            extra={"view": f"{magnification}x"},
        )
