"""ChestX-Det: NIH radiographs under new numbers, one JSON per split with a finding for each outlined instance."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import json_file
from med_mat.sample import Sample, Split

SPLITS: tuple[Split, ...] = ("train", "test")


def samples(raw: RawRoot) -> Iterator[Sample]:
    # The archives unpack to train/ or train_data/train/; numbers are unique over both splits.
    images = raw.find("[1-9]*.png")
    for split in SPLITS:
        for record in json_file(raw, f"ChestX_Det_{split}.json"):
            findings = dict.fromkeys(record["syms"])
            yield Sample(images[record["file_name"]], labels=[*findings] or ["[]"], split=split)
