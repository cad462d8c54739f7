"""NIfTI: axial slices of a volume, shown as radiologists look at them, published as PNG."""

from __future__ import annotations

import gzip
import math
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
from nibabel.imageglobals import LoggingOutputSuppressor

from med_mat.errors import ImageError
from med_mat.images import flatten, intensity
from med_mat.images.facts import Block, Prepared
from med_mat.images.guard import check_size, decoding, pick_frame

_HEADER_1, _HEADER_2 = 348, 540
_MAX_BYTES = 4 << 30  # one volume in memory
_SAMPLED = 1 << 20  # voxels looked at for the range of a volume


@dataclass(frozen=True, slots=True)
class _Volume:
    voxels: npt.NDArray[Any]  # canonical axes: to the right, to the front, upwards, time; scaled on access
    slope: float
    intercept: float
    low: float
    high: float
    offset: int

    @property
    def slices(self) -> int:
        return int(self.voxels.shape[2] * self.voxels.shape[3])


def prepare(data: bytes, frame: int | None) -> Prepared:
    """Cut one axial slice.

    The volume is turned to the closest canonical axes (no resampling). The patient's right is on the left of the
    picture, the front on top. ``frame`` counts from the feet upwards, volume after volume in a series.

    Args:
        data: A ``.nii`` or ``.nii.gz`` file.
        frame: From 0; must be named where the file holds several slices.

    Raises:
        ImageError: Damaged, too large, no such slice, or voxels that are no numbers.
    """
    volume = _load(data)
    wanted = pick_frame(frame, volume.slices, "NIfTI", default=None)
    time, height = divmod(wanted, int(volume.voxels.shape[2]))
    plane = volume.voxels[:, :, height, time]
    check_size(*plane.shape)
    shown = intensity.scale(_scaled(plane, volume.slope, volume.intercept), volume.low, volume.high)
    return Prepared("NIFTI", "nifti", volume.slices, image=flatten.from_array(shown[::-1, ::-1].T))


def count(data: bytes) -> int:
    """Slices of a file.

    Raises:
        ImageError: Damaged.
    """
    return _load(data).slices


def metadata(data: bytes) -> tuple[Block, ...]:
    """The header with its extensions as one block.

    Raises:
        ImageError: Damaged.
    """
    return (Block("NIfTI header and extensions", _load(data).offset),)


@lru_cache(maxsize=1)
def _load(data: bytes) -> _Volume:
    """Open a volume. The last one is remembered: its slices are asked for one by one."""
    with decoding("NIfTI"), LoggingOutputSuppressor():
        raw = _unpack(data)
        image = (
            nibabel.Nifti2Image if raw[4:8] == b"n+2\x00" else nibabel.Nifti1Image
        ).from_bytes(raw)
        shape = image.shape
        if len(shape) < 2 or math.prod(shape[4:]) != 1:
            raise ImageError(f"a NIfTI file of shape {shape}; expected two to four axes")
        voxels = np.asanyarray(image.dataobj.get_unscaled()).reshape((*shape[:4], 1, 1)[:4])
        if voxels.dtype.kind not in "iuf":
            raise ImageError(f"a NIfTI file of voxels of type {voxels.dtype}; expected whole or real numbers")
        turn = nibabel.orientations.io_orientation(image.affine)
        voxels = nibabel.orientations.apply_orientation(voxels, turn)
        slope, intercept = float(image.dataobj.slope), float(image.dataobj.inter)
        sample = voxels.ravel(order="K")
        sample = _scaled(sample[:: max(1, sample.size // _SAMPLED)], slope, intercept)
        low, high = intensity.value_range(sample)
        return _Volume(voxels, slope, intercept, low, high, int(image.dataobj.offset))


def _scaled(values: npt.NDArray[Any], slope: float, intercept: float) -> npt.NDArray[Any]:
    return values if (slope, intercept) == (1.0, 0.0) else values * slope + intercept


def _unpack(data: bytes) -> bytes:
    """The file, unpacked if it is a gzip stream, checked for size before and for completeness after."""
    packed = data.startswith(b"\x1f\x8b")
    head = zlib.decompressobj(wbits=31).decompress(data, _HEADER_2) if packed else data[:_HEADER_2]
    if len(head) < _HEADER_1:
        raise ImageError("truncated NIfTI file: its header is not complete")
    ...
    return gzip.decompress(data) if packed else data
