"""Archives as folders: members listed and read without unpacking."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import stat
import struct
import tarfile
import tempfile
import threading
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from med_mat.errors import LayoutError
from med_mat.raw.members import Members, View, ZipDirectory
from med_mat.raw.names import archive_kind, member_path
from med_mat.raw.storage import Storage, Stored

MAX_DEPTH = 4
MAX_NESTED = 10_000
MAX_MATERIALISED = 500 * 10**9
# Beyond these sizes content that shrinks so well is a decompression bomb: a gigabyte of label maps does not.
_BOMB_BYTES, _BOMB_RATIO = 1 << 30, 500
_OPEN_ARCHIVES = 32
_CHUNK = 1 << 20
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}
DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    struct.error,
    ValueError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
    OSError,
)


class ArchiveError(LayoutError):
    """An archive that cannot be read; ``reason`` says why without its name."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason

    def __reduce__(self) -> tuple[type[ArchiveError], tuple[str, str]]:
        # An exception is pickled by its message, which is not what this one is made of; workers send it home.
        return ArchiveError, (self.path, self.reason)


class Archive(Protocol):
    """An open archive: members by path, and what was left out of them."""

    skipped: list[tuple[str, str]]

    def members(self) -> Iterator[tuple[str, int]]:
        """Path and uncompressed size of each regular file that may be read."""
        ...

    def size(self, member: str) -> int | None:
        """Uncompressed size of a member; None if there is no such member."""
        ...

    def read(self, member: str) -> bytes:
        """Content of a member."""
        ...

    def open(self, member: str) -> BinaryIO:
        """A member as a seekable stream of its own; it outlives the archive."""
        ...

    def close(self) -> None:
        """Let go of the archive's file."""
        ...


class _Zip:
    """A zip, known by its central directory."""

    def __init__(self, opener: Callable[[], BinaryIO]) -> None:
        self._opener = opener
        self._file = opener()
        self.skipped: list[tuple[str, str]] = []
        try:
            self._directory = ZipDirectory(self._file)
            self._members = Members(self._index())
        except BaseException:
            self._file.close()
            raise
        self.skipped += _several(self._members)

    def _index(self) -> Iterator[tuple[str, int, int]]:
        for place, info in self._directory.records():
            path, reason = member_path(_zip_name(info))
            mode = stat.S_IFMT(info.external_attr >> 16)
            if not path or info.is_dir() or stat.S_ISDIR(mode):
                continue
            if not reason and mode not in (0, stat.S_IFREG):
                reason = "link or device inside an archive"
            if not reason and info.flag_bits & 0x1:
                reason = "encrypted; unpack the archive with its password first (7z x)"
            if not reason and info.compress_type not in _METHODS:
                reason = f"compression method {info.compress_type} is not read; unpack the archive first (7z x)"
            if not reason and info.file_size > max(_BOMB_BYTES, _BOMB_RATIO * info.compress_size):
                reason = (
                    f"{info.file_size:,} bytes packed into {info.compress_size:,} (decompression bomb); if it is none, "
                    "unpack the archive first (7z x)"
                )
            if reason:
                self.skipped.append((path, reason))
            else:
                yield path, place, info.file_size

    def members(self) -> Iterator[tuple[str, int]]:
        return iter(self._members)

    def size(self, member: str) -> int | None:
        return _size(self._members, member)

    def read(self, member: str) -> bytes:
        place, size = _place(self._members, member)
        with self._directory.open(self._file, place) as stream:
            data = stream.read()
        if len(data) != size:
            raise EOFError(f"{size} bytes expected, {len(data)} found")
        return data

    def open(self, member: str) -> BinaryIO:
        return self._directory.open(self._opener(), _place(self._members, member)[0])

    def close(self) -> None:
        self._file.close()


def _zip_name(info: zipfile.ZipInfo) -> str:
    name = info.filename
    if not info.flag_bits & 0x800 and not name.isascii():
        # Archivers of macOS write UTF-8 without setting the flag that says so. Text of another encoding is
        # practically never valid UTF-8.
        try:
            name = name.encode("cp437").decode("utf-8")
        except UnicodeError:
            name = info.filename
    # Some archivers of Windows write backslashes, against the format's own rule.
    return name.replace("\\", "/")


def _several(members: Members) -> list[tuple[str, str]]:
    """What is lost where members share a name: all but the last, as unpackers do."""
    return [
        (path, f"the archive holds {number} members of this name; the last is read") for path, number in members.several
    ]


def _size(members: Members, member: str) -> int | None:
    found = members.find(member)
    return None if found is None else found[1]


