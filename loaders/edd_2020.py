"""EDD2020: endoscopic pictures, and one mask per picture and class with the class at the end of its name."""

from collections import defaultdict
from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import BinaryMask, Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    images = raw.find("originalImages/EDD2020_*.jpg")
    masks = defaultdict(list)
    for mask in raw.glob("masks/EDD2020_*_{BE,suspicious,HGD,cancer,polyp}.tif"):
        name, _, label = mask.stem.rpartition("_")
        masks[name].append(BinaryMask(mask, label))
    # Every picture has a mask: one without is left over, and the index reports it.
    for name, regions in masks.items():
        yield Sample(images[f"originalImages/{name}.jpg"], regions=regions)
