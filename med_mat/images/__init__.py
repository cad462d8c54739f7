"""What is published of an image file.

Two stages use this package: the scan calls :func:`examine` once per raw file, the encode stage calls
:func:`publish`. All functions are pure: bytes in, facts or bytes out. ``docs/images.md`` has the rule of each
format.
"""

from __future__ import annotations

from PIL import Image

from med_mat.images import png
from med_mat.images.facts import Block, Examined, Facts
from med_mat.images.hashes import all_hashes, fingerprints, perceptual_hash, pixel_hash
from med_mat.images.prepare import count, decoded, metadata, prepare
from med_mat.images.rules import RULES

__all__ = [
    "RULES",
    "Block",
    "Examined",
    "Facts",
    "dropped",
    "examine",
    "fingerprints",
    "frame_count",
    "perceptual_hash",
    "pixel_hash",
    "pixels",
    "publish",
]


def examine(data: bytes, *, frame: int | None = None) -> Examined:
    """Decode a picture in full and take its facts and fingerprints.

    Args:
        data: The whole raw file.
        frame: Frame, page or slice, from 0. None is the only picture or the first; DICOM and NIfTI files that
            hold several must be told which.

    Raises:
        ImageError: The file is empty, truncated, damaged, no picture, too large, or lacks the frame.
    """
    prepared = prepare(data, frame)
    image = decoded(prepared)
    exact, perceptual, fingerprint = all_hashes(image)
    encoded = prepared.encoded
    facts = Facts(
        format=prepared.format,
        mode=image.mode,
        width=image.width,
        height=image.height,
        passed_through=encoded is not None,
        rule=prepared.rule,
        published_bytes=(image.width * image.height * len(image.getbands()) if encoded is None else len(encoded)),
        frames=prepared.frames,
    )
    return Examined(facts, exact, perceptual, fingerprint)


def publish(data: bytes, *, frame: int | None = None) -> bytes:
    """The bytes to publish: JPEG or PNG, free of metadata.

    A picture that passes through is not decoded here; :func:`examine` is what proves that it decodes.

    Args:
        data: The whole raw file.
        frame: As for :func:`examine`.

    Raises:
        ImageError: As for :func:`examine`.
    """
    prepared = prepare(data, frame)
    if prepared.encoded is not None:
        return prepared.encoded
    return png.encode(decoded(prepared), prepared.icc)


def pixels(data: bytes, *, frame: int | None = None) -> Image.Image:
    """The published picture, decoded: for previews and references.

    Args:
        data: The whole raw file.
        frame: As for :func:`examine`.

    Returns:
        A loaded picture of the mode that ``Facts.mode`` names.

    Raises:
        ImageError: As for :func:`examine`.
    """
    return decoded(prepare(data, frame))


def frame_count(data: bytes) -> int:
    """How many frames, pages or slices a file holds that ``frame`` can name, without decoding pixels.

    Args:
        data: The whole raw file.

    Raises:
        ImageError: The file is no picture, or damaged.
    """
    return count(data)


def dropped(data: bytes) -> tuple[Block, ...]:
    """What of a file is not published: names and sizes of metadata, never their content.

    Args:
        data: The whole raw file.

    Raises:
        ImageError: The file is no picture, or damaged.
    """
    return metadata(data)
