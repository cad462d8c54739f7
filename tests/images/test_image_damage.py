"""Files that cannot be published: each is refused with a reason that a person understands, and with nothing else."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import pytest
import tifffile
import xxhash
from pictures import chunk, colours, dicom, encoded, gradient
from pydicom.data import get_testdata_file

from med_mat.errors import ImageError
from med_mat.images import dropped, examine, frame_count, pixels, publish


@pytest.mark.parametrize("function", [examine, publish, pixels, frame_count, dropped])
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", r"empty \(0 bytes\)"),
        (bytes(5000), "5000 zero bytes"),
        (b"\n<!DOCTYPE html><html><body>404</body></html>", "HTML page"),
        (b"<HTML><head></head></HTML>", "HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "Git LFS"),
        (b"PK\x03\x04" + bytes(99), "zip archive"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(99), "7z archive"),
        (b"Rar!\x1a\x07\x00" + bytes(99), "rar archive"),
        (b"%PDF-1.7\n", "PDF"),
        (b"\x00\x00\x00\x18ftypmp42" + bytes(99), "video"),
        (b"RIFF\x00\x00\x00\x00AVI LIST", "video"),
        (b"\x1aE\xdf\xa3" + bytes(99), "video"),
        (b"\x00\x00\x00\x18ftypheic" + bytes(99), "HEIF or AVIF"),
        (b'{"error": "not found"}', "text"),
        (b"\x7fELF\x02\x01\x01" + bytes(99), "starts with 7f 45 4c 46"),
    ],
    ids=lambda value: value[:12].hex() if isinstance(value, bytes) else "",
)
def test_what_is_no_picture_is_named(function: object, data: bytes, reason: str) -> None:
    assert callable(function)
    with pytest.raises(ImageError, match=reason):
        function(data)


def header_of(width: int, height: int) -> bytes:
    start = b"\x89PNG\r\n\x1a\n"
    ihdr = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((1, 0, 0, 0, 0))
    return start + chunk(b"IHDR", ihdr) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def larger(data: bytes, mark: bytes, at: int, value: bytes) -> bytes:
    position = data.index(mark) + at
    return data[:position] + value + data[position + len(value) :]


def tiff(array: npt.NDArray[Any]) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, array, photometric="minisblack", description="Jane Roe")
    return out.getvalue()


BOMBS = {
    "PNG": header_of(60_000, 60_000),
    "JPEG": larger(encoded(gradient(), "JPEG"), b"\xff\xc0", 5, b"\xff\xff\xff\xff"),
    "BMP": larger(encoded(gradient(), "BMP"), b"BM", 18, (60_000).to_bytes(4, "little") * 2),
    "PPM": b"P5 60000 60000 255\n" + bytes(100),
    "GIF": larger(encoded(gradient(), "GIF"), b"GIF8", 6, b"\xff\xff\xff\xff"),
    # Tags 256 and 257 (width, height), each one LONG, little-endian.
    "TIFF": larger(
        larger(tiff(gradient()), b"\x00\x01\x04\x00\x01\x00\x00\x00", 8, b"\x60\xea\x00\x00"),
        b"\x01\x01\x04\x00\x01\x00\x00\x00",
        8,
        b"\x60\xea\x00\x00",
    ),
}


@pytest.mark.parametrize("form", BOMBS)
def test_pictures_that_no_reader_would_open_are_refused_before_they_are_decoded(form: str) -> None:
    with pytest.raises(ImageError, match="over the limit of 178956970 pixels"):
        examine(BOMBS[form])


def test_pictures_without_pixels() -> None:
    with pytest.raises(ImageError, match="no pixels"):
        examine(header_of(0, 5))


def packed_dicom() -> bytes:
    path = get_testdata_file("MR_small_jp2klossless.dcm", download=False)
    assert isinstance(path, str)
    return Path(path).read_bytes()


WHOLE = {
    "jpeg": encoded(colours(), "JPEG"),
    "progressive jpeg": encoded(colours(), "JPEG", progressive=True),
    "png": encoded(colours(), "PNG"),
    "gif": encoded(gradient(), "GIF"),
    "bmp": encoded(colours(), "BMP"),
    "ppm": encoded(colours(), "PPM"),
    "webp": encoded(colours(), "WEBP"),
    "jpeg 2000": encoded(colours(), "JPEG2000"),
    "tiff": encoded(colours(), "TIFF"),
    "lzw tiff": encoded(colours(), "TIFF", compression="tiff_lzw"),
    "float tiff": tiff(np.linspace(0, 1, 600).reshape(20, 30)),
    "dicom": dicom(gradient(), WindowCenter=90, WindowWidth=80),
    "jpeg 2000 in dicom": packed_dicom(),
    "nifti": nibabel.Nifti1Image(np.arange(99, dtype=np.int16).reshape(9, 11, 1), np.eye(4)).to_bytes(),
}
WHOLE["gzipped nifti"] = gzip.compress(WHOLE["nifti"], mtime=0)


def positions(data: bytes, salt: str, count: int) -> list[int]:
    return [xxhash.xxh3_64_intdigest(f"{salt}{index}".encode()) % len(data) for index in range(count)]


@pytest.mark.parametrize("name", WHOLE)
def test_cut_files_are_refused(name: str) -> None:
    whole = WHOLE[name]
    expected = examine(whole)
    for length in positions(whole, name, 40):
        try:
            examined = examine(whole[:length])
        except ImageError:
            continue
        # What follows the pixels may be missing: padding, an index, a trailer.
        assert examined.pixel_hash == expected.pixel_hash, length
        assert length > 0.8 * len(whole)


@pytest.mark.parametrize("name", WHOLE)
def test_damaged_files_raise_only_image_errors_and_print_nothing(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    whole = WHOLE[name]
    refused = 0
    for index, position in enumerate([*range(16), *positions(whole, name, 60)]):
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        if index % 3 == 0:
            damaged[position : position + 16] = b"Jane Roe 1971-05"
        for function in (examine, publish, frame_count, dropped):
            try:
                function(bytes(damaged))
            except ImageError:
                refused += 1
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "")
    assert refused > 0
