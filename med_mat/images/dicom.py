"""DICOM: decoded, put through its own display pipeline, published as PNG. No tag is published.

The pipeline is that of PS3.3 C.11 (modality LUT or rescale, VOI LUT or window) and C.7.6.3 (photometric
interpretation). References below are to the 2025 edition of the standard.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import gdcm
import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.encaps import get_frame
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from med_mat.errors import ImageError
from med_mat.images import flatten, intensity, jpeg
from med_mat.images.facts import Block, Prepared
from med_mat.images.guard import check_size, decoding, pick_frame, silenced

# One decoder per transfer syntax, named so that pixels do not depend on what else is installed.
_DECODERS: dict[UID, str] = {
    JPEGBaseline8Bit: "pillow",
    JPEGExtended12Bit: "pillow",
    JPEGLossless: "gdcm",
    JPEGLosslessSV1: "gdcm",
    JPEGLSLossless: "gdcm",
    JPEGLSNearLossless: "gdcm",
    JPEG2000Lossless: "gdcm",
    JPEG2000: "gdcm",
    RLELossless: "pydicom",
}

_JP2, _BOX_HEADER = b"\x00\x00\x00\x0cjP  ", 8
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_MAX_INFLATED = 1 << 30  # the largest picture as 16-bit colour
_INFLATED_AT_ONCE = 1 << 20
_TABLE_LIMIT = 1 << 17  # stored values that are looked up in a table rather than computed pixel by pixel

# GDCM has no logger, and prints.
gdcm.Trace.DebugOff()
gdcm.Trace.WarningOff()
gdcm.Trace.ErrorOff()


@dataclass(frozen=True, slots=True)
class Window:
    """A window of PS3.3 C.11.2.1.2.

    Attributes:
        center: Value in the middle, after rescale.
        width: Values from black to white; at least 1 for ``LINEAR``, over 0 otherwise.
        function: ``LINEAR``, ``LINEAR_EXACT`` or ``SIGMOID``.
    """

    center: float
    width: float
    function: str

    def apply(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Map values to 0..255, not rounded."""
        if self.function == "SIGMOID":
            # exp() of a large number is infinite and the quotient then 0, which is right.
            with np.errstate(over="ignore"):
                return 255.0 / (1.0 + np.exp(-4.0 * (values - self.center) / self.width))
        center, width = self.center, self.width
        if self.function == "LINEAR":
            center, width = center - 0.5, width - 1.0
        if width == 0.0:
            return np.where(values <= center, 0.0, 255.0)
        return np.clip(((values - center) / width + 0.5) * 255.0, 0.0, 255.0)


