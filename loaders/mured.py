"""MuReD: fundus photographs of three older sets in one folder, and a table of findings for each split."""

import re
from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import csv_rows
from med_mat.sample import Sample, Split

# Copies call the second table test_data.csv; it is the same.
TABLES: list[tuple[str, Split]] = [("train_data.csv", "train"), ("{val,test}_data.csv", "validation")]
FINDINGS = ["DR", "NORMAL", "MH", "ODC", "TSLN", "ARMD", "DN", "MYA", "BRVO", "ODP"]
FINDINGS += ["CRVO", "CNV", "RS", "ODE", "LS", "CSR", "HTR", "ASR", "CRS", "OTHER"]


def samples(raw: RawRoot) -> Iterator[Sample]:
    images = raw.find("*.{png,tif,tiff,jpg,jpeg}", by="stem")
    for table, split in TABLES:
        for row in csv_rows(raw, table, columns=["ID", *FINDINGS]):
            yield Sample(
                images[row["ID"]],
                labels=[finding for finding in FINDINGS if float(row[finding]) == 1],
                split=split,
                group=aria_patient(row["ID"]),
            )


def aria_patient(name: str) -> str | None:
    # aria_c_25_1, aria_c_39_a_10 and (0001)aria_d_26 are patients c_25, c_39 and d_26.
    match = re.search("aria_[a-z]_[0-9]+", name)
    return match[0] if match else None
