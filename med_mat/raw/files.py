"""What a raw root hands out: files, look-ups by name, and the record of what was left out."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath


@dataclass(frozen=True, slots=True)
class RawFile:
    """A file of a raw root.

    Attributes:
        path: The file as it stands in the raw root, archives being folders.
        key: The tail of ``path`` that a pattern matched, in Unicode NFC: the same in whatever wrapper folders
            and archives the release is found.
        size: Bytes, uncompressed; 0 when missing.
        mtime_ns: Modification time, in nanoseconds since 1970, of the file or of the outermost archive that
            holds it; 0 where the storage does not tell.
        missing: The file is named by a label file and is not in the raw root.
    """

    path: PurePosixPath
    key: PurePosixPath
    size: int
    mtime_ns: int
    missing: bool = False

    @property
    def name(self) -> str:
        """Last part of the key."""
        return self.key.name

    @property
    def stem(self) -> str:
        """Last part of the key without its last extension."""
        return self.key.stem

    @property
    def suffix(self) -> str:
        """Last extension of the key in lower case, with its dot."""
        return self.key.suffix.lower()

    @property
    def parent(self) -> PurePosixPath:
        """The key without its last part."""
        return self.key.parent


@dataclass(frozen=True, slots=True)
class Copy:
    """A file that was left out since another one bears the same key.

    Attributes:
        kept: The file that was handed out.
        other: The file that was not.
    """

    kept: RawFile
    other: RawFile


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something in the raw root that cannot be read, or must not be.

    Attributes:
        path: Where it is, archives being folders.
        reason: Why, and what to do about it.
    """

    path: PurePosixPath
    reason: str


class Lookup:
    """Files by the name that a label file gives them.

    A name that is not there yields a ``RawFile`` with ``missing=True``: label tables name absent files, and
    the index counts those. Names are compared in Unicode NFC. The exact spelling counts first; where no file
    bears it, the only file whose name differs in case alone is taken, as patterns ignore case too.
    """

    def __init__(self, files: Mapping[str, RawFile]) -> None:
        self._files = files

    @cached_property
    def _folded(self) -> dict[str, RawFile | None]:
        folded: dict[str, RawFile | None] = {}
        for name, file in self._files.items():
            lower = name.casefold()
            folded[lower] = None if lower in folded else file
        return folded

    def _get(self, name: str) -> RawFile | None:
        name = unicodedata.normalize("NFC", name)
        return self._files.get(name) or self._folded.get(name.casefold())

    def __getitem__(self, name: str) -> RawFile:
        found = self._get(name)
        if found is not None:
            return found
        absent = PurePosixPath(unicodedata.normalize("NFC", name))
        return RawFile(absent, absent, size=0, mtime_ns=0, missing=True)

    def __contains__(self, name: str) -> bool:
        return self._get(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def values(self) -> list[RawFile]:
        """All files, sorted by key."""
        return list(self._files.values())

    def __repr__(self) -> str:
        return f"Lookup({len(self)} files)"
