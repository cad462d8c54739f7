"""Fingerprints of a picture's pixels: one exact, one perceptual."""

from __future__ import annotations

import imagehash
import numpy as np
import xxhash
from PIL import Image

_PREVIEW = 128  # shorter side, in pixels, to which large pictures are averaged before the perceptual hash


def canonical(image: Image.Image) -> tuple[Image.Image, bytes]:
    """The picture in its plainest form and its bytes.

    Bilevel becomes 0 and 255, a palette is looked up, alpha is dropped (published alpha is opaque), and three
    equal channels become one.

    Args:
        image: A published picture, mode ``1``, ``L``, ``LA``, ``P``, ``RGB`` or ``RGBA``.

    Returns:
        The picture as ``L`` or ``RGB``, and its pixels row by row, channels side by side, one byte each, no
        padding.
    """
    if image.mode in ("1", "LA"):
        image = image.convert("L")
    elif image.mode in ("P", "RGBA"):
        image = image.convert("RGB")
    data = image.tobytes()
    if image.mode == "RGB" and _is_gray(data):
        image = image.getchannel(0)
        data = image.tobytes()
    return image, data


def _is_gray(data: bytes) -> bool:
    """Whether every pixel of packed RGB bytes has three equal values."""
    pixels = np.frombuffer(data, np.uint8).reshape(-1, 3)
    # Colour shows within the first rows of most pictures: stop at the first block that has some.
    block = 1 << 14
    for start in range(0, len(pixels), block):
        part = pixels[start : start + block]
        if not (np.array_equal(part[:, 0], part[:, 1]) and np.array_equal(part[:, 1], part[:, 2])):
            return False
    return True


def pixel_hash(image: Image.Image) -> str:
    """Exact fingerprint of the published pixels. Frozen: it never changes.

    It is XXH3-128 (seed 0) over the ASCII text ``f"{width}x{height}x{channels}:8"`` followed at once by the
    canonical bytes: rows from top to bottom, pixels from left to right, one byte per channel, no padding.
    ``channels`` is 1 (gray) or 3 (red, green, blue). Bilevel pictures count as gray with 0 and 255, palettes
    are looked up, alpha is dropped, and a picture whose three channels are equal in every pixel counts as
    gray. So the same picture stored as gray, RGB, RGBA or palette has one hash.

    Args:
        image: A published picture, see :func:`med_mat.images.pixels`.

    Returns:
        32 lower-case hex digits, big-endian as xxhash's ``hexdigest`` writes them.
    """
    return _exact(*canonical(image))


def perceptual_hash(image: Image.Image) -> str:
    """Fingerprint that survives scaling and recompression: ``imagehash.phash`` with its defaults (64 bits).

    A picture whose shorter side is at least 256 is first averaged in whole blocks of pixels to a shorter side
    of 128 to 255, then made gray; that is fast, and the same everywhere.

    Args:
        image: A published picture.

    Returns:
        16 lower-case hex digits; the Hamming distance of two is the number of bits that differ.
    """
    return _perceptual(canonical(image)[0])


def both_hashes(image: Image.Image) -> tuple[str, str]:
    """:func:`pixel_hash` and :func:`perceptual_hash` of one picture, sharing its canonical form."""
    plain, data = canonical(image)
    return _exact(plain, data), _perceptual(plain)


def _exact(plain: Image.Image, data: bytes) -> str:
    digest = xxhash.xxh3_128(f"{plain.width}x{plain.height}x{len(plain.getbands())}:8".encode("ascii"))
    digest.update(data)
    return digest.hexdigest()


def _perceptual(plain: Image.Image) -> str:
    factor = min(plain.size) // _PREVIEW
    if factor > 1:
        plain = plain.reduce(factor)
    return str(imagehash.phash(plain))
