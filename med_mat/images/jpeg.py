"""JPEG: passed through without its metadata; rare kinds and rotated pictures become PNG.

The walk follows ITU-T T.81 (markers, annex B), JFIF 1.02, and the Exif, Adobe and ICC conventions for APPn
segments.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from med_mat.errors import ImageError
from med_mat.images import exif, flatten, icc, intensity
from med_mat.images.facts import Block, Prepared
from med_mat.images.guard import check_size, decoding, optional

_SOI, _EOI, _SOS, _COM = 0xD8, 0xD9, 0xDA, 0xFE
_JPEG_LS = 0xF7
_APP0, _APP1, _APP2, _APP13, _APP14, _APP15 = 0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xEF
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # start of frame; the others are tables
_STANDALONE = frozenset((0x01, *range(0xD0, 0xD8)))
_SHOWN_BY_BROWSERS = frozenset((0xC0, 0xC1, 0xC2))  # baseline, extended and progressive Huffman

_DEEP_BITS = 12
_DEEP_PROCESSES = frozenset((0xC1, 0xC2))  # extended and progressive Huffman

_MARKER = re.compile(rb"\xff([\x01-\xfe])")  # of fill bytes before it the last is taken: a run costs one pass
_SCAN_END = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")

_EXIF = b"Exif\x00"
_ICC = b"ICC_PROFILE\x00"
_ICC_PART = 65_533 - len(_ICC) - 2 - 14  # bytes of profile per segment
_MAX_SCANS = 100  # encoders write about ten; each costs a pass over all pixels, however few bytes it has
_JFIF_SIZE = 14
_ADOBE_SIZE = 12


@dataclass(frozen=True, slots=True)
class _Segment:
    marker: int
    start: int  # of the marker itself
    payload: int  # of what follows the length
    end: int  # of the segment; for a scan, of its entropy-coded data


@dataclass(frozen=True, slots=True)
class Stripped:
    """A JPEG file without metadata, and what its headers said.

    Attributes:
        data: The file: same tables, same frame, same entropy-coded bytes.
        dropped: What was left out.
        process: Marker of the frame, e.g. 0xC0 for baseline.
        bits: Bits per sample.
        width: Pixels of a row, as coded.
        height: Rows, as coded.
        channels: 1 gray, 3 colour, 4 CMYK.
        orientation: EXIF orientation, 1 to 8.
        icc: The cleaned profile that ``data`` holds.
    """

    data: bytes
    dropped: tuple[Block, ...]
    process: int
    bits: int
    width: int
    height: int
    channels: int
    orientation: int
    icc: bytes | None


def prepare(data: bytes) -> Prepared:
    """Decide what is published of a JPEG file.

    Raises:
        ImageError: Truncated, damaged, too large, or of a kind that no decoder at hand reads.
    """
    stripped = strip(data)
    if stripped.bits == _DEEP_BITS and stripped.process in _DEEP_PROCESSES:
        return _prepare_deep(stripped)
    if stripped.process not in _SHOWN_BY_BROWSERS or stripped.bits != 8:
        return Prepared("JPEG", "jpeg-rare", image=flatten.to_published(_decode_rare(stripped)))
    if stripped.channels == 4:
        return Prepared("JPEG", "jpeg-cmyk", image=flatten.to_published(decode(stripped.data)))
    if stripped.orientation != 1:
        image = exif.upright(decode(stripped.data), stripped.orientation)
        return Prepared("JPEG", "jpeg-rotated", image=flatten.clear_info(image), icc=stripped.icc)
    return Prepared("JPEG", "jpeg", encoded=stripped.data)


def twelve_bits(data: bytes) -> npt.NDArray[np.uint16]:
    """Decode lossy JPEG of 12 bits per sample, as DICOM and old scanners have it.

    Args:
        data: The whole JPEG file.

    Returns:
        Shape (H, W), or (H, W, 3) for colours; values 0 to 4095.

    Raises:
        ImageError: Truncated, damaged, or another kind of JPEG.
        DependencyError: The extra ``formats`` is not installed.
    """
    stripped = strip(data)
    if stripped.bits != _DEEP_BITS or stripped.process not in _DEEP_PROCESSES:
        raise ImageError(
            f"a JPEG file of frame type SOF{stripped.process - 0xC0} and {stripped.bits} bits per sample; expected "
            "lossy coding of 12 bits"
        )
    return _decode_deep(stripped)


def _decode_deep(stripped: Stripped) -> npt.NDArray[np.uint16]:
    if stripped.channels == 4:
        raise ImageError("a JPEG file of four ink channels and 12 bits, which is not read: convert it to PNG first")
    codecs = optional("imagecodecs", "formats", "a JPEG file of 12 bits per sample")
    with decoding("JPEG"):
        values: npt.NDArray[np.uint16] = codecs.jpeg8_decode(stripped.data)
    return values


def _prepare_deep(stripped: Stripped) -> Prepared:
    values = _decode_deep(stripped)
    if values.ndim == 2:
        image, rule = flatten.from_array(intensity.to_8bit(values)), "jpeg-deep"
    else:
        image, rule = flatten.from_array((values >> _DEEP_BITS - 8).astype(np.uint8)), "jpeg-deep-colour"
    if stripped.orientation != 1:
        image = flatten.clear_info(exif.upright(image, stripped.orientation))
    return Prepared("JPEG", rule, image=image)


def decode(data: bytes) -> Image.Image:
    """Decode a stripped JPEG file in full.

    Raises:
        ImageError: The file is damaged.
    """
    with decoding("JPEG"):
        image = JpegImageFile(BytesIO(data))
        image.load()
        return image


def _decode_rare(stripped: Stripped) -> Image.Image:
    try:
        return decode(stripped.data)
    except ImageError as error:
        raise ImageError(
            f"a JPEG file of a kind that is not read (frame type SOF{stripped.process - 0xC0}, {stripped.bits} bits "
            f"per sample): convert it to PNG first ({error})"
        ) from error


def strip(data: bytes) -> Stripped:
    """Drop all metadata without touching a coded pixel.

    Kept: tables, frame, scans, a JFIF header without thumbnail, the Adobe segment that says how colours are
    coded, and a cleaned ICC profile. Dropped: every other APPn segment (EXIF, XMP, IPTC, maker notes, further
    pictures), comments, and whatever lies between segments or after the end of the image.

    Raises:
        ImageError: The walk does not reach the end of the image, or the file lacks a frame or a scan.
    """
    segments = list(_walk(data))
    frame = _frame(data, segments)
    bits, height, width, channels = frame
    check_size(width, height)
    if channels not in (1, 3, 4):
        raise ImageError(f"a JPEG file of {channels} colour components; expected 1, 3 or 4")

    profile = _profile(data, segments, channels)
    profile_segments = _profile_segments(profile) if profile else b""
    out = [b"\xff\xd8"]
    dropped: list[Block] = []
    orientation = 0
    jfif_seen = profile_written = False
    position = 2
    for segment in segments:
        if segment.start > position:
            dropped.append(Block("bytes between JPEG segments", segment.start - position))
        position = segment.end
        marker, payload = segment.marker, data[segment.payload : min(segment.end, segment.payload + 64)]
        size = segment.end - segment.start
        if marker == _APP0 and payload.startswith(b"JFIF\x00") and len(payload) >= 12 and not jfif_seen:
            jfif_seen = True
            out.append(b"\xff\xe0\x00\x10" + payload[:12] + b"\x00\x00")
            if size > _JFIF_SIZE + 4:
                dropped.append(Block("JFIF thumbnail", size - _JFIF_SIZE - 4))
        elif marker == _APP14 and payload.startswith(b"Adobe") and len(payload) >= _ADOBE_SIZE:
            out.append(b"\xff\xee\x00\x0e" + payload[:_ADOBE_SIZE])
            if size > _ADOBE_SIZE + 4:
                dropped.append(Block("bytes behind the Adobe segment", size - _ADOBE_SIZE - 4))
        elif marker == _APP2 and payload.startswith(_ICC):
            if not profile_written:
                out.append(profile_segments)
                profile_written = True
            if not profile:
                dropped.append(Block("ICC profile", size))
            elif profile_segments != data[segment.start : segment.end]:
                dropped.append(Block("ICC profile (its words)", size))
        elif _APP0 <= marker <= _APP15 or marker == _COM:
            if marker == _APP1 and payload.startswith(_EXIF) and not orientation:
                orientation = exif.orientation(data[segment.payload + 6 : segment.end])
            dropped.append(Block(_name(marker, payload), size))
        elif marker in _STANDALONE:
            dropped.append(Block("stray JPEG marker", size))
        elif marker == _EOI:
            out.append(b"\xff\xd9")
        else:
            out.append(data[segment.start : segment.end])
    if position < len(data):
        dropped.append(Block("bytes after the end of the image", len(data) - position))
    return Stripped(
        data=b"".join(out),
        dropped=tuple(dropped),
        process=next(segment.marker for segment in segments if segment.marker in _FRAMES),
        bits=bits,
        width=width,
        height=height,
        channels=channels,
        orientation=orientation or 1,
        icc=profile,
    )


def _walk(data: bytes) -> Iterator[_Segment]:
    """Segments from the first after SOI to EOI inclusive."""
    position = 2
    while True:
        match = _MARKER.search(data, position)
        if match is None:
            raise ImageError(_truncated(data))
        marker, start = match[1][0], match.end() - 2
        if marker == _EOI:
            yield _Segment(marker, start, match.end(), match.end())
            return
        if marker == _SOI:
            raise ImageError("damaged JPEG file: a second image starts before the first has ended")
        if marker == _JPEG_LS:
            raise ImageError("a JPEG-LS file, which is not read outside DICOM: convert it to PNG first")
        if marker in _STANDALONE:
            yield _Segment(marker, start, match.end(), match.end())
            position = match.end()
            continue
        length = int.from_bytes(data[match.end() : match.end() + 2], "big")
        end = match.end() + length
        if end > len(data):
            raise ImageError(_truncated(data))
        if length < 2:
            raise ImageError(f"damaged JPEG file: a segment of {length} bytes at byte {start}")
        if marker == _SOS:
            stop = _SCAN_END.search(data, end)
            if stop is None:
                raise ImageError(_truncated(data))
            end = stop.start()
        yield _Segment(marker, start, match.end() + 2, end)
        position = end


def _truncated(data: bytes) -> str:
    return f"truncated JPEG file: the image does not end within its {len(data)} bytes; download it again"


def _frame(data: bytes, segments: list[_Segment]) -> tuple[int, int, int, int]:
    frames = [segment for segment in segments if segment.marker in _FRAMES]
    if len(frames) != 1 or not any(segment.marker == _SOS for segment in segments):
        raise ImageError(f"damaged JPEG file: {len(frames)} frame headers, expected one, and at least one scan")
    scans = sum(segment.marker == _SOS for segment in segments)
    if scans > _MAX_SCANS:
        raise ImageError(f"a JPEG file of {scans} scans is over the limit of {_MAX_SCANS} (decompression bomb)")
    payload = data[frames[0].payload : frames[0].end]
    if len(payload) < 6:
        raise ImageError("damaged JPEG file: the frame header is too short")
    return (
        payload[0],
        int.from_bytes(payload[1:3], "big"),
        int.from_bytes(payload[3:5], "big"),
        payload[5],
    )


def _profile(data: bytes, segments: list[_Segment], channels: int) -> bytes | None:
    parts: dict[int, bytes] = {}
    for segment in segments:
        payload = data[segment.payload : segment.end] if segment.marker == _APP2 else b""
        if payload.startswith(_ICC) and len(payload) > len(_ICC) + 2:
            parts.setdefault(payload[len(_ICC)], payload[len(_ICC) + 2 :])
    if not parts or channels == 4:
        return None
    return icc.clean(b"".join(parts[number] for number in sorted(parts)), b"GRAY" if channels == 1 else b"RGB ")


def _profile_segments(profile: bytes) -> bytes:
    parts = [profile[start : start + _ICC_PART] for start in range(0, len(profile), _ICC_PART)]
    return b"".join(
        b"\xff\xe2" + (2 + len(_ICC) + 2 + len(part)).to_bytes(2, "big") + _ICC + bytes((number, len(parts))) + part
        for number, part in enumerate(parts, start=1)
    )


def _name(marker: int, payload: bytes) -> str:
    if marker == _COM:
        return "JPEG comment"
    if marker == _APP1:
        if payload.startswith(_EXIF):
            return "EXIF"
        if payload.startswith(b"http://ns.adobe.com/x"):
            return "XMP"
    if marker == _APP0 and payload.startswith(b"JFXX"):
        return "JFIF thumbnail"
    if marker == _APP2 and payload.startswith(b"MPF\x00"):
        return "index of further pictures (MPF)"
    if marker == _APP13 and payload.startswith((b"Photoshop", b"Adobe_Photoshop")):
        return "IPTC / Photoshop"
    return f"APP{marker - _APP0}"
