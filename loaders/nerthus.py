"""Nerthus: frames of colonoscopy videos, one folder per score of bowel preparation."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    for frame in raw.glob("[0-3]/bowel_[0-9]*_score_*.{jpg,jpeg,png}"):
        # The score in a name is not to be trusted, the video's number is.
        yield Sample(frame, labels=[frame.parent.name], group=frame.stem.split("_")[1])
