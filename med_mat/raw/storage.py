"""Where a raw root lies: a local folder or file, or anything that fsspec reaches."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

from med_mat.errors import LayoutError
from med_mat.raw.names import is_junk, is_text, printable

Skip = Callable[[str, str], None]


class Stored(NamedTuple):
    """A file in a storage.

    Attributes:
        path: Below the root, ``/`` between parts.
        size: Bytes.
        mtime_ns: Nanoseconds since 1970; 0 if unknown.
        version: What else tells one content from another (an ETag); may be empty.
    """

    path: str
    size: int
    mtime_ns: int
    version: str = ""


class Storage(Protocol):
    """Files below one place. ``lone`` is the name of the file if the root is a single archive, else None."""

    location: str
    lone: str | None

    def walk(self, skip: Skip) -> Iterator[Stored]:
        """All regular files but junk, unordered; ``skip(path, reason)`` is told of what is not read."""
        ...

    def stat(self, path: str) -> Stored | None:
        """The file at a path; None if there is no regular file."""
        ...

    def open(self, path: str) -> BinaryIO:
        """Open a file for reading. Raises ``OSError``."""
        ...


def storage_of(location: str | os.PathLike[str]) -> Storage:
    """The storage for a folder, a file or a URL.

    Raises:
        LayoutError: Nothing is there, or the URL's protocol is not understood.
    """
    text = os.fspath(location)
    if "://" not in text:
        return _Local(Path(text))
    try:
        system, path = fsspec.core.url_to_fs(text)
        if isinstance(system, LocalFileSystem):
            return _Local(Path(path))
        return _Remote(text, system, path)
    except LayoutError:
        raise
    except Exception as error:  # each protocol's client has its own errors, from absent packages to denied access
        raise LayoutError(f"{text}: cannot be opened ({error}). Check the address and the access to it.") from error


class _Local:
    """A local folder, or one local file.

    Links to files and to folders are followed, each folder being read once.
    """

    def __init__(self, place: Path) -> None:
        place = place.absolute()
        self.lone: str | None = None
        self.location = str(place)
        if place.is_dir():
            self._base = place
        elif place.is_file():
            self._base, self.lone = place.parent, place.name
        else:
            raise LayoutError(
                f"{place}: no such file or folder. Expected the official download: a folder, an archive or a URL."
            )

    def walk(self, skip: Skip) -> Iterator[Stored]:
        if self.lone is not None:
            found = self.stat(self.lone)
            if found:
                yield found
            return
        seen: set[tuple[int, int]] = set()
        folders, links = [""], list[str]()
        # Links come last, so that a folder is listed under its own name whatever links lead to it.
        while folders or links:
            folder = folders.pop() if folders else links.pop(0)
            try:
                identity = (self._base / folder).stat()
                if (identity.st_dev, identity.st_ino) in seen:
                    skip(folder, "link to a folder that is read under another name")
                    continue
                seen.add((identity.st_dev, identity.st_ino))
                content = _Folder()
                with os.scandir(self._base / folder) as scan:
                    for entry in scan:
                        content.add(entry, f"{folder}/{entry.name}" if folder else entry.name, skip)
            except OSError as error:
                if not folder:
                    raise LayoutError(f"{self.location}: cannot be listed ({error.strerror}).") from error
                skip(folder, f"folder cannot be listed ({error.strerror}); check its permissions")
                continue
            folders += sorted(content.folders)
            links += sorted(content.links)
            for path, size, mtime_ns in zip(content.files, content.sizes, content.mtimes, strict=True):
                yield Stored(path, size, mtime_ns)

    def stat(self, path: str) -> Stored | None:
        place = self._base / path
        if self.lone not in (None, path) or not place.is_file():
            return None
        status = place.stat()
        return Stored(path, status.st_size, status.st_mtime_ns)

    def open(self, path: str) -> BinaryIO:
        if self.lone not in (None, path):
            raise FileNotFoundError(path)
        return (self._base / path).open("rb")


class _Folder:
    """What a folder holds; the operating system's own entries take more memory than all that follows."""

    def __init__(self) -> None:
        self.folders: list[str] = []
        self.links: list[str] = []
        self.files: list[str] = []
        self.sizes, self.mtimes = array("q"), array("q")

    def add(self, entry: os.DirEntry[str], path: str, skip: Skip) -> None:
        if is_junk(entry.name):
            return
        if not is_text(path):
            skip(printable(path), "name is not UTF-8; rename it (convmv does so for whole folders)")
            return
        try:
            if entry.is_dir(follow_symlinks=False):
                self.folders.append(path)
            elif entry.is_dir():
                self.links.append(path)
            elif entry.is_file():
                status = entry.stat()
                self.files.append(path)
                self.sizes.append(status.st_size)
                self.mtimes.append(status.st_mtime_ns)
            else:
                skip(path, "link to nothing" if entry.is_symlink() else "not a regular file")
        except OSError as error:
            # It was removed meanwhile, lies in a folder that may be listed but not entered, or links to itself.
            skip(path, f"cannot be looked at ({error.strerror}); check the link or the permissions")


class _Remote:
    """A folder or file on a file system that fsspec reaches."""

    def __init__(self, location: str, system: Any, path: str) -> None:
        self.location = location
        self._system = system
        path = path.rstrip("/")
        self.lone: str | None = None
        if system.isfile(path):
            base, _, self.lone = path.rpartition("/")
        elif system.exists(path):
            base = path
        else:
            raise LayoutError(f"{location}: nothing there. Expected the official download: a folder or an archive.")
        self._base = base

    def _place(self, path: str) -> str:
        if self.lone not in (None, path):
            raise FileNotFoundError(path)
        return f"{self._base}/{path}" if self._base else path

    def walk(self, skip: Skip) -> Iterator[Stored]:
        if self.lone is not None:
            found = self.stat(self.lone)
            if found:
                yield found
            return
        listing = cast("dict[str, dict[str, Any]]", self._system.find(self._base, detail=True))
        for place, info in listing.items():
            path = place[len(self._base) :].lstrip("/")
            if is_junk(path) or info.get("type", "file") != "file":
                continue
            if is_text(path):
                yield _stored(path, info)
            else:
                skip(printable(path), "name is not UTF-8; rename it")

    def stat(self, path: str) -> Stored | None:
        try:
            info = self._system.info(self._place(path))
        except FileNotFoundError:
            return None
        return _stored(path, info) if info.get("type", "file") == "file" else None

    def open(self, path: str) -> BinaryIO:
        return cast(BinaryIO, self._system.open(self._place(path), "rb"))


def _stored(path: str, info: dict[str, Any]) -> Stored:
    # Each file system has its own word for the time; "created" serves those whose files are written once.
    times = (info.get(name) for name in ("mtime", "LastModified", "last_modified", "updated", "created"))
    time = next((value for value in times if value), 0)
    if isinstance(time, str):
        try:
            time = datetime.fromisoformat(time)
        except ValueError:
            time = 0
    if isinstance(time, datetime):
        time = time.timestamp()
    version = str(info.get("ETag") or info.get("etag") or "")
    return Stored(path, int(info.get("size") or 0), round(time * 1_000_000) * 1000, version)
