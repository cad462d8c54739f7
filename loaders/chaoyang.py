"""Chaoyang: patches of colon slides in a training and a test folder, each with a list of names and labels."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import json_file, official_split
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    images = raw.find("{train,test}/*-IMG*.jpg")
    # The repository's list repeats the labels of training beside the votes behind them.
    training = raw.maybe("train.json") or raw.one("train_label.json")
    for table in [training, *raw.glob("test.json", optional=True)]:
        for patch in json_file(raw, str(table.key)):
            image = images[patch["name"]]
            yield Sample(
                image,
                labels=[str(patch["label"])],
                group=image.stem.split("-IMG")[0],
                split=official_split(image.parent.name),
            )
