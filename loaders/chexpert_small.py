"""CheXpert-v1.0-small: radiographs by patient and study, a table with fourteen observations for each split."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import csv_rows, official_split
from med_mat.sample import Sample

FACTS = ["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA"]
OBSERVATIONS = [
    *["No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema"],
    *["Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other"],
    *["Fracture", "Support Devices"],
]
# Uncertain and not mentioned are no findings, though not the same as absent.
PRESENT = {"1.0": True, "0.0": False, "-1.0": False, "": False}


def samples(raw: RawRoot) -> Iterator[Sample]:
    images = raw.find("{train,valid}/patient*/study*/*.jpg")
    for split in ("train", "valid"):
        for row in csv_rows(raw, f"{split}.csv", columns=FACTS + OBSERVATIONS):
            # Mirrors leave out the folder with which every path begins.
            path = row["Path"].split("/")[-4:]
            yield Sample(
                images["/".join(path)],
                labels=[name for name in OBSERVATIONS if PRESENT[row[name]]] or [""],
                group=path[1],
                split=official_split(split),
                extra={"age": row["Age"], "sex": row["Sex"], "view": row["AP/PA"] or row["Frontal/Lateral"]},
            )
