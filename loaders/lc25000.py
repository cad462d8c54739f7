"""LC25000: augmented fields of lung and colon, one folder per class; a published table groups the copies."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import csv_rows
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    original_of = {
        row["stem"]: row["group_id"]
        for table in raw.glob("lc25000_image_groups.csv", optional=True)
        for row in csv_rows(raw, str(table.key), columns=["stem", "group_id"])
    }
    for image in raw.glob("{colon_aca,colon_n,lung_aca,lung_n,lung_scc}/*.{jpeg,jpg}"):
        yield Sample(image, labels=[image.parent.name], group=original_of.get(image.stem))
