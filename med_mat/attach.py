"""Pictures of the reader's own download, put into rows that are published without them."""

from __future__ import annotations

import hashlib
import io
import warnings
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import pyarrow.compute as pc

from med_mat.errors import ImageError, LayoutError, MedMatError
from med_mat.raw import RawRoot
from med_mat.registry import Registry, registry
from med_mat.rows import PICTURE_COLUMNS

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict, Features, IterableDataset, IterableDatasetDict

    from med_mat.regions import Rules

    Rows = TypeVar("Rows", Dataset, DatasetDict, Features, IterableDataset, IterableDatasetDict)

Empty = Literal["drop", "keep", "error"]
"""What becomes of a row that stays without its picture."""

NEEDED = ("id", "image", "source", "key", "frame", "raw_sha256", "width", "height")
"""Columns without which a picture cannot be found and checked."""

_PROBLEM = "_attach_problem"
_NAMED = 10
_READ = 1000
_WRITE = 50
_BATCH = 8
_NO_ROOT = "no raw root is given for its source"


class EmptyRowsWarning(UserWarning):
    """Rows stay without their picture, and are dropped or kept as the reader asked."""


class AttachError(MedMatError):
    """Rows stay without their picture, and the reader did not say that they may."""


def attach_images(
    rows: Rows,
    raw: Mapping[str, str | PathLike[str]],
    *,
    empty: Empty = "error",
    workers: int = 1,
    cache: Path | None = None,
    loaders: Iterable[Path] = (),
) -> Rows:
    """Fills the pictures that rows lack from the reader's own copies of the official downloads.

    A source's loader finds the files in the raw root. A row's picture is the one with its ``key`` and ``frame``; where
    a source's file names are private, the one whose file has its ``raw_sha256``. The file's SHA-256 must be that of
    the row. The bytes are made by the rule of the build, so the pixels are those that the row's questions and hashes
    were made from. A mask that was held back with its picture is drawn anew, and must have the row's boxes.

    A ``Dataset`` is filled once, into the cache of datasets on disk. A stream is filled as it is read and writes
    nothing.

    Args:
        rows: As ``load_dataset`` gives it, streaming or not; one split or a dictionary of splits. Rows that have
            their picture stay as they are.
        raw: Source to its raw root: a folder, an archive or an fsspec URL. Two sources that read one download are
            both to be named.
        empty: What becomes of rows that stay without picture. ``error`` raises, ``drop`` leaves them out, ``keep``
            keeps them with a null image; the latter two warn (``EmptyRowsWarning``) with their number and some names.
        workers: Number of processes for a ``Dataset``.
        cache: Folder for compressed tars and archives within archives, as in a build.
        loaders: Folders with loaders and cards of sources that this package does not have.

    Returns:
        The same kind of dataset with the same columns, in the same order.

    Raises:
        AttachError: If rows stay empty and ``empty`` is ``error``: at once for a ``Dataset``, when the row comes for a
            stream.
        LayoutError: If a raw root does not look like the official download of its source.
        KeyError: If ``raw`` names a source that does not exist.
        MedMatError: If the rows lack a column that is needed.
    """
    return fill(rows, Roots(registry(loaders), raw, cache), empty, workers, level=3)


def fill(rows: Rows, roots: Roots, empty: Empty, workers: int, *, level: int) -> Rows:
    """Does what ``attach_images`` does, for callers of its own.

    Args:
        rows: As for ``attach_images``.
        roots: The reader's raw roots.
        empty: As for ``attach_images``.
        workers: As for ``attach_images``.
        level: Which caller a warning is about: 2 is the one of this function.
    """
    if empty not in ("drop", "keep", "error"):
        raise ValueError(f"empty must be 'drop', 'keep' or 'error', found {empty!r}")
    from datasets import IterableDataset

    parts = rows if isinstance(rows, dict) else {"": rows}
    for part in parts.values():
        _check_columns(part.column_names or ())
    told = _Told()
    filled: dict[str, Any] = {}
    looked = {}
    for split, part in parts.items():
        if isinstance(part, IterableDataset):
            filled[split] = _attach_stream(part, roots, empty)
        else:
            stored = _undecoded(part)
            looked[split] = stored, _look(stored, roots, told)
    # All that is missing is told before the first file is read.
    _settle(told, empty)
    for split, (stored, look) in looked.items():
        filled[split] = _fill(stored, look, empty, workers, told) if look.empty else parts[split]
    if told.number:
        _settle(told, empty)
        warnings.warn(f"{told.report()}\n{_FATE[empty]}", EmptyRowsWarning, stacklevel=level)
    return type(rows)({split: filled[split] for split in parts}) if isinstance(rows, dict) else filled[""]


