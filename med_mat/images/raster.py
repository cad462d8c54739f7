"""BMP, GIF, PGM/PPM, WebP and JPEG 2000: decoded by Pillow, published as PNG."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import BytesIO

import numpy as np
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.WebPImagePlugin import WebPImageFile

from med_mat.errors import ImageError
from med_mat.images import flatten, intensity
from med_mat.images.facts import Block, Prepared
from med_mat.images.guard import check_size, decoding, pick_frame

# The classes themselves, not Image.open: the format is known, and Image.open's limits belong to the whole
# process.
_OPENERS: dict[str, Callable[[BytesIO], ImageFile.ImageFile]] = {
    "BMP": BmpImageFile,
    "GIF": GifImageFile,
    "JPEG2000": Jpeg2KImageFile,
    "PPM": PpmImageFile,
    "WEBP": WebPImageFile,
}

FORMATS = frozenset(_OPENERS)

# Pillow fills what such a file leaves out byte by byte: a few kilobytes could keep it busy for a minute.
_MAX_RLE_PIXELS = 1 << 22

# Magic number, width, height and, except in bitmaps, the largest value; comments in between. The end of a comment is
# part of it, so that there is one way only to match.
_PPM_HEADER = re.compile(rb"P(?:[14](?:(?:\s|#[^\r\n]*[\r\n])+\d+){2}|[2356](?:(?:\s|#[^\r\n]*[\r\n])+\d+){3})")
_PPM_COMMENT = re.compile(rb"#[^\r\n]*")


def prepare(data: bytes, form: str, frame: int | None) -> Prepared:
    """Decode one frame of a file; the first if none is named.

    Args:
        data: The whole file.
        form: One of ``FORMATS``.
        frame: From 0; only GIF and WebP hold several.

    Raises:
        ImageError: Damaged, too large, or no such frame.
    """
    with decoding(form):
        image = _OPENERS[form](BytesIO(data))
        check_size(*image.size)
        if form == "BMP" and image.width * image.height > _MAX_RLE_PIXELS and image.tile[0][0] == "bmp_rle":
            raise ImageError(
                f"a run-length coded BMP of {image.width} x {image.height} is over the limit of {_MAX_RLE_PIXELS} "
                "pixels: convert it to PNG first"
            )
        frames = int(getattr(image, "n_frames", 1))
        wanted = pick_frame(frame, frames, form)
        if wanted:
            image.seek(wanted)
        image.load()
    rule = f"{form.lower()}-deep" if deep(image) else form.lower()
    return Prepared(form, rule, frames, image=to_8bit(image))


def count(data: bytes, form: str) -> int:
    """Frames of a file.

    Raises:
        ImageError: Damaged.
    """
    with decoding(form):
        return int(getattr(_OPENERS[form](BytesIO(data)), "n_frames", 1))


def metadata(data: bytes, form: str) -> tuple[Block, ...]:
    """Texts and binary blocks that the decoder finds beside the pixels, with their sizes.

    Raises:
        ImageError: Damaged.
    """
    if form == "PPM":
        header = _PPM_HEADER.match(data)
        comments = _PPM_COMMENT.findall(header[0]) if header else []
        return tuple(Block("PPM comment", len(comment)) for comment in comments)
    with decoding(form):
        info = _OPENERS[form](BytesIO(data)).info
    return tuple(
        Block(f"{form} {name}", len(value)) for name, value in sorted(info.items()) if isinstance(value, (bytes, str))
    )


def deep(image: Image.Image) -> bool:
    """Whether the picture is gray of more than 8 bits."""
    return image.mode == "F" or image.mode.startswith("I")


def to_8bit(image: Image.Image) -> Image.Image:
    """Publishable form of a decoded picture of any mode."""
    if deep(image):
        return flatten.from_array(intensity.to_8bit(np.asarray(image)))
    return flatten.to_published(image)
