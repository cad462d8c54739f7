"""VinDr-SpineXR: DICOM radiographs of the spine, a table with a row for each lesion for each split."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import DICOM_OR_CONVERTED, csv_rows, official_split
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    # Names are unique over both splits, and people convert the files into folders of their own.
    images = raw.find(DICOM_OR_CONVERTED, by="stem")
    for split in ("train", "test"):
        lesions: dict[tuple[str, str], dict[str, None]] = {}
        for row in csv_rows(raw, f"annotations/{split}.csv", columns=["study_id", "image_id", "lesion_type"]):
            lesions.setdefault((row["study_id"], row["image_id"]), {})[row["lesion_type"]] = None
        for (study, name), types in lesions.items():
            yield Sample(images[name], key=name, labels=list(types), group=study, split=official_split(split))
