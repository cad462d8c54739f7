"""ChestX-Det, outlines: NIH radiographs under new numbers, one JSON per split with a ring for each finding."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import json_file
from med_mat.sample import Outline, Sample, Split

SPLITS: tuple[Split, ...] = ("train", "test")


def samples(raw: RawRoot) -> Iterator[Sample]:
    # The archives unpack to train/ or train_data/train/; numbers are unique over both splits.
    images = raw.find("[1-9]*.png")
    for split in SPLITS:
        for record in json_file(raw, f"ChestX_Det_{split}.json"):
            findings = zip(record["syms"], record["polygons"], strict=True)
            yield Sample(
                images[record["file_name"]],
                labels=[] if record["syms"] else ["[]"],
                split=split,
                regions=[Outline(name, [[(x, y) for x, y in ring]], "pixels") for name, ring in findings],
            )
