"""Intel & MobileODT: photographs of the cervix, one folder per type in two parts, and a test part with a table."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import csv_rows
from med_mat.sample import Sample

TYPES = ["Type_1", "Type_2", "Type_3"]
# The organizers announced these for the training part; its archive has them in other folders.
ANNOUNCED = {"80.jpg": "Type_3", "968.jpg": "Type_1", "1120.jpg": "Type_1"}


def samples(raw: RawRoot) -> Iterator[Sample]:
    corrected = corrections(raw)
    for image in raw.glob("{train,additional,additional_Type_[123]_v2}/Type_[123]/*.{jpg,jpeg}"):
        part, folder, name = image.key.parts
        if part.lower() == "train":
            yield Sample(image, labels=[ANNOUNCED.get(name, folder)], split="train")
        else:
            key = f"additional/{folder}/{name}"
            yield Sample(image, key=key, labels=[corrected.get(name, folder)], split="train")
    tests = raw.find("test/*.{jpg,jpeg}")
    for row in rows(raw, "solution_stg1_release.csv", "image_name", *TYPES):
        types = [name for name in TYPES if row[name] == "1"]
        yield Sample(tests[f"test/{row['image_name']}"], labels=types, split="test")


def corrections(raw: RawRoot) -> dict[str, str]:
    """What the organizers did about additional pictures of the first release, no two of which share a name."""
    fixed = {row["filename"]: row["new_label"] for row in rows(raw, "fixed_labels_v2.csv", "filename", "new_label")}
    return fixed | {row["filename"]: "withdrawn" for row in rows(raw, "removed_files.csv", "filename")}


def rows(raw: RawRoot, table: str, *columns: str) -> Iterator[dict[str, str]]:
    for file in raw.glob(table, optional=True):
        yield from csv_rows(raw, str(file.key), columns=columns)
