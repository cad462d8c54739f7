"""Fingerprints as bits: distances under mirroring and turning, and keys under which copies of a picture meet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from med_mat.hashing import rank
from med_mat.images.hashes import FINGERPRINT_BYTES, FREQUENCIES

Bits = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]

BITS = FREQUENCIES * FREQUENCIES
ORIENTATIONS = (
    "as it is",
    "mirrored left to right",
    "mirrored top to bottom",
    "turned by 180 degrees",
    "transposed",
    "turned by 90 degrees to the right",
    "turned by 90 degrees to the left",
    "transposed and turned by 180 degrees",
)
"""What brings the second picture of a pair into the orientation of the first, in the order of ``distances``."""

FEWEST_BITS, STEP_BITS, MOST_BITS = 8, 6, 62
USUAL_IN_BUCKET, MOST_IN_BUCKET = 8, 256
"""Pictures that would meet under one key if all looked different, and that may; where there are more, the key grows."""

_WIDE_BANDS, _LOW_BANDS = 16, 8
_LOW = 8  # frequencies along each axis that change least when a strip is cut off
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Band:
    """Some bits of a fingerprint.

    Attributes:
        places: Indices of ``MOST_BITS`` bits (row of vertical frequency times 16 plus horizontal frequency).
        mirror: Bit that tells whether the picture is to be mirrored left to right before bits are compared.
        upend: The same, top to bottom.
        low: Whether the bits are low frequencies alone, which all windows are compared by.
    """

    places: tuple[int, ...]
    mirror: int
    upend: int
    low: bool


@cache
def bands() -> tuple[Band, ...]:
    """Returns the bands, the same on every machine: which bits they hold is a hash."""
    return tuple(
        [_band(f"wide {number}", FREQUENCIES, low=False) for number in range(_WIDE_BANDS)]
        + [_band(f"low {number}", _LOW, low=True) for number in range(_LOW_BANDS)]
    )


def _band(name: str, side: int, *, low: bool) -> Band:
    grid = [(down, across) for down in range(side) for across in range(side)]

    def order(place: tuple[int, int]) -> int:
        return rank("band", name, f"{place[0]},{place[1]}")

    # Of the lowest frequencies, which are the strongest, so that noise does not turn them.
    mirror = min(((v, u) for v, u in grid if v % 2 == 0 and u % 2 == 1 and v + u <= 5), key=order)
    upend = min(((v, u) for v, u in grid if v % 2 == 1 and u % 2 == 0 and v + u <= 5), key=order)
    free = sorted((place for place in grid if place not in ((0, 0), mirror, upend)), key=order)
    places = [v * FREQUENCIES + u for v, u in free[:MOST_BITS]]
    return Band(tuple(places), mirror[0] * FREQUENCIES + mirror[1], upend[0] * FREQUENCIES + upend[1], low)


def unpack(packed: npt.NDArray[np.uint8]) -> Bits:
    """Fingerprints of shape (n, 32), bytes, as bits of shape (n, 256)."""
    return np.unpackbits(packed, axis=1, bitorder="little")


def transposed(packed: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Fingerprints of the transposed pictures; shape (n, 32) in and out."""
    out = np.empty_like(packed)
    for start in range(0, len(packed), _CHUNK):
        bits = unpack(packed[start : start + _CHUNK]).reshape(-1, FREQUENCIES, FREQUENCIES)
        out[start : start + _CHUNK] = np.packbits(
            bits.transpose(0, 2, 1).reshape(len(bits), BITS), axis=1, bitorder="little"
        )
    return out


def words(packed: npt.NDArray[np.uint8]) -> Words:
    """Fingerprints of shape (n, 32), bytes, as four 64-bit numbers each."""
    return np.ascontiguousarray(packed).view("<u8").astype(np.uint64, copy=False)


@cache
def masks() -> tuple[tuple[int, ...], ...]:
    """What mirroring inverts: for each of the first four ``ORIENTATIONS`` four 64-bit numbers."""
    across = np.tile(np.arange(FREQUENCIES) % 2, (FREQUENCIES, 1)).astype(np.uint8)
    inverted = [np.zeros_like(across), across, across.T, across ^ across.T]
    packed = np.packbits(np.stack([bits.reshape(BITS) for bits in inverted]), axis=1, bitorder="little")
    return tuple(tuple(int(word) for word in row) for row in words(packed))


