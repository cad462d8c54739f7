"""Every rule by which a picture is published, in words."""

from __future__ import annotations

from collections.abc import Mapping

_DEEP = "Gray of more than 8 bits: values within 0..255 stay, else the 0.5th to the 99.5th percentile fill 0..255."
_DEEP_COLOUR = "Colour of 16 bits: the high byte of each sample."

RULES: Mapping[str, str] = {
    "jpeg": "Passed through: metadata dropped, coded pixels untouched.",
    "jpeg-rotated": "The EXIF orientation is not upright: decoded, turned, written as PNG.",
    "jpeg-cmyk": "Four ink channels, which readers show in different ways: converted to RGB, written as PNG.",
    "jpeg-rare": "A coding that browsers do not show (arithmetic, lossless): decoded, written as PNG.",
    "jpeg-deep": _DEEP,
    "jpeg-deep-colour": "Colour of 12 bits: the high 8 bits of each sample.",
    "png": "Passed through: metadata dropped, compressed pixels untouched.",
    "png-rotated": "The EXIF orientation is not upright: decoded, turned, written anew.",
    "png-transparent": "Some pixels are transparent: laid on white, written anew without alpha.",
    "png-deep": _DEEP,
    "png-deep-colour": _DEEP_COLOUR,
    "tiff": "Decoded, turned upright, written as PNG.",
    "tiff-deep": _DEEP,
    "tiff-deep-colour": _DEEP_COLOUR,
    "bmp": "Decoded, written as PNG.",
    "gif": "One frame (the first if none is named), its palette looked up, written as PNG.",
    "ppm": "Decoded, written as PNG.",
    "ppm-deep": _DEEP,
    "webp": "One frame (the first if none is named), written as PNG.",
    "jpeg2000": "Decoded, written as PNG.",
    "jpeg2000-deep": _DEEP,
    "dicom-window": "Rescaled, then the first window of the header; MONOCHROME1 inverted.",
    "dicom-lut": "Rescaled, then the first VOI lookup table of the header; MONOCHROME1 inverted.",
    "dicom-range": "No usable window in the header. Up to 8 bits: the full range of the stored bits; beyond: values "
    "within 0..255 stay, else the 0.5th to the 99.5th percentile without padding; MONOCHROME1 inverted.",
    "dicom-colour": "Converted to RGB, the high 8 bits of each sample.",
    "dicom-palette": "Palette looked up.",
    "nifti": "Axial slice of the volume turned to its closest canonical axes, patient's right on the left; the "
    "0.5th to the 99.5th percentile of the volume fill 0..255.",
    "video": "One frame, counted as shown, turned as its container asks, written as PNG.",
}
"""Name of a rule (``Facts.rule``) to one or two sentences. ``docs/images.md`` gives the reasons."""
