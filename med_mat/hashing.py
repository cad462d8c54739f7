"""Ids, group hashes and the hashes that stand in for chance.

Frozen: a published id, split or order of options depends on every line here. ``tests/golden/hashes.json`` holds
values that must never change within a major version.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

MAX_SALT_BYTES = hashlib.blake2b.MAX_KEY_SIZE
_SEPARATOR = "\x1f"


def _digest(purpose: str, parts: Iterable[str], size: int, salt: bytes = b"") -> bytes:
    digest = _fresh(purpose, size, salt).copy()
    digest.update(_SEPARATOR.join(parts).encode("utf-8", "surrogateescape"))
    return digest.digest()


# A copy of a fresh hash costs half of making one, and a plan takes a dozen hashes a row.
@lru_cache(maxsize=64)
def _fresh(purpose: str, size: int, salt: bytes = b"") -> hashlib.blake2b:
    # BLAKE2b's own personalisation keeps the purposes apart: a value hashed for one never equals another's.
    return hashlib.blake2b(digest_size=size, key=salt, person=purpose.encode())


def row_id(slug: str, key: str, frame: int | None) -> str:
    """Returns ``<slug>/<16 hex>``, the id of a row: a hash of source, key and frame, and of no wording."""
    return f"{slug}/{_digest('row', (slug, key, '' if frame is None else str(frame)), 8).hex()}"


def salted(purpose: str, value: str, salt: bytes) -> str:
    """Returns 16 hex digits that stand for ``value`` in published rows.

    With a secret salt the value cannot be found by trying. ``salt`` is at most ``MAX_SALT_BYTES`` (64) long.
    """
    return _digest(purpose, (value,), 8, salt).hex()


def uniform(purpose: str, *parts: str) -> float:
    """Returns a number in [0, 1) that depends on the parts alone."""
    return (int.from_bytes(_digest(purpose, parts, 8)) >> 11) / (1 << 53)


def rank(purpose: str, *parts: str) -> int:
    """Returns a 64-bit number that depends on the parts alone: sort by it to shuffle without chance."""
    return int.from_bytes(_digest(purpose, parts, 8))


def shuffled(purpose: str, first: str, names: Iterable[str]) -> list[str]:
    """Returns names in the order of ``rank(purpose, first, name)``, then of themselves."""
    begun = _fresh(purpose, 8).copy()
    begun.update(f"{first}{_SEPARATOR}".encode("utf-8", "surrogateescape"))
    keyed = []
    for name in names:
        digest = begun.copy()
        digest.update(name.encode("utf-8", "surrogateescape"))
        keyed.append((digest.digest(), name))
    keyed.sort()
    return [name for _, name in keyed]


def ranks(purpose: str, names: Iterable[str], last: str) -> npt.NDArray[np.uint64]:
    """Returns ``rank(purpose, name, last)`` of every name."""
    fresh = _fresh(purpose, 8)
    end = f"{_SEPARATOR}{last}"
    digests = []
    for name in names:
        digest = fresh.copy()
        digest.update(f"{name}{end}".encode("utf-8", "surrogateescape"))
        digests.append(digest.digest())
    return np.frombuffer(b"".join(digests), ">u8").astype(np.uint64)


def content_digest(parts: Iterable[str]) -> str:
    """Returns 32 hex digits of a sequence of texts: tells whether a stage's input has changed."""
    return _digest("content", parts, 16).hex()
