"""Fitzpatrick 17k: photographs from two atlases, named by hash or by address, joined to one table."""

import re
from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import csv_rows
from med_mat.sample import Sample

COLUMNS = ["md5hash", "label", "nine_partition_label", "qc", "url_alphanum"]
SOUND = {"", "1 Diagnostic", "2 Characteristic", "5 Potentially"}


def samples(raw: RawRoot) -> Iterator[Sample]:
    # What is fetched from the addresses may have no extension.
    images = raw.find("[0-9a-f]" * 32 + "{,.jpg,.jpeg,.png}", "httpwww*", by="stem")
    for row in csv_rows(raw, "fitzpatrick17k.csv", columns=COLUMNS):
        by_hash, by_address = row["md5hash"], row["url_alphanum"].removesuffix(".jpg")
        found_as = by_hash if by_hash in images or by_address not in images else by_address
        yield Sample(
            images[found_as],
            labels=[row["nine_partition_label"] if row["qc"] in SOUND else row["qc"]],
            key=f"{by_hash}.jpg",
            group=f"{row['label']} {page(row['url_alphanum'])}",
        )


def page(address: str) -> str:
    # Pictures of a case bear neighbouring numbers on one page, and nothing tells where a case ends.
    return re.sub(r"\d*(jpg)?\.jpg$", "", address)
