"""RIM-ONE DL: photographs of the optic disc, split by hospital, and a mask each of disc and cup in folders apart."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import official_split
from med_mat.sample import BinaryMask, Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    masks = raw.find("*-1-{Disc,Cup}-T.png")
    # The same pictures lie, split at random, in partitioned_randomly.
    for image in raw.glob("partitioned_by_hospital/{training_set,test_set}/{glaucoma,normal}/*.png"):
        yield Sample(
            image,
            key=image.name,
            split=official_split(image.key.parts[1]),
            regions=[
                BinaryMask(masks[f"{image.stem}-1-{part}-T.png"], part, threshold=127) for part in ("Disc", "Cup")
            ],
        )
