"""The raw root: one tree over folders, archives and remote storage, searched by the tails of paths."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import BinaryIO, Literal

import numpy as np
import pyarrow as pa

from med_mat.errors import LayoutError
from med_mat.raw.archives import DAMAGE, MAX_DEPTH, MAX_NESTED, Archive, ArchiveError, Archives
from med_mat.raw.files import Copy, Lookup, RawFile, Skipped
from med_mat.raw.layout import what_is_there
from med_mat.raw.listing import Files, Listing, by_name, canonical_name, has_folder, listing_of, search, stem_of
from med_mat.raw.names import READABLE, archive_kind, first_volume, foreign_stem, is_junk, unpack_command
from med_mat.raw.patterns import compile_patterns
from med_mat.raw.storage import Storage, storage_of

MAX_READ = 4 << 30
"""Largest file that is read at once, in bytes: what is larger is no table, and no picture that may be published."""

_ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


__all__ = ["MAX_READ", "RawRoot", "canonical_name"]


class RawRoot:
    """The official download of a source, as a tree of files.

    The root is a folder, an archive (.zip, .tar, .tar.gz, .tgz, .tar.bz2, .tar.xz), a folder that holds
    archives, or an fsspec URL of any of these. An archive, also one within an archive, is a folder of its own
    name. Junk that operating systems leave behind is invisible.

    Files are found by patterns over the tail of their paths (see ``glob``); the matched tail is the file's
    ``key``. Whatever stands left of it is a wrapper that differs from copy to copy of a release.

    A raw root can be pickled: the copy opens the same location again and reads files by path without listing.
    """

    def __init__(self, storage: Storage, cache: Path | None) -> None:
        """Use ``RawRoot.open``."""
        self.location: str = storage.location
        self._storage = storage
        self._cache = cache
        self._archives = Archives(storage, cache)
        # Number of a file in the listing to the start of its key, and number and start of the file that was kept.
        self._copies: dict[int, tuple[int, int, int]] = {}

    @classmethod
    def open(cls, location: str | os.PathLike[str], *, cache: Path | None = None) -> RawRoot:
        """Open a raw root. The tree is listed when it is first searched.

        Args:
            location: A folder, an archive, or an fsspec URL.
            cache: Folder for compressed tars and archives within archives, which are written there once,
                uncompressed. None takes ``med-mat-raw-<user number>`` in the platform's temporary folder. It
                may be deleted whenever nothing reads from it.

        Raises:
            LayoutError: Nothing is there, or it is neither a folder nor an archive that can be read.
        """
        storage = storage_of(location)
        if storage.lone is not None and archive_kind(storage.lone) is None:
            if foreign_stem(storage.lone):
                raise LayoutError(
                    f"{storage.location}: this kind of archive is not read in place. Unpack it first "
                    f"(`{unpack_command(storage.lone)}`) and give the folder."
                )
            raise LayoutError(f"{storage.location}: neither a folder nor an archive ({READABLE}).")
        return cls(storage, cache)

    def __reduce__(self) -> tuple[object, tuple[str, Path | None]]:
        return _reopen, (self.location, self._cache)

    def __repr__(self) -> str:
        return f"RawRoot({self.location!r})"

    def __enter__(self) -> RawRoot:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the archives that reading has opened; they open again when needed."""
        self._archives.close()

    @cached_property
    def files(self) -> Files:
        """All files but junk, sorted by path; each one's key is its path in Unicode NFC, archives under their stems.

        Raises:
            LayoutError: The root holds no file that can be read.
        """
        number = len(self._listing.paths)
        return Files(self._listing, np.arange(number), np.zeros(number, np.int64))

    @property
    def copies(self) -> Sequence[Copy]:
        """Files that searches have left out so far since another with the same key was kept, by path."""
        file = self._listing.file
        return [
            Copy(file(kept, kept_start), file(other, start))
            for other, (start, kept, kept_start) in sorted(self._copies.items())
        ]

    @property
    def skipped(self) -> Sequence[Skipped]:
        """What is in the root and is not read (broken archives, links in archives and the like), by path."""
        return self._listing.skipped

    def glob(self, *patterns: str, optional: bool = False) -> Files:
        """Files whose path ends in a pattern, sorted by key, one file for each key.

        Patterns ignore case. Within a segment ``*``, ``?``, ``[ab]`` and ``[!ab]`` are wildcards; ``**``
        stands for any number of segments, and may not come first; ``{a,b}`` lists alternatives. The key is the
        shortest tail that fits. Of several files with one key, the one with the fewest path parts is kept,
        then the one with the smallest path; the others are recorded in ``copies``. The answer is read like a list; its
        files are made when they are asked for, so that it takes sixteen bytes for each.

        Args:
            patterns: Alternatives.
            optional: Return an empty answer where nothing fits.

        Raises:
            LayoutError: Nothing fits; the text shows the patterns and what is there.
            ValueError: A pattern is malformed.
        """
        found = self._search(patterns)
        if not found and not optional:
            raise self._misfit(patterns, "no file fits")
        return found

    def find(self, *patterns: str, by: Literal["key", "stem"] = "key") -> Lookup:
        """The files that ``glob`` finds, to be looked up by the name that a label file gives.

        Nothing that fits is an empty look-up: what a label file names and is not there is for the index to count.

        Args:
            patterns: Alternatives.
            by: ``key`` looks up by the whole key, ``stem`` by the key without its last extension. Of several
                files with one stem the first by key is kept; the others are recorded in ``copies``.

        Raises:
            ValueError: A pattern is malformed.
        """
        files = self._search(patterns)
        named, left_out = by_name(files, str if by == "key" else stem_of)
        for place, kept in left_out:
            self._copies[int(files.numbers[place])] = (
                int(files.starts[place]),
                int(files.numbers[kept]),
                int(files.starts[kept]),
            )
        return Lookup(named)

    def one(self, *patterns: str) -> RawFile:
        """The one file that fits.

        Raises:
            LayoutError: None fits, or several with different keys do.
            ValueError: A pattern is malformed.
        """
        found = self.maybe(*patterns)
        if found is None:
            raise self._misfit(patterns, "no file fits")
        return found

    def maybe(self, *patterns: str) -> RawFile | None:
        """The one file that fits, or None.

        Raises:
            LayoutError: Several files with different keys fit.
            ValueError: A pattern is malformed.
        """
        found = self._search(patterns)
        if len(found) > 1:
            some = ", ".join(str(file.path) for file in found[:5]) + ", …" * (len(found) > 5)
            raise LayoutError(
                f"{self.location}: one file expected for {_listed(patterns)}, {len(found):,} found: {some}"
            )
        return found[0] if found else None

    def read(self, file: RawFile | PurePosixPath | str) -> bytes:
        """Content of a file, given as found or by its path in the root.

        Raises:
            LayoutError: There is no such file, it is larger than ``MAX_READ``, or its archive is damaged there.
            OSError: The storage fails.
        """
        path = _path_of(file, self.location)
        archive, member = self._holder(path)
        try:
            if archive is not None:
                self._check_size(path, archive.size(member) or 0)
                return archive.read(member)
            with self._storage.open(path) as stream:
                if stream.seekable():
                    self._check_size(path, stream.seek(0, os.SEEK_END))
                    stream.seek(0)
                return stream.read()
        except LayoutError:
            raise
        except _ABSENT as error:
            raise self._absent(path) from error
        except DAMAGE as error:
            # What the operating system reports bears a number; what a decompressor reports does not. An invalid
            # argument is an offset of a damaged archive.
            if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
                raise
            raise LayoutError(
                f"{self.location}: {path} is damaged in its archive ({error}); download it again."
            ) from error

    def open_file(self, file: RawFile | PurePosixPath | str) -> BinaryIO:
        """A file as a binary stream; seekable unless the storage is not.

        Raises:
            LayoutError: There is no such file, or its archive cannot be opened.
            OSError: The storage fails.
        """
        path = _path_of(file, self.location)
        archive, member = self._holder(path)
        try:
            return self._storage.open(path) if archive is None else archive.open(member)
        except _ABSENT as error:
            raise self._absent(path) from error

    def _holder(self, path: str) -> tuple[Archive | None, str]:
        holder = self._archives.locate(path)
        if holder is None:
            return None, path
        archive = self._archives.get(holder[0])
        if archive.size(holder[1]) is None:
            raise self._absent(path)
        return archive, holder[1]

    def _check_size(self, path: str, size: int) -> None:
        if size > MAX_READ:
            raise LayoutError(f"{self.location}: {path} has {size:,} bytes, over the limit of {MAX_READ:,}.")

    def _absent(self, path: str) -> LayoutError:
        return LayoutError(f"{self.location}: no file {path}. Has the download been moved or changed?")

    def _search(self, patterns: Sequence[str]) -> Files:
        found = search(self._listing, compile_patterns(patterns))
        self._copies.update(found.others)
        return found.files

    def _misfit(self, patterns: Sequence[str], what: str) -> LayoutError:
        return LayoutError(
            f"{self.location}: {what}. Expected paths that end in {_listed(patterns)}.\n"
            + what_is_there(self._listing.paths.to_pylist(), self._listing.skipped)
        )

    @cached_property
    def _listing(self) -> Listing:
        skipped: dict[str, str] = {}
        foreign: dict[str, list[str]] = {}

        def everything_skipped(paths: pa.Array) -> tuple[Skipped, ...]:
            for stem, parts in foreign.items():
                if not has_folder(paths, stem):
                    volume = first_volume(parts)
                    others = f" ({len(parts)} parts)" if len(parts) > 1 else ""
                    skipped[volume] = (
                        f"this kind of archive is not read in place{others}; unpack it: `{unpack_command(volume)}`"
                    )
            return tuple(Skipped(PurePosixPath(path), skipped[path]) for path in sorted(skipped, key=_by_parts))

        listing = listing_of(self._entries(skipped, foreign), everything_skipped)
        if not len(listing.paths):
            raise LayoutError(f"{self.location}: expected the official download. {what_is_there([], listing.skipped)}")
        return listing

    def _entries(self, skipped: dict[str, str], foreign: dict[str, list[str]]) -> Iterator[tuple[str, int, int]]:
        """Yields path, size and time of every file, in any order; tells what is not read, and of foreign archives."""
        archives: list[tuple[str, int, int]] = []
        nested = 0

        def is_file(path: str, mtime: int, depth: int) -> bool:
            nonlocal nested
            stem = foreign_stem(path)
            if stem is not None:
                foreign.setdefault(stem, []).append(path)
            elif archive_kind(path) is None:
                return True
            elif depth >= MAX_DEPTH:
                skipped[path] = f"archives within archives, more than {MAX_DEPTH} deep; unpack some of them"
            elif depth and nested >= MAX_NESTED:
                skipped[path] = f"more than {MAX_NESTED:,} archives within archives; unpack some of them"
            else:
                nested += depth > 0
                archives.append((path, mtime, depth + 1))
            return False

        for stored in self._storage.walk(skipped.__setitem__):
            if is_file(stored.path, stored.mtime_ns, 0):
                yield stored.path, stored.size, stored.mtime_ns
        archives.sort()
        while archives:
            path, mtime, depth = archives.pop(0)
            try:
                archive = self._archives.get(path)
            except ArchiveError as error:
                if path == self._storage.lone:
                    raise LayoutError(f"{self.location}: {error.reason}.") from error
                skipped[path] = error.reason
                continue
            skipped.update((f"{path}/{member}", reason) for member, reason in archive.skipped if not is_junk(member))
            for member, size in archive.members():
                if not is_junk(member) and is_file(f"{path}/{member}", mtime, depth):
                    yield f"{path}/{member}", size, mtime


# One per process and location: units of work that share a raw root share its opened archives.
@lru_cache(maxsize=4)
def _reopen(location: str, cache: Path | None) -> RawRoot:
    return RawRoot(storage_of(location), cache)


def _by_parts(path: str) -> str:
    # Sorts as PurePosixPath does.
    return path.replace("/", "\0")


def _listed(patterns: Sequence[str]) -> str:
    return " or ".join(patterns)


def _path_of(file: RawFile | PurePosixPath | str, location: str) -> str:
    if isinstance(file, RawFile):
        if file.missing:
            raise LayoutError(f"{location}: {file.path} is named by a label file and is not there.")
        return str(file.path)
    path = PurePosixPath(file)
    if path.is_absolute() or ".." in path.parts:
        raise LayoutError(f"{location}: {file} is not a path inside the raw root.")
    return str(path)
