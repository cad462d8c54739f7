"""What a raw root hands out: files, look-ups by name, and the record of what was left out."""

from __future__ import annotations

import unicodedata
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Protocol

import numpy as np


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


class Names:
    """Places of texts in an order, by the text: sixteen bytes for each, whatever its length.

    What is found has the same hash; whether it is the same text is for the caller to see.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        hashes = np.fromiter(map(hash, texts), np.int64)
        order = np.argsort(hashes, kind="stable")
        self._places = array("q", order.tobytes())
        self._hashes = array("q", hashes[order].tobytes())

    def places(self, text: str) -> Iterator[int]:
        """Yields places, in ascending order, where the text may stand."""
        wanted = hash(text)
        number = bisect_left(self._hashes, wanted)
        while number < len(self._hashes) and self._hashes[number] == wanted:
            yield self._places[number]
            number += 1

    def alike(self) -> Iterator[Sequence[int]]:
        """Yields ascending places of each hash that stands at several."""
        hashes = np.frombuffer(self._hashes, np.int64)
        begins = np.flatnonzero(np.append(True, hashes[1:] != hashes[:-1])) if len(hashes) else hashes
        ends = np.append(begins[1:], len(hashes))
        several = ends - begins > 1
        for begin, end in zip(begins[several].tolist(), ends[several].tolist(), strict=True):
            yield self._places[begin:end]


class _Named(Protocol):
    """Files by name, whose names can be had by their place."""

    def name(self, place: int) -> str: ...


class Lookup:
    """Files by the name that a label file gives them.

    A name that is not there yields a ``RawFile`` with ``missing=True``: label tables name absent files, and
    the index counts those. Names are compared in Unicode NFC. The exact spelling counts first; where no file
    bears it, the only file whose name differs in case alone is taken, as patterns ignore case too.
    """

    def __init__(self, files: Mapping[str, RawFile]) -> None:
        self._files = files

    @cached_property
    def _folded(self) -> Names:
        return Names(name.casefold() for name in self._files)

    @cached_property
    def _names(self) -> _Named:
        return self._files if hasattr(self._files, "name") else _Listed(list(self._files))

    def _get(self, name: str) -> RawFile | None:
        name = unicodedata.normalize("NFC", name)
        found = self._files.get(name)
        if found is not None:
            return found
        lower = name.casefold()
        named = (self._names.name(place) for place in self._folded.places(lower))
        alike = [one for one in named if one.casefold() == lower]
        return self._files[alike[0]] if len(alike) == 1 else None

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

    def values(self) -> Sequence[RawFile]:
        """All files, sorted by key."""
        files = self._files.values()
        return files if isinstance(files, Sequence) else list(files)

    def __repr__(self) -> str:
        return f"Lookup({len(self)} files)"


@dataclass(frozen=True, slots=True)
class _Listed:
    names: Sequence[str]

    def name(self, place: int) -> str:
        return self.names[place]
