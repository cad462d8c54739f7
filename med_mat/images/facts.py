"""What is known of one picture: plain data that the stages pass on."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts of one picture (one frame), as it is published.

    Attributes:
        format: Format of the raw file by content: ``JPEG``, ``PNG``, ``TIFF``, ``BMP``, ``GIF``, ``PPM``,
            ``WEBP``, ``JPEG2000``, ``DICOM``, ``NIFTI`` or ``VIDEO``.
        mode: Pillow mode of the published picture: ``1``, ``L``, ``LA``, ``P``, ``RGB`` or ``RGBA``. ``LA``
            and ``RGBA`` are opaque; with ``1`` and ``P`` they occur only in PNG files that are passed
            through.
        width: Pixels of a row, after orientation.
        height: Rows, after orientation.
        passed_through: The published bytes are the raw ones but for metadata.
        rule: Name of the rule that was applied; ``docs/images.md`` explains each.
        published_bytes: Exact size of the published bytes if passed through; else the size of the raw pixels
            (width x height x channels), which is an upper estimate that depends on nothing but the facts.
        frames: Frames, pages or slices that the file holds and that ``frame`` can name.
    """

    format: str
    mode: str
    width: int
    height: int
    passed_through: bool
    rule: str
    published_bytes: int
    frames: int


@dataclass(frozen=True, slots=True)
class Examined:
    """Facts and fingerprints of one picture.

    Attributes:
        facts: The facts.
        pixel_hash: 32 hex digits, see :func:`med_mat.images.pixel_hash`.
        perceptual_hash: 16 hex digits, see :func:`med_mat.images.perceptual_hash`.
        fingerprints: Bytes, see :func:`med_mat.images.fingerprints`.
    """

    facts: Facts
    pixel_hash: str
    perceptual_hash: str
    fingerprints: bytes


@dataclass(frozen=True, slots=True)
class Block:
    """Something of the raw file that is not published. Its content is never kept.

    Attributes:
        name: What it is, e.g. ``EXIF`` or ``PNG text``.
        size: Bytes.
    """

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """A picture on its way out: the bytes to publish, the decoded picture, or both.

    Attributes:
        format: As in :class:`Facts`.
        rule: As in :class:`Facts`.
        frames: As in :class:`Facts`.
        encoded: The published bytes of a picture that is passed through; None if it is converted.
        image: The published picture, decoded; None where that was not needed yet.
        icc: Cleaned ICC profile that a converted picture keeps.
    """

    format: str
    rule: str
    frames: int = 1
    encoded: bytes | None = None
    image: Image.Image | None = None
    icc: bytes | None = None
