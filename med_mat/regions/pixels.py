"""Masks out of pictures: two values, label maps, colours, JPEG noise, either polarity."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from med_mat.errors import ImageError
from med_mat.images import formats
from med_mat.images.guard import check_size, decoding, pick_frame
from med_mat.regions.components import Mask

JPEG_THRESHOLD = 127
"""Middle of 0..255. Masks saved as JPEG keep within about ten of either end (Kvasir-SEG, TN3K)."""

_SHOWN = 8  # unexpected values that a message lists
_RGB = tuple[int, int, int]


def mask_pixels(data: bytes, *, frame: int | None = None, indices: bool = False) -> npt.NDArray[Any]:
    """Stored values of a mask's file: no window, no stretch, no rotation by EXIF, no blending with alpha.

    Args:
        data: The whole file: PNG, BMP, TIFF, JPEG, GIF, PGM, WebP or JPEG 2000.
        frame: Page of a TIFF or frame of a GIF, from 0; the first if none is named.
        indices: Of a picture with a palette take the numbers of its colours, not the colours.

    Returns:
        Shape (H, W), or (H, W, 3) for colours. An alpha channel is dropped; pictures of one bit become 0 and 255;
        other types are as stored (8, 16 or 32 bits).

    Raises:
        ImageError: No such picture, damaged, of another format, or without the palette that ``indices`` asks for.
    """
    form = formats.sniff(data)
    if form in ("DICOM", "NIFTI", "GZIP"):
        raise ImageError(f"a mask in a {form} file: expected a picture (PNG, BMP, TIFF, JPEG, GIF, PGM)")
    with decoding(form), Image.open(BytesIO(data), formats=[form]) as image:
        check_size(*image.size)
        image.seek(pick_frame(frame, int(getattr(image, "n_frames", 1)), form))
        if indices and image.mode != "P":
            raise ImageError(
                f"expected a {form} file with a palette, found mode {image.mode}: take its values as they are"
            )
        if image.mode in ("1", "P") and not indices:
            return np.asarray(image.convert("L" if image.mode == "1" else "RGB"))
        if image.mode in ("LA", "PA", "RGBA"):
            return np.asarray(image.convert("L" if image.mode == "LA" else "RGB"))
        if image.mode not in ("P", "L", "RGB", "I", "F") and not image.mode.startswith("I;16"):
            raise ImageError(f"a mask of mode {image.mode}: expected gray, RGB or a palette")
        return np.asarray(image)


def binary_mask(pixels: npt.NDArray[Any], *, threshold: int | None = None, inverted: bool = False) -> Mask:
    """The mask in a picture of two values.

    Args:
        pixels: Shape (H, W) or (H, W, C).
        threshold: None takes 0 for outside and either 1 or 255 for inside, and refuses any other value or channels
            that differ. A number takes what is above it in the first channel for inside: for JPEG
            (``JPEG_THRESHOLD``), or for masks smoothed when they were made smaller.
        inverted: The region is dark on bright, as in PALM.

    Returns:
        Shape (H, W).

    Raises:
        ImageError: Another value, or channels that differ, without a threshold.
    """
    _check_shape(pixels, ("(H, W)", "(H, W, C)"))
    first = pixels if pixels.ndim == 2 else pixels[..., 0]
    if threshold is not None:
        mask: Mask = first > threshold
        return ~mask if inverted else mask
    if pixels.ndim == 3 and not (pixels == first[..., None]).all():
        raise ImageError("a mask of two values has coloured pixels: expected equal channels; read it as colours")
    values, counts = np.unique(first, return_counts=True)
    bright = set(values.tolist()) - {0}
    if not (bright <= {1} or bright <= {255}):
        raise ImageError(
            f"a mask of two values: expected 0 and either 1 or 255, found {_listed(values, counts)}; if it is saved "
            f"with loss, take {JPEG_THRESHOLD} for threshold, if it holds several classes, read it as a label map"
        )
    inside: Mask = first != 0
    return ~inside if inverted else inside


def class_masks(
    pixels: npt.NDArray[Any], classes: Mapping[int, str | None], *, lenient: bool = False
) -> dict[str, Mask]:
    """Masks in a label map.

    Args:
        pixels: Shape (H, W).
        classes: What each value that may occur means; None for what is no class. Several values may share a label.
        lenient: Any other value is no class.

    Returns:
        One mask of shape (H, W) per label of ``classes``, in their order, also where it is empty.

    Raises:
        ImageError: A value that ``classes`` does not name.
    """
    _check_shape(pixels, ("(H, W)",))
    values, counts = np.unique(pixels, return_counts=True)
    unknown = ~np.isin(values, list(classes))
    if unknown.any() and not lenient:
        raise ImageError(
            f"a label map: expected the values {', '.join(map(str, sorted(classes)))}, found also "
            f"{_listed(values[unknown], counts[unknown])}; see whether the release's coding changed"
        )
    return _by_label(classes, lambda value: pixels == value, pixels.shape)


def colour_masks(
    pixels: npt.NDArray[Any], classes: Mapping[_RGB, str | None], *, lenient: bool = False
) -> dict[str, Mask]:
    """Masks in a picture that codes classes by colour.

    Args:
        pixels: 8-bit, shape (H, W, 3) or (H, W, 4); alpha is ignored.
        classes: What each colour (red, green, blue) that may occur means; None for what is no class.
        lenient: Any other colour is no class.

    Returns:
        As :func:`class_masks`.

    Raises:
        ImageError: A colour that ``classes`` does not name.
    """
    _check_shape(pixels, ("(H, W, 3)", "(H, W, 4)"))
    packed = _packed(pixels)
    by_number = {(red << 16) | (green << 8) | blue: label for (red, green, blue), label in classes.items()}
    values, counts = np.unique(packed, return_counts=True)
    unknown = ~np.isin(values, list(by_number))
    if unknown.any() and not lenient:
        colours = [(value >> 16, value >> 8 & 255, value & 255) for value in values[unknown].tolist()]
        raise ImageError(
            f"a mask in colours: expected {', '.join(map(str, classes))}, found also "
            f"{_listed(colours, counts[unknown])}; see whether it was saved with loss"
        )
    return _by_label(by_number, lambda value: packed == value, packed.shape)


def _packed(pixels: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    if pixels.dtype != np.uint8:
        raise ImageError(f"a mask in colours: expected 8 bits a channel, found {pixels.dtype}")
    packed: npt.NDArray[np.int32] = pixels[..., 0].astype(np.int32) << 16
    packed |= pixels[..., 1].astype(np.int32) << 8
    packed |= pixels[..., 2]
    return packed


def _by_label(classes: Mapping[int, str | None], where: Any, shape: tuple[int, ...]) -> dict[str, Mask]:
    masks: dict[str, Mask] = {}
    for value, label in classes.items():
        if label is not None:
            masks.setdefault(label, np.zeros(shape, dtype=np.bool_))
            masks[label] |= where(value)
    return masks


def _check_shape(pixels: npt.NDArray[Any], expected: tuple[str, ...]) -> None:
    shapes = {"(H, W)": 2, "(H, W, C)": 3, "(H, W, 3)": (3, 3), "(H, W, 4)": (3, 4)}
    found = {pixels.ndim, (pixels.ndim, pixels.shape[-1])}
    if pixels.size == 0 or not found & {shapes[name] for name in expected}:
        raise ImageError(f"a mask of shape {pixels.shape}: expected {' or '.join(expected)}")


def _listed(values: Any, counts: npt.NDArray[Any]) -> str:
    by_count = sorted(zip(counts.tolist(), list(values), strict=True), key=lambda pair: -pair[0])
    shown = ", ".join(f"{value} ({count} pixels)" for count, value in by_count[:_SHOWN])
    return shown + (f" and {len(by_count) - _SHOWN} more values" if len(by_count) > _SHOWN else "")
