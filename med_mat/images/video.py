"""Video: single frames, decoded by FFmpeg through OpenCV, published as PNG."""

from __future__ import annotations

from functools import lru_cache
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np
from PIL import Image

from med_mat.errors import ImageError
from med_mat.images import flatten
from med_mat.images.facts import Block, Prepared
from med_mat.images.guard import check_size, decoding, optional, pick_frame, silenced

_FOUR_CC = (0, 8, 16, 24)


def prepare(data: bytes, frame: int | None) -> Prepared:
    """Decode one frame.

    Frames are counted in the order in which they are shown. They are decoded from the first on, never sought, so
    that a frame is the same whatever was asked for before it.

    Args:
        data: An MP4, MOV, AVI, Matroska, WebM, MPEG or ASF file.
        frame: From 0; must be named where the file holds several.

    Raises:
        ImageError: Damaged, too large, without a video stream that decodes, or without such a frame.
        DependencyError: The extra ``formats`` is not installed.
    """
    film = _open(data)
    wanted = pick_frame(frame, film.frames, "video", default=None)
    return Prepared("VIDEO", "video", film.frames, image=flatten.to_published(film.read(wanted)))


def count(data: bytes) -> int:
    """Frames of a file, as its container gives them.

    Raises:
        ImageError: Damaged.
        DependencyError: The extra ``formats`` is not installed.
    """
    return _open(data).frames


def metadata(data: bytes) -> tuple[Block, ...]:
    """Everything but the frames, as one block: container, sound, subtitles and tags.

    Raises:
        ImageError: Damaged.
        DependencyError: The extra ``formats`` is not installed.
    """
    return (Block(f"video container ({_open(data).codec}), sound and tags", len(data)),)


class _Film:
    """A video that is being read forwards."""

    def __init__(self, data: bytes) -> None:
        self._cv2 = optional("cv2", "formats", "a video file")
        # A file, for OpenCV ends the process over some damaged films that it is given in memory.
        self._file = NamedTemporaryFile(prefix="med-mat-film-")  # noqa: SIM115 - it lives as long as the film
        self._file.write(data)
        self._file.flush()
        self._rewind()
        get = self._capture.get
        width, height = int(get(self._cv2.CAP_PROP_FRAME_WIDTH)), int(get(self._cv2.CAP_PROP_FRAME_HEIGHT))
        check_size(width, height)
        self.frames = int(get(self._cv2.CAP_PROP_FRAME_COUNT))
        if self.frames < 1:
            raise ImageError("a video whose container does not say how many frames it holds: convert it to MP4 first")
        code = int(get(self._cv2.CAP_PROP_FOURCC))
        self.codec = "".join(chr(code >> shift & 0xFF) for shift in _FOUR_CC).strip("\x00 ")

    def _rewind(self) -> None:
        cv2 = self._cv2
        with silenced():
            # One thread: those of FFmpeg print when they like.
            self._capture: Any = cv2.VideoCapture(self._file.name, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        if not self._capture.isOpened():
            raise ImageError("damaged video file, or one without a video stream that is read")
        self._next = 0

    def read(self, frame: int) -> Image.Image:
        if frame < self._next:
            self._rewind()
        with silenced():
            while self._next < frame and self._capture.grab():
                self._next += 1
            good, pixels = self._capture.read()
        if not good:
            before, self._next = self._next, self.frames
            raise ImageError(
                f"damaged video file: frame {frame} of {self.frames} does not decode, {before} before it do"
            )
        self._next += 1
        return Image.fromarray(np.ascontiguousarray(pixels[..., ::-1]))


@lru_cache(maxsize=1)
def _open(data: bytes) -> _Film:
    """Open a file. The last one is remembered: its frames are asked for one by one, forwards."""
    with decoding("video"):
        return _Film(data)
