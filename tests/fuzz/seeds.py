"""Whole files of every kind that the package reads: what fuzzing starts from. All drawn, or packaged with a library."""

from __future__ import annotations

import gzip
import io
import json
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import cv2
import imagecodecs
import nibabel
import numpy as np
import openpyxl
import pydicom.data
import tifffile
from PIL import Image

TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "images")]

from pictures import chunk, colours, dicom, encoded, gradient, jpeg_with, orientation_tag, png_with, segment  # noqa: E402 - beside the tests

LARGEST = 60_000  # bytes; mutation of larger files mostly hits pixels


def jpegs() -> Iterator[bytes]:
    plain = encoded(colours(), "JPEG")
    yield imagecodecs.jpeg8_encode(gradient().astype(np.uint16) << 4, level=90, bitspersample=12)
    yield plain
    yield encoded(gradient(), "JPEG", progressive=True)
    yield encoded(Image.fromarray(colours()).convert("CMYK"), "JPEG")
    profile = b"ICC_PROFILE\x00\x01\x01" + bytes(200)
    exif = segment(0xE1, b"Exif\x00\x00" + orientation_tag(6))
    yield jpeg_with(plain, exif, segment(0xE2, profile), segment(0xFE, b"comment"))


def pngs() -> Iterator[bytes]:
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        yield encoded(Image.fromarray(gradient()).convert(mode), "PNG")
    extra = (chunk(b"eXIf", orientation_tag(3)), chunk(b"tEXt", b"a\x00b"), chunk(b"gAMA", bytes(4)))
    yield png_with(encoded(colours(), "PNG"), *extra, chunk(b"tRNS", bytes(6)))


def tiffs() -> Iterator[bytes]:
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits"):
        yield encoded(colours(), "TIFF", compression=compression)
    yield encoded(Image.fromarray(gradient()).convert("1"), "TIFF", compression="group4")
    deep = np.arange(24 * 32, dtype=np.uint16).reshape(24, 32)
    arrays = (deep, deep.astype(np.float32), np.stack([deep] * 3, -1), np.stack([deep.astype(np.uint8)] * 3))
    for array in arrays:
        for options in ({}, {"bigtiff": True}, {"tile": (16, 16)}):
            out = io.BytesIO()
            kind = "rgb" if array.ndim == 3 else "minisblack"
            tifffile.imwrite(out, array, photometric=kind, **options)
            yield out.getvalue()
    out = io.BytesIO()
    pages = [Image.fromarray(gradient()), Image.fromarray(colours())]
    pages[0].save(out, "TIFF", save_all=True, append_images=pages[1:])
    yield out.getvalue()


def rasters() -> Iterator[bytes]:
    frames = [Image.fromarray(gradient() + np.uint8(step)) for step in range(3)]
    for form in ("GIF", "WEBP"):
        yield encoded(frames[0], form, save_all=True, append_images=frames[1:])
    yield encoded(colours(), "BMP")
    yield encoded(Image.fromarray(gradient()).convert("P"), "BMP")
    # 8-bit run-length coded BMP of 4 x 2 pixels.
    runs = b"\x04\x01\x00\x00\x02\x02\x00\x02\x01\x00\x00\x04\x01\x02\x03\x04\x00\x01"
    header = b"\x28\x00\x00\x00\x04\x00\x00\x00\x02\x00\x00\x00\x01\x00\x08\x00\x01\x00\x00\x00" + bytes(12)
    body = header + b"\x10\x00\x00\x00\x00\x00\x00\x00" + bytes(range(64)) + runs
    yield b"BM" + (14 + len(body)).to_bytes(4, "little") + bytes(4) + (14 + 40 + 64).to_bytes(4, "little") + body
    yield encoded(colours(), "PPM")
    yield b"P2 # plain\n3 2 300\n1 2 3\n4 5 299\n"
    yield b"P1\n4 2\n0101\n1010\n"
    yield b"P5 4 2 65535\n" + bytes(range(16))
    yield encoded(colours(), "JPEG2000")
    yield encoded(gradient(), "JPEG2000", no_jp2=True)


def dicoms() -> Iterator[bytes]:
    yield dicom(gradient(), WindowCenter=90, WindowWidth=80)
    yield dicom(np.stack([gradient()] * 3).astype(np.int16), frames=3, RescaleSlope=2, RescaleIntercept=-1024)
    yield dicom(colours(), photometric="RGB")
    yield dicom(gradient())[132:]
    for path in sorted((Path(pydicom.data.__file__).parent / "test_files").glob("**/*")):
        if path.is_file() and path.stat().st_size < LARGEST and path.suffix in ("", ".dcm"):
            yield path.read_bytes()


def niftis() -> Iterator[bytes]:
    voxels = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
    for array in (voxels, voxels.astype(np.float32), np.stack([voxels] * 2, -1).astype(np.uint8)):
        for kind in (nibabel.Nifti1Image, nibabel.Nifti2Image):
            data = kind(array, np.diag([-1, 1, 2, 1])).to_bytes()
            yield data
            yield gzip.compress(data, mtime=0)


def films() -> Iterator[bytes]:
    frames = [np.full((16, 24, 3), (9 * number, 60, 200), np.uint8) for number in range(4)]
    kinds = {"avi": "MJPG", "mp4": "mp4v", "mkv": "FFV1", "webm": "VP80", "mov": "png ", "mpg": "PIM1"}
    with tempfile.TemporaryDirectory() as folder:
        for suffix, code in kinds.items():
            path = Path(folder) / f"film.{suffix}"
            writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*code), 25, (24, 16))
            for frame in frames:
                writer.write(frame)
            writer.release()
            yield path.read_bytes()


