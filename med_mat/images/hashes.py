"""Fingerprints of a picture's pixels: one exact, one perceptual."""

from __future__ import annotations

import imagehash
import numpy as np
import numpy.typing as npt
import xxhash
from PIL import Image
from scipy.fft import dctn

_PREVIEW = 128  # shorter side, in pixels, to which large pictures are averaged before the perceptual hash

FREQUENCIES = 16
"""Frequencies along each axis that a fingerprint holds."""
FINGERPRINT_BYTES = FREQUENCIES * FREQUENCIES // 8
WINDOWS = ("whole", "trimmed", "inner 95%", "inner 90%", "inner 84%", "inner 78%")
"""Parts of a picture that have a fingerprint each: all of it, all but its plain margins, and centred windows."""
_INNER = (0.025, 0.05, 0.08, 0.11)  # what the centred windows leave out at each side, as a share of width and height
_GRID = 64  # pixels along each axis of the small picture that is transformed
_FLAT = 1.0  # standard deviation in gray levels below which a picture shows nothing
_PLAIN = 4.0  # standard deviation in gray levels of a line of a plain margin, at most
_MOST_MARGIN = 0.4  # share of width or height that a margin may take at each side

Box = tuple[float, float, float, float]


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


def fingerprints(image: Image.Image) -> bytes:
    """Fingerprints by which an audit finds copies that were scaled, recompressed, mirrored, turned or cropped.

    A fingerprint is the signs of the 16 x 16 lowest frequencies of a discrete cosine transform (type II) of the
    gray picture, scaled to 64 x 64 pixels: brightness and contrast cancel out. Mirroring a picture inverts the
    signs of odd frequencies, and transposing it transposes them, so the fingerprints of all eight orientations
    follow from one. There is one for each of ``WINDOWS``, so that a copy without its margins or with a strip cut
    off at each side is found too.

    Args:
        image: A published picture, see :func:`med_mat.images.pixels`.

    Returns:
        ``len(WINDOWS)`` times 32 bytes: row by row of vertical frequency, the lowest bit of the first byte is the
        mean, which is always 0. Empty for a picture that shows next to nothing (a standard deviation below one
        gray level): it would look like all others of its kind.
    """
    return _fingerprints(canonical(image)[0])


def all_hashes(image: Image.Image) -> tuple[str, str, bytes]:
    """:func:`pixel_hash`, :func:`perceptual_hash` and :func:`fingerprints` of one picture."""
    plain, data = canonical(image)
    return _exact(plain, data), _perceptual(plain), _fingerprints(plain)


def _exact(plain: Image.Image, data: bytes) -> str:
    digest = xxhash.xxh3_128(f"{plain.width}x{plain.height}x{len(plain.getbands())}:8".encode("ascii"))
    digest.update(data)
    return digest.hexdigest()


def _perceptual(plain: Image.Image) -> str:
    return str(imagehash.phash(_preview(plain)))


def _preview(plain: Image.Image) -> Image.Image:
    factor = min(plain.size) // _PREVIEW
    return plain.reduce(factor) if factor > 1 else plain


def _fingerprints(plain: Image.Image) -> bytes:
    gray = _preview(plain).convert("L")
    if float(np.asarray(gray).std()) < _FLAT:
        return b""
    return b"".join(_signs(gray, box) for box in windows(gray))


def windows(gray: Image.Image) -> list[Box]:
    """The parts of a picture that have a fingerprint each, in the order of ``WINDOWS``.

    Args:
        gray: A picture of mode ``L``.

    Returns:
        Boxes (left, top, right, bottom) in pixels.
    """
    width, height = gray.size
    inner = [(cut * width, cut * height, (1 - cut) * width, (1 - cut) * height) for cut in _INNER]
    return [(0.0, 0.0, float(width), float(height)), _without_margins(gray), *inner]


def _signs(gray: Image.Image, box: Box) -> bytes:
    small = gray.resize((_GRID, _GRID), Image.Resampling.BILINEAR, box=box)
    low = dctn(np.asarray(small, np.float64))[:FREQUENCIES, :FREQUENCIES]
    low[0, 0] = 0.0
    return np.packbits(low > 0, bitorder="little").tobytes()


def _without_margins(gray: Image.Image) -> Box:
    levels = np.asarray(gray)
    left, right = _margins(levels.T)
    top, bottom = _margins(levels)
    return float(left), float(top), float(gray.width - right), float(gray.height - bottom)


def _margins(lines: npt.NDArray[np.uint8]) -> tuple[int, int]:
    """Number of plain lines at the start and at the end."""
    busy = np.flatnonzero(lines.std(axis=1) > _PLAIN)
    most = int(_MOST_MARGIN * len(lines))
    if len(busy) == 0:
        return 0, 0
    return min(int(busy[0]), most), min(len(lines) - 1 - int(busy[-1]), most)
