"""ISIC 2018 task 3: dermoscopic images joined to one table per split, or to HAM10000's for the training part."""

from collections.abc import Iterator

from med_mat.raw import RawFile, RawRoot
from med_mat.readers import csv_rows, official_split, text_lines
from med_mat.sample import Sample, Split

TABLES = ["ISIC2018_Task3_{Training,Validation,Test}_GroundTruth.{csv,tab}", "HAM10000_metadata{,.csv,.tab}"]
DIAGNOSES = ["MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"]
FACTS = {"age": "age", "sex": "sex", "site": "localization"}


def samples(raw: RawRoot) -> Iterator[Sample]:
    images = raw.find("ISIC_" + "[0-9]" * 7 + ".{jpg,jpeg}", by="stem")
    about: dict[str, dict[str, str]] = {
        row["image"]: row
        for table in raw.glob("ISIC2018_Task3_Training_LesionGroupings.csv", optional=True)
        for row in csv_rows(raw, str(table.key), columns=["image", "lesion_id"])
    }
    # A copy may hold the challenge's training table and HAM10000's, which name the same pictures.
    listed: dict[tuple[str, tuple[str, ...], Split], None] = {}
    for table in raw.glob(*TABLES):
        of_ham10000 = table.name.lower().startswith("ham10000")
        split = "train" if of_ham10000 else official_split(table.name.split("_")[2])
        for name, codes, row in rows(raw, table):
            listed[name, codes, split] = None
            about.setdefault(name, {}).update(row)
    for name, codes, split in listed:
        facts = about[name]
        yield Sample(
            images[name],
            codes,
            split=split,
            group=name.removeprefix("ISIC_"),
            ties=[lesion] if (lesion := facts.get("lesion_id")) else [],
            extra={fact: facts[column] for fact, column in FACTS.items() if column in facts},
        )


def rows(raw: RawRoot, table: RawFile) -> Iterator[tuple[str, tuple[str, ...], dict[str, str]]]:
    header = text_lines(raw, str(table.key))[0]
    if "dx" in header:
        # HAM10000's own tables have one column for the diagnosis, and tabs on Harvard Dataverse.
        columns = ["image_id", "lesion_id", "dx", *FACTS.values()]
        delimiter = "\t" if "\t" in header else ","
        for row in csv_rows(raw, str(table.key), columns=columns, delimiter=delimiter):
            yield row["image_id"], (row["dx"].upper(),), row
    else:
        for row in csv_rows(raw, str(table.key), columns=["image", *DIAGNOSES]):
            yield row["image"], tuple(code for code in DIAGNOSES if float(row[code]) == 1), {}