def _settle(told: _Told, empty: Empty) -> None:
    if told.number and empty == "error":
        raise AttachError(told.report())


def _check_columns(there: Iterable[str]) -> None:
    lacking = [name for name in NEEDED if name not in set(there)]
    if lacking:
        raise MedMatError(
            f"rows lack the columns {', '.join(lacking)}, without which no picture can be found; attach pictures "
            "before you remove columns"
        )


@dataclass(frozen=True, slots=True)
class _Places:
    """Where the pictures of a source lie in the reader's raw root.

    Attributes:
        root: The raw root.
        by_key: Key and frame to path. Empty where keys are private.
        by_hash: SHA-256 of a file to its path, where keys are private.
        rules: What the card says of regions; None for a source without.
        regions: Path and frame to what the loader says of the picture's regions.
        state: Changes when a file of the root does, so that what datasets has cached is not taken for the new.
    """

    root: RawRoot
    by_key: Mapping[tuple[str, int | None], str]
    by_hash: Mapping[str, str]
    rules: Rules | None
    regions: Mapping[tuple[str, int | None], str]
    state: str

    def path(self, row: Mapping[str, Any]) -> str | None:
        if self.by_hash:
            return self.by_hash.get(row["raw_sha256"])
        return self.by_key.get((row["key"], row["frame"]))


class Roots:
    """The raw roots that the reader gave, each indexed when it is first asked for."""

    def __init__(self, sources: Registry, given: Mapping[str, str | PathLike[str]], cache: Path | None) -> None:
        # A name that does not exist is an error here, with the nearest ones.
        self._sources = {slug: sources[slug] for slug in given}
        self.given, self._cache = given, cache
        self._places: dict[str, _Places] = {}

    def places(self, slugs: Iterable[str]) -> dict[str, _Places]:
        """Indexes the roots of sources; those without one are left out."""
        for slug in slugs:
            if slug in self.given and slug not in self._places:
                self._places[slug] = self._index(slug, self.given[slug])
        return {slug: self._places[slug] for slug in slugs if slug in self._places}

    def _index(self, slug: str, location: str | PathLike[str]) -> _Places:
        from med_mat.index import index_source
        from med_mat.scan import region_rules

        source = self._sources[slug]
        root = RawRoot.open(location, cache=self._cache)
        table = index_source(source, root, allow_missing=True).table
        paths, frames = table["raw_path"].to_pylist(), table["frame"].to_pylist()
        rules = region_rules(source.card)
        regions = (
            {}
            if rules is None
            else dict(zip(zip(paths, frames, strict=True), table["regions"].to_pylist(), strict=True))
        )
        state = hashlib.sha256()
        for column in ("raw_path", "key", "frame", "size", "mtime_ns", "regions", "region_files"):
            state.update(repr(table[column].to_pylist()).encode("utf-8", "surrogateescape"))
        by_key, by_hash = {}, {}
        if source.card.path_ids == "private":
            for path in dict.fromkeys(paths):
                by_hash[hashlib.sha256(root.read(PurePosixPath(path))).hexdigest()] = path
        else:
            by_key = dict(zip(zip(table["key"].to_pylist(), frames, strict=True), paths, strict=True))
        return _Places(root, by_key, by_hash, rules, regions, state.hexdigest())


@dataclass(frozen=True)
class _Filler:
    """Fills one row. Goes to worker processes with what it knows of the raw roots."""

    places: Mapping[str, _Places]

    def missing(self, row: Mapping[str, Any]) -> str | None:
        """Tells without opening a file why a row cannot be filled."""
        places = self.places.get(row["source"])
        if places is None:
            return _NO_ROOT
        if places.path(row) is None:
            what = f"a file with SHA-256 {row['raw_sha256']}" if places.by_hash else _name(row)
            return f"{what} is not in {places.root.location}"
        return None

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the row's ``image``, its ``mask`` if it has that column, and why they stay null."""
        nothing = {name: None for name in PICTURE_COLUMNS if name in row}
        problem = self.missing(row)
        if problem is not None:
            return {**nothing, _PROBLEM: problem}
        try:
            return {**nothing, **self._pictures(row), _PROBLEM: None}
        except (MedMatError, OSError) as error:
            return {**nothing, _PROBLEM: str(error)}

    def _pictures(self, row: Mapping[str, Any]) -> dict[str, Any]:
        from PIL import Image

        from med_mat.images import publish

        places = self.places[row["source"]]
        path = places.path(row)
        assert path is not None, "what is missing is known before"
        data = places.root.read(PurePosixPath(path))
        found = hashlib.sha256(data).hexdigest()
        if found != row["raw_sha256"]:
            raise LayoutError(
                f"{places.root.location}: {path} is another file than the release's: SHA-256 {found}, expected "
                f"{row['raw_sha256']}; download it again, from the official place"
            )
        published = publish(data, frame=row["frame"])
        with Image.open(io.BytesIO(published)) as image:
            size = image.size
        if size != (row["width"], row["height"]):
            raise ImageError(
                f"{path} gives {size[0]} by {size[1]} pixels, published are {row['width']} by {row['height']}: the "
                "dataset was built by another version of med-mat; install that one"
            )
        name = row["id"].split("/")[1]
        extension = "jpg" if published[:2] == b"\xff\xd8" else "png"
        pictures = {"image": {"bytes": published, "path": f"{name}.{extension}"}}
        if row.get("mask_labels") and "mask" in row:
            pictures["mask"] = {"bytes": _mask(places, path, row, data), "path": f"{name}.mask.png"}
        return pictures


