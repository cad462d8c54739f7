"""Digital Knee X-ray Images: crops of knees in one folder per Kellgren-Lawrence grade, as the first expert sees it."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    for image in raw.glob("MedicalExpert-I/{0Normal,1Doubtful,2Mild,3Moderate,4Severe}/*.png"):
        yield Sample(image, labels=[image.parent.name])
