"""Phantoms: drawn pictures that stand in for medical images in fixtures, tests and trial runs.

A phantom shows a lesion on a plainly drawn body. The label decides the lesion's shape and texture and nothing
else; the seed decides all the rest: anatomy, place, size, tilt, phase, illumination, noise. Colour and
brightness tell nothing about the label, and that holds exactly: two phantoms that differ in their labels
alone consist of the same pixel values, as often, in different places (see ``_redistribute``). So a model that
scores above chance on phantoms has looked at structure.

The same call gives the same pixels on every machine. Chance comes from SHAKE-256, not from a generator whose
stream may change between releases, and the arithmetic is limited to what IEEE 754 rounds exactly (no sine, no
exponential, no matrix product).
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from med_mat.errors import MedMatError

Mode = Literal["1", "L", "P", "RGB", "RGBA", "I;16"]
Style = Literal[
    "xray",
    "ct",
    "mri",
    "fundus",
    "dermoscopy",
    "histology",
    "ultrasound",
    "endoscopy",
    "oct",
    "photo",
]
MODES: tuple[Mode, ...] = get_args(Mode)
STYLES: tuple[Style, ...] = get_args(Style)

Plane = npt.NDArray[np.float64]
Bits = npt.NDArray[np.bool_]
Box = tuple[int, int, int, int]

_SMALLEST_CELL = 12  # below this a lesion is a few pixels and its texture is gone
_CONTRAST = 0.28


class PhantomError(MedMatError, ValueError):
    """A phantom was asked for that cannot be drawn, or a file format that cannot hold it."""


@dataclass(frozen=True, slots=True)
class Lesion:
    """One drawn lesion.

    Attributes:
        label: The index of its label.
        mask: Mode ``L``, size of the picture: 255 on the lesion, 0 elsewhere.
        box: ``(xmin, ymin, xmax, ymax)`` in pixels, the last two exclusive: the tight box of ``mask``.
    """

    label: int
    mask: Image.Image
    box: Box


@dataclass(frozen=True, slots=True)
class Phantom:
    """A drawn picture and what is drawn on it.

    Attributes:
        image: The picture.
        lesions: One per label, in the order of the labels; lesions do not overlap.
    """

    image: Image.Image
    lesions: tuple[Lesion, ...]

    @property
    def mask(self) -> Image.Image:
        """All lesions together: mode ``L``, size of the picture, 255 on a lesion, 0 elsewhere."""
        union = Image.new("L", self.image.size)
        for lesion in self.lesions:
            union.paste(255, mask=lesion.mask)
        return union

    @property
    def box(self) -> Box | None:
        """The tight box around all lesions in pixels, None for a picture without lesions."""
        return self.mask.getbbox()


def phantom(
    label: int,
    of: int,
    seed: str,
    size: tuple[int, int] = (256, 256),
    mode: Mode = "L",
    style: Style = "xray",
) -> Image.Image:
    """Draws a picture of one label.

    Pictures that share a seed, a size and a style share anatomy, noise and the lesion's place: give every
    picture its own seed unless near-duplicates are wanted.

    Args:
        label: Index of the label, 0 to ``of - 1``.
        of: Number of labels, 1 to 40.
        seed: Any text; whatever is not the label follows from it.
        size: Width and height in pixels, each at least 12.
        mode: Pillow mode of the result. ``I;16`` uses the full range, ``P`` carries the style's palette,
            ``RGBA`` is opaque, ``1`` has its brightest 40 % white.
        style: What the background looks like.

    Returns:
        A picture of that size and mode.

    Raises:
        PhantomError: An argument is out of range.
    """
    return phantom_regions([label], of, seed, size, mode, style).image


def phantom_multi(
    labels: Sequence[int],
    of: int,
    seed: str,
    size: tuple[int, int] = (256, 256),
    mode: Mode = "L",
    style: Style = "xray",
) -> Image.Image:
    """Draws a picture of a set of labels: lesions side by side, or the plain background for no label.

    Colour and brightness are the same for all sets of one size; the number of lesions does show in the
    histogram.

    Args:
        labels: Indices of labels; a repeated index is drawn as often.
        of: As for `phantom`.
        seed: As for `phantom`.
        size: As for `phantom`; at least 12 pixels for every row and column of the lesions' square grid.
        mode: As for `phantom`.
        style: As for `phantom`.

    Returns:
        A picture of that size and mode.

    Raises:
        PhantomError: An argument is out of range.
    """
    return phantom_regions(labels, of, seed, size, mode, style).image


def phantom_regions(
    labels: Sequence[int],
    of: int,
    seed: str,
    size: tuple[int, int] = (256, 256),
    mode: Mode = "L",
    style: Style = "xray",
) -> Phantom:
    """Draws the picture of `phantom_multi` and says where each lesion is.

    Args:
        labels: As for `phantom_multi`.
        of: As for `phantom`.
        seed: As for `phantom`.
        size: As for `phantom_multi`.
        mode: As for `phantom`.
        style: As for `phantom`.

    Returns:
        The picture with one lesion per label.

    Raises:
        PhantomError: An argument is out of range.
    """
    rows = _grid(len(labels))
    _check(labels, of, size, mode, style, rows)
    width, height = size
    background = _background(style, seed, size)
    noise = _noise(seed, size)
    drawn, reference = background.copy(), background.copy()
    lesions = []
    for number, (label, cell) in enumerate(zip(labels, _cells(rows, seed, size), strict=False)):
        frame = _frame(f"{seed}/{number}", cell, size)
        mask = np.zeros((height, width), np.bool_)
        mask[frame.window] = _SHAPES[label % len(_SHAPES)](frame.u, frame.v)
        _paint(drawn, background, frame, mask[frame.window], _texture(label))
        _paint(reference, background, frame, _disc(frame.u, frame.v), _speckle)
        lesions.append(_lesion(label, mask))
    values = _redistribute(_quantised(drawn, noise), np.sort(_quantised(reference, noise), axis=None))
    return Phantom(_image(values, mode, style), tuple(lesions))


def encode(image: Image.Image, name: str) -> bytes:
    """Encodes a picture in the format that a file name asks for, without metadata.

    Args:
        image: The picture.
        name: A file name or path; only its extension counts, in any case: ``.jpg``, ``.jpeg``, ``.png``,
            ``.bmp``, ``.tif``, ``.tiff``, ``.gif``, ``.pgm``, ``.dcm``, ``.dicom``.

    Returns:
        The bytes of the file. JPEG has quality 90. DICOM is an uncompressed secondary capture (explicit VR,
        little endian; 8 or 16 bits) whose identifiers are hashes of the pixels and whose patient is
        ``PHANTOM^PHANTOM``.

    Raises:
        PhantomError: The extension is not one of these, or the format does not hold the picture's mode.
    """
    extension = PurePosixPath(name).suffix.lower()
    if extension not in _FORMATS:
        found = f"extension {extension!r}" if extension else "a name without extension"
        raise PhantomError(f"{name}: no encoder for {found}; use {_listed(_FORMATS)}")
    held = _FORMATS[extension]
    if image.mode not in held.modes:
        raise PhantomError(
            f"{name}: {held.pillow or 'DICOM'} is written from mode {_listed(held.modes)}, not {image.mode}; "
            "draw the phantom in one of these modes or choose another extension"
        )
    if held.pillow is None:
        return _dicom(image)
    buffer = io.BytesIO()
    options = {"quality": 90} if held.pillow == "JPEG" else {}
    image.save(buffer, held.pillow, **options)
    return buffer.getvalue()


# Chance -----------------------------------------------------------------------------------------------------


def _digest(seed: str, topic: str, length: int) -> bytes:
    return hashlib.shake_256(f"med-mat phantom\0{topic}\0{seed}".encode("utf-8", "surrogatepass")).digest(length)


def _draws(seed: str, topic: str) -> Iterator[float]:
    """Numbers in [0, 1), each a multiple of 2**-24 and so exact in single precision."""
    block = 0
    while True:
        for number in np.frombuffer(_digest(seed, f"{topic}/{block}", 1024), "<u4").tolist():
            yield (number >> 8) / (1 << 24)
        block += 1


def _between(draws: Iterator[float], low: float, high: float) -> float:
    return low + (high - low) * next(draws)


def _either(draws: Iterator[float], first: float, second: float) -> float:
    return first if next(draws) < 0.5 else second


# Lesions ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Frame:
    """A lesion's own coordinates on the part of the picture that it can reach."""

    window: tuple[slice, slice]
    u: Plane
    v: Plane
    seed: str
    phase: float


