"""NIH ChestX-ray14: radiographs in twelve archives, a table with all findings of each, a list for each split."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import csv_rows, text_lines
from med_mat.sample import Sample, Split

TABLE = "Data_Entry_2017_v2020.csv"
OLDER_TABLE = "Data_Entry_2017.csv"
COLUMNS = ["Image Index", "Finding Labels", "Patient ID", "Patient Age", "Patient Gender", "View Position"]
LISTS: dict[str, Split] = {"train_val_list.txt": "train", "test_list.txt": "test"}


def samples(raw: RawRoot) -> Iterator[Sample]:
    # Every archive has a folder images/, in the mirror within a folder of its own; names are unique over all.
    images = raw.find("[0-9]*_[0-9]*.png")
    split_of = {name: split for file, split in LISTS.items() for name in text_lines(raw, file)}
    older = raw.maybe(OLDER_TABLE) and not raw.maybe(TABLE)
    for row in csv_rows(raw, OLDER_TABLE if older else TABLE, columns=COLUMNS):
        name = row["Image Index"]
        yield Sample(
            images[name],
            labels=row["Finding Labels"].split("|"),
            group=row["Patient ID"].zfill(8),
            split=split_of[name],
            extra={"age": row["Patient Age"], "sex": row["Patient Gender"], "view": row["View Position"]},
        )
