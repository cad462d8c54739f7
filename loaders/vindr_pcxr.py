"""VinDr-PCXR: DICOM radiographs of children, a table with a column for each disease for each split."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import DICOM_OR_CONVERTED, csv_rows, official_split
from med_mat.sample import Sample

DISEASES = [
    *["No finding", "Bronchitis", "Brocho-pneumonia", "Other disease", "Bronchiolitis", "Situs inversus"],
    *["Pneumonia", "Pleuro-pneumonia", "Diagphramatic hernia", "Tuberculosis", "Congenital emphysema", "CPAM"],
    *["Hyaline membrane disease", "Mediastinal tumor", "Lung tumor"],
]
PRESENT = {"1": True, "1.0": True, "0": False, "0.0": False}


def samples(raw: RawRoot) -> Iterator[Sample]:
    # Names are unique over both splits, and people convert the files into folders of their own.
    images = raw.find(DICOM_OR_CONVERTED, by="stem")
    for split in ("train", "test"):
        for row in csv_rows(raw, f"image_labels_{split}.csv", columns=["image_id", *DISEASES]):
            yield Sample(
                images[row["image_id"]],
                key=row["image_id"],
                labels=[name for name in DISEASES if PRESENT[row[name]]] or [""],
                split=official_split(split),
            )
