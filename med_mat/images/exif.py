"""The one EXIF tag that matters for a picture: its orientation."""

from __future__ import annotations

import struct

from PIL import Image

_ORIENTATION = 0x0112
_SHORT = 3

# EXIF 2.32, section 4.6.4: what undoes each orientation.
_UNDO: dict[int, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def orientation(tiff: bytes) -> int:
    """Read the orientation from an EXIF block.

    Args:
        tiff: The block from its byte-order mark (``II`` or ``MM``) on.

    Returns:
        1 to 8; 1 also where the block is damaged or silent, as viewers do.
    """
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return 1
    (at,) = struct.unpack_from(order + "I", tiff, 4)
    if at + 2 > len(tiff):
        return 1
    (count,) = struct.unpack_from(order + "H", tiff, at)
    for entry in range(at + 2, min(at + 2 + count * 12, len(tiff) - 11), 12):
        tag, kind, _, value = struct.unpack_from(order + "HHIH", tiff, entry)
        if tag == _ORIENTATION:
            return value if kind == _SHORT and value in _UNDO else 1
    return 1


def upright(image: Image.Image, value: int) -> Image.Image:
    """Apply an orientation (1 to 8) so that the picture stands as viewers show it."""
    return image.transpose(_UNDO[value]) if value in _UNDO else image
