"""VinDr-Mammo: DICOM mammograms by study, a table with a row for each finding and each picture without one."""

from ast import literal_eval
from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import DICOM_OR_CONVERTED, csv_rows, official_split
from med_mat.sample import Sample

COLUMNS = ["study_id", "image_id", "laterality", "view_position", "finding_categories", "split"]


def samples(raw: RawRoot) -> Iterator[Sample]:
    images = raw.find(DICOM_OR_CONVERTED, by="stem")
    rows = list(csv_rows(raw, "finding_annotations.csv", columns=COLUMNS))
    findings: dict[str, dict[str, None]] = {}
    for row in rows:
        # Written as Python writes a list: ['Suspicious Calcification', 'Mass'].
        categories = literal_eval(row["finding_categories"])
        findings.setdefault(row["image_id"], {}).update(dict.fromkeys(categories))
    for name, row in {row["image_id"]: row for row in rows}.items():
        yield Sample(
            images[name],
            key=name,
            labels=list(findings[name]),
            group=row["study_id"],
            split=official_split(row["split"]),
            extra={"view": row["view_position"], "laterality": row["laterality"]},
        )
