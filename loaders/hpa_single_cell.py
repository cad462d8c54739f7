"""Human Protein Atlas, single cells: four channels a field, green being the protein; class numbers joined by '|'."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import csv_rows
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    # Files that are fetched one by one come in an archive each: the name alone tells the field.
    images = raw.find("*_green.png")
    for row in csv_rows(raw, "train.csv", columns=["ID", "Label"]):
        yield Sample(images[f"{row['ID']}_green.png"], labels=row["Label"].split("|"), split="train")