def _mask(places: _Places, path: str, row: Mapping[str, Any], data: bytes) -> bytes:
    from med_mat.regions import draw, mask_png, orientation_of

    if places.rules is None:
        raise LayoutError(f"{path}: the row has a mask, and the card of {row['source']} knows none; update med-mat")
    drawn = draw(
        places.regions[path, row["frame"]],
        (row["width"], row["height"]),
        places.rules,
        lambda mask: places.root.read(PurePosixPath(mask)),
        orientation=orientation_of(data),
    )
    # No hash of a mask is published; the boxes around its regions are.
    if drawn.mask is None or _boxes(drawn.objects) != _boxes(row["objects"]):
        raise LayoutError(
            f"{places.root.location}: the mask of {path} is another than the release's: its regions lie elsewhere; "
            "download it again, from the official place"
        )
    return mask_png(drawn.mask)


def _boxes(objects: Iterable[Mapping[str, Any]]) -> list[tuple[str, list[float]]]:
    # Rows hold floats of 32 bits.
    return sorted((found["label"], np.asarray(found["bbox"], np.float32).tolist()) for found in objects)


def _is_empty(image: Any) -> bool:
    # A stream on which something was mapped may hold decoded pictures.
    return image is None or (isinstance(image, Mapping) and image["bytes"] is None and image["path"] is None)


def _name(row: Mapping[str, Any]) -> str:
    return str(row["key"]) if row["frame"] is None else f"{row['key']} (frame {row['frame']})"


@dataclass(frozen=True, slots=True)
class _Look:
    """What a table lacks, known without opening a picture.

    Attributes:
        filler: Fills its rows.
        empty: Places of rows without picture.
        to_fill: Places of those whose picture is there to be read, in order.
    """

    filler: _Filler
    empty: frozenset[int]
    to_fill: array[int]


def _look(rows: Dataset, roots: Roots, told: _Told) -> _Look:
    to_fill, lacking = array("q"), set()
    places: dict[str, _Places] = {}
    start = 0
    for batch in rows.select_columns(list(NEEDED)).with_format("arrow").iter(_READ):
        image = batch["image"].combine_chunks()
        null = pc.or_(pc.is_null(image), pc.and_(pc.is_null(image.field("bytes")), pc.is_null(image.field("path"))))
        numbers = pc.indices_nonzero(null)
        lines = batch.drop_columns(["image"]).take(numbers).to_pylist()
        places |= roots.places(dict.fromkeys(line["source"] for line in lines))
        filler = _Filler(places)
        for number, line in zip(numbers.to_pylist(), lines, strict=True):
            lacking.add(start + number)
            problem = filler.missing(line)
            if problem is None:
                to_fill.append(start + number)
            else:
                told.add(line, problem)
        start += batch.num_rows
    return _Look(_Filler(places), frozenset(lacking), to_fill)


def _fill(rows: Dataset, look: _Look, empty: Empty, workers: int, told: _Told) -> Dataset:
    from datasets import Features, Value, concatenate_datasets

    filled = rows.select(look.to_fill)
    failed = set()
    if len(filled):
        filled = filled.map(
            look.filler,
            features=Features({**rows.features, _PROBLEM: Value("string")}),
            num_proc=workers if workers > 1 and len(filled) > 1 else None,
            writer_batch_size=_WRITE,
            desc="attach pictures",
        )
        for place, row in zip(look.to_fill, filled.select_columns(["id", "source", _PROBLEM]), strict=True):
            if row[_PROBLEM] is not None:
                failed.add(place)
                told.add(row, row[_PROBLEM])
        filled = filled.remove_columns(_PROBLEM)
    if len(look.to_fill) == len(rows) and not failed:
        return _decoded(filled)
    # Pictures stay where they are: the result is an order over what came with the rows and what was filled.
    place_of = {place: len(rows) + number for number, place in enumerate(look.to_fill) if place not in failed}
    order = [
        place_of.get(place, place)
        for place in range(len(rows))
        if place not in look.empty or place in place_of or empty == "keep"
    ]
    return _decoded(concatenate_datasets([rows, filled]).select(order))


