"""m2caiSeg: frames of laparoscopy in folders train, test and trainval, and masks of colors in folders beside them."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import ClassMask, Sample, Split

CLASSES = {
    (0, 0, 0): None,  # beyond the round picture of the endoscope
    (170, 0, 85): "unknown",
    (0, 85, 170): "grasper",
    (0, 85, 255): "bipolar",
    (0, 170, 85): "hook",
    (0, 170, 255): "hook",  # as some readers of the release have it
    (0, 255, 85): "scissors",
    (0, 255, 170): "clipper",
    (85, 0, 170): "irrigator",
    (85, 0, 255): "specimen-bag",
    (170, 85, 85): "trocars",
    (170, 170, 170): "clip",
    (85, 170, 0): "liver",
    (85, 170, 255): "gall-bladder",
    (85, 255, 0): "fat",
    (85, 255, 170): "upperwall",
    (170, 0, 255): "artery",
    (255, 0, 255): "intestine",
    (255, 255, 0): "bile",
    (255, 0, 0): "blood",
}

# The folder trainval repeats the others; what only it holds is the validation part.
SPLITS: dict[str, Split] = {"train": "train", "test": "test", "trainval": "validation"}


def samples(raw: RawRoot) -> Iterator[Sample]:
    masks = raw.find("{train,test,trainval}/groundtruth/*_gt.png")
    images = raw.glob("{train,test}/images/*.{jpg,jpeg}")
    known = {image.name for image in images}
    repeated = raw.glob("trainval/images/*.{jpg,jpeg}", optional=True)
    for image in [*images, *(image for image in repeated if image.name not in known)]:
        part = image.key.parts[0]
        yield Sample(
            image,
            split=SPLITS[part.lower()],
            # Other colors are mixtures at the borders of two classes.
            regions=[ClassMask(masks[f"{part}/groundtruth/{image.stem}_gt.png"], CLASSES, unnamed="background")],
        )