def _grid(count: int) -> int:
    """Rows and columns of the smallest square grid with a cell for each lesion."""
    rows = 1
    while rows * rows < count:
        rows += 1
    return rows


def _cells(rows: int, seed: str, size: tuple[int, int]) -> list[tuple[float, float, float]]:
    """Centre (x, y) and side in pixels of each cell, in an order drawn from the seed."""
    draws = _draws(seed, "cells")
    width, height = size
    side = min(width, height) / rows
    # One lesion stays near the middle, where every style has body; many have to share the whole picture.
    spread = 0.8 if rows > 1 else 1.0
    cells = [
        (
            width * (0.5 + spread * ((column + 0.5) / rows - 0.5)),
            height * (0.5 + spread * ((row + 0.5) / rows - 0.5)),
            side * spread,
        )
        for row in range(rows)
        for column in range(rows)
    ]
    return [cell for _, cell in sorted((next(draws), cell) for cell in cells)]


def _frame(seed: str, cell: tuple[float, float, float], size: tuple[int, int]) -> _Frame:
    draws = _draws(seed, "lesion")
    x, y, side = cell
    x += side * _between(draws, -0.09, 0.09)
    y += side * _between(draws, -0.09, 0.09)
    radius = side * _between(draws, 0.2, 0.26)
    # The rational form of a tilt (half its tangent) of at most 18 degrees: no sine needed.
    half = _between(draws, -0.16, 0.16)
    cosine, sine = (1 - half * half) / (1 + half * half), 2 * half / (1 + half * half)
    reach = 1.45 * radius
    columns = slice(max(int(x - reach), 0), min(int(x + reach) + 2, size[0]))
    rows = slice(max(int(y - reach), 0), min(int(y + reach) + 2, size[1]))
    dx = (np.arange(columns.start, columns.stop, dtype=np.float64)[None, :] + (0.5 - x)) / radius
    dy = (np.arange(rows.start, rows.stop, dtype=np.float64)[:, None] + (0.5 - y)) / radius
    u, v = dx * cosine + dy * sine, dy * cosine - dx * sine
    return _Frame((rows, columns), u, v, seed, _between(draws, -0.2, 0.2))


