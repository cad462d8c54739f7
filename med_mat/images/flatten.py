"""From whatever Pillow decodes to what may be published: gray or RGB, 8 bits, opaque."""

from __future__ import annotations

import numpy as np
from PIL import Image

_OPAQUE = 255


def has_alpha(image: Image.Image) -> bool:
    """Whether the picture has an alpha channel or a transparent colour, used or not."""
    return image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info


def alpha_in_use(image: Image.Image) -> bool:
    """Whether some pixel of a picture that has alpha is not fully opaque."""
    return _alpha(image).getextrema() != (_OPAQUE, _OPAQUE)


def opaque(image: Image.Image) -> Image.Image:
    """Lay the picture on white, as a web page does, and drop its alpha.

    Readers that ask for RGB get the colours under transparent pixels, which are mostly black: black strokes
    on a transparent ground would be a black picture. A picture that is transparent everywhere shows its
    colours instead, for then the alpha channel is an unused byte (32-bit BMP).

    Args:
        image: A picture for which :func:`has_alpha` holds.

    Returns:
        ``L`` for gray pictures with alpha, else ``RGB``.
    """
    alpha = _alpha(image)
    gray = image.mode in ("L", "LA", "La", "1")
    rgba = image.convert("RGBA")
    plain = rgba.getchannel(0) if gray else rgba.convert("RGB")
    if alpha.getextrema() == (0, 0):
        return plain
    ground = Image.new(plain.mode, plain.size, "white")
    ground.paste(plain, mask=alpha)
    return ground


def _alpha(image: Image.Image) -> Image.Image:
    return (image if "A" in image.getbands() else image.convert("RGBA")).getchannel("A")


def to_published(image: Image.Image) -> Image.Image:
    """Convert a decoded 8-bit picture of any mode to ``L`` or ``RGB``, without metadata.

    Args:
        image: Mode ``1``, ``L``, ``P``, ``RGB``, ``CMYK``, ``YCbCr``, ``LAB``, ``HSV`` or one of these with
            alpha. Pictures of more than 8 bits (``I;16``, ``I``, ``F``) go through
            :mod:`med_mat.images.intensity` first.
    """
    if has_alpha(image):
        return clear_info(opaque(image))
    if image.mode in ("1", "L"):
        return clear_info(image.convert("L"))
    return clear_info(image.convert("RGB"))


def clear_info(image: Image.Image) -> Image.Image:
    """Empty what Pillow remembers of the file, so that no encoder writes it back."""
    image.info = {}
    return image


def from_array(array: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Image.Image:
    """Picture of an 8-bit array of shape (height, width) or (height, width, 3)."""
    return Image.fromarray(np.ascontiguousarray(array))