def _place(members: Members, member: str) -> tuple[int, int]:
    found = members.find(member)
    if found is None:
        raise FileNotFoundError(member)
    return found


class _Tar:
    """An uncompressed tar, known by the headers of its members."""

    def __init__(self, opener: Callable[[], BinaryIO]) -> None:
        self._opener = opener
        self._file = opener()
        self._lock = threading.Lock()
        self.skipped: list[tuple[str, str]] = []
        try:
            self._members = Members(self._index())
        except BaseException:
            self._file.close()
            raise
        self.skipped += _several(self._members)

    def _index(self) -> Iterator[tuple[str, int, int]]:
        with tarfile.open(fileobj=self._file, mode="r:") as tar:
            while (member := tar.next()) is not None:
                # tarfile keeps every header it has read; only the two numbers below are needed.
                cast(Any, tar).members = []
                path, reason = member_path(member.name)
                if member.isdir() or not path:
                    continue
                if not reason and not member.isreg():
                    reason = "link or device inside an archive"
                if not reason and member.issparse():
                    reason = "sparse file inside an archive; unpack the archive first (tar xf)"
                if reason:
                    self.skipped.append((path, reason))
                else:
                    yield path, member.offset_data, member.size
            # tarfile takes a damaged header for the end; the true end is a block of zeros, or of the file.
            self._file.seek(tar.offset)
            if any(self._file.read(tarfile.BLOCKSIZE)):
                raise tarfile.ReadError(f"damaged header at byte {tar.offset}")

    def members(self) -> Iterator[tuple[str, int]]:
        return iter(self._members)

    def size(self, member: str) -> int | None:
        return _size(self._members, member)

    def read(self, member: str) -> bytes:
        offset, size = _place(self._members, member)
        with self._lock:
            self._file.seek(offset)
            data = self._file.read(size)
        if len(data) != size:
            raise EOFError(f"{size} bytes expected, {len(data)} found")
        return data

    def open(self, member: str) -> BinaryIO:
        return cast(BinaryIO, io.BufferedReader(_Slice(self._opener(), *_place(self._members, member))))

    def close(self) -> None:
        self._file.close()


class _Slice(View):
    """Part of a file as a file; owns the file."""

    def __init__(self, file: BinaryIO, offset: int, size: int) -> None:
        super().__init__(size)
        self._file, self._offset = file, offset

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override] # the base takes Buffer, new in 3.12
        wanted = min(len(buffer), max(0, self._length - self._position))
        self._file.seek(self._offset + self._position)
        data = self._file.read(wanted)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


