"""RFMiD 2.0: fundus photographs in three sets, each with a table of one column per finding."""

from collections.abc import Iterator

from med_mat.raw import Lookup, RawRoot
from med_mat.readers import csv_rows, official_split
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    for name, table in (("Training", "Training"), ("Validation", "Validation"), ("Test", "Testing")):
        images = photographs(raw, name)
        # The tables are not UTF-8: one header ends in a byte of Windows.
        rows = csv_rows(raw, f"RFMiD_2_{table}_labels.csv", columns=["ID", "WNL"], encoding="cp1252")
        for row in rows:
            number = row.pop("ID")
            yield Sample(
                images[number],
                labels=[finding for finding, value in row.items() if value == "1"],
                split=official_split(name),
                key=f"{name}_set/{number}",
            )


def photographs(raw: RawRoot, name: str) -> Lookup:
    # Copies call the folders Training_set, Training or Train; unpacked ones come before Training_set.zip.
    folders = f"{name}{{,_set,_set.zip}}" if name != "Training" else "Train{,ing,ing_set,ing_set.zip}"
    found = raw.glob(f"{folders}/*.jpg", optional=True)
    return Lookup({image.stem: image for image in reversed(found)})
