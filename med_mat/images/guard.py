"""The one door through which foreign decoders are called: their errors, warnings and limits."""

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from med_mat.errors import DependencyError, ImageError

# What these libraries say of odd files belongs in an application's log; without a handler of its own it would go to
# standard error.
for _library in ("PIL", "nibabel", "pydicom", "tifffile"):
    logging.getLogger(_library).addHandler(logging.NullHandler())

MAX_PIXELS = 178_956_970
"""Largest picture in pixels. Twice Pillow's default ``MAX_IMAGE_PIXELS``: the size from which on a reader's
own Pillow refuses to open a picture, so that a larger one would be published in vain."""


@contextmanager
def decoding(what: str) -> Iterator[None]:
    """Turn whatever a decoder raises into an :class:`ImageError`, and keep its warnings off the terminal.

    Warnings filters belong to the process: do not decode in several threads if yours matter to you.

    Args:
        what: Name of the format, for the message.

    Raises:
        ImageError: The decoder failed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except (DependencyError, ImageError):
            raise
        except MemoryError as error:
            raise ImageError(f"damaged {what} file: it asks for more memory than there is") from error
        # Decoders of damaged files raise nearly anything: OSError, SyntaxError, struct.error, KeyError, ...
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ImageError(f"damaged {what} file: {reason}") from error


def optional(module: str, extra: str, what: str) -> Any:
    """Import a library that only a rare format needs.

    Args:
        module: Its name in Python.
        extra: The extra of this package that brings it.
        what: What it is needed for.

    Raises:
        DependencyError: It is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise DependencyError(
            f"{what} needs the library {module!r}, which is not installed: pip install 'med-mat[{extra}]'"
        ) from error


_STDERR = threading.Lock()


@contextmanager
def silenced() -> Iterator[None]:
    """Keep off the terminal what C libraries (those within GDCM, libtiff) print of damaged data.

    They offer no other way, so standard error is pointed elsewhere meanwhile; one thread at a time.
    """
    with _STDERR, Path(os.devnull).open("wb") as nowhere:
        kept = os.dup(2)
        try:
            os.dup2(nowhere.fileno(), 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def check_size(width: int, height: int) -> None:
    """Refuse pictures without pixels and pictures too large to be opened by readers.

    Raises:
        ImageError: No pixels, or more than ``MAX_PIXELS``.
    """
    if width < 1 or height < 1:
        raise ImageError(f"a picture of {width} x {height} has no pixels")
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"a picture of {width} x {height} is over the limit of {MAX_PIXELS} pixels, beyond which Pillow refuses "
            "to open it (decompression bomb)"
        )


def pick_frame(frame: int | None, frames: int, what: str, *, default: int | None = 0) -> int:
    """Check the frame that was asked for.

    Args:
        frame: What was asked for, from 0; None if nothing was.
        frames: How many the file holds.
        what: Word for the format, for the message.
        default: What None stands for; None where a file of several frames must be told which.

    Raises:
        ImageError: Out of range, or not named where it must be.
    """
    if frame is None:
        if default is None and frames != 1:
            raise ImageError(f"the {what} file holds {frames} frames: name one, from 0 to {frames - 1}")
        return default or 0
    if not 0 <= frame < frames:
        raise ImageError(f"frame {frame} was asked of a {what} file that holds {frames} (from 0 to {frames - 1})")
    return frame