# Every shape covers an area of 2, in squares of the lesion's radius, so that size tells nothing.


def _disc(u: Plane, v: Plane) -> Bits:
    return u * u + v * v <= 0.6366


def _square(u: Plane, v: Plane) -> Bits:
    return np.maximum(np.abs(u), np.abs(v)) <= 0.7071


def _triangle(u: Plane, v: Plane) -> Bits:
    return np.maximum(np.abs(u) * 0.8660254 - v * 0.5, v) <= 0.6204


def _ring(u: Plane, v: Plane) -> Bits:
    squared = u * u + v * v
    return (squared >= 0.4634) & (squared <= 1.1)


def _cross(u: Plane, v: Plane) -> Bits:
    a, b = np.abs(u), np.abs(v)
    return (np.minimum(a, b) <= 0.2588) & (np.maximum(a, b) <= 1.0954)


def _star(u: Plane, v: Plane) -> Bits:
    # A point of a pentagram lies on the inner side of at least four of its five lines.
    normals = (
        (0.0, 1.0),
        (0.9510565, 0.309017),
        (0.5877853, -0.809017),
        (-0.5877853, -0.809017),
        (-0.9510565, 0.309017),
    )
    inside = np.zeros(u.shape, np.int8)
    for a, b in normals:
        inside += (u * a + v * b) <= 0.4125
    return inside >= 4


def _crescent(u: Plane, v: Plane) -> Bits:
    left, right = u + 0.35, u - 0.3
    return (left * left + v * v <= 1.1) & (right * right + v * v > 0.636)


def _cluster(u: Plane, v: Plane) -> Bits:
    centres = (
        (0.0, 0.0),
        (0.0, -0.85),
        (0.8084, -0.2627),
        (0.4996, 0.6877),
        (-0.4996, 0.6877),
        (-0.8084, -0.2627),
    )
    inside = np.zeros(u.shape, np.bool_)
    for a, b in centres:
        inside |= (u - a) * (u - a) + (v - b) * (v - b) <= 0.1061
    return inside


_SHAPES: tuple[Callable[[Plane, Plane], Bits], ...] = (
    _disc,
    _cross,
    _triangle,
    _ring,
    _cluster,
    _square,
    _crescent,
    _star,
)


# A texture says which pixels are light; about half are.


def _broad(frame: _Frame) -> Bits:
    return _odd(frame.v * 1.4 + frame.phase)


def _checker(frame: _Frame) -> Bits:
    return _odd(frame.u * 1.7 + frame.phase) ^ _odd(frame.v * 1.7)


