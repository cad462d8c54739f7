"""ICC profiles without words: the numbers that define the colours stay, names, dates and serial numbers go.

Profiles of displays and scanners name their owner's machine, so a profile is never passed on as it came. The
layout is that of ICC.1:2022, section 7.
"""

from __future__ import annotations

import struct

_HEADER = 128
_ENTRY = 12
_LARGEST = 4 << 20  # no profile that describes a screen or a scanner comes near

# Tags that define how numbers become colours, and the types that such tags may have: all numeric.
_COLOUR_TAGS = frozenset(
    b"A2B0 A2B1 A2B2 B2A0 B2A1 B2A2 bTRC bXYZ bkpt chad cicp gTRC gXYZ kTRC rTRC rXYZ wtpt".split()
)
_NUMERIC_TYPES = frozenset((b"XYZ ", b"curv", b"para", b"sf32", b"mft1", b"mft2", b"mAB ", b"mBA ", b"cicp"))


def clean(profile: bytes, space: bytes) -> bytes | None:
    """Rewrite a profile from its colour-defining numbers.

    The description and the copyright that every profile must have are replaced by fixed words; the header
    keeps version, class, colour spaces, rendering intent and illuminant, the rest of it is zero. Cleaning a
    clean profile changes nothing.

    Args:
        profile: The profile as found.
        space: Colour space of the picture: ``b"RGB "`` or ``b"GRAY"``.

    Returns:
        The cleaned profile; None if it is damaged or is for another colour space (viewers ignore such a
        profile).
    """
    if not _HEADER + 4 <= len(profile) <= _LARGEST or profile[36:40] != b"acsp" or profile[16:20] != space:
        return None
    (count,) = struct.unpack_from(">I", profile, _HEADER)
    if _HEADER + 4 + count * _ENTRY > len(profile):
        return None
    kept: dict[bytes, bytes] = {}
    for index in range(count):
        name, offset, size = struct.unpack_from(">4sII", profile, _HEADER + 4 + index * _ENTRY)
        if name not in _COLOUR_TAGS:
            continue
        value = profile[offset : offset + size]
        if len(value) != size or value[:4] not in _NUMERIC_TYPES:
            return None
        kept[name] = value
    if not kept:
        return None
    version4 = profile[8] >= 4
    kept[b"desc"] = _description(b"profile", version4)
    kept[b"cprt"] = _copyright(b"none", version4)
    return _assemble(_header(profile), kept)


def _header(profile: bytes) -> bytes:
    header = bytearray(_HEADER)
    header[8:24] = profile[8:24]  # version, class, colour space, connection space
    header[36:40] = b"acsp"
    header[64:80] = profile[64:80]  # rendering intent, illuminant
    return bytes(header)


def _assemble(header: bytes, tags: dict[bytes, bytes]) -> bytes:
    table = bytearray(struct.pack(">I", len(tags)))
    body = bytearray()
    start = _HEADER + 4 + len(tags) * _ENTRY
    placed: dict[bytes, int] = {}  # equal tags (often the three curves) share their bytes
    for name in sorted(tags):
        value = tags[name]
        if value not in placed:
            placed[value] = start + len(body)
            body += value + b"\x00" * (-len(value) % 4)
        table += struct.pack(">4sII", name, placed[value], len(value))
    size = struct.pack(">I", start + len(body))
    return size + header[4:] + bytes(table) + bytes(body)


def _description(text: bytes, version4: bool) -> bytes:
    if version4:
        return _multi_localised(text)
    return b"desc\x00\x00\x00\x00" + struct.pack(">I", len(text) + 1) + text + b"\x00" + bytes(4 + 4 + 2 + 1 + 67)


def _copyright(text: bytes, version4: bool) -> bytes:
    return _multi_localised(text) if version4 else b"text\x00\x00\x00\x00" + text + b"\x00"


def _multi_localised(text: bytes) -> bytes:
    words = text.decode("ascii").encode("utf-16-be")
    return b"mluc\x00\x00\x00\x00" + struct.pack(">II4sII", 1, 12, b"enUS", len(words), 28) + words
