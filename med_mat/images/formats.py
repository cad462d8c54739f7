"""The format of a file by its first bytes, and the messages for files that are no pictures."""

from __future__ import annotations

import re

from med_mat.errors import ImageError

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
    (b"BM", "BMP"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
    (b"\x1aE\xdf\xa3", "VIDEO"),  # Matroska, WebM
    (b"\x00\x00\x01\xba", "VIDEO"),  # MPEG program stream
    (b"\x00\x00\x01\xb3", "VIDEO"),  # MPEG video
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "VIDEO"),  # ASF, WMV
)

# What is found under an image's name in damaged or unfinished downloads.
_NOT_A_PICTURE: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "a Git LFS pointer: fetch the file itself (git lfs pull)"),
    (b"PK\x03\x04", "a zip archive: unpack it, or name the picture in it"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it"),
    (b"Rar!", "a rar archive: unpack it"),
    (b"%PDF", "a PDF document"),
)

_HTML = re.compile(rb"<(?:!doctype\s+html|html|head|body|script)", re.IGNORECASE)
_BOM = b"\xef\xbb\xbf"
_LOOKED_AT = 4_096  # bytes in which a page of text must begin
_DICOM_START = re.compile(rb"[\x02\x08]\x00[\x00-\x70]\x00", re.DOTALL)
_PPM = re.compile(rb"P[1-6][\s#]")

_NIFTI_MAGIC_AT = 344

_QUICKTIME = (b"ftyp", b"moov", b"mdat", b"wide")
_HEIF = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"mif2", b"msf1", b"avif", b"avis")


def sniff(data: bytes) -> str:
    """Name the format of a file by its content; the name of the file plays no part.

    Args:
        data: The whole file (or at least its first 512 bytes).

    Returns:
        One of the names listed at :class:`med_mat.images.Facts`, or ``GZIP`` for a gzip stream, which only
        NIfTI files use.

    Raises:
        ImageError: The file is empty or is none of these formats; the message says what it seems to be.
    """
    if not data:
        raise ImageError("the file is empty (0 bytes): download it again")
    if data[128:132] == b"DICM":
        return "DICOM"  # first, for the 128 bytes before it may imitate a TIFF file
    for magic, name in _MAGIC:
        if data.startswith(magic):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[:4] == b"RIFF" and data[8:12] == b"AVI ":
        return "VIDEO"
    if data[4:8] in _QUICKTIME and data[8:12] not in _HEIF:
        return "VIDEO"
    if _PPM.match(data):
        return "PPM"
    if data[_NIFTI_MAGIC_AT : _NIFTI_MAGIC_AT + 4] in (b"n+1\x00", b"ni1\x00") or data[4:8] == b"n+2\x00":
        return "NIFTI"
    if data.startswith(b"\x1f\x8b"):
        return "GZIP"
    raise_if_not_a_picture(data)
    if _DICOM_START.match(data):
        return "DICOM"
    raise ImageError(
        f"unknown kind of file: it starts with {data[:8].hex(' ')}; expected JPEG, PNG, TIFF, BMP, GIF, PGM/PPM, "
        "WebP, JPEG 2000, DICOM, NIfTI or a video"
    )


def raise_if_not_a_picture(data: bytes) -> None:
    """Say what a file is that is plainly no picture.

    Raises:
        ImageError: The file is a web page, a text, an archive, a HEIF picture or zeros only.
    """
    if _HTML.match(data[:_LOOKED_AT].lstrip().removeprefix(_BOM).lstrip()):
        raise ImageError("the file is an HTML page under an image's name (a failed download): download it again")
    for magic, name in _NOT_A_PICTURE:
        if data.startswith(magic):
            raise ImageError(f"the file is no picture but {name}")
    if data[4:8] == b"ftyp":
        raise ImageError("the file is a HEIF or AVIF picture, which is not read: convert it to PNG first")
    head = data[:512]
    if not head.strip(b"\x00") and not data.strip(b"\x00"):
        raise ImageError(f"the file is {len(data)} zero bytes (an unfinished download): download it again")
    if all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in head):
        raise ImageError("the file is text, no picture")
