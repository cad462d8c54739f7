"""CVC-ClinicDB: numbered frames of 29 colonoscopy videos, and a mask of the same name in a folder beside them."""

from bisect import bisect_right
from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import BinaryMask, Sample

# First frame of each video.
VIDEOS = [
    *(1, 26, 51, 68, 79, 104, 127, 152, 178, 200, 206, 228, 253, 278, 298),
    *(318, 343, 364, 384, 409, 429, 448, 467, 479, 504, 529, 547, 572, 592),
]


def samples(raw: RawRoot) -> Iterator[Sample]:
    masks = raw.find("Ground Truth/[0-9]*.{png,tif}")
    # A copy holds the frames as PNG too. Keys come sorted, so that the TIFF of a frame takes the place of its PNG.
    frames = {int(image.stem): image for image in raw.glob("Original/[0-9]*.{png,tif}")}
    for number, image in frames.items():
        yield Sample(
            image,
            key=f"Original/{number}.tif",
            group=str(bisect_right(VIDEOS, number)),
            regions=[BinaryMask(masks[f"Ground Truth/{image.name}"], "polyp", threshold=127)],
        )
