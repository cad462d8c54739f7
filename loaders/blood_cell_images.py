"""Blood Cell Images: augmented smears in one folder per split and white cell, and the originals with a table."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import csv_rows
from med_mat.sample import Sample

# The originals of TEST and TEST_SIMPLE: the published recipe draws them from the table with a fixed seed.
# fmt: off
TEST_ORIGINALS = {
    1, 6, 13, 26, 29, 30, 39, 50, 55, 62, 67, 68, 76, 77, 82, 91, 93, 95, 104, 110, 126, 139, 142, 150, 158,
    163, 170, 175, 180, 183, 189, 192, 204, 211, 214, 215, 216, 223, 237, 243, 250, 252, 257, 263, 264, 270,
    272, 275, 287, 291, 298, 301, 309, 310, 319, 325, 326, 345, 351, 354, 355, 357, 360, 365, 377, 378, 387,
    390, 398, 402, 409,
}
# fmt: on
TEST_GROUP = "originals of TEST"


def samples(raw: RawRoot) -> Iterator[Sample]:
    for image in raw.glob("{TRAIN,TEST,TEST_SIMPLE}/*/*.{jpeg,jpg}"):
        part, label, _ = image.key.parts
        yield Sample(
            image,
            labels=[label],
            split="train" if part == "TRAIN" else "test",
            group=TEST_GROUP if part == "TEST_SIMPLE" else None,
        )
    # Copies of the augmented part alone come without table.
    if raw.maybe("labels.csv") is not None:
        yield from originals(raw)


def originals(raw: RawRoot) -> Iterator[Sample]:
    images = raw.find("BloodImage_[0-9]*.jpg", by="stem")
    for row in csv_rows(raw, "labels.csv", columns=["Image", "Category"]):
        yield Sample(
            images[f"BloodImage_{row['Image'].zfill(5)}"],
            labels=[name.strip() for name in row["Category"].split(",")],
            group=TEST_GROUP if int(row["Image"]) in TEST_ORIGINALS else None,
        )
