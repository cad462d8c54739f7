"""ISIC 2019: dermoscopic images in one folder per split, each with a table of one column per diagnosis."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import csv_rows, official_split
from med_mat.sample import Sample

DIAGNOSES = ["MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK"]
FACTS = {"age": "age_approx", "sex": "sex", "site": "anatom_site_general"}


def samples(raw: RawRoot) -> Iterator[Sample]:
    images = raw.find("ISIC_" + "[0-9]" * 7 + "{,_downsampled}.{jpg,jpeg}", by="stem")
    about = {
        row["image"]: row
        for table in raw.glob("ISIC_2019_{Training,Test}_Metadata.csv", optional=True)
        for row in csv_rows(raw, str(table.key), columns=["image", *FACTS.values()])
    }
    for table in raw.glob("ISIC_2019_{Training,Test}_GroundTruth.csv"):
        split = official_split(table.name.split("_")[2])
        for row in csv_rows(raw, str(table.key), columns=["image", *DIAGNOSES]):
            name = row["image"]
            facts = about.get(name, {})
            yield Sample(
                images[name],
                labels=[code for code in DIAGNOSES if float(row[code]) == 1],
                split=split,
                group=name.removeprefix("ISIC_").removesuffix("_downsampled"),
                # The test part's table has no lesions.
                ties=[lesion] if (lesion := facts.get("lesion_id")) else [],
                extra={name: facts[column] for name, column in FACTS.items() if facts},
            )
