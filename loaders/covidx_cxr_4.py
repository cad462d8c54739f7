"""COVIDx CXR-4: one folder of radiographs per split, each listed in a text file without header."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import csv_rows, official_split
from med_mat.sample import Sample

COLUMNS = ["patient", "name", "class", "origin"]


def samples(raw: RawRoot) -> Iterator[Sample]:
    images = raw.find("{train,val,test}/*.{png,jpg,jpeg}")
    for listing in raw.glob("{train,val,test}.txt"):
        for row in csv_rows(raw, str(listing.key), columns=COLUMNS, header=COLUMNS, delimiter=" "):
            # Patient numbers are those of each origin; rsna is misspelt now and then.
            origin = row["origin"].replace("rnsa", "rsna")
            yield Sample(
                images[f"{listing.stem}/{row['name']}"],
                labels=[row["class"]],
                split=official_split(listing.stem),
                group=f"{origin} {row['patient']}",
            )
