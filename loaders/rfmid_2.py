"""RFMiD 2.0: fundus photographs in three sets, each with a table of one column per finding."""

from collections.abc import Iterator

from med_mat.raw import Lookup, RawRoot
from med_mat.readers import csv_rows, official_split
from med_mat.sample import Sample

# Folders that copies of the release use for a set, and the set's word in the name of its table.
SETS = {
    "Training_set": ("{Training_set,Training,Train}", "Training"),
    "Validation_set": ("{Validation_set,Validation}", "Validation"),
    "Test_set": ("{Test_set,Test}", "Testing"),
}


def samples(raw: RawRoot) -> Iterator[Sample]:
    for name, (folders, word) in SETS.items():
        # Numbers tell pictures apart within a set only: tables name numbers that lie in another.
        images = Lookup({image.stem: image for image in raw.glob(f"{folders}/*.jpg", optional=True)})
        # The tables are not UTF-8: one header ends in a no-break space of Windows.
        for row in csv_rows(raw, f"RFMiD_2_{word}_labels.csv", columns=["ID", "WNL"], encoding="cp1252"):
            number = row.pop("ID")
            yield Sample(
                images[number],
                labels=[finding for finding, value in row.items() if value == "1"],
                split=official_split(name),
                key=f"{name}/{number}",
            )
