"""Endoscopic bladder tissue: frames of cystoscopies, one folder per class, joined to a table with the split."""

import re
from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import csv_rows, official_split
from med_mat.sample import Sample

NAME, TISSUE, SPLIT = "HLY", "tissue type", "sub_dataset"


def samples(raw: RawRoot) -> Iterator[Sample]:
    images = raw.find("{HGC,LGC,NST,NTL}/*.{png,jpg,jpeg}")
    split_of = {
        images[f"{row[TISSUE]}/{row[NAME]}"]: official_split(row[SPLIT])
        for row in csv_rows(raw, "annotations.csv", columns=[NAME, TISSUE, SPLIT])
    }
    # A frame that the table lacks has its class from the folder all the same.
    for image in dict.fromkeys([*split_of, *images.values()]):
        yield Sample(
            image,
            labels=[image.parent.name.upper()],
            split=split_of.get(image),
            # case_002_pt_003_frame_0009, case_6_cys_pt1_0039, cys_case_0_pt02_0115.
            group=re.findall(r"case_0*(\d+)_", image.name)[0],
        )
