"""ToxoFundus, processed part: enhanced fundus photographs, one folder for diseased and one for healthy eyes."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    for image in raw.glob("{Diseased,Healthy}/GG_*.jpg"):
        yield Sample(image, labels=[image.parent.name], group=image.stem.removeprefix("GG_"))
