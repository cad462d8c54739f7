"""Members of archives by path, and the directory of a zip: some hundred bytes a member, not some thousand."""

from __future__ import annotations

import io
import os
import struct
import threading
import zipfile
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import BinaryIO, cast

from med_mat.columns import texts_of
from med_mat.raw.files import Names
from med_mat.raw.listing import Texts

_RECORDS = 1_024


class Members:
    """Members of an archive: path, where it is, and size. Of several of one path the last counts.

    ``several`` holds paths that occur more than once, with how often.
    """

    def __init__(self, entries: Iterable[tuple[str, int, int]]) -> None:
        paths = Texts()
        self._places, self._sizes = array("q"), array("q")
        for path, place, size in entries:
            paths.append(path)
            self._places.append(place)
            self._sizes.append(size)
        self._paths = paths.take()
        self._names = Names(texts_of(self._paths))
        self.several: list[tuple[str, int]] = []
        self._hidden: set[int] = set()
        for alike in self._names.alike():
            named = [(number, self._path(number)) for number in alike]
            last = {path: number for number, path in named}
            self._hidden.update(number for number, path in named if last[path] != number)
            counts = Counter(path for _, path in named)
            self.several += [(path, count) for path, count in counts.items() if count > 1]

    def __iter__(self) -> Iterator[tuple[str, int]]:
        for number, (path, size) in enumerate(zip(texts_of(self._paths), self._sizes, strict=True)):
            if number not in self._hidden:
                yield path, size

    def find(self, path: str) -> tuple[int, int] | None:
        """Where a member is, and its size; None if there is none of the path."""
        for number in self._names.places(path):
            if number not in self._hidden and self._path(number) == path:
                return self._places[number], self._sizes[number]
        return None

    def _path(self, number: int) -> str:
        path: str = self._paths[number].as_py()
        return path


# APPNOTE.TXT 4.3.12, 4.3.14 to 4.3.16 (PKWARE, 6.3.10).
_RECORD = struct.Struct("<4s24x3H12x")
_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")


class ZipDirectory:
    """The central directory of a zip as its bytes. ``zipfile`` reads the records, some at a time.

    It is given a file that ends in a directory of these records alone: kept as objects, the records of a million
    members take a gigabyte.

    Raises:
        zipfile.BadZipFile: If the file is no zip, or damaged.
    """

    def __init__(self, file: BinaryIO) -> None:
        start, size, self._offset = _directory(file)
        file.seek(start)
        self._start, self._data = start, file.read(size)
        self._lock = threading.Lock()

    def records(self) -> Iterator[tuple[int, zipfile.ZipInfo]]:
        """Yields where each record is in the directory, and what it says."""
        places: list[int] = []
        position = 0
        while position < len(self._data):
            places.append(position)
            position = self._end_of(position)
            if len(places) == _RECORDS or position >= len(self._data):
                yield from zip(places, self._zip(io.BytesIO(), places[0], position).infolist(), strict=True)
                places = []

    def open(self, file: BinaryIO, place: int) -> BinaryIO:
        """Opens a member.

        Args:
            file: The zip; it must stay open while the member is read, and is read under a lock.
            place: Where the member's record is.
        """
        part = self._zip(file, place, self._end_of(place))
        return cast(BinaryIO, part.open(part.infolist()[0]))

    def _end_of(self, place: int) -> int:
        if place + _RECORD.size > len(self._data):
            raise zipfile.BadZipFile("Truncated central directory")
        magic, *lengths = _RECORD.unpack_from(self._data, place)
        if magic != b"PK\1\2":
            raise zipfile.BadZipFile("Bad magic number for central directory")
        end: int = place + _RECORD.size + sum(lengths)
        return end

    def _zip(self, file: BinaryIO, begin: int, end: int) -> zipfile.ZipFile:
        records = self._data[begin:end]
        # zipfile goes by the size of the directory, not by the number of records.
        tail = (
            records
            + _END_64.pack(b"PK\6\6", _END_64.size - 12, 45, 45, 0, 0, 0, 0, len(records), self._offset)
            + _LOCATOR.pack(b"PK\6\7", 0, self._start + len(records), 1)
            + _END.pack(b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
        )
        return zipfile.ZipFile(cast(BinaryIO, _Spliced(file, self._start, tail, self._lock)))


def _directory(file: BinaryIO) -> tuple[int, int, int]:
    """Where the central directory starts, its size, and where it starts by its own word, without what precedes it."""
    length = file.seek(0, os.SEEK_END)
    begin = max(0, length - _END.size - 0xFFFF)
    file.seek(begin)
    tail = file.read()
    # A comment may hold the magic number: an archive without one ends in the record.
    plain = len(tail) - _END.size
    last = (
        plain if plain >= 0 and tail[plain:].startswith(b"PK\5\6") and tail.endswith(b"\0\0") else tail.rfind(b"PK\5\6")
    )
    if last < 0 or last + _END.size > len(tail):
        raise zipfile.BadZipFile("File is not a zip file")
    _, _, _, _, _, size, offset, _ = _END.unpack_from(tail, last)
    end = begin + last
    locator = end - _LOCATOR.size
    if locator >= 0:
        file.seek(locator)
        magic, disk, _, disks = _LOCATOR.unpack(file.read(_LOCATOR.size))
        if magic == b"PK\6\7":
            if disk or disks > 1:
                raise zipfile.BadZipFile("zipfiles that span multiple disks are not supported")
            wide = locator - _END_64.size
            if wide < 0:
                raise zipfile.BadZipFile("File is not a zip file")
            file.seek(wide)
            record = file.read(_END_64.size)
            if record.startswith(b"PK\6\6"):
                *_, size, offset = _END_64.unpack(record)
                end = wide
    if end < size:
        raise zipfile.BadZipFile("Bad offset for central directory")
    return end - size, size, offset


class View(io.RawIOBase):
    """A file made of another's bytes: where it stands and how it is sought; subclasses read."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._position = 0

    def readable(self) -> bool:
        """Returns True."""
        return True

    def seekable(self) -> bool:
        """Returns True."""
        return True

    def tell(self) -> int:
        """Returns where it stands, in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Goes to a byte; beyond the end is allowed.

        Raises:
            ValueError: It would stand before the start.
        """
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._length}[whence]
        if start + offset < 0:
            raise ValueError("negative seek position")
        self._position = start + offset
        return self._position


class _Spliced(View):
    """The start of a file with other bytes after it."""

    def __init__(self, file: BinaryIO, start: int, tail: bytes, lock: threading.Lock) -> None:
        super().__init__(start + len(tail))
        self._file, self._start, self._tail, self._lock = file, start, tail, lock

    def read(self, size: int = -1) -> bytes:
        wanted = self._length - self._position if size < 0 else size
        data = b""
        if self._position < self._start:
            with self._lock:
                self._file.seek(self._position)
                data = self._file.read(min(wanted, self._start - self._position))
            if len(data) < min(wanted, self._start - self._position):
                self._position += len(data)
                return data
        begin = self._position + len(data) - self._start
        data += self._tail[begin : begin + wanted - len(data)]
        self._position += len(data)
        return data
