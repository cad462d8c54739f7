"""ToxoFundus, raw part: fundus photographs, one folder per stage of ocular toxoplasmosis."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample

STAGES = "{active,active_active,active_inactive,healthy,inactive,inactive_inactive}"


def samples(raw: RawRoot) -> Iterator[Sample]:
    # Names begin with a digit; the processed part has a folder Healthy too, of other names.
    for image in raw.glob(f"{STAGES}/[0-9]*.jpg"):
        yield Sample(image, labels=[image.parent.name], group=image.stem)
