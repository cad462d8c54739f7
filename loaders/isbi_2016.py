"""ISIC 2016 (ISBI 2016) task 3: dermoscopic images in one folder per split, each with a table without header."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import csv_rows, official_split
from med_mat.sample import Sample

PART = "{,ISBI2016_ISIC_Part3_,ISBI2016_ISIC_Part3B_}"
COLUMNS = ["image", "label"]


def samples(raw: RawRoot) -> Iterator[Sample]:
    images = raw.find("ISIC_" + "[0-9]" * 7 + ".{jpg,jpeg}", by="stem")
    tables = raw.glob(PART + "{Training,Train,Test}_{GroundTruth,labels}.csv")
    # Part 3B repeats the rows of part 3, and a copy may hold both.
    rows = dict.fromkeys(
        (row["image"], row["label"], official_split(table.name.split("_")[-2]))
        for table in tables
        for row in csv_rows(raw, str(table.key), columns=COLUMNS, header=COLUMNS)
        # The official tables have no header, re-uploads have one.
        if row["image"].startswith("ISIC_")
    )
    for name, label, split in rows:
        yield Sample(images[name], labels=[label], split=split, group=name.removeprefix("ISIC_"))
