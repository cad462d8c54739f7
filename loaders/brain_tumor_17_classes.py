"""Brain Tumor MRI Images 17 Classes: slices in one folder per diagnosis and MRI sequence, with Portuguese names."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample

FOLDER = "{Glioma,Meningioma,NORMAL,Neurocitoma,Other,Outros,Schwannoma}* {T1,T1C+,T2}"


def samples(raw: RawRoot) -> Iterator[Sample]:
    for image in raw.glob(f"{FOLDER}/*.{{jpeg,jpg,png}}"):
        folder = image.parent.name
        # Copies translate what stands between the first word and the sequence, and Outros into Other.
        diagnosis, *_, sequence = folder.replace("Other ", "Outros ").split()
        yield Sample(image, labels=[folder], key=f"{diagnosis} {sequence}/{image.name}")