def archives() -> Iterator[bytes]:
    """One byte that names the kind (see ``targets.KINDS``), then the archive."""
    tree = {"Training/glioma/a.jpg": b"first" * 50, "Testing/no tumor/é.png": b"", "labels.csv": b"a,b\n1,2\n"}
    inner = _zipped(tree, zipfile.ZIP_DEFLATED)
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        yield b"\x00" + _zipped(tree, method)
    yield b"\x00" + _zipped({"x/inner.zip": inner, "b.tar.gz": _tarred(tree, "w:gz")}, zipfile.ZIP_STORED)
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        yield b"\x01" + _tarred({**tree, "long/" * 30 + "x.png": b"x"}, "w", form)
    for number, mode in ((2, "w:gz"), (3, "w:bz2"), (4, "w:xz")):
        yield bytes((number,)) + _tarred({**tree, "inner.zip": inner}, mode)


def _zipped(tree: Mapping[str, bytes], method: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for path, data in tree.items():
            archive.writestr(zipfile.ZipInfo(path), data, method)
    return stream.getvalue()


def _tarred(tree: Mapping[str, bytes], mode: str, form: int = tarfile.PAX_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode, format=form) as archive:
        for path, data in tree.items():
            member = tarfile.TarInfo(path)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "../x"
        archive.addfile(link)
    return stream.getvalue()


def tables() -> Iterator[bytes]:
    """One byte that chooses delimiter, encoding and header (see ``targets.tables``), then the text."""
    text = 'id,label,note\n1,a,"x, ""y""\nz"\n2,b\n\n3,c,,,\n'
    for option in range(16):
        encoding = ("utf-8", "utf-8-sig", "utf-16", "cp1252")[option >> 2]
        yield bytes((option,)) + text.replace(",", ",;\t "[option & 3]).encode(encoding)


def workbooks() -> Iterator[bytes]:
    """One byte that stands for a part of a workbook, then its XML; the whole workbook behind 0xff."""
    for mark, content in parts_of_workbook().items():
        yield mark + content


def parts_of_workbook() -> dict[bytes, bytes]:
    """Content of each XML part of a small workbook, by a byte that stands for the part, and the whole behind 0xff."""
    book = openpyxl.Workbook()
    page = book.active
    assert page is not None
    for row in (["id", "label", "when"], [1, "a", None], [2.5, "é", True], ["=A2", "#N/A", "long " * 9]):
        page.append(row)
    stream = io.BytesIO()
    book.save(stream)
    with zipfile.ZipFile(stream) as archive:
        parts = {bytes((number,)): archive.read(name) for number, name in enumerate(sorted(archive.namelist()))}
    return {**parts, b"\xff": stream.getvalue()}


def names_of_workbook_parts() -> list[str]:
    with zipfile.ZipFile(io.BytesIO(parts_of_workbook()[b"\xff"])) as archive:
        return sorted(archive.namelist())


def jsons() -> Iterator[bytes]:
    content = {"images": [{"id": 1, "file_name": "a é.png"}, {"id": 2.5e3, "x": [None, True, "\U0001f600"]}]}
    yield json.dumps(content).encode()
    yield json.dumps(content, ensure_ascii=False).encode("utf-16")
    yield b'{"a": "\\ud800", "b": [[[[]]]], "c": NaN}'


def cards() -> Iterator[bytes]:
    for path in sorted((TESTS.parent / "cards").glob("*.md"))[:6]:
        yield path.read_bytes()
    yield b"---\na: &x [1, 2]\nb: *x\nc: {d: 2020-01-01, ? e : !!str 5}\n---\nprose\n"


def annotations() -> Iterator[bytes]:
    """One byte that says how the rest is read (see ``targets.annotation``), then the rest."""
    box = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>20.5</ymax></bndbox>"
    size = "<size><width>32</width><height>24</height><depth>3</depth></size>"
    objects = f"<object><name>polyp</name>{box}</object>" * 2
    yield b"\x00" + f"<annotation><filename>a.png</filename>{size}{objects}</annotation>".encode()
    yield b"\x00<!DOCTYPE x [<!ENTITY a 'ha'>]><annotation>&a;</annotation>"
    for kind, text in enumerate(("1 3 10 2", "5 4 100 7", "0 5 3 9"), start=1):
        yield bytes((kind,)) + text.encode()
    yield b"\x045Q1c3000O2"
    boxes = (
        "[0.125, 0.250, 0.500, 0.750]",
        "<box>(125,250),(500,750)</box>",
        "{<12><25><50><75>}",
        "[64, 96, 256, 288]",
    )
    for kind, text in enumerate(boxes, start=5):
        yield bytes((kind,)) + text.encode()
    ring = {"bbox": [1, 2, 3, 4], "segmentation": [[1, 2, 10, 2, 10.5, 9]], "image_id": 1, "category_id": 1}
    runs = {**ring, "segmentation": {"size": [24, 32], "counts": [100, 68, 600]}}
    images = [{"id": 1, "file_name": "a.png", "width": 32, "height": 24}]
    for number, one in enumerate((ring, runs), start=1):
        document = {"images": images, "categories": [{"id": 1, "name": "x"}], "annotations": [{**one, "id": number}]}
        yield b"\x09" + json.dumps(document).encode()


def patterns() -> Iterator[bytes]:
    for text in (
        "{Training,Testing}/*/*.jpg",
        "masks/**",
        "a/**/b?[!a-f].{png,{jpg,jpeg}}",
        "[[]x[]]-[a-]*",
        "é/[é-ü]*",
    ):
        yield text.encode()
