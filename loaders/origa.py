"""ORIGA-light as Glaucoma Detection: fundus photographs, one folder per split and class, and a table of eyes."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import csv_rows, official_split
from med_mat.sample import Sample

LATERALITY = {"OD": "right", "OS": "left"}


def samples(raw: RawRoot) -> Iterator[Sample]:
    eyes = {
        row["Filename"]: LATERALITY.get(row["Eye"], row["Eye"])
        for table in raw.glob("glaucoma.csv", optional=True)
        for row in csv_rows(raw, str(table.key), columns=["Filename", "Eye", "Glaucoma"])
    }
    for image in raw.glob("{Train,Validation}/Glaucoma_{Negative,Positive}/*.{jpg,jpeg,png}"):
        yield Sample(
            image,
            key=image.name,
            labels=[image.parent.name],
            split=official_split(image.parent.parent.name),
            extra={"laterality": eyes.get(image.name, "")},
        )
