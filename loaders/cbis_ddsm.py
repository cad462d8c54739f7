"""CBIS-DDSM: film mammograms in one folder per DICOM series; four tables with one row per abnormality."""

from collections.abc import Iterator

from med_mat.raw import Lookup, RawRoot
from med_mat.readers import csv_rows
from med_mat.sample import Sample, Split

COLUMNS = ["patient_id", "left or right breast", "image view", "pathology", "image file path"]
SPLITS: tuple[Split, ...] = ("train", "test")


def samples(raw: RawRoot) -> Iterator[Sample]:
    images = Lookup({str(file.parent): file for file in raw.glob("1.3.6.1.4.1.9590.*/*.jpg", optional=True)})
    for split in SPLITS:
        for kind in ("calc", "mass"):
            for series, rows in mammograms(raw, f"{kind}_case_description_{split}_set.csv").items():
                found = {row["pathology"] for row in rows}
                yield Sample(
                    images[series],
                    labels=["MALIGNANT"] if "MALIGNANT" in found else sorted(found),
                    split=split,
                    group=rows[0]["patient_id"],
                    extra={"laterality": rows[0]["left or right breast"], "view": rows[0]["image view"]},
                )


def mammograms(raw: RawRoot, table: str) -> dict[str, list[dict[str, str]]]:
    rows_of: dict[str, list[dict[str, str]]] = {}
    for row in csv_rows(raw, table, columns=COLUMNS):
        # <case>/<study>/<series>/000000.dcm; the JPEG stand in a folder of the series' name.
        rows_of.setdefault(row["image file path"].split("/")[2], []).append(row)
    return rows_of