def distances(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Bits in which fingerprints differ, for each orientation of the second picture.

    Args:
        first: Shape (n, 32), bytes.
        second: The same.

    Returns:
        Shape (n, 8), in the order of ``ORIENTATIONS``.
    """
    one = words(first)
    columns = []
    for other in (words(second), words(transposed(second))):
        for mask in masks():
            differing = np.ascontiguousarray(one ^ other ^ np.array(mask, np.uint64)).view(np.uint8)
            columns.append(_POPULATION[differing].sum(axis=1, dtype=np.int64))
    return np.stack(columns, axis=1)


_POPULATION = np.array([value.bit_count() for value in range(256)], np.uint8)


def keys(packed: npt.NDArray[np.uint8], band: Band) -> tuple[Words, npt.NDArray[np.bool_]]:
    """The bits of a band as one number, the same for a picture and its mirrored and turned copies.

    Args:
        packed: Shape (n, 32), bytes.
        band: Which bits.

    Returns:
        The numbers, shape (n,); of ``MOST_BITS`` bits, the first of the band is the highest. And whether each is that
        of the transposed picture.
    """
    out = np.empty(len(packed), np.uint64)
    is_turned = np.empty(len(packed), bool)
    plain, turned = _tables(band)
    for start in range(0, len(packed), _CHUNK):
        part = slice(start, start + _CHUNK)
        columns = np.ascontiguousarray(packed[part].T)
        one, other = _looked_up(columns, plain), _looked_up(columns, turned)
        out[part] = np.minimum(one, other)
        is_turned[part] = other < one
    return out, is_turned


def upright(packed: npt.NDArray[np.uint8], band: Band) -> Words:
    """Fingerprints as if pictures had been mirrored until the band's two telling bits are 0.

    Of two copies that agree in the bits of a band, this leaves one orientation to compare instead of four.

    Args:
        packed: Shape (n, 32), bytes; of transposed pictures where ``keys`` says so.
        band: Which bits tell.

    Returns:
        Shape (n, 4).
    """
    out = words(packed)
    inverts = np.array(masks(), np.uint64)
    across, down = (packed[:, place // 8] >> (place % 8) & 1 for place in (band.mirror, band.upend))
    return out ^ inverts[across + 2 * down]


def _looked_up(columns: npt.NDArray[np.uint8], table: Words) -> Words:
    key = np.zeros(columns.shape[1], np.uint64)
    for column, words_of_value in zip(columns, table, strict=True):
        if words_of_value.any():
            key ^= words_of_value[column]
    return key


@cache
def _tables(band: Band) -> tuple[Words, Words]:
    """Each bit of a fingerprint inverts some bits of the key, so a key is put together byte by byte.

    The first table is for the picture, the second for the transposed one: shape (32, 256) each.
    """
    effect = [0] * BITS
    for number, place in enumerate(band.places):
        bit = 1 << (MOST_BITS - 1 - number)
        down, across = divmod(place, FREQUENCIES)
        effect[place] ^= bit
        if across % 2:
            effect[band.mirror] ^= bit
        if down % 2:
            effect[band.upend] ^= bit
    turned = [effect[place % FREQUENCIES * FREQUENCIES + place // FREQUENCIES] for place in range(BITS)]
    return _by_byte(effect), _by_byte(turned)


def _by_byte(effect: Sequence[int]) -> Words:
    table = np.zeros((FINGERPRINT_BYTES, 256), np.uint64)
    for byte in range(FINGERPRINT_BYTES):
        for bit in range(8):
            with_bit = np.arange(256) >> bit & 1 == 1
            table[byte, with_bit] ^= np.uint64(effect[8 * byte + bit])
    return table


@dataclass(frozen=True)
class Buckets:
    """Which entries meet.

    Attributes:
        entries: Indices of entries that meet another, in the order of buckets.
        bucket: The bucket of each.
        crowded: Entries that have more than ``MOST_IN_BUCKET`` others under their longest key. They meet those nearest
            to them in the order of keys.
    """

    entries: Numbers
    bucket: Numbers
    crowded: int


def buckets(key: Words) -> Buckets:
    """Puts entries with equal keys into buckets of at most ``MOST_IN_BUCKET``.

    Entries meet if the first bits of their keys are equal: the more entries, the more bits, and more still where so
    many pictures look alike that there would be too many pairs.

    Args:
        key: As ``keys`` gives it.
    """
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    bucket = np.full(len(key), -1, np.int64)
    free = np.ones(len(key), bool)
    used = 0
    for shift in _shifts(len(key)):
        prefix = ordered >> np.uint64(shift)
        starts = np.flatnonzero(np.concatenate([[True], prefix[1:] != prefix[:-1]])[: len(prefix)])
        sizes = np.diff(np.append(starts, len(key)))
        number = np.repeat(np.arange(len(starts)), sizes)
        fits = free & np.repeat(sizes <= MOST_IN_BUCKET, sizes)
        bucket[fits] = number[fits] + used
        free &= ~fits
        used += len(starts)
        if not free.any():
            break
    crowded = np.flatnonzero(free)
    bucket[crowded] = used + crowded // MOST_IN_BUCKET
    # In the order of keys the entries of a bucket stand side by side.
    first = np.flatnonzero(np.diff(bucket, prepend=-1))
    size = np.diff(np.append(first, len(bucket)))
    meets = np.repeat(size > 1, size)
    return Buckets(order[meets], np.repeat(np.arange(len(first)), size)[meets], len(crowded))


def _shifts(entries: int) -> Iterator[int]:
    base = max(FEWEST_BITS, (entries // USUAL_IN_BUCKET).bit_length())
    yield from range(MOST_BITS - base, -1, -STEP_BITS)
