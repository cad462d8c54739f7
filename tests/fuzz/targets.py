"""What is fuzzed, and what must hold. An allowed outcome is success, a ``MedMatError``, or an ``OSError`` of a file.

Each target takes the bytes of one case and raises whatever else escapes; ``BrokenError`` says that a promise is broken.
"""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import seeds

from med_mat.card import parse_card
from med_mat.errors import MedMatError
from med_mat.images import dropped, examine, frame_count, publish
from med_mat.images.png import SIGNATURE
from med_mat.raw import RawRoot
from med_mat.raw.patterns import compile_patterns
from med_mat.readers import csv_rows, json_file, sheet_rows, text_lines
from med_mat.regions import (
    KAGGLE_COLUMNS,
    KAGGLE_ROWS,
    SIIM_ACR,
    coco_pictures,
    decode_coco_runs,
    decode_runs,
    parse_boxes,
    voc_annotation,
)

ALLOWED = (MedMatError, OSError)
KINDS = (".zip", ".tar", ".tar.gz", ".tar.bz2", ".tar.xz", ".tgz")
DELIMITERS = ",;\t "
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "cp1252")

_FOLDER = Path(tempfile.mkdtemp(prefix="med-mat-fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))


class BrokenError(AssertionError):
    """A promise that the package makes does not hold for a case."""


@dataclass(frozen=True)
class Target:
    """Something to fuzz.

    Attributes:
        check: Runs one case.
        seeds: Whole files to start from.
        largest: Bytes of the largest case.
    """

    check: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    largest: int


def clean_up() -> None:
    """Removes what the targets wrote."""
    shutil.rmtree(_FOLDER, ignore_errors=True)


# Images


def image(data: bytes) -> None:
    """Whatever is examined without complaint is published, stays as it is when published again, and has one hash."""
    for function in (frame_count, dropped):
        with contextlib.suppress(*ALLOWED):
            function(data)
    for frame in (None, 0):
        try:
            seen = examine(data, frame=frame)
        except ALLOWED:
            continue
        shown = publish(data, frame=frame)
        if not shown.startswith((b"\xff\xd8\xff", SIGNATURE)):
            raise BrokenError(f"published bytes start with {shown[:8].hex(' ')}")
        again = examine(shown)
        if not again.facts.passed_through or publish(shown) != shown:
            raise BrokenError("publishing what was published changes it")
        if (again.pixel_hash, again.facts.width, again.facts.height) != (
            seen.pixel_hash,
            seen.facts.width,
            seen.facts.height,
        ):
            raise BrokenError("the published picture differs from the raw one")
        return


def png(data: bytes) -> None:
    """As ``image``, with the checksums of the chunks set right: else nearly every change is found by them alone."""
    mended, position = bytearray(data), len(SIGNATURE)
    while position + 12 <= len(mended):
        end = position + 8 + int.from_bytes(mended[position : position + 4], "big")
        if end + 4 > len(mended):
            break
        mended[end : end + 4] = zlib.crc32(mended[position + 4 : end]).to_bytes(4, "big")
        position = end + 4
    image(bytes(mended))


# Raw roots


def archive(data: bytes) -> None:
    """Every file that is listed is read in full or refused; nothing is written but into the cache."""
    if not data:
        return
    folder = _FOLDER / "archive"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "raw").mkdir(parents=True)
    place = folder / "raw" / f"a{KINDS[data[0] % len(KINDS)]}"
    place.write_bytes(data[1:])
    with contextlib.suppress(*ALLOWED), RawRoot.open(folder / "raw", cache=folder / "cache") as raw:
        for file in raw.files:
            str(file.key).encode()
            with contextlib.suppress(*ALLOWED):
                content = raw.read(file)
                if len(content) != file.size:
                    raise BrokenError(f"{file.path}: {file.size} bytes listed, {len(content)} read")
        for skipped in raw.skipped:
            f"{skipped.path} {skipped.reason}".encode()
        raw.glob("*/*.jpg", optional=True)
        raw.find("*.{jpg,png}", by="stem")
    found = {path.relative_to(folder).parts[0] for path in folder.rglob("*")}
    if not found <= {"raw", "cache"} or list((folder / "raw").iterdir()) != [place]:
        raise BrokenError(f"files outside the cache: {sorted(found)}")
    if list(folder.glob("cache/*.part")):
        raise BrokenError("a half-written file stays in the cache")


def _root(name: str, content: bytes) -> RawRoot:
    folder = _FOLDER / "labels"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / name).write_bytes(content)
    return RawRoot.open(folder)


def _check_rows(rows: Iterable[dict[str, str]], needed: Iterable[str]) -> None:
    for row in rows:
        for name in needed:
            if name not in row:
                raise BrokenError(f"a row without the required column {name!r}: {sorted(row)}")
        for text in (*row, *row.values()):
            text.encode()
            if text != text.strip():
                raise BrokenError(f"{text!r} has white space around it")


