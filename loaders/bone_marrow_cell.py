"""Bone marrow cytomorphology: single cells, one folder per class, large ones cut into blocks of a thousand."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample

CLASSES = "ABE,ART,BAS,BLA,EBO,EOS,FGC,HAC,KSC,LYI,LYT,MMZ,MON,MYB,NGB,NGS,NIF,OTH,PEB,PLM,PMO"


def samples(raw: RawRoot) -> Iterator[Sample]:
    # Copies of the release drop the blocks, and no name occurs twice.
    for image in raw.glob(f"{{{CLASSES}}}/**/*.jpg"):
        yield Sample(image, labels=[image.key.parts[0]], key=image.name)
