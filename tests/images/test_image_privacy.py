"""Nothing that identifies anyone passes from a file into what is published of it."""

from __future__ import annotations

import io
import zlib

import nibabel
import numpy as np
import pydicom
import pytest
import tifffile
from nibabel.nifti1 import Nifti1Extension
from pictures import chunk, colours, dicom, encoded, gradient, jpeg_with, png_with, segment
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from med_mat.images import dropped, publish

NEEDLES = ("Roe^Jane", "1971-05-23", "MRN0042", "52.5200N")
TEXT = " ".join(NEEDLES)


def exif() -> bytes:
    block = Image.Exif()
    block[0x010E] = TEXT  # description
    block[0x013B] = TEXT  # artist
    block.get_ifd(0x8769)[0x927C] = TEXT.encode()  # maker note
    block.get_ifd(0x8825)[0x001B] = TEXT.encode()  # place
    return block.tobytes()


def profile() -> bytes:
    raw = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return raw.replace("sRGB built-in".encode("utf-16-be"), f"{NEEDLES[2]:13}".encode("utf-16-be"))


def jpeg() -> bytes:
    return (
        jpeg_with(
            encoded(colours(), "JPEG", exif=exif(), comment=TEXT.encode(), icc_profile=profile()),
            segment(0xE1, b"http://ns.adobe.com/xap/1.0/\x00<x>" + TEXT.encode("utf-16-le")),
            segment(0xED, b"Photoshop 3.0\x00" + TEXT.encode()),
            segment(0xE9, TEXT.encode()),
        )
        + TEXT.encode()
    )


def rotated_jpeg() -> bytes:
    block = Image.Exif()
    block[0x0112] = 6
    block[0x010E] = TEXT
    return encoded(colours(), "JPEG", exif=block.tobytes(), comment=TEXT.encode(), icc_profile=profile())


def png() -> bytes:
    texts = PngInfo()
    texts.add_text("Patient", TEXT)
    texts.add_text("Packed", TEXT, zip=True)
    texts.add_itxt("International", TEXT, zip=True)
    plain = encoded(colours(), "PNG", pnginfo=texts, exif=exif(), icc_profile=profile())
    return (
        png_with(plain, chunk(b"prVt", TEXT.encode()), chunk(b"tIME", b"\x07\xb3\x05\x17\x00\x00\x00")) + TEXT.encode()
    )


def transparent_png() -> bytes:
    texts = PngInfo()
    texts.add_text("Patient", TEXT)
    return encoded(np.dstack([colours(), gradient()]), "PNG", pnginfo=texts, exif=exif(), icc_profile=profile())


def deep_png() -> bytes:
    texts = PngInfo()
    texts.add_text("Patient", TEXT)
    return encoded(Image.fromarray(gradient().astype(np.uint16) * 99), "PNG", pnginfo=texts, exif=exif())


def tiff() -> bytes:
    out = io.BytesIO()
    tags = [(315, 2, 0, TEXT, True), (65000, 2, 0, TEXT, True), (700, 1, len(TEXT), TEXT.encode(), True)]
    tifffile.imwrite(out, colours(), photometric="rgb", description=TEXT, software=TEXT, extratags=tags)
    return out.getvalue()


def gif() -> bytes:
    return encoded(gradient(), "GIF", comment=TEXT.encode())


def webp() -> bytes:
    return encoded(colours(), "WEBP", exif=exif(), xmp=TEXT.encode(), icc_profile=profile())


def ppm() -> bytes:
    return b"P5\n# " + TEXT.encode() + b"\n32 24 255\n" + gradient().tobytes()


def bmp() -> bytes:
    return encoded(colours(), "BMP") + TEXT.encode()


def jpeg2000() -> bytes:
    return encoded(colours(64, 64), "JPEG2000", comment=TEXT)


def with_dicom_tags(data: bytes) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(data))
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = NEEDLES[0], NEEDLES[2], "19710523"
    dataset.ImageComments = TEXT
    private = dataset.private_block(0x0099, "MED-MAT TEST", create=True)
    private.add_new(0x01, "LO", TEXT)
    private.add_new(0x02, "UN", TEXT.encode())
    nested = pydicom.Dataset()
    nested.PatientName = NEEDLES[0]
    dataset.OtherPatientIDsSequence = pydicom.Sequence([nested])
    out = io.BytesIO()
    dataset.save_as(out)
    return out.getvalue() + TEXT.encode()


def gray_dicom() -> bytes:
    return with_dicom_tags(dicom(gradient(), WindowCenter=90, WindowWidth=80))


def colour_dicom() -> bytes:
    return with_dicom_tags(dicom(colours(), photometric="RGB"))


def nifti() -> bytes:
    image = nibabel.Nifti1Image(np.arange(99, dtype=np.int16).reshape(9, 11, 1), np.eye(4))
    image.header["descrip"] = TEXT
    image.header["db_name"] = NEEDLES[2]
    image.header.extensions.append(Nifti1Extension("comment", TEXT.encode()))
    data = image.to_bytes()
    assert isinstance(data, bytes)
    return data


FILES = [
    jpeg,
    rotated_jpeg,
    png,
    transparent_png,
    deep_png,
    tiff,
    gif,
    webp,
    ppm,
    bmp,
    jpeg2000,
    gray_dicom,
    colour_dicom,
    nifti,
]


def occurs(needle: str, data: bytes) -> bool:
    return any(needle.encode(code) in data for code in ("ascii", "utf-16-le", "utf-16-be"))


def unpacked(data: bytes) -> bytes:
    """A PNG file with what its compressed chunks other than pixels hold."""
    out = [data]
    at = 8
    while data.startswith(b"\x89PNG") and at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        name, payload = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        if name == b"iCCP":
            out.append(zlib.decompress(payload.split(b"\x00", 1)[1][1:]))
        at += length + 12
    return b"".join(out)


@pytest.mark.parametrize("make", FILES, ids=lambda make: make.__name__)
def test_planted_names_dates_and_numbers_do_not_come_through(make: object) -> None:
    assert callable(make)
    raw = make()
    assert occurs(NEEDLES[2], raw), "the test plants nothing"
    published = publish(raw)
    assert published.startswith((b"\x89PNG", b"\xff\xd8"))
    for needle in (*NEEDLES, "19710523", "Roe", "Jane"):
        assert not occurs(needle, unpacked(published)), needle
    with Image.open(io.BytesIO(published)) as image:
        image.load()
        assert not image.getexif()
        assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density", "icc_profile"}


@pytest.mark.parametrize("make", [make for make in FILES if make is not bmp], ids=lambda make: make.__name__)
def test_what_is_dropped_is_listed_without_its_content(make: object) -> None:
    assert callable(make)
    blocks = dropped(make())
    assert blocks
    assert all(block.size > 0 for block in blocks)
    assert not any(occurs(needle, block.name.encode()) for block in blocks for needle in NEEDLES)
