"""Skin Cancer ISIC: dermoscopic images of the ISIC archive, one folder per split and kind of lesion."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import official_split
from med_mat.sample import Sample

CLASSES = ",".join(
    [
        "actinic keratosis",
        "basal cell carcinoma",
        "dermatofibroma",
        "melanoma",
        "nevus",
        "pigmented benign keratosis",
        "seborrheic keratosis",
        "squamous cell carcinoma",
        "vascular lesion",
    ]
)


def samples(raw: RawRoot) -> Iterator[Sample]:
    for image in raw.glob(f"{{Train,Test}}/{{{CLASSES}}}/ISIC_{'[0-9]' * 7}.{{jpg,jpeg}}"):
        split, label, _ = image.key.parts
        yield Sample(
            image,
            labels=[label.lower()],
            split=official_split(split),
            group=image.stem.removeprefix("ISIC_"),
        )
