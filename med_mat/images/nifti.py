"""NIfTI: axial slices of a volume, shown as radiologists look at them, published as PNG."""

from __future__ import annotations

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

# Most of nibabel is not annotated; without this, every call of it would count as an error.
_nib: Any = nibabel

GZIP = b"\x1f\x8b"

_HEADER_1, _HEADER_2 = 348, 540
_MAGIC_1, _MAGIC_2 = slice(344, 348), slice(4, 8)
_SKIPPED = 1 << 20  # bytes read at a time of what follows the last voxel in a gzip stream
_MAX_PASSED = 256 << 20
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

    The volume is turned to the closest canonical axes (no resampling). The patient's right is on the left of
    the picture, the front on top. ``frame`` counts from the feet upwards, volume after volume in a series.

    Args:
        data: A ``.nii`` or ``.nii.gz`` file.
        frame: From 0; must be named where the file holds several slices.

    Raises:
        ImageError: Damaged, too large, no such slice, or voxels that are no numbers.
    """
    volume = _load(data)
    plane = _slice(volume, frame)
    shown = intensity.scale(_scaled(plane, volume.slope, volume.intercept), volume.low, volume.high)
    return Prepared("NIFTI", "nifti", volume.slices, image=flatten.from_array(_upright(shown)))


def stored(data: bytes, frame: int | None) -> npt.NDArray[Any]:
    """Values of one axial slice as they are stored, for masks: turned as pictures are, not scaled.

    Args:
        data: A ``.nii`` or ``.nii.gz`` file.
        frame: As for :func:`prepare`.

    Returns:
        Shape (rows, columns).

    Raises:
        ImageError: As for :func:`prepare`.
    """
    return _upright(_slice(_load(data), frame))


def _slice(volume: _Volume, frame: int | None) -> npt.NDArray[Any]:
    wanted = pick_frame(frame, volume.slices, "NIfTI", default=None)
    time, height = divmod(wanted, int(volume.voxels.shape[2]))
    plane: npt.NDArray[Any] = volume.voxels[:, :, height, time]
    check_size(*plane.shape)
    return plane


def _upright(plane: npt.NDArray[Any]) -> npt.NDArray[Any]:
    turned: npt.NDArray[Any] = plane[::-1, ::-1].T
    return turned


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
        kind = _nib.Nifti2Image if raw[_MAGIC_2] == b"n+2\x00" else _nib.Nifti1Image
        image = kind.from_bytes(raw)
        shape = image.shape
        if len(shape) < 2 or math.prod(shape[4:]) != 1:
            raise ImageError(f"a NIfTI file of shape {shape}; expected two to four axes")
        voxels = np.asanyarray(image.dataobj.get_unscaled()).reshape((*shape[:4], 1, 1)[:4])
        if voxels.dtype.kind not in "iuf":
            raise ImageError(f"a NIfTI file of voxels of type {voxels.dtype}; expected whole or real numbers")
        slope, intercept = float(image.dataobj.slope), float(image.dataobj.inter)
        sample = voxels.reshape(-1, order="A")[:: max(1, voxels.size // _SAMPLED)]
        low, high = intensity.value_range(_scaled(sample, slope, intercept))
        turn = _nib.orientations.io_orientation(image.affine)
        voxels = _nib.orientations.apply_orientation(voxels, turn)
        return _Volume(voxels, slope, intercept, low, high, int(image.dataobj.offset))


def _scaled(values: npt.NDArray[Any], slope: float, intercept: float) -> npt.NDArray[Any]:
    return values if (slope, intercept) == (1.0, 0.0) else values * slope + intercept


def _unpack(data: bytes) -> bytes:
    """The file up to its last voxel, unpacked if it is a gzip stream; checked for size and completeness."""
    packed = data.startswith(GZIP)
    head = zlib.decompressobj(wbits=31).decompress(data, _HEADER_2) if packed else data[:_HEADER_2]
    if head[_MAGIC_1] == b"n+1\x00":
        header = _nib.Nifti1Header(head[:_HEADER_1])
    elif head[_MAGIC_2] == b"n+2\x00":
        header = _nib.Nifti2Header(head[:_HEADER_2])
    elif head[_MAGIC_1] == b"ni1\x00":
        raise ImageError("a NIfTI header whose voxels are in a second file (.img): convert both to one .nii")
    else:
        raise ImageError("a gzip archive that holds no NIfTI volume: unpack it")
    voxels = math.prod(header.get_data_shape()) * header.get_data_dtype().itemsize
    size = int(header.get_data_offset()) + voxels
    if size > _MAX_BYTES:
        raise ImageError(f"a NIfTI volume of {size} bytes is over the limit of {_MAX_BYTES}")
    if packed:
        unzip = zlib.decompressobj(wbits=31)
        raw = unzip.decompress(data, max(size, 1))
        passed = 0
        while unzip.unconsumed_tail and not unzip.eof:  # on to the checksum
            passed += len(unzip.decompress(unzip.unconsumed_tail, _SKIPPED))
            if passed > _MAX_PASSED:
                raise ImageError(
                    f"a NIfTI file with more than {_MAX_PASSED} bytes after its last voxel (decompression bomb)"
                )
        complete = unzip.eof
    else:
        raw = data[:size]
        complete = True
    if len(raw) < size or not complete:
        raise ImageError(f"truncated NIfTI file: it holds {len(raw)} of {size} bytes; download it again")
    return raw