def _speckle(frame: _Frame) -> Bits:
    tile = np.frombuffer(_digest(frame.seed, "speckle", 32 * 32), np.uint8).reshape(32, 32)
    rows = (np.floor(frame.v * 4).astype(np.int32)) % 32
    columns = (np.floor(frame.u * 4).astype(np.int32)) % 32
    return np.asarray(tile[rows, columns] < 128)


def _narrow(frame: _Frame) -> Bits:
    return _odd(frame.u * 3.4 + frame.phase)


def _rings(frame: _Frame) -> Bits:
    return _odd(np.sqrt(frame.u * frame.u + frame.v * frame.v) * 2.6 + frame.phase)


def _odd(cells: Plane) -> Bits:
    odd: Bits = np.floor(cells) % 2 == 1
    return odd


_TEXTURES: tuple[Callable[[_Frame], Bits], ...] = (_broad, _narrow, _checker, _speckle, _rings)
MOST_LABELS = len(_SHAPES) * len(_TEXTURES)


def _texture(label: int) -> Callable[[_Frame], Bits]:
    """Neighbouring labels differ in shape and in texture; each of the 40 pairs comes once."""
    return _TEXTURES[(label % len(_SHAPES) + label // len(_SHAPES)) % len(_TEXTURES)]


def _paint(onto: Plane, background: Plane, frame: _Frame, mask: Bits, texture: Callable[[_Frame], Bits]) -> None:
    around = background[frame.window]
    # Summed as integers: a sum of floats depends on its order, which differs between processors.
    level = int((around * 4096).astype(np.int64).sum()) / (4096 * around.size)
    level = min(max(level, _CONTRAST + 0.05), 0.95 - _CONTRAST)
    painted = np.where(texture(frame), np.float64(level + _CONTRAST), np.float64(level - _CONTRAST))
    target = onto[frame.window]
    # A little of the anatomy shines through.
    np.copyto(target, painted + (around - level) * 0.15, where=mask)


def _lesion(label: int, mask: Bits) -> Lesion:
    picture = Image.fromarray(mask.astype(np.uint8) * np.uint8(255))
    box = picture.getbbox()
    assert box is not None, "a cell of the smallest size still holds every shape"
    return Lesion(label, picture, box)


# Pixels -----------------------------------------------------------------------------------------------------


def _noise(seed: str, size: tuple[int, int]) -> Plane:
    """Noise per pixel, roughly bell-shaped, within -1 and 1, as wide as the seed says."""
    width, height = size
    raw = np.frombuffer(_digest(seed, "noise", width * height), np.uint8).reshape(height, width)
    strength = _between(_draws(seed, "noise strength"), 0.05, 0.1)
    return ((raw >> 4).astype(np.float64) + (raw & 15) - 15.0) * (strength / 15.0)


def _quantised(plane: Plane, noise: Plane) -> npt.NDArray[np.uint16]:
    """Softens edges by one pixel, as optics do, adds the noise and maps 0..1 to 16 bits."""
    padded = np.pad(plane, 1, mode="edge")
    soft = (padded[:-2] + padded[2:] + padded[1:-1] * 2.0) * 0.25
    soft = (soft[:, :-2] + soft[:, 2:] + soft[:, 1:-1] * 2.0) * 0.25
    return (np.clip(soft + noise * (soft + 0.15), 0.0, 1.0) * 65535.0).astype(np.uint16)


def _redistribute(drawn: npt.NDArray[np.uint16], values: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    """Gives the drawing the pixel values of another: its darkest pixel the lowest of them, and so on by rank.

    The values come from the same background under a lesion that is the same for every label. As the two
    drawings have almost the same histogram, this changes little to the eye; but it makes the histogram carry
    nothing.
    """
    result = np.empty_like(values)
    result[np.argsort(drawn, axis=None, kind="stable")] = values
    return result.reshape(drawn.shape)


def _image(values: npt.NDArray[np.uint16], mode: Mode, style: Style) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(values)
    if mode == "1":
        white = np.zeros(values.size, np.bool_)
        white[np.argsort(values, axis=None, kind="stable")[values.size * 6 // 10 :]] = True
        return Image.fromarray(white.reshape(values.shape).astype(np.uint8) * np.uint8(255)).convert("1")
    levels = (values >> 8).astype(np.uint8)
    if mode == "L":
        return Image.fromarray(levels)
    palette = _palette(style)
    if mode == "P":
        indexed = Image.fromarray(levels)
        indexed.putpalette(palette.tobytes())
        return indexed
    colour = Image.fromarray(palette[levels])
    if mode == "RGBA":
        colour.putalpha(255)
    return colour


# Colours at levels 0, 64, 128, 192 and 255.
_GREYS = ((0, 0, 0), (64, 64, 64), (128, 128, 128), (192, 192, 192), (255, 255, 255))
_COLOURS: dict[Style, tuple[tuple[int, int, int], ...]] = {
    "fundus": ((0, 0, 0), (96, 28, 10), (190, 78, 28), (232, 150, 70), (255, 236, 190)),
    "dermoscopy": ((24, 12, 10), (104, 62, 48), (176, 124, 104), (226, 184, 164), (255, 236, 226)),
    "histology": ((46, 18, 92), (112, 56, 142), (196, 112, 172), (234, 184, 212), (252, 244, 248)),
    "endoscopy": ((0, 0, 0), (112, 26, 22), (196, 82, 66), (236, 154, 130), (255, 246, 236)),
    "photo": ((16, 28, 40), (44, 88, 104), (186, 132, 104), (228, 180, 150), (255, 232, 214)),
}


def _palette(style: Style) -> npt.NDArray[np.uint8]:
    stops = np.array(_COLOURS.get(style, _GREYS), np.int32)
    levels = np.arange(256, dtype=np.int32)
    left = np.minimum(levels // 64, 3)
    span = np.where(left == 3, 63, 64)[:, None]
    step = (levels - left * 64)[:, None]
    colours = (stops[left] * (span - step) + stops[left + 1] * step) // span
    return np.asarray(colours, np.uint8)


# Backgrounds ------------------------------------------------------------------------------------------------


def _background(style: Style, seed: str, size: tuple[int, int]) -> Plane:
    """Light of the body without lesion, about 0 to 1, shape (height, width)."""
    draws = _draws(seed, f"anatomy/{style}")
    width, height = size
    x = (np.arange(width, dtype=np.float64)[None, :] + 0.5) * (2 / width) - 1.0
    y = (np.arange(height, dtype=np.float64)[:, None] + 0.5) * (2 / height) - 1.0
    half = _between(draws, -0.09, 0.09)
    zoom = _between(draws, 0.85, 1.1)
    cosine, sine = zoom * (1 - half * half) / (1 + half * half), zoom * 2 * half / (1 + half * half)
    x, y = x - _between(draws, -0.1, 0.1), y - _between(draws, -0.1, 0.1)
    x, y = x * cosine + y * sine, y * cosine - x * sine
    light = _PAINTERS[style](x, y, draws)
    # Uneven light, so that pictures of one style are no near-duplicates of one another.
    lamp = x * _between(draws, -0.25, 0.25) + y * _between(draws, -0.25, 0.25) + _between(draws, 0.9, 1.08)
    lamp = lamp + x * y * _between(draws, -0.25, 0.25) + (x * x - y * y) * _between(draws, -0.12, 0.12)
    return light * lamp


def _ellipse(x: Plane, y: Plane, cx: float, cy: float, a: float, b: float, soft: float = 0.06) -> Plane:
    """1 inside, 0 outside, a ramp of that width (as a share of the radius) between."""
    p, q = (x - cx) * (1 / a), (y - cy) * (1 / b)
    return np.clip((1.0 - (p * p + q * q)) * (0.5 / soft) + 0.5, 0.0, 1.0)


def _line(distance: Plane, half_width: float) -> Plane:
    """1 where a distance is 0, falling to 0 at twice the half width."""
    return np.clip(2.0 - np.abs(distance) * (1 / half_width), 0.0, 1.0)


def _wave(t: Plane) -> Plane:
    """A triangle wave of period 1 between 0 and 1."""
    return np.abs((t - np.floor(t)) * 2.0 - 1.0)


def _xray(x: Plane, y: Plane, draws: Iterator[float]) -> Plane:
    body = _ellipse(x, y, 0.0, 0.25, _between(draws, 0.82, 0.98), 1.2)
    gap, wide, tall = _between(draws, 0.38, 0.46), _between(draws, 0.27, 0.34), _between(draws, 0.58, 0.74)
    lungs = _ellipse(x, y, -gap, 0.0, wide, tall, 0.15) + _ellipse(x, y, gap, -0.02, wide, tall, 0.15)
    heart = _ellipse(x, y, _between(draws, 0.08, 0.2), 0.35, _between(draws, 0.26, 0.4), 0.36, 0.2)
    bend, spacing = _between(draws, 0.3, 0.6), _between(draws, 0.17, 0.23)
    ribs = _wave((y + (np.abs(x) - 0.3) * (np.abs(x) - 0.3) * bend) / spacing + next(draws))
    cage = _ellipse(x, y, 0.0, 0.0, 0.86, 0.92, 0.1)
    spine = _line(x, 0.06) * (0.75 + 0.25 * _wave(y / 0.14))
    collar = _line(y + 0.72 - np.abs(x) * _between(draws, 0.1, 0.3), 0.03)
    light = 0.04 + body * 0.5 - lungs * 0.3 + body * heart * 0.2
    return light + body * (spine * 0.16 + collar * 0.12) + cage * np.clip(ribs - 0.55, 0.0, 1.0) * 0.28


def _ct(x: Plane, y: Plane, draws: Iterator[float]) -> Plane:
    a, b = _between(draws, 0.8, 0.94), _between(draws, 0.6, 0.74)
    body, inner = _ellipse(x, y, 0, 0, a, b), _ellipse(x, y, 0, 0, a - 0.12, b - 0.12)
    light = 0.02 + body * 0.26 + inner * 0.14
    liver = _ellipse(x, y, _between(draws, -0.42, -0.3), -0.1, _between(draws, 0.28, 0.4), 0.34)
    spleen = _ellipse(x, y, _between(draws, 0.4, 0.55), 0.05, 0.16, _between(draws, 0.18, 0.28))
    light = light + inner * (liver * 0.16 + spleen * 0.2)
    light = light + _ellipse(x, y, 0.0, b - 0.24, 0.11, 0.1) * 0.45
    aorta = _ellipse(x, y, _between(draws, 0.02, 0.1), b - 0.42, 0.06, 0.06, 0.2)
    table = _line(y - (b + 0.12) + x * x * 0.1, 0.012)
    for side in (-1.0, 1.0):
        light = light + _ellipse(x, y, side * _between(draws, 0.28, 0.36), b - 0.3, 0.09, 0.12, 0.15) * 0.24
    return light + aorta * 0.3 + table * 0.3


def _mri(x: Plane, y: Plane, draws: Iterator[float]) -> Plane:
    a, b = _between(draws, 0.66, 0.8), _between(draws, 0.82, 0.94)
    light = 0.02 + _ellipse(x, y, 0, 0, a, b) * 0.68 - _ellipse(x, y, 0, 0, a - 0.07, b - 0.07) * 0.58
    brain = _ellipse(x, y, 0, 0, a - 0.14, b - 0.14)
    folds = _wave((x * x + y * y) * _between(draws, 3.0, 5.0) + _wave(x * 2.3 + next(draws)) + _wave(y * 2.7))
    light = light + brain * (0.32 + folds * 0.1) - brain * _line(x, 0.012) * 0.25
    width, tilt = _between(draws, 0.06, 0.12), _between(draws, 0.2, 0.5)
    for side in (-1.0, 1.0):
        horn = _ellipse(x + y * tilt * side, y, side * 0.14, -0.05, width, _between(draws, 0.22, 0.34), 0.15)
        light = light - horn * brain * 0.26
    return light


def _fundus(x: Plane, y: Plane, draws: Iterator[float]) -> Plane:
    squared = x * x + y * y
    field = _ellipse(x, y, 0, 0, 0.93, 0.93, 0.02)
    side = _either(draws, -1.0, 1.0)
    cx, cy = side * _between(draws, 0.4, 0.55), _between(draws, -0.08, 0.08)
    light = 0.56 - squared * 0.18 - _ellipse(x, y, -side * 0.1, cy, 0.16, 0.16, 0.9) * 0.12
    inward = (x - cx) * -side
    for up in (-1.0, 1.0):
        for bend in (_between(draws, 0.5, 0.8), _between(draws, 0.9, 1.4)):
            arch = (y - cy) * up
            vessel = _line(inward - arch * arch * bend * 1.6 + arch * 0.25 / bend, 0.022)
            light = light - vessel * np.clip(arch * 40.0, 0.0, 1.0) * 0.2
    return field * (light + _ellipse(x, y, cx, cy, 0.13, 0.15, 0.3) * 0.42)


def _dermoscopy(x: Plane, y: Plane, draws: Iterator[float]) -> Plane:
    light = 0.66 - np.clip(x * x + y * y - 0.9, 0.0, 1.0) * 0.5
    pores = _wave(x * _between(draws, 4, 7) + _wave(y * 3.1 + next(draws)) * 0.9)
    light = light + pores * _wave(y * _between(draws, 4, 7) + _wave(x * 2.7) * 0.9) * 0.07
    for _ in range(5):
        slope, bend = _between(draws, -1.4, 1.4), _between(draws, -0.5, 0.5)
        along, across = (x, y) if next(draws) < 0.5 else (y, x)
        hair = _line(across - along * slope - along * along * bend - _between(draws, -0.9, 0.9), 0.011)
        light = light - hair * 0.3
    return light


def _histology(x: Plane, y: Plane, draws: Iterator[float]) -> Plane:
    waves = _wave(x * _between(draws, 0.8, 2.0) + _wave(y * _between(draws, 0.7, 1.5) + next(draws)) + next(draws))
    light = 0.66 + waves * 0.16
    side = _between(draws, 5.0, 8.0)
    for tangent in (0.0, 0.5):
        p, q = (x + y * 0.2) * side + tangent, (y - x * 0.15) * side + tangent
        column, row = np.floor(p), np.floor(q)
        # Nuclei jitter within their cells; the tile repeats beyond the picture.
        key = (column.astype(np.int32) * 31 + row.astype(np.int32) * 17) & 255
        tile = np.array([next(draws) for _ in range(768)], np.float64).reshape(3, 256)
        dx = p - column - 0.3 - tile[0][key] * 0.4
        dy = q - row - 0.3 - tile[1][key] * 0.4
        reach = tile[2][key] * 0.05 + 0.012
        nucleus = np.clip((reach - dx * dx * 1.4 - dy * dy) * 60.0, 0.0, 1.0)
        light = light - nucleus * 0.34
    return np.clip(light, 0.05, 1.0)


def _ultrasound(x: Plane, y: Plane, draws: Iterator[float]) -> Plane:
    depth = y + 1.15
    inside = np.clip((depth * _between(draws, 0.62, 0.8) + 0.12 - np.abs(x)) * 40.0, 0.0, 1.0)
    reach = x * x * 0.35 + depth
    inside = inside * np.clip((2.05 - reach) * 40.0, 0.0, 1.0) * np.clip((reach - 0.28) * 40.0, 0.0, 1.0)
    layers = _wave(reach * _between(draws, 1.2, 2.2) + _wave(x * 0.8 + next(draws)) * 0.4)
    streaks = _wave(x / depth * 23.0 + _wave(reach * 9.0 + next(draws)) * 2.0) * _wave(reach * 31.0 + _wave(x * 5.0))
    light = 0.3 + layers * 0.2 + streaks * 0.22 - depth * 0.06
    for _ in range(2):
        spot = (_between(draws, -0.5, 0.5), _between(draws, -0.3, 0.5))
        light = light - _ellipse(x, y, *spot, _between(draws, 0.1, 0.22), _between(draws, 0.07, 0.14), 0.3) * 0.2
    return inside * light


def _endoscopy(x: Plane, y: Plane, draws: Iterator[float]) -> Plane:
    field = np.clip((0.94 - np.maximum(np.abs(x), np.abs(y))) * 60.0, 0.0, 1.0)
    field = field * np.clip((1.55 - np.abs(x) - np.abs(y)) * 60.0, 0.0, 1.0)
    cx, cy = _between(draws, -0.7, 0.7), _between(draws, -0.7, 0.7)
    away = np.sqrt((x - cx) * (x - cx) + (y - cy) * (y - cy))
    folds = _wave(away * _between(draws, 1.4, 2.2) + _wave(x * 1.1 + y * 0.7 + next(draws)) * 0.35)
    light = 0.34 + np.minimum(away, 0.8) * 0.32 + folds * 0.14 - _ellipse(x, y, cx, cy, 0.3, 0.26, 0.6) * 0.24
    for _ in range(4):
        spot = (_between(draws, -0.8, 0.8), _between(draws, -0.8, 0.8))
        light = light + _ellipse(x, y, *spot, 0.05, 0.025, 0.3) * 0.4
    return field * light


def _oct(x: Plane, y: Plane, draws: Iterator[float]) -> Plane:
    bend, pit = _between(draws, -0.16, 0.16), _between(draws, 0.1, 0.26)
    surface = y + 0.42 + x * x * bend
    depth = surface - _ellipse(x, y * 0.0, _between(draws, -0.25, 0.25), 0.0, 0.42, 1.0, 0.5) * pit
    light = 0.08 + np.clip(depth * 30.0, 0.0, 1.0) * 0.36
    for start, strength in ((0.16, -0.16), (0.28, 0.14), (0.4, -0.2), (0.62, 0.3), (0.74, -0.18)):
        light = light + np.clip((surface - start - _between(draws, -0.03, 0.03)) * 30.0, 0.0, 1.0) * strength
    return light - np.clip(surface - 0.85, 0.0, 1.0) * 0.35


def _photo(x: Plane, y: Plane, draws: Iterator[float]) -> Plane:
    slope, half = _between(draws, -0.35, 0.35), _between(draws, 0.62, 0.8)
    across = y - x * slope + _wave(x * 0.4 + next(draws)) * 0.12
    limb = np.clip((half - np.abs(across)) * 25.0, 0.0, 1.0)
    skin = 0.72 - across * across * 0.3 + _wave(x * 6.0 + _wave(y * 5.0 + next(draws))) * 0.03
    backdrop = 0.16 + (x + y) * 0.04
    return backdrop + limb * (skin - backdrop)


_PAINTERS: dict[Style, Callable[[Plane, Plane, Iterator[float]], Plane]] = {
    "xray": _xray,
    "ct": _ct,
    "mri": _mri,
    "fundus": _fundus,
    "dermoscopy": _dermoscopy,
    "histology": _histology,
    "ultrasound": _ultrasound,
    "endoscopy": _endoscopy,
    "oct": _oct,
    "photo": _photo,
}


# Arguments and files ----------------------------------------------------------------------------------------


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)


def _check(labels: Sequence[int], of: int, size: tuple[int, int], mode: str, style: str, rows: int) -> None:
    if not 1 <= of <= MOST_LABELS:
        raise PhantomError(f"phantom of {of} labels: there are shapes and textures for 1 to {MOST_LABELS}")
    for label in labels:
        if not 0 <= label < of:
            raise PhantomError(f"phantom of label {label}: expected an index from 0 to {of - 1}")
    if min(size) < _SMALLEST_CELL * rows:
        raise PhantomError(
            f"phantom of {size[0]} x {size[1]} pixels: {len(labels)} lesions need at least "
            f"{_SMALLEST_CELL * rows} in each direction"
        )
    if mode not in MODES:
        raise PhantomError(f"phantom in mode {mode!r}: expected one of {_listed(MODES)}")
    if style not in STYLES:
        raise PhantomError(f"phantom in style {style!r}: expected one of {_listed(STYLES)}")


@dataclass(frozen=True, slots=True)
class _Format:
    """Pillow's name of a format (None: DICOM) and the modes that it holds without loss of meaning."""

    pillow: str | None
    modes: tuple[str, ...]


_JPEG = _Format("JPEG", ("L", "RGB", "CMYK"))
_TIFF = _Format("TIFF", ("1", "L", "P", "RGB", "RGBA", "CMYK", "I;16"))
_FORMATS: dict[str, _Format] = {
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".png": _Format("PNG", ("1", "L", "P", "RGB", "RGBA", "I;16")),
    ".bmp": _Format("BMP", ("1", "L", "P", "RGB")),
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".gif": _Format("GIF", ("L", "P")),
    ".pgm": _Format("PPM", ("L", "I;16")),
    ".dcm": _Format(None, ("L", "RGB", "I;16")),
    ".dicom": _Format(None, ("L", "RGB", "I;16")),
}


def _dicom(image: Image.Image) -> bytes:
    pixels = np.asarray(image)
    data = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    identity = hashlib.sha256(f"{image.mode} {image.size} ".encode() + data).hexdigest()
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[identity, "instance"])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=[identity, "study"])
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=[identity, "series"])
    dataset.Modality = "OT"
    # A name that no release may carry, so that a leak of it is easy to find.
    dataset.PatientName = "PHANTOM^PHANTOM"
    dataset.PatientID = identity[:16]
    dataset.Columns, dataset.Rows = image.size
    dataset.SamplesPerPixel = len(image.getbands())
    dataset.PhotometricInterpretation = "RGB" if image.mode == "RGB" else "MONOCHROME2"
    if image.mode == "RGB":
        dataset.PlanarConfiguration = 0
    bits = pixels.dtype.itemsize * 8
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.PixelRepresentation = 0
    dataset.PixelData = data if len(data) % 2 == 0 else data + b"\0"
    dataset["PixelData"].VR = "OW" if bits == 16 else "OB"
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
