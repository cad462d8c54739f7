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
STATES = {"1.0": "present", "0.0": "absent", "-1.0": "uncertain", "": "not mentioned"}


def samples(raw: RawRoot) -> Iterator[Sample]:
    images = raw.find("{train,valid}/patient*/study*/*.jpg")
    for split in ("train", "valid"):
        for row in csv_rows(raw, f"{split}.csv", columns=FACTS + OBSERVATIONS):
            # Mirrors leave out the folder with which every path begins.
            path = row["Path"].split("/")[-4:]
            state = {name: STATES[row[name]] for name in OBSERVATIONS}
            yield Sample(
                images["/".join(path)],
                labels=[name for name in OBSERVATIONS if state[name] == "present"] or [""],
                uncertain=[name for name in OBSERVATIONS if state[name] == "uncertain"],
                group=path[1],
                split=official_split(split),
                extra={"age": row["Age"], "sex": row["Sex"], "view": row["AP/PA"] or row["Frontal/Lateral"]},
            )
