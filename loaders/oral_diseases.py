"""Dental Condition Dataset: photographs of mouths, one folder per condition, which may hold originals and copies."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample

# "orignal" is the release's own spelling; a folder ends in a blank, of which some programs make an underscore.
ORIGINALS = {
    "Calculus": "Calculus",
    "Data caries": "Data caries/**/caries or*nal data set",
    "Gingivitis": "Gingivitis",
    "Mouth Ulcer": "Mouth Ulcer/**/ulcer original dataset",
    "Tooth Discoloration": "Tooth Discoloration{,?}/**/tooth discoloration original dataset",
    "hypodontia": "hypodontia",
}


def samples(raw: RawRoot) -> Iterator[Sample]:
    spelling = {label.lower(): label for label in ORIGINALS}
    for image in raw.glob(*(f"{folder}/**/*.{{jpg,jpeg,jfif,png,webp,gif,bmp}}" for folder in ORIGINALS.values())):
        label = spelling[image.key.parts[0].rstrip(" _").lower()]
        # Copies differ in how often folders are doubled; names are unique in a class.
        yield Sample(image, key=f"{label}/{image.name}", labels=[label])
