"""Small real files of every format, and what their published picture must be, computed by other means."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

Gray = npt.NDArray[Any]


def gradient(height: int = 24, width: int = 32) -> npt.NDArray[np.uint8]:
    """Gray picture of shape (height, width) without symmetry: every turn and flip of it differs."""
    rows, columns = np.mgrid[0:height, 0:width]
    return ((rows * 7 + columns * 3 + rows * columns) % 256).astype(np.uint8)


def colours(height: int = 24, width: int = 32) -> npt.NDArray[np.uint8]:
    """Colour picture of shape (height, width, 3)."""
    gray = gradient(height, width)
    return np.stack([gray, gray[::-1], gray[:, ::-1]], axis=-1)


def encoded(array: npt.NDArray[Any] | Image.Image, form: str, **options: Any) -> bytes:
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def decoded(data: bytes) -> npt.NDArray[Any]:
    """Pixels as an outsider sees them: whatever opens the bytes, asked for RGB."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def chunk(name: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + name + payload + struct.pack(">I", zlib.crc32(name + payload))


def png_with(data: bytes, *chunks: bytes) -> bytes:
    """A PNG file with chunks put behind its header."""
    return data[:33] + b"".join(chunks) + data[33:]


def raw_png(
    array: npt.NDArray[Any], *, depth: int = 8, colour: int = 0, chunks: bytes = b"", interlace: int = 0
) -> bytes:
    """A PNG file written by hand: rows of an array of bytes or big-endian 16-bit samples, no filter."""
    height, width = array.shape[:2]
    rows = array.astype(">u2" if depth == 16 else "u1").reshape(height, -1)
    body = b"".join(b"\x00" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunks
        + chunk(b"IDAT", zlib.compress(body))
        + chunk(b"IEND", b"")
    )


def segment(marker: int, payload: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(payload) + 2) + payload


def jpeg_with(data: bytes, *segments: bytes) -> bytes:
    """A JPEG file with segments put behind its start."""
    return data[:2] + b"".join(segments) + data[2:]


def orientation_tag(value: int) -> bytes:
    """An EXIF block that holds an orientation only."""
    return b"II*\x00\x08\x00\x00\x00" + struct.pack("<HHHIHH", 1, 0x0112, 3, 1, value, 0) + bytes(4)


def dicom(
    array: npt.NDArray[Any],
    *,
    photometric: str = "MONOCHROME2",
    bits: int | None = None,
    frames: int | None = None,
    **tags: Any,
) -> bytes:
    """An uncompressed DICOM file of an integer array.

    Args:
        array: (rows, columns), with ``frames`` (frames, rows, columns), for RGB (rows, columns, 3).
        photometric: Photometric interpretation.
        bits: Bits stored; all of the type if None.
        frames: Number of frames to state.
        tags: Further elements by keyword.
    """
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["med-mat"])
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID
    shape = array.shape[1:] if frames else array.shape
    dataset.Rows, dataset.Columns = shape[:2]
    dataset.SamplesPerPixel = 3 if len(shape) == 3 else 1
    if dataset.SamplesPerPixel == 3:
        dataset.PlanarConfiguration = 0
    if frames:
        dataset.NumberOfFrames = frames
    dataset.PhotometricInterpretation = photometric
    dataset.BitsAllocated = array.dtype.itemsize * 8
    dataset.BitsStored = bits or dataset.BitsAllocated
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(array.dtype.kind == "i")
    for name, value in tags.items():
        setattr(dataset, name, value)
    pixels = array.tobytes()
    dataset.PixelData = pixels + b"\x00" * (len(pixels) % 2)
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def percentile_range(values: npt.NDArray[Any]) -> tuple[float, float]:
    """0.5th and 99.5th percentile by sorting and counting."""
    ordered = np.sort(values, axis=None)
    low, high = (ordered[round(fraction * (ordered.size - 1))] for fraction in (0.005, 0.995))
    return float(low), float(high)


def stretched(values: npt.NDArray[Any], low: float, high: float) -> npt.NDArray[np.uint8]:
    """Values scaled so that ``low`` is 0 and ``high`` 255, value by value."""

    def one(value: float) -> int:
        if value <= low:
            return 0
        if value >= high:
            return 255
        return int((value - low) * 255 / (high - low) + 0.5)

    return np.array([[one(float(value)) for value in row] for row in values], np.uint8)
