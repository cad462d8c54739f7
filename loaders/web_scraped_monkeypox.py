"""Web-scraped monkeypox images: photographs of rashes, one folder per disease below the originals."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample

CLASSES = "{monkeypox,chickenpox,smallpox,cowpox,measles,healthy}"


def samples(raw: RawRoot) -> Iterator[Sample]:
    for image in raw.glob(f"preprocessed_original_images/{CLASSES}/*.{{jpg,jpeg,jfif,png,webp,gif,bmp}}"):
        yield Sample(image, labels=[image.parent.name.lower()])
