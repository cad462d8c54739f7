"""All files of a raw root as columns, and files that searches find in them: objects are made when they are asked for.

A million ``RawFile`` objects take a gigabyte; a line of a listing takes its path and thirty bytes.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath
from typing import SupportsIndex, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from med_mat.columns import give_back, texts_of
from med_mat.raw.files import Names, RawFile, Skipped

Numbers = npt.NDArray[np.int64]

_BATCH = 1 << 14
_TEXT = pa.large_string()

# An archive whose folder inside is missing unpacks to a folder of its stem: the two must match the same pattern.
_ARCHIVE_FOLDER = re.compile(r"\.(zip|tar|tar\.gz|tgz|tar\.bz2|tar\.xz)/", re.IGNORECASE)


def canonical_name(path: str) -> str:
    """Returns what patterns see of a path: Unicode NFC, archives under their stems."""
    name = path if path.isascii() else unicodedata.normalize("NFC", path)
    return _ARCHIVE_FOLDER.sub("/", name)


def stem_of(key: str) -> str:
    """Returns a path without the last extension of its last part; a dot at the start or the end is none."""
    dot = key.rfind(".")
    return key[:dot] if key.rfind("/") + 1 < dot < len(key) - 1 else key


class Texts:
    """A column of texts that grows; the texts are copied into one piece of memory every some thousand."""

    def __init__(self) -> None:
        self._chunks: list[pa.Array] = []
        self._last: list[str] = []
        self._length = 0

    def append(self, text: str) -> None:
        """Adds a text."""
        self._last.append(text)
        self._length += 1
        if len(self._last) == _BATCH:
            self._flush()

    def __len__(self) -> int:
        return self._length

    def _flush(self) -> None:
        self._chunks.append(pa.array(self._last, _TEXT))
        self._last = []

    def take(self) -> pa.Array:
        """Returns the column, and forgets it."""
        self._flush()
        chunks, self._chunks, self._length = self._chunks, [], 0
        whole = pa.concat_arrays(chunks)
        del chunks
        give_back()
        return whole


def order_by_parts(paths: pa.Array) -> pa.Array:
    """Returns the order of paths by their parts; of equal ones the earlier comes first.

    A folder X comes before an archive X.zip, so that unpacked files are preferred.
    """
    return pc.array_sort_indices(pc.replace_substring(paths, "/", "\0"))


@dataclass(frozen=True, slots=True)
class Listing:
    """All files of a raw root.

    Attributes:
        paths: Where each lies, archives being folders; sorted by their parts.
        plain: Patterns see the paths as they are: all are in Unicode NFC, and none leads into an archive.
        sizes: Bytes.
        mtimes: Nanoseconds since 1970.
        skipped: What is not read.
    """

    paths: pa.Array
    plain: bool
    sizes: Numbers
    mtimes: Numbers
    skipped: tuple[Skipped, ...]

    def path(self, number: int) -> str:
        """Returns where a file lies."""
        path: str = self.paths[number].as_py()
        return path

    def name_of(self, path: str) -> str:
        """Returns what patterns see of a path."""
        return path if self.plain else canonical_name(path)

    def name(self, number: int) -> str:
        """Returns what patterns see of a file."""
        return self.name_of(self.path(number))

    def file(self, number: int, start: int) -> RawFile:
        """Returns a file whose key starts at a letter of its name."""
        return self._file(self.path(number), start, int(self.sizes[number]), int(self.mtimes[number]))

    def _file(self, path: str, start: int, size: int, mtime_ns: int) -> RawFile:
        place = PurePosixPath(path)
        name = self.name_of(path)
        key = place if not start and name == path else PurePosixPath(name[start:])
        return RawFile(place, key, size, mtime_ns)

    def files(self, numbers: Numbers, starts: Numbers) -> Iterator[RawFile]:
        """Yields files whose keys start at letters of their names."""
        for begin in range(0, len(numbers), _BATCH):
            batch = numbers[begin : begin + _BATCH]
            paths = self.paths.take(pa.array(batch)).to_pylist()
            places = starts[begin : begin + _BATCH].tolist()
            sizes, mtimes = self.sizes[batch].tolist(), self.mtimes[batch].tolist()
            yield from map(self._file, paths, places, sizes, mtimes)


def listing_of(entries: Iterable[tuple[str, int, int]], skipped: Callable[[pa.Array], tuple[Skipped, ...]]) -> Listing:
    """Makes a listing.

    Args:
        entries: Path, size and modification time of each file, in any order.
        skipped: Tells what is not read, when all entries have been taken; it is given the paths in order.
    """
    unsorted = Texts()
    sizes, mtimes = array("q"), array("q")
    for path, size, mtime in entries:
        unsorted.append(path)
        sizes.append(size)
        mtimes.append(mtime)
    paths = unsorted.take()
    order = order_by_parts(paths)
    paths = paths.take(order)
    numbers = order.to_numpy()
    del unsorted
    give_back()
    return Listing(
        paths,
        all(canonical_name(path) == path for path in texts_of(paths)),
        np.frombuffer(sizes, np.int64)[numbers],
        np.frombuffer(mtimes, np.int64)[numbers],
        skipped(paths),
    )


class Files(Sequence[RawFile]):
    """Files of a raw root in a fixed order, made when they are asked for."""

    def __init__(self, listing: Listing, numbers: Numbers, starts: Numbers) -> None:
        self._listing, self.numbers, self.starts = listing, numbers, starts

    @overload
    def __getitem__(self, index: SupportsIndex) -> RawFile: ...

    @overload
    def __getitem__(self, index: slice) -> list[RawFile]: ...

    def __getitem__(self, index: SupportsIndex | slice) -> RawFile | list[RawFile]:
        if isinstance(index, slice):
            return list(self._listing.files(self.numbers[index], self.starts[index]))
        return self._listing.file(int(self.numbers[index]), int(self.starts[index]))

    def __iter__(self) -> Iterator[RawFile]:
        return self._listing.files(self.numbers, self.starts)

    def __len__(self) -> int:
        return len(self.numbers)

    def __add__(self, others: Sequence[RawFile]) -> list[RawFile]:
        return [*self, *others]

    def __radd__(self, others: Sequence[RawFile]) -> list[RawFile]:
        return [*others, *self]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Files | list | tuple):
            return NotImplemented
        return len(self) == len(other) and all(one == two for one, two in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # compares as a list does, and lists have none

    def __repr__(self) -> str:
        return f"[{', '.join(map(repr, islice(self, 3)))}{', …' * (len(self) > 3)}]"

    @property
    def paths(self) -> pa.Array:
        """The files' paths as one column."""
        return self._listing.paths.take(pa.array(self.numbers))

    def path(self, place: int) -> str:
        """Where one of the files lies."""
        return self._listing.path(int(self.numbers[place]))

    def key(self, place: int) -> str:
        """The key of one of the files."""
        return self._listing.name(int(self.numbers[place]))[int(self.starts[place]) :]

    def names(self) -> Iterator[str]:
        """Yields the keys of all files."""
        for begin in range(0, len(self), _BATCH):
            paths = self._listing.paths.take(pa.array(self.numbers[begin : begin + _BATCH])).to_pylist()
            for path, start in zip(paths, self.starts[begin : begin + _BATCH].tolist(), strict=True):
                yield self._listing.name_of(path)[start:]

    def some(self, places: Numbers) -> Files:
        """Returns the files at some places."""
        return Files(self._listing, self.numbers[places], self.starts[places])