class Archives:
    """The open archives of one raw root, by path; the least used is closed when there are too many.

    Compressed tars and archives within archives have no cheap random access: they are written once,
    uncompressed, into the cache folder and read from there.
    """

    def __init__(self, storage: Storage, cache: Path | None) -> None:
        self._storage = storage
        self._cache = cache
        self._open: OrderedDict[str, Archive] = OrderedDict()
        self._pid = os.getpid()
        self._lock = threading.RLock()

    def get(self, path: str) -> Archive:
        """The archive at a path below the raw root, archives being folders.

        Raises:
            ArchiveError: It cannot be read.
            LayoutError: The cache folder cannot be written.
        """
        with self._lock:
            if self._pid != os.getpid():
                # A forked process shares the position of its parent's open files.
                self._open, self._pid = OrderedDict(), os.getpid()
            archive = self._open.get(path)
            if archive is None:
                archive = self._open[path] = self._read(path)
                while len(self._open) > _OPEN_ARCHIVES:
                    self._open.popitem(last=False)[1].close()
            self._open.move_to_end(path)
            return archive

    def locate(self, path: str) -> tuple[str, str] | None:
        """Archive that holds a path, and the path below it; None if no archive does.

        Raises:
            ArchiveError: An archive on the way cannot be read.
        """
        parts = path.split("/")
        outer: str | None = None
        start = 0
        for end in range(1, len(parts)):
            if archive_kind(parts[end - 1]) is None:
                continue
            candidate = "/".join(parts[:end])
            if outer is None:
                found = candidate in self._open or self._storage.stat(candidate) is not None
            else:
                found = self.get(outer).size("/".join(parts[start:end])) is not None
            if found:
                outer, start = candidate, end
        return None if outer is None else (outer, "/".join(parts[start:]))

    def close(self) -> None:
        """Close all."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()

    def _read(self, path: str) -> Archive:
        try:
            holder = self.locate(path)
            if holder is None:
                stored = self._storage.stat(path)
                if stored is None:
                    raise ArchiveError(path, "no such archive")
                return self._outer(path, stored)
            return self._inner(path, *holder)
        except LayoutError:
            raise
        except DAMAGE as error:
            raise ArchiveError(path, _broken(error)) from error

    def _outer(self, path: str, stored: Stored) -> Archive:
        if archive_kind(path) == "zip":
            return _Zip(lambda: self._storage.open(path))
        with self._storage.open(path) as file:
            decompress = _decompressor(file.read(6))
        if decompress is None:
            return _Tar(lambda: self._storage.open(path))
        copy = self._copy(path, stored)
        if not copy.exists():
            with self._storage.open(path) as file:
                self._materialise(path, decompress(file), copy, None, stored.size)
        return _Tar(lambda: copy.open("rb"))

    def _inner(self, path: str, outer: str, member: str) -> Archive:
        archive = self.get(outer)
        size = archive.size(member)
        if size is None:
            raise ArchiveError(path, "no such archive")
        top = self._storage.stat(self._top(path))
        if top is None:
            raise ArchiveError(path, "no such archive")
        copy = self._copy(path, top)
        if not copy.exists():
            with archive.open(member) as file:
                decompress = _decompressor(file.read(6)) if archive_kind(path) == "tar" else None
            with archive.open(member) as file:
                if decompress is None:
                    self._materialise(path, file, copy, size, size)
                else:
                    self._materialise(path, decompress(file), copy, None, size)
        if archive_kind(path) == "zip":
            return _Zip(lambda: copy.open("rb"))
        return _Tar(lambda: copy.open("rb"))

    def _top(self, path: str) -> str:
        parts = path.split("/")
        for end in range(1, len(parts)):
            candidate = "/".join(parts[:end])
            if archive_kind(candidate) and self._storage.stat(candidate) is not None:
                return candidate
        return path

    def _copy(self, path: str, top: Stored) -> Path:
        identity = "\0".join([self._storage.location, path, str(top.size), str(top.mtime_ns), top.version])
        suffix = "zip" if archive_kind(path) == "zip" else "tar"
        return self._folder() / f"{hashlib.sha256(os.fsencode(identity)).hexdigest()[:32]}.{suffix}"

    def _folder(self) -> Path:
        folder = self._cache or default_cache()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise LayoutError(
                f"{folder}: the cache folder cannot be made ({error.strerror}); name another one."
            ) from error
        if self._cache is None and hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
            # What lies in a shared temporary folder under a known name may have been put there by anybody.
            raise LayoutError(f"{folder}: the cache folder belongs to another user; name another one.")
        return folder

    def _materialise(self, path: str, source: BinaryIO, copy: Path, declared: int | None, packed: int) -> None:
        expected = max(_BOMB_BYTES, _BOMB_RATIO * packed) if declared is None else declared
        limit = min(expected, MAX_MATERIALISED)
        written = 0
        handle, name = tempfile.mkstemp(dir=copy.parent, prefix=f"{copy.stem}-", suffix=".part")
        try:
            with os.fdopen(handle, "wb") as sink:
                while chunk := source.read(_CHUNK):
                    written += len(chunk)
                    if written > limit:
                        raise ArchiveError(path, f"broken: holds more than {limit:,} bytes")
                    try:
                        sink.write(chunk)
                        sink.flush()
                    except OSError as error:
                        raise LayoutError(
                            f"{copy.parent}: {path} cannot be written into the cache folder "
                            f"({error.strerror}). Free space there, name another cache folder, or unpack the "
                            "archive yourself."
                        ) from error
            if declared is not None and written != declared:
                raise ArchiveError(path, f"broken: {declared:,} bytes expected, {written:,} found; download it again")
            Path(name).replace(copy)
        finally:
            Path(name).unlink(missing_ok=True)


def default_cache() -> Path:
    """The cache folder where none is named: ``med-mat-raw-<user number>`` in the temporary folder."""
    user = f"-{os.getuid()}" if hasattr(os, "getuid") else ""
    return Path(tempfile.gettempdir()) / f"med-mat-raw{user}"


def _broken(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "permission denied"
    return f"not a readable archive ({str(error) or type(error).__name__}); download it again"


def _decompressor(magic: bytes) -> Callable[[BinaryIO], BinaryIO] | None:
    # By content: browsers unpack .tar.gz on the way and keep the name.
    if magic.startswith(b"\x1f\x8b"):
        return lambda file: cast(BinaryIO, gzip.GzipFile(fileobj=file))
    if magic.startswith(b"BZh"):
        return lambda file: cast(BinaryIO, bz2.BZ2File(file))
    if magic.startswith(b"\xfd7zXZ\0"):
        return lambda file: cast(BinaryIO, lzma.LZMAFile(file))
    return None
