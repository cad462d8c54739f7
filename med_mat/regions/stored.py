"""Masks as their files store them, of any format, and how the picture beside them was turned."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from med_mat.images import dicom, formats, jpeg, nifti, png
from med_mat.images.guard import decoding
from med_mat.regions.components import Mask
from med_mat.regions.pixels import mask_pixels

_ORIENTATION = 0x0112


def stored_values(data: bytes, *, frame: int | None = None, indices: bool = False) -> npt.NDArray[Any]:
    """Stored values of a mask's file: no window, no rescale, no stretch.

    Args:
        data: The whole file: a picture, DICOM or NIfTI. A slice of NIfTI is turned as pictures of NIfTI are.
        frame: Page, frame or slice, from 0. DICOM and NIfTI files that hold several must be told which.
        indices: Of a picture with a palette take the numbers of its colours, not the colours.

    Returns:
        Shape (H, W), or (H, W, 3) for colours.

    Raises:
        ImageError: Damaged, of another format, or without that frame or palette.
    """
    form = formats.sniff(data)
    if form == "DICOM":
        return dicom.stored(data, frame)
    if form in ("NIFTI", "GZIP"):
        return nifti.stored(data, frame)
    return mask_pixels(data, frame=frame, indices=indices)


def orientation_of(data: bytes) -> int:
    """The orientation (1 to 8) that is undone when a picture is published; 1 is upright.

    Args:
        data: The whole raw file.

    Raises:
        ImageError: The file is damaged.
    """
    form = formats.sniff(data)
    with decoding(form):
        if form == "JPEG":
            return jpeg.strip(data).orientation
        if form == "PNG":
            return png.strip(data).orientation
        if form == "TIFF":
            with Image.open(BytesIO(data), formats=["TIFF"]) as image:
                found = image.getexif().get(_ORIENTATION, 1)
            return found if found in range(1, 9) else 1
    return 1


def undo_orientation(mask: Mask, orientation: int) -> Mask:
    """A mask of the stored picture, on the upright one.

    Args:
        mask: Shape (H, W).
        orientation: As :func:`orientation_of` gives it.

    Returns:
        Shape (H, W), or (W, H) for an orientation from 5 on.
    """
    if orientation in (2, 3, 7, 8):
        mask = mask[:, ::-1]
    if orientation in (3, 4, 6, 7):
        mask = mask[::-1]
    return np.ascontiguousarray(mask.T if orientation >= 5 else mask)
