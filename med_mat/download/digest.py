"""Digests of files, in pieces, so that whoever waits can stop."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

Tick = Callable[[int], None]
"""Is told how many bytes have been read; may raise to end the reading."""

PIECE = 1 << 20


def quiet(_: int) -> None:
    """Takes no notice."""


def digest_of(path: Path, tick: Tick = quiet, algorithm: str = "sha256") -> hashlib._Hash:
    """Digest of a file's content, ready to be continued."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    read = 0
    with path.open("rb") as stream:
        while piece := stream.read(PIECE):
            digest.update(piece)
            read += len(piece)
            tick(read)
    return digest
