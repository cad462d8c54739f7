"""SICAPv2, masks: patches of prostate biopsies, listed in a training and a test sheet, and maps of their grades."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from med_mat.raw import RawRoot
from med_mat.readers import csv_rows, official_split, sheet_rows
from med_mat.sample import ClassMask, Sample

# As the files of version 2 have it; its readme speaks of 0, 1, 2 and 3.
GRADES = {0: None, 3: "G3", 4: "G4", 5: "G5"}


def samples(raw: RawRoot) -> Iterator[Sample]:
    images = raw.find("images/*.jpg")
    masks = raw.find("masks/*.png")
    patients = {row["slide_id"]: row["patient_id"] for row in rows(raw, "wsi_labels", ["slide_id", "patient_id"])}
    for part in ("Train", "Test"):
        for row in rows(raw, f"partition/Test/{part}", ["image_name", "NC"]):
            name = PurePosixPath(row["image_name"])
            yield Sample(
                images[f"images/{name}"],
                labels=["NC"] if float(row["NC"]) == 1 else [],
                group=patients[name.stem.split("_Block")[0]],
                split=official_split(part),
                regions=[ClassMask(masks[f"masks/{name.stem}.png"], GRADES)],
            )


def rows(raw: RawRoot, table: str, columns: list[str]) -> Iterator[dict[str, str]]:
    # Copies of the release turn its sheets into text.
    if raw.maybe(f"{table}.csv"):
        return csv_rows(raw, f"{table}.csv", columns=columns)
    return sheet_rows(raw, f"{table}.xlsx", columns=columns)
