"""ICPR HEp-2 cell images: cut-out cells beside their masks; contest of 2012 by tables, of 2014 by table or folders."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import csv_rows, official_split
from med_mat.sample import Sample

TABLES_2012 = "{training/gt_training,test/gt_test}.csv"
TABLE_2014 = "gt_training.csv"
FOLDERS_2014 = "{Centromere,Golgi,Homogeneous,Nucleolar,NuMem,Speckled}/{[0-9],[0-9]*[0-9]}.png"
# The contest's own list of cells: contest id, set, source image, intensity, then columns that are not used.
CELLS = ["id", "set", "image", "intensity", "5", "pattern", "7", "8"]


def samples(raw: RawRoot) -> Iterator[Sample]:
    tables = raw.glob(TABLES_2012, optional=True)
    for table in tables:
        yield from contest_2012(raw, str(table.key), table.parent.name)
    if not tables:
        yield from contest_2014(raw)


def contest_2012(raw: RawRoot, table: str, part: str) -> Iterator[Sample]:
    cells = raw.find(f"{part}/[0-9][0-9][0-9].png", by="stem")
    source_of = source_images(raw, part)
    for row in csv_rows(raw, table, columns=["ID", "pattern"], delimiter=";"):
        yield Sample(
            cells[f"{part}/{row['ID'].zfill(3)}"],
            labels=[row["pattern"]],
            split=official_split(part),
            group=source_of.get(int(row["ID"])),
        )


def source_images(raw: RawRoot, part: str) -> dict[int, str]:
    if raw.maybe("cells.csv") is None:
        return {}
    rows = csv_rows(raw, "cells.csv", columns=["set", "image"], delimiter=";", header=CELLS)
    return dict(enumerate((row["image"] for row in rows if row["set"] == part), 1))


def contest_2014(raw: RawRoot) -> Iterator[Sample]:
    if raw.maybe(TABLE_2014) is None:
        for cell in raw.glob(FOLDERS_2014):
            yield Sample(cell, labels=[cell.parent.name], key=cell.name)
        return
    cells = raw.find("[0-9][0-9][0-9][0-9][0-9].png", by="stem")
    for row in csv_rows(raw, TABLE_2014, columns=["Image ID", "Image class"]):
        yield Sample(cells[row["Image ID"].zfill(5)], labels=[row["Image class"]])
