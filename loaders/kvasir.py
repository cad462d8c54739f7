"""Kvasir: pictures from gastroscopy and colonoscopy, one folder per landmark, disease or stage of a removal."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample

CLASSES = ",".join(
    [
        "dyed-lifted-polyps",
        "dyed-resection-margins",
        "esophagitis",
        "normal-cecum",
        "normal-pylorus",
        "normal-z-line",
        "polyps",
        "ulcerative-colitis",
    ]
)


def samples(raw: RawRoot) -> Iterator[Sample]:
    for image in raw.glob(f"{{{CLASSES}}}/*.{{jpg,jpeg,png}}"):
        yield Sample(image, labels=[image.parent.name.lower()])
