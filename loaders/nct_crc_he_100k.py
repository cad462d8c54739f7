"""NCT-CRC-HE-100K and CRC-VAL-HE-7K: tiles of colorectal tissue, one archive per split, one folder per tissue."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    # Some archives hold the folder of their own name, some the classes at once.
    for image in raw.glob("{NCT-CRC-HE-100K,CRC-VAL-HE-7K}{,.zip}/*/*.tif"):
        wrapper, label, name = image.key.parts
        archive = wrapper.removesuffix(".zip")
        split = "test" if archive == "CRC-VAL-HE-7K" else "train"
        yield Sample(image, labels=[label], split=split, key=f"{archive}/{label}/{name}")
