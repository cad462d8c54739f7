"""CoronaHack Chest X-Ray: flat train and test folders, and a table that names the kind of pneumonia."""

import re
from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import csv_rows, official_split
from med_mat.sample import Sample

KIND = ["Label", "Label_1_Virus_category", "Label_2_Virus_category"]


def samples(raw: RawRoot) -> Iterator[Sample]:
    images = raw.find("{train,test}/*.{jpeg,jpg,png}")
    columns = ["X_ray_image_name", "Dataset_type", *KIND]
    for row in csv_rows(raw, "Chest_xray_Corona_Metadata.csv", columns=columns):
        name, split = row["X_ray_image_name"], row["Dataset_type"]
        yield Sample(
            images[f"{split.lower()}/{name}"],
            key=name,
            labels=[" / ".join(row[column] for column in KIND)],
            split=official_split(split),
            group=person_or_figure(name),
        )


def person_or_figure(name: str) -> str:
    kermany = re.match(r"person\d+|(NORMAL2-)?IM-\d+", name)
    # The other names are those of figures of articles: kjr-21-e24-g001-l-a, …-Fig9c-day27, …main.pdf-002-a1.
    figure = re.sub(r"(?<=\d)[a-d]\b|(-\d{3})?(-[a-z]\d?)*(-day\d+)?$", "", name.rpartition(".")[0])
    return kermany[0] if kermany else figure