def _attach_stream(rows: IterableDataset, roots: Roots, empty: Empty) -> IterableDataset:
    filler = _StreamFiller(_Filler(roots.places(roots.given)), empty)
    # Given to map, the features would be taken as applied, and no picture decoded.
    return _undecoded(rows).map(filler, batched=True, batch_size=_BATCH).cast(_with_decoding(rows.features))


@dataclass
class _StreamFiller:
    """Fills the rows of a stream and tells what stays empty as it goes."""

    filler: _Filler
    empty: Empty
    told: Counter[str] = field(default_factory=Counter)

    def __call__(self, batch: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        filled: dict[str, list[Any]] = {name: [] for name in batch}
        for values in zip(*batch.values(), strict=True):
            row = dict(zip(batch, values, strict=True))
            problem = None
            if _is_empty(row["image"]):
                found = self.filler(row)
                problem = found.pop(_PROBLEM)
                row.update(found)
            if problem is not None:
                self._tell(row, problem)
            if problem is None or self.empty == "keep":
                for name, value in row.items():
                    filled[name].append(value)
        return filled

    def _tell(self, row: Mapping[str, Any], problem: str) -> None:
        if self.empty == "error":
            told = _Told()
            told.add(row, problem)
            raise AttachError(told.report())
        self.told[row["source"]] += 1
        number = self.told[row["source"]]
        # Each by name at first; then the number alone, ever more rarely.
        if number <= _NAMED and problem != _NO_ROOT:
            warnings.warn(f"{row['id']}: {problem}. {_FATE[self.empty]}", EmptyRowsWarning, stacklevel=2)
        elif number in (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000):
            why = f"{problem}; " if problem == _NO_ROOT else ""
            warnings.warn(
                f"{row['source']}: {why}{number:,} rows without picture so far. {_FATE[self.empty]}",
                EmptyRowsWarning,
                stacklevel=2,
            )


_FATE = {"drop": "Such rows are left out.", "keep": "Such rows have a null image."}


@dataclass
class _Told:
    """What stays empty: numbers by source, and the first of each by name."""

    number: int = 0
    rootless: Counter[str] = field(default_factory=Counter)
    named: Counter[str] = field(default_factory=Counter)
    names: dict[str, list[str]] = field(default_factory=dict)

    def add(self, row: Mapping[str, Any], problem: str) -> None:
        self.number += 1
        slug = row["source"]
        if problem == _NO_ROOT:
            self.rootless[slug] += 1
            return
        self.named[slug] += 1
        names = self.names.setdefault(slug, [])
        if len(names) < _NAMED:
            names.append(f"  {row['id']}: {problem}")

    def report(self) -> str:
        lines = [f"{self.number:,} rows stay without picture."]
        for slug, number in sorted(self.rootless.items()):
            lines.append(f"{slug}: {number:,} rows; {_NO_ROOT}: raw={{{slug!r}: 'path of its official download'}}")
        for slug, number in sorted(self.named.items()):
            lines += [f"{slug}: {number:,} rows", *self.names[slug]]
            if number > _NAMED:
                lines.append(f"  and {number - _NAMED:,} more")
        return "\n".join(lines)


def _undecoded(rows: Any) -> Any:
    from datasets import Image, IterableDataset

    # Decoding would write JPEG anew: the bytes are passed on as they are. A stream may decode in threads of its own,
    # which a cast does not stop.
    if isinstance(rows, IterableDataset):
        return rows.decode(False)
    for name in PICTURE_COLUMNS:
        if name in rows.features:
            rows = rows.cast_column(name, Image(decode=False))
    return rows


def _decoded(rows: Dataset) -> Dataset:
    from datasets import Image

    # Not by a cast of all columns, which would write every picture once more.
    for name in PICTURE_COLUMNS:
        if name in rows.features:
            rows = rows.cast_column(name, Image())
    return rows


def _with_decoding(features: Features) -> Features:
    from datasets import Features, Image

    return Features({name: Image() if name in PICTURE_COLUMNS else kind for name, kind in features.items()})