def table(data: bytes) -> None:
    """Rows have the required columns and are text that can be written; encodings are never mixed up."""
    option = data[0] if data else 0
    raw = _root("t.csv", data[1:])
    header = ["id", "label", "x", "y"] if option & 16 else None
    encoding = ENCODINGS[option >> 2 & 3]
    with contextlib.suppress(*ALLOWED):
        _check_rows(
            csv_rows(
                raw,
                "t.csv",
                columns=["id", "label"],
                delimiter=DELIMITERS[option & 3],
                encoding=encoding,
                header=header,
            ),
            ["id", "label"],
        )
    with contextlib.suppress(*ALLOWED):
        for line in text_lines(raw, "t.csv", encoding=encoding):
            if not line or line != line.strip():
                raise BrokenError(f"line {line!r}")


_WORKBOOK = seeds.parts_of_workbook()
_PARTS = seeds.names_of_workbook_parts()


def workbook(data: bytes) -> None:
    """One part of a sound workbook is the case; behind 0xff the case is the whole file."""
    if not data:
        return
    content = data[1:]
    if data[0] != 0xFF:
        replaced = data[0] % len(_PARTS)
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as book:
            for number, name in enumerate(_PARTS):
                book.writestr(name, content if number == replaced else _WORKBOOK[bytes((number,))])
        content = stream.getvalue()
    raw = _root("t.xlsx", content)
    with contextlib.suppress(*ALLOWED):
        _check_rows(sheet_rows(raw, "t.xlsx", columns=["id", "label"]), ["id", "label"])


def _texts(value: object) -> Iterator[str]:
    stack = [value]
    while stack:
        match stack.pop():
            case str() as text:
                yield text
            case dict() as mapping:
                stack += [*mapping, *mapping.values()]
            case list() as items:
                stack += items


def json_(data: bytes) -> None:
    """Whatever is read is text that can be written."""
    with contextlib.suppress(*ALLOWED):
        for text in _texts(json_file(_root("t.json", data), "t.json")):
            text.encode()


# Masks and boxes

SIZE = (32, 24)


def annotation(data: bytes) -> None:
    """A mask has its picture's size, a box four finite numbers, and whatever is wrong is refused."""
    kind, rest = data[0] % 10 if data else 0, data[1:]
    text = rest.decode("utf-8", "replace")
    with contextlib.suppress(*ALLOWED):
        if kind == 0:
            for region in voc_annotation(rest, first=1, inclusive=True).regions:
                region.label.encode()
        elif kind < 4:
            _check_mask(decode_runs(text, *SIZE, (KAGGLE_COLUMNS, KAGGLE_ROWS, SIIM_ACR)[kind - 1]))
        elif kind == 4:
            _check_mask(decode_coco_runs({"size": list(SIZE[::-1]), "counts": text}, *SIZE))
        elif kind < 9:
            style = ("unit", "permille", "percent", "pixels")[kind - 5]
            for box in parse_boxes(text, style, size=SIZE if style == "pixels" else None):
                if box is not None and not (0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1):
                    raise BrokenError(f"box {box}")
        else:
            for picture in coco_pictures(json_file(_root("t.json", rest), "t.json")):
                if picture.width * picture.height < 1 << 20:
                    picture.regions()


def _check_mask(mask: Any) -> None:
    if mask.shape != SIZE[::-1] or mask.dtype != bool:
        raise BrokenError(f"a mask of shape {mask.shape} and type {mask.dtype}")


# What contributors write


def card(data: bytes) -> None:
    """A card is a card or an error that can be printed."""
    try:
        parse_card(data.decode("utf-8", "replace"), "tiny")
    except ALLOWED as error:
        str(error).encode()


def pattern(data: bytes) -> None:
    """A pattern is refused with ``ValueError`` or compiled; what it matches ends in its own tail."""
    text = data.decode("utf-8", "replace")
    try:
        expression = compile_patterns([text])
    except ValueError:
        return
    for path in ("a/b/c.jpg", "masks/x/y", text, f"wrapper/{text}", "é[.png\n"):
        found = expression.fullmatch(path)
        if found and not (path == found[1] or path.endswith(f"/{found[1]}")):
            raise BrokenError(f"{found[1]!r} is no tail of {path!r}")
    if re.fullmatch(r"[\w. -]+(/[\w. -]+)*", text, re.ASCII) and not expression.fullmatch(f"wrapper/{text}"):
        raise BrokenError("a plain path does not match itself")


TARGETS: dict[str, Target] = {
    "jpeg": Target(image, seeds.jpegs, 4_096),
    "png": Target(png, seeds.pngs, 4_096),
    "tiff": Target(image, seeds.tiffs, 8_192),
    "raster": Target(image, seeds.rasters, 8_192),
    "dicom": Target(image, seeds.dicoms, seeds.LARGEST),
    "nifti": Target(image, seeds.niftis, 4_096),
    "film": Target(image, seeds.films, 8_192),
    "archive": Target(archive, seeds.archives, 16_384),
    "table": Target(table, seeds.tables, 2_048),
    "workbook": Target(workbook, seeds.workbooks, 8_192),
    "json": Target(json_, seeds.jsons, 2_048),
    "annotation": Target(annotation, seeds.annotations, 2_048),
    "card": Target(card, seeds.cards, 4_096),
    "pattern": Target(pattern, seeds.patterns, 60),
}
