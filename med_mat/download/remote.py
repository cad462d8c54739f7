"""A file that can be fetched, whatever platform offers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from requests import Response

Opener = Callable[[Mapping[str, str]], "AbstractContextManager[Response]"]
"""Asks for the file with these headers; the answer has any status, and its content is not read yet."""

USER_AGENT = "med-mat (research data downloader)"
"""Some repositories refuse the name that ``requests`` gives itself."""


@dataclass(frozen=True)
class Remote:
    """A file on a server.

    Attributes:
        name: Path below the raw root, ``/`` between its parts.
        origin: Where it comes from, for people and for the lock file; holds no secret.
        host: Server that is asked, of which only so many are asked at a time.
        open: How to ask for it.
        size: Bytes, if the owner says so.
        sha256: Hexadecimal digest, if the owner publishes one.
        md5: Likewise.
        denied: What a person must do when the server refuses.
        fetch: The platform's own client, which writes the file into a folder and returns its path; None where
            ``open`` is used.
    """

    name: str
    origin: str
    host: str
    open: Opener
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None
    denied: str = ""
    fetch: Callable[[Path], Path] | None = None

    @property
    def known_hash(self) -> str | None:
        """The owner's digest as pooch writes it: ``sha256:…`` or ``md5:…``."""
        if self.sha256:
            return f"sha256:{self.sha256}"
        return f"md5:{self.md5}" if self.md5 else None
