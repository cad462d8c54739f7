"""NCT-CRC-HE-100K and CRC-VAL-HE-7K: tiles of colorectal tissue, one archive per split, one folder per tissue."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    for image in raw.glob("{NCT-CRC-HE-100K,CRC-VAL-HE-7K}/*/*.tif"):
        archive, label, _ = image.key.parts
        yield Sample(image, labels=[label], split="test" if archive == "CRC-VAL-HE-7K" else "train")
