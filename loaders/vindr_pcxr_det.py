"""VinDr-PCXR, boxes: DICOM radiographs of children, a table with a row for each finding for each split."""

from collections import defaultdict
from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import DICOM_OR_CONVERTED, csv_rows, official_split
from med_mat.sample import Region, Sample

CORNERS = ["x_min", "y_min", "x_max", "y_max"]


def samples(raw: RawRoot) -> Iterator[Sample]:
    # Names are unique over both splits, and people convert the files into folders of their own.
    images = raw.find(DICOM_OR_CONVERTED, by="stem")
    for split in ("train", "test"):
        films = defaultdict(list)
        for row in csv_rows(raw, f"annotations_{split}.csv", columns=["image_id", "class_name", *CORNERS]):
            films[row["image_id"]].append(row)
        for name, rows in films.items():
            yield Sample(
                images[name],
                key=name,
                labels=["No finding"] if any(row["class_name"] == "No finding" for row in rows) else [],
                split=official_split(split),
                regions=[
                    Region(
                        row["class_name"],
                        (float(row["x_min"]), float(row["y_min"]), float(row["x_max"]), float(row["y_max"])),
                    )
                    for row in rows
                    if row["class_name"] != "No finding"
                ],
            )