class FilesByName(Mapping[str, RawFile]):
    """Files by a name that is made of their key; the names differ."""

    def __init__(self, files: Files, name_of: Callable[[str], str], names: Names) -> None:
        self._files, self._name_of, self._names = files, name_of, names

    def name(self, place: int) -> str:
        """The name of one of the files."""
        return self._name_of(self._files.key(place))

    def __getitem__(self, name: str) -> RawFile:
        for place in self._names.places(name):
            if self.name(place) == name:
                return self._files[place]
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return map(self._name_of, self._files.names())

    def __len__(self) -> int:
        return len(self._files)

    def values(self) -> Files:  # type: ignore[override]  # a sequence, of which a view is a part
        """All files, in their order."""
        return self._files


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found: the files to hand out, and those left out since a file of the same key is handed out.

    Attributes:
        files: Sorted by the parts of their keys.
        others: Number in the listing of each file that was left out, to the start of its key, and number and start
            of the file that was kept.
    """

    files: Files
    others: Mapping[int, tuple[int, int, int]]


def search(listing: Listing, expression: re.Pattern[str]) -> Found:
    """Finds the files whose names an expression matches whole; group 1 is the key.

    Of several files with one key, the one with the fewest path parts is kept, then the one that comes first.
    """
    fullmatch = expression.fullmatch
    fitting, begins, keys = array("q"), array("q"), Texts()
    for number, name in enumerate(map(listing.name_of, texts_of(listing.paths))):
        match = fullmatch(name)
        if match is not None:
            fitting.append(number)
            begins.append(match.start(1))
            keys.append(match[1])
    column = keys.take()
    order = order_by_parts(column)
    ordered = column.take(order)
    places = order.to_numpy()
    numbers = np.frombuffer(fitting, np.int64)[places]
    starts = np.frombuffer(begins, np.int64)[places]
    first = np.ones(len(numbers), bool)
    if len(numbers) > 1:
        first[1:] = pc.not_equal(ordered[1:], ordered[:-1]).to_numpy(zero_copy_only=False)
    del keys, column, ordered
    give_back()
    if first.all():
        return Found(Files(listing, numbers, starts), {})
    kept = first.copy()
    others: dict[int, tuple[int, int, int]] = {}
    begin_of = np.flatnonzero(first)
    end_of = np.append(begin_of[1:], len(numbers))
    for begin, end in zip(begin_of[end_of - begin_of > 1], end_of[end_of - begin_of > 1], strict=True):
        alike = range(begin, end)
        # Paths come sorted: of two equally deep ones the first is the smaller.
        best = min(alike, key=lambda place: (listing.name(int(numbers[place])).count("/"), numbers[place]))
        kept[begin], kept[best] = False, True
        for place in alike:
            if place != best:
                others[int(numbers[place])] = (int(starts[place]), int(numbers[best]), int(starts[best]))
    return Found(Files(listing, numbers[kept], starts[kept]), others)


def by_name(files: Files, name_of: Callable[[str], str]) -> tuple[FilesByName, list[tuple[int, int]]]:
    """Orders files by a name that is made of their key.

    Returns:
        The files, and places in ``files`` of those that were left out since an earlier one has the name, each with
        the place of that one.
    """
    names = Names(map(name_of, files.names()))
    left_out: list[tuple[int, int]] = []
    for alike in names.alike():
        earlier: dict[str, int] = {}
        for place in alike:
            kept = earlier.setdefault(name_of(files.key(place)), place)
            if kept != place:
                left_out.append((place, kept))
    if left_out:
        kept_places = np.delete(np.arange(len(files)), [place for place, _ in left_out])
        files = files.some(kept_places)
        names = Names(map(name_of, files.names()))
    return FilesByName(files, name_of, names), left_out


def has_folder(paths: pa.Array, folder: str) -> bool:
    """Tells whether sorted paths have one below a folder."""
    below = bisect_left(range(len(paths)), _by_parts(folder + "/"), key=lambda number: _by_parts(paths[number].as_py()))
    return below < len(paths) and str(paths[below].as_py()).startswith(folder + "/")


def _by_parts(path: str) -> str:
    return path.replace("/", "\0")
