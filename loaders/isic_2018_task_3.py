"""ISIC 2018 task 3: dermoscopic images joined to one table per split, or to HAM10000's for the training part."""

from collections.abc import Iterator

from med_mat.raw import RawFile, RawRoot
from med_mat.readers import csv_rows, official_split, text_lines
from med_mat.sample import Sample

TABLES = ["ISIC2018_Task3_{Training,Validation,Test}_GroundTruth.{csv,tab}", "HAM10000_metadata{,.csv,.tab}"]
DIAGNOSES = ["MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"]
FACTS = {"age": "age", "sex": "sex", "site": "localization"}


def samples(raw: RawRoot) -> Iterator[Sample]:
    images = raw.find("ISIC_" + "[0-9]" * 7 + ".{jpg,jpeg}", by="stem")
    facts: dict[str, dict[str, str]] = {}
    # A copy may hold the challenge's training table and HAM10000's, which name the same pictures.
    listed = {}
    for table in raw.glob(*TABLES):
        of_ham10000 = table.name.lower().startswith("ham10000")
        split = "train" if of_ham10000 else official_split(table.name.split("_")[2])
        for name, codes, more in rows(raw, table):
            listed[name, codes, split] = None
            facts.setdefault(name, {}).update(more)
    for name, codes, split in listed:
        yield Sample(images[name], codes, split=split, group=name.removeprefix("ISIC_"), extra=facts[name])


def rows(raw: RawRoot, table: RawFile) -> Iterator[tuple[str, tuple[str, ...], dict[str, str]]]:
    header = text_lines(raw, str(table.key))[0]
    if "dx" in header:
        # HAM10000's own tables have one column for the diagnosis, and tabs on Harvard Dataverse.
        columns = ["image_id", "dx", *FACTS.values()]
        delimiter = "\t" if "\t" in header else ","
        for row in csv_rows(raw, str(table.key), columns=columns, delimiter=delimiter):
            yield row["image_id"], (row["dx"].upper(),), {name: row[column] for name, column in FACTS.items()}
    else:
        for row in csv_rows(raw, str(table.key), columns=["image", *DIAGNOSES]):
            yield row["image"], tuple(code for code in DIAGNOSES if float(row[code]) == 1), {}
