"""From a file's bytes to what is published of it: one rule per format."""

from __future__ import annotations

from PIL import Image

from med_mat.images import dicom, formats, jpeg, nifti, png, raster, tiff, video
from med_mat.images.facts import Block, Prepared
from med_mat.images.guard import decoding, pick_frame


def prepare(data: bytes, frame: int | None) -> Prepared:
    """Apply the rule of the file's format.

    Raises:
        ImageError: The file holds no such picture, or none that may be published.
    """
    form = formats.sniff(data)
    with decoding(form):
        if form in ("JPEG", "PNG"):
            pick_frame(frame, 1, form)
            return jpeg.prepare(data) if form == "JPEG" else png.prepare(data)
        if form == "TIFF":
            return tiff.prepare(data, frame)
        if form == "DICOM":
            return dicom.prepare(data, frame)
        if form in ("NIFTI", "GZIP"):
            return nifti.prepare(data, frame)
        if form == "VIDEO":
            return video.prepare(data, frame)
        return raster.prepare(data, form, frame)


def decoded(prepared: Prepared) -> Image.Image:
    """The published picture, decoded from the very bytes that are published where they pass through.

    Raises:
        ImageError: They do not decode.
    """
    if prepared.image is not None:
        return prepared.image
    assert prepared.encoded is not None, "a picture is either passed through or converted"
    return jpeg.decode(prepared.encoded) if prepared.format == "JPEG" else png.decode(prepared.encoded)


def count(data: bytes) -> int:
    """How many frames, pages or slices a file holds, from its headers.

    Raises:
        ImageError: No picture, or damaged.
    """
    form = formats.sniff(data)
    with decoding(form):
        if form in ("JPEG", "PNG"):
            return 1
        if form == "TIFF":
            return tiff.count(data)
        if form == "DICOM":
            return dicom.count(data)
        if form in ("NIFTI", "GZIP"):
            return nifti.count(data)
        if form == "VIDEO":
            return video.count(data)
        return raster.count(data, form)


def metadata(data: bytes) -> tuple[Block, ...]:
    """What of a file is not published, by name and size; never its content.

    Raises:
        ImageError: No picture, or damaged.
    """
    form = formats.sniff(data)
    with decoding(form):
        if form == "JPEG":
            return jpeg.strip(data).dropped
        if form == "PNG":
            return png.strip(data).dropped
        if form == "TIFF":
            return tiff.metadata(data)
        if form == "DICOM":
            return dicom.metadata(data)
        if form in ("NIFTI", "GZIP"):
            return nifti.metadata(data)
        if form == "VIDEO":
            return video.metadata(data)
        return raster.metadata(data, form)