@dataclass(frozen=True, slots=True)
class Table:
    """A lookup table of PS3.3 C.11.1 or C.11.2.

    Attributes:
        first: Value that the first entry stands for; smaller values get that entry too.
        entries: What the values become; values beyond the table get the last entry.
    """

    first: int
    entries: npt.NDArray[np.float64]

    def look_up(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Map values."""
        first = self.first
        if first > 0x7FFF and values.size and values.min() < 0:
            first -= 1 << 16  # a negative number that was read as unsigned
        index = np.clip(np.rint(values) - first, 0, len(self.entries) - 1).astype(np.int64)
        found: npt.NDArray[np.float64] = self.entries[index]
        return found


def prepare(data: bytes, frame: int | None) -> Prepared:
    """Decode one frame and show it as its header asks.

    Args:
        data: The whole file.
        frame: From 0; must be named where the file holds several.

    Raises:
        ImageError: No pixels, damaged, too large, no such frame, or a photometric interpretation that is no
        picture.
    """
    with decoding("DICOM"):
        dataset = _read(data)
        frames = _frames(dataset)
        wanted = pick_frame(frame, frames, "DICOM", default=None)
        check_size(int(dataset.Columns), int(dataset.Rows))
        stored = _stored(dataset, wanted)
        if stored.ndim == 3 and stored.shape[0] == 1:
            stored = stored[0]
        interpretation = str(dataset.get("PhotometricInterpretation", "")).upper()
        if interpretation == "PALETTE COLOR":
            return Prepared("DICOM", "dicom-palette", frames, image=_palette(stored, dataset))
        if stored.ndim == 3:
            return Prepared("DICOM", "dicom-colour", frames, image=_colour(stored, dataset))
        if not interpretation.startswith("MONOCHROME"):
            raise ImageError(
                f"a DICOM file of one channel with photometric interpretation {interpretation!r}; expected "
                "MONOCHROME1, MONOCHROME2 or PALETTE COLOR"
            )
        shown, rule = _gray(stored, dataset, wanted)
        return Prepared(
            "DICOM",
            rule,
            frames,
            image=flatten.from_array(255 - shown if interpretation == "MONOCHROME1" else shown),
        )


def stored(data: bytes, frame: int | None) -> npt.NDArray[Any]:
    """Values of one frame as they are stored, for masks: no rescale, no window.

    Args:
        data: The whole file.
        frame: As for :func:`prepare`.

    Returns:
        Shape (rows, columns), or (rows, columns, 3) for colours.

    Raises:
        ImageError: No pixels, damaged, too large, or no such frame.
    """
    with decoding("DICOM"):
        dataset = _read(data)
        wanted = pick_frame(frame, _frames(dataset), "DICOM", default=None)
        check_size(int(dataset.Columns), int(dataset.Rows))
        values = _stored(dataset, wanted)
        return values[0] if values.ndim == 3 and values.shape[0] == 1 else values


def count(data: bytes) -> int:
    """Frames of a file.

    Raises:
        ImageError: No pixels, or damaged.
    """
    with decoding("DICOM"):
        return _frames(_read(data))


def metadata(data: bytes) -> tuple[Block, ...]:
    """The header as one block: how many elements, how many of them private, and its size.

    Raises:
        ImageError: No pixels, or damaged.
    """
    with decoding("DICOM"):
        dataset = _read(data)
        tags = list(dataset.keys())
        pixels = sum(len(dataset[name].value) for name in _PIXELS if name in dataset)
        private = sum(tag.is_private for tag in tags)
        return (Block(f"DICOM header ({len(tags)} elements, {private} of them private)", len(data) - pixels),)


class _Source(BytesIO):
    """A file for pydicom, which reads to the end at once only what it then inflates, without a limit."""

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        if size is None or size < 0:
            _check_inflated(data)
        return data


def _check_inflated(data: bytes) -> None:
    inflate = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    total = 0
    try:
        while data and not inflate.eof:
            total += len(inflate.decompress(data, _INFLATED_AT_ONCE))
            if total > _MAX_INFLATED:
                raise ImageError(
                    f"a deflated DICOM file of more than {_MAX_INFLATED} bytes of content (decompression bomb)"
                )
            data = inflate.unconsumed_tail
    except zlib.error:
        return  # the reader has a message for it


def _read(data: bytes) -> Dataset:
    # force: files without the 128 bytes of preamble are told by their first element, see formats.sniff
    dataset = dcmread(_Source(data), force=True)
    if not any(name in dataset for name in _PIXELS) or "Rows" not in dataset or "Columns" not in dataset:
        raise ImageError("the DICOM file holds no picture (a report, a directory, or not DICOM at all)")
    if "TransferSyntaxUID" not in dataset.file_meta:
        # Only files without a meta header: what the reader found out about the data set holds for the pixels.
        implicit, little = dataset.original_encoding
        syntax = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else syntax
    return dataset


def _frames(dataset: Dataset) -> int:
    return int(dataset.get("NumberOfFrames", None) or 1)


def _stored(dataset: Dataset, frame: int) -> npt.NDArray[Any]:
    """Values of one frame as they are stored, (rows, columns) or (rows, columns, 3); YBR already made RGB."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax == JPEGExtended12Bit and dataset.BitsStored > 8:
        return _twelve_bits(dataset, frame)
    if syntax.is_compressed and syntax not in _DECODERS:
        raise ImageError(f"a DICOM file of transfer syntax {syntax.name}, which is not read: convert it first")
    if syntax in (JPEG2000, JPEG2000Lossless):
        _check_boxes(get_frame(dataset.PixelData, frame, number_of_frames=_frames(dataset)))
    with silenced() if _DECODERS.get(syntax) == "gdcm" else nullcontext():
        return pixel_array(dataset, index=frame, decoding_plugin=_DECODERS.get(syntax, ""))


def _twelve_bits(dataset: Dataset, frame: int) -> npt.NDArray[np.int32]:
    """Values of a frame of lossy JPEG of more than 8 bits, which pydicom leaves to decoders that it does not trust."""
    data = get_frame(dataset.PixelData, frame, number_of_frames=_frames(dataset))
    values = jpeg.twelve_bits(data).astype(np.int32)
    if values.shape[:2] != (dataset.Rows, dataset.Columns):
        raise ImageError(
            f"a DICOM file of {dataset.Columns} x {dataset.Rows} whose JPEG data is {values.shape[1]} x "
            f"{values.shape[0]}"
        )
    sign = 1 << int(dataset.BitsStored) - 1
    return (values ^ sign) - sign if dataset.PixelRepresentation else values


def _check_boxes(frame: bytes) -> None:
    """Refuse a JP2 file (which is not to be in DICOM) with a box of no length: pydicom would walk on the spot."""
    if not frame.startswith(_JP2):
        return
    position = len(_JP2) + 4
    while position < len(frame) and frame[position + 4 : position + 8] != b"jp2c":
        length = int.from_bytes(frame[position : position + 4], "big")
        if length < _BOX_HEADER:
            raise ImageError(f"damaged DICOM file: a JPEG 2000 box of {length} bytes")
        position += length


def _palette(stored: npt.NDArray[Any], dataset: Dataset) -> Image.Image:
    colours = apply_color_lut(stored, dataset)[..., :3]
    # Tables of 8-bit colours are often stored in 16-bit words.
    return flatten.from_array(intensity.high_byte(colours) if colours.max() > 255 else colours.astype(np.uint8))


def _colour(stored: npt.NDArray[Any], dataset: Dataset) -> Image.Image:
    surplus = max(0, int(dataset.BitsStored) - 8)
    return flatten.from_array((stored >> surplus).astype(np.uint8))


def _gray(stored: npt.NDArray[Any], dataset: Dataset, frame: int) -> tuple[npt.NDArray[np.uint8], str]:
    """Show a frame of stored values in 8 bits as if it were MONOCHROME2, and name the rule applied."""
    source = _functional(dataset, frame, "PixelValueTransformationSequence") or dataset

    def modality(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        if source.get("ModalityLUTSequence", None):
            return _table(source.ModalityLUTSequence[0], dataset).look_up(values.astype(np.float64))
        slope, intercept = source.get("RescaleSlope", None), source.get("RescaleIntercept", None)
        return values * float(1 if slope is None else slope) + float(intercept or 0)

    if dataset.get("VOILUTSequence", None):
        table = _table(dataset.VOILUTSequence[0], dataset)
        low, high = float(table.entries.min()), float(table.entries.max())
        return (
            _by_table(stored, lambda values: intensity.scale(table.look_up(modality(values)), low, high)),
            "dicom-lut",
        )
    window = _window(_functional(dataset, frame, "FrameVOILUTSequence") or dataset)
    if window is not None:
        return (
            _by_table(stored, lambda values: np.floor(window.apply(modality(values)) + 0.5).astype(np.uint8)),
            "dicom-window",
        )
    low, high = _range(stored, dataset, modality)
    return _by_table(stored, lambda values: intensity.scale(modality(values), low, high)), "dicom-range"


def _table(item: Dataset, dataset: Dataset) -> Table:
    count, first, bits = (int(value) for value in item.LUTDescriptor)
    count = count or 1 << 16
    entries = item.LUTData
    if isinstance(entries, bytes):
        little = dataset.original_encoding[1]
        word = "u1" if bits <= 8 and len(entries) in (count, count + 1) else "<u2" if little else ">u2"
        entries = np.frombuffer(entries, word)
    return Table(first, np.asarray(entries, np.float64)[:count])


def _range(
    stored: npt.NDArray[Any],
    dataset: Dataset,
    modality: Callable[[npt.NDArray[Any]], npt.NDArray[np.float64]],
) -> tuple[float, float]:
    """Values that become black and white in a frame that has no window."""
    bits = int(dataset.get("BitsStored", 32))
    rescaled = "ModalityLUTSequence" in dataset or "RescaleSlope" in dataset
    if bits <= 8 and not rescaled and not dataset.get("PixelRepresentation", 0):
        return 0.0, float((1 << bits) - 1)
    values = modality(stored)
    if np.array_equal(values, np.rint(values)):
        values = values.astype(np.int64)
    return intensity.value_range(values, _padding(stored, dataset))


def _padding(stored: npt.NDArray[Any], dataset: Dataset) -> npt.NDArray[np.bool_] | None:
    """Where the frame is padding (PS3.3 C.7.5.1.1.2), which does not count for the range."""
    value = dataset.get("PixelPaddingValue", None)
    if value is None:
        return None
    limit = dataset.get("PixelPaddingRangeLimit", value)
    low, high = sorted((int(value), int(limit)))
    padding: npt.NDArray[np.bool_] = (stored >= low) & (stored <= high)
    return None if padding.all() else padding


def _window(source: Dataset) -> Window | None:
    """The first window of a header; None if there is none, or none that its own definition allows."""
    center, width = (_first(source.get(name, None)) for name in ("WindowCenter", "WindowWidth"))
    function = str(source.get("VOILUTFunction", None) or "LINEAR").upper()
    if center is None or width is None or not math.isfinite(center + width):
        return None
    if width < 1.0 if function == "LINEAR" else width <= 0.0:
        return None
    return Window(center, width, function)


def _first(value: Any) -> float | None:
    if isinstance(value, MultiValue):
        value = next(iter(value), None)
    return None if value is None else float(value)


def _functional(dataset: Dataset, frame: int, name: str) -> Dataset | None:
    """An item of the functional groups (PS3.3 C.7.6.16): that of the frame, else the shared one."""
    groups: list[Dataset] = []
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence", None) or []
    if frame < len(per_frame):
        groups.append(per_frame[frame])
    groups.extend(dataset.get("SharedFunctionalGroupsSequence", None) or [])
    for group in groups:
        if group.get(name, None):
            item: Dataset = group[name].value[0]
            return item
    return None


def _by_table(
    stored: npt.NDArray[Any], show: Callable[[npt.NDArray[Any]], npt.NDArray[np.uint8]]
) -> npt.NDArray[np.uint8]:
    """Apply a function of single values: once per value that may occur, where that is cheaper."""
    if stored.dtype.kind in "iu":
        low, high = int(stored.min()), int(stored.max())
        if high - low < _TABLE_LIMIT:
            table = show(np.arange(low, high + 1, dtype=np.int64))
            return table[stored.astype(np.int64) - low] if low else table[stored]
    return show(stored)
