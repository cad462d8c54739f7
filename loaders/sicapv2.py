"""SICAPv2: patches of prostate biopsies, one column per Gleason grade in a training and a test sheet."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import csv_rows, official_split, sheet_rows
from med_mat.sample import Sample

GRADES = ["NC", "G3", "G4", "G5"]


def samples(raw: RawRoot) -> Iterator[Sample]:
    images = raw.find("images/*.jpg")
    patients = {row["slide_id"]: row["patient_id"] for row in rows(raw, "wsi_labels", ["slide_id", "patient_id"])}
    for part in ("Train", "Test"):
        for row in rows(raw, f"partition/Test/{part}", ["image_name", *GRADES]):
            name = row["image_name"]
            yield Sample(
                images[f"images/{name}"],
                labels=[grade for grade in GRADES if float(row[grade]) == 1],
                group=patients[name.split("_Block")[0]],
                split=official_split(part),
            )


def rows(raw: RawRoot, table: str, columns: list[str]) -> Iterator[dict[str, str]]:
    # Copies of the release turn its sheets into text.
    if raw.maybe(f"{table}.csv"):
        return csv_rows(raw, f"{table}.csv", columns=columns)
    return sheet_rows(raw, f"{table}.xlsx", columns=columns)
