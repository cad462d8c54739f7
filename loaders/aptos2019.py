"""APTOS 2019: fundus photographs in one folder, and a table of grades of diabetic retinopathy."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import csv_rows
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    images = raw.find("train_images/" + "[0-9a-f]" * 12 + ".png", by="stem")
    for row in csv_rows(raw, "train.csv", columns=["id_code", "diagnosis"]):
        image = images[f"train_images/{row['id_code']}"]
        yield Sample(image, key=image.name, labels=[row["diagnosis"]], split="train")
