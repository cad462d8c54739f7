"""LC25000: augmented fields of lung and colon, one folder per class; a published table groups the copies."""

import string
from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import csv_rows
from med_mat.sample import Sample

# Copies differ in their folders, not in the names of the files.
CLASSES = {
    "colonca": "colon_aca",
    "colonn": "colon_n",
    "lungaca": "lung_aca",
    "lungn": "lung_n",
    "lungscc": "lung_scc",
}


def samples(raw: RawRoot) -> Iterator[Sample]:
    original_of = {
        row["stem"]: row["group_id"]
        for table in raw.glob("lc25000_image_groups.csv", optional=True)
        for row in csv_rows(raw, str(table.key), columns=["stem", "group_id"])
    }
    for image in raw.glob(f"{{{','.join(CLASSES)}}}[0-9]*.{{jpeg,jpg}}"):
        label = CLASSES[image.stem.rstrip(string.digits).lower()]
        yield Sample(image, key=f"{label}/{image.name}", labels=[label], group=original_of.get(image.stem))
