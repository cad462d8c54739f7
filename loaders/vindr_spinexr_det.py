"""VinDr-SpineXR, boxes: DICOM radiographs of the spine, a table with a row for each lesion for each split."""

from collections import defaultdict
from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import DICOM_OR_CONVERTED, csv_rows, official_split
from med_mat.sample import Region, Sample

CORNERS = ["xmin", "ymin", "xmax", "ymax"]


def samples(raw: RawRoot) -> Iterator[Sample]:
    # Names are unique over both splits, and people convert the files into folders of their own.
    images = raw.find(DICOM_OR_CONVERTED, by="stem")
    for split in ("train", "test"):
        films = defaultdict(list)
        for row in csv_rows(raw, f"annotations/{split}.csv", columns=["study_id", "image_id", "lesion_type", *CORNERS]):
            films[row["study_id"], row["image_id"]].append(row)
        for (study, name), rows in films.items():
            yield Sample(
                images[name],
                key=name,
                labels=["No finding"] if any(row["lesion_type"] == "No finding" for row in rows) else [],
                group=study,
                split=official_split(split),
                regions=[
                    Region(
                        row["lesion_type"],
                        (float(row["xmin"]), float(row["ymin"]), float(row["xmax"]), float(row["ymax"])),
                    )
                    for row in rows
                    if row["lesion_type"] != "No finding"
                ],
            )
