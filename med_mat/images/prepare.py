"""From a file's bytes to what is published of it: one rule per format."""

from __future__ import annotations

from PIL import Image

from med_mat.errors import ImageError
from med_mat.images import formats, jpeg, png, raster
from med_mat.images.facts import Prepared
from med_mat.images.guard import pick_frame


def prepare(data: bytes, frame: int | None) -> Prepared:
    """Apply the rule of the file's format.

    Raises:
        ImageError: The file holds no such picture, or none that may be published.
    """
    form = formats.sniff(data)
    if form == "JPEG":
        pick_frame(frame, 1, form)
        return jpeg.prepare(data)
    if form == "PNG":
        pick_frame(frame, 1, form)
        return png.prepare(data)
    if form in raster.FORMATS:
        return raster.prepare(data, form, frame)
    raise ImageError(f"no rule for {form} files")


def decoded(prepared: Prepared) -> Image.Image:
    """The published picture, decoded from the very bytes that are published where they pass through.

    Raises:
        ImageError: They do not decode.
    """
    if prepared.image is not None:
        return prepared.image
    assert prepared.encoded is not None
    if prepared.format == "JPEG":
        return jpeg.decode(prepared.encoded)
    return png.decode(prepared.encoded)
