"""TIFF: decoded by Pillow, where Pillow lacks the kind by tifffile; published as PNG.

Tag numbers are those of TIFF 6.0.
"""

from __future__ import annotations

import math
import struct
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
from PIL.TiffImagePlugin import TiffImageFile

from med_mat.errors import ImageError
from med_mat.images import exif, flatten, intensity
from med_mat.images.facts import Block, Prepared
from med_mat.images.guard import check_size, decoding, pick_frame, silenced

_BITS, _PHOTOMETRIC, _ORIENTATION, _PLANES = 258, 262, 274, 284
_SEPARATE = 2
_BIG = 43  # the version that BigTIFF states
_MAX_PAGES = 10_000
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2

# Tags that say how the pixels are stored; everything else is metadata.
_STRUCTURE = frozenset(
    (*range(254, 260), 262, *range(263, 267), 273, 274, *range(277, 282), 284, 317, 318, 319, 320)
).union((322, 323, 324, 325, 330, 338, 339, 347, 529, 530, 531, 532))


def prepare(data: bytes, frame: int | None) -> Prepared:
    """Decode one page; the first if none is named.

    Raises:
        ImageError: Damaged, too large, no such page, or of a kind that neither library reads.
    """
    _check_pages(data)
    opened = _open(data)
    if opened is None:
        return _by_tifffile(data, frame)
    with decoding("TIFF"):
        frames = int(opened.n_frames)
        wanted = pick_frame(frame, frames, "TIFF")
        if wanted:
            opened.seek(wanted)
        check_size(*opened.size)
        tags = opened.tag_v2
        photometric, bits = tags.get(_PHOTOMETRIC), max(tags.get(_BITS, (1,)))
        if bits > 8 and tags.get(_PLANES, 1) == _SEPARATE and len(tags[_BITS]) > 1:
            return _by_tifffile(data, wanted)  # Pillow 13 takes such planes for bytes and gives noise
        _check_strips(opened)
        with silenced():
            opened.load()  # Pillow applies the orientation tag here
    if opened.mode == "F" or opened.mode.startswith("I"):
        shown = intensity.to_8bit(np.asarray(opened))
        # Pillow inverts pictures of up to 8 bits itself.
        image = flatten.from_array(255 - shown if photometric == _WHITE_IS_ZERO else shown)
        return Prepared("TIFF", "tiff-deep", frames, image=image)
    rule = "tiff" if bits <= 8 else "tiff-deep-colour"
    return Prepared("TIFF", rule, frames, image=flatten.to_published(opened))


def count(data: bytes) -> int:
    """Pages of a file.

    Raises:
        ImageError: Damaged.
    """
    _check_pages(data)
    with decoding("TIFF"), tifffile.TiffFile(BytesIO(data)) as file:
        return len(file.pages)


def metadata(data: bytes) -> tuple[Block, ...]:
    """Tags that do not say how the pixels are stored, of the first page, and their sizes.

    Raises:
        ImageError: Damaged.
    """
    with decoding("TIFF"), tifffile.TiffFile(BytesIO(data)) as file:
        page: Any = file.pages[0]
        return tuple(
            Block(f"TIFF tag {tag.name}", int(tag.valuebytecount)) for tag in page.tags if tag.code not in _STRUCTURE
        )


def _check_pages(data: bytes) -> None:
    """Refuse more pages than a stack of slices can have: decoders look at all of them, in quadratic time."""
    order = "<" if data.startswith(b"II") else ">"
    (version,) = struct.unpack_from(order + "H", data, 2)
    # Where the first directory is told, how its entries are counted, their size, and how the next one is told.
    start, number, entry, pointer = (8, "Q", 20, "Q") if version == _BIG else (4, "H", 12, "I")
    try:
        (place,) = struct.unpack_from(order + pointer, data, start)
        for _ in range(_MAX_PAGES):
            if place == 0:
                return
            (entries,) = struct.unpack_from(order + number, data, place)
            place += struct.calcsize(order + number) + entries * entry
            (place,) = struct.unpack_from(order + pointer, data, place)
    except struct.error:
        return  # the decoder has a message for it
    raise ImageError(f"a TIFF file of more than {_MAX_PAGES} pages, or of pages that lead back to one another")


def _open(data: bytes) -> TiffImageFile | None:
    """The file opened by Pillow; None if Pillow does not know its kind of pixels or compression."""
    with decoding("TIFF"):
        try:
            return TiffImageFile(BytesIO(data))
        except (SyntaxError, KeyError):
            return None


def _check_strips(opened: TiffImageFile) -> None:
    """Refuse a page that lacks strips or tiles: Pillow would leave black what they should fill."""
    plain = [tile for tile in opened.tile if tile[0] == "raw"]  # libtiff, which reads all else, complains itself
    planes = len(opened.getbands()) if opened.tag_v2.get(_PLANES, 1) == _SEPARATE else 1
    places = [tile[1] or (0, 0, 0, 0) for tile in plain]
    covered = sum((right - left) * (lower - upper) for left, upper, right, lower in places)
    if plain and (covered < planes * opened.width * opened.height or not all(tile[2] for tile in plain)):
        raise ImageError("damaged TIFF file: some of its strips or tiles are not there; download it again")


def _by_tifffile(data: bytes, frame: int | None) -> Prepared:
    with decoding("TIFF"), tifffile.TiffFile(BytesIO(data)) as file:
        frames = len(file.pages)
        page: Any = file.pages[pick_frame(frame, frames, "TIFF")]
        check_size(int(page.imagewidth), int(page.imagelength))
        places = list(zip(page.dataoffsets, page.databytecounts, strict=False))
        if len(places) < math.prod(page.chunked) or any(
            not (offset > 0 and 0 < size <= len(data) - offset) for offset, size in places
        ):
            raise ImageError("damaged TIFF file: some of its strips or tiles are not there; download it again")
        photometric = int(page.photometric)
        separate = int(page.planarconfig) == _SEPARATE and page.samplesperpixel > 1
        array: npt.NDArray[Any] = page.asarray()
        orientation = int(page.tags.valueof(_ORIENTATION, 1))
    if separate:
        array = np.moveaxis(array, 0, -1)
    if array.ndim == 2 and array.dtype.kind in "iuf" and photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO):
        shown = intensity.to_8bit(array)
        image = flatten.from_array(255 - shown if photometric == _WHITE_IS_ZERO else shown)
        return Prepared("TIFF", "tiff-deep", frames, image=exif.upright(image, orientation))
    if array.ndim == 3 and array.shape[2] in (3, 4) and photometric == _RGB and array.dtype in ("u1", "u2"):
        deep = array.dtype == np.uint16
        image = flatten.from_array(intensity.high_byte(array[..., :3]) if deep else array[..., :3])
        rule = "tiff-deep-colour" if deep else "tiff"
        return Prepared("TIFF", rule, frames, image=exif.upright(image, orientation))
    raise ImageError(
        f"a TIFF page of shape {array.shape}, type {array.dtype}, photometric interpretation {photometric}: expected "
        "gray, or RGB of 8 or 16 bits; convert it to PNG first"
    )
