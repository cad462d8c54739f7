"""Pediatric Chest X-ray Pneumonia: radiographs of children, one folder per split and class."""

import re
from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import official_split
from med_mat.sample import Sample

# person1_virus_6, IM-0115-0001, NORMAL2-IM-0421-0001-0002; in the renamed release VIRUS-1008087-0001.
PERSON_OR_STUDY = re.compile(r"^(?:person|(?:NORMAL2-)?[A-Z]+-)\d+")


def samples(raw: RawRoot) -> Iterator[Sample]:
    # The third release holds OCT images beside, whose folder NORMAL has names such as NORMAL-12494-1.
    for image in raw.glob("{train,val,test}/{NORMAL/{*IM-*,NORMAL-*-0*},PNEUMONIA/*}.{jpeg,jpg}"):
        split, label, name = image.key.parts
        yield Sample(
            image,
            # Names are unique, and a mirror has a val folder that the release has not.
            key=name,
            labels=[label.upper()],
            split=official_split(split),
            group=PERSON_OR_STUDY.findall(name)[0],
        )
