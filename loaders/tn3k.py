"""TN3K: ultrasound pictures of the thyroid in one folder per part, and JPEG masks of their nodules in another."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import official_split
from med_mat.sample import BinaryMask, Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    images = raw.find("{trainval,test}-image/[0-9]*.jpg")
    masks = raw.find("{trainval,test}-mask/[0-9]*.jpg")
    files = [*images.values(), *masks.values()]
    for part, name in sorted({(file.parent.name.lower().split("-")[0], file.name) for file in files}):
        yield Sample(
            images[f"{part}-image/{name}"],
            split=official_split(part.removesuffix("val")),
            regions=[BinaryMask(masks[f"{part}-mask/{name}"], "nodule", threshold=127)],
        )
