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
        label = ANNOUNCED.get(name, folder) if part == "train" else corrected.get((name, folder), folder)
        yield Sample(image, labels=[label], split="train")
    tests = raw.find("test/*.{jpg,jpeg}")
    for table in raw.glob("solution_stg1_release.csv", optional=True):
        for row in csv_rows(raw, str(table.key), columns=["image_name", *TYPES]):
            found = [name for name in TYPES if row[name] == "1"]
            yield Sample(tests[f"test/{row['image_name']}"], labels=found, split="test")


def corrections(raw: RawRoot) -> dict[tuple[str, str], str]:
    """What became of additional pictures of the first release, by name and folder; no two of them share a name."""
    return {
        (row["filename"], row["old_label"]): row.get("new_label", "")
        for table in raw.glob("{fixed_labels_v2,removed_files}.csv", optional=True)
        for row in csv_rows(raw, str(table.key), columns=["filename", "old_label", "new_label"])
    }
