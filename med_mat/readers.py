"""Readers of label files: tables, JSON and lists, read strictly, every cell a string."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
import warnings
import zipfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from itertools import count, islice
from typing import Any, BinaryIO

import openpyxl

from med_mat.errors import LayoutError
from med_mat.raw import RawFile, RawRoot
from med_mat.sample import Split

_TITLE_ROWS = 50
_MAX_SHEET_ROWS = 1_048_576  # of Excel itself
_MAX_SHEET_BYTES = 1 << 30  # all parts of a workbook, unpacked; the largest of the catalogue has a hundredth of it
# Where half of a surrogate pair may stand in JSON: as an escape, or in UTF-8, which Python's reader lets pass.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")
_SPLITS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}


DICOM_OR_CONVERTED = "*.{dicom,dcm,png,jpg,jpeg}"
"""Pictures of a DICOM release, which many copies hold converted under the same stems."""


def csv_rows(
    raw: RawRoot,
    *patterns: str,
    columns: Collection[str],
    delimiter: str = ",",
    encoding: str = "utf-8",
    header: Sequence[str] | None = None,
) -> Iterator[dict[str, str]]:
    """Rows of a delimited text file, as column name to value.

    Names and values come without surrounding white space; spaces after a delimiter are skipped, so that ``" "``
    reads columns that several spaces align. A byte order mark is dropped. Blank rows, and empty cells beyond
    the last column, are left out; cells that a short row lacks are empty, if they are not required. Columns
    without a name, and columns that share a name, are left out unless they are required.

    Args:
        raw: The raw root.
        patterns: Where the file is (see ``RawRoot.one``).
        columns: Names of the columns that must be there.
        delimiter: One character.
        encoding: As Python names it.
        header: Column names of a file that has no header row; ``columns`` are among them.

    Raises:
        LayoutError: The file is not there, or not in this encoding; a required column is absent, ambiguous, or cut
            off in a row; a row has more cells than the header; a quotation mark is not closed.
    """
    file = raw.one(*patterns)
    text = _text(raw, file, encoding, newline="")
    # Reports of patients and outlines of lesions exceed the default limit of 128 KiB a cell.
    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(text, delimiter=delimiter, strict=True, skipinitialspace=True)
    place = f"{raw.location}: {file.path}"

    def numbered() -> Iterator[tuple[int, list[str]]]:
        while True:
            try:
                row = next(reader, None)
            except csv.Error as error:
                raise LayoutError(f"{place}, line {reader.line_num}: not a table ({error}).") from error
            if row is None:
                return
            yield reader.line_num, row

    yield from _table(numbered(), columns, header, place, "line")


def sheet_rows(
    raw: RawRoot,
    *patterns: str,
    columns: Collection[str],
    sheet: str | int = 0,
    header: Sequence[str] | None = None,
) -> Iterator[dict[str, str]]:
    """Rows of an Excel sheet (.xlsx), as column name to value; see ``csv_rows`` for what is left out.

    The header is the first of the first 50 rows that holds all required columns, since sheets often bear titles
    above their table. Values of formulas are those that the file stores. Whole numbers have no decimal point
    (``12``), dates are ISO (``2020-01-31``, with the time where it is not midnight), truth values are ``TRUE`` and
    ``FALSE``.

    Args:
        raw: The raw root.
        patterns: Where the file is (see ``RawRoot.one``).
        columns: Names of the columns that must be there.
        sheet: Name of the sheet, or its number from 0.
        header: Column names of a sheet that has no header row; ``columns`` are among them.

    Raises:
        LayoutError: The file is not there or not an .xlsx; there is no such sheet; or the table does not fit (see
            ``csv_rows``).
    """
    file = raw.one(*patterns)
    place = f"{raw.location}: {file.path}"
    with raw.open_file(file) as stream:
        with _parsing(f"{place}: not an .xlsx workbook", "An old .xls has to be saved as .xlsx first."):
            _check_unpacked(stream, place)
            book = openpyxl.load_workbook(stream, read_only=True, data_only=True)
        names: list[str] = book.sheetnames
        index = sheet if isinstance(sheet, int) else names.index(sheet) if sheet in names else len(names)
        if not 0 <= index < len(names):
            raise LayoutError(f"{place}: no sheet {sheet!r}; there are {', '.join(map(repr, names))}.")
        with _parsing(f"{place}: sheet {names[index]!r} is no table", "Name another sheet."):
            worksheet = book[names[index]]
            # The size that a sheet claims is often wrong, and would cut rows off.
            worksheet.reset_dimensions()
            cells = worksheet.iter_rows(values_only=True)

        def numbered() -> Iterator[tuple[int, list[str]]]:
            for number in count(1):
                # A sheet is parsed while it is read.
                with _parsing(f"{place}, row {number}: damaged", "Download it again."):
                    row = next(cells, None)
                if row is None:
                    return
                if number > _MAX_SHEET_ROWS:
                    raise LayoutError(f"{place}: claims more than {_MAX_SHEET_ROWS} rows; download it again.")
                yield number, [_cell(value) for value in row]

        yield from _table(numbered(), columns, header, place, "row", title_rows=_TITLE_ROWS, padded=True)


def json_file(raw: RawRoot, *patterns: str) -> Any:
    """Content of a JSON file (UTF-8, UTF-16 or UTF-32).

    Raises:
        LayoutError: The file is not there or not JSON, or holds what cannot be kept: an object with a name twice,
            text that is not Unicode, lists thousands deep.
    """
    file = raw.one(*patterns)
    place = f"{raw.location}: {file.path}"

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise LayoutError(f"{place}: an object has the name {twice!r} twice.")
        return result

    data = raw.read(file)
    try:
        content = json.loads(data, object_pairs_hook=unique)
        # UTF-16 and UTF-32 put zeros between the letters of an escape.
        if _SURROGATE.search(data) or b"\0" in data[:4]:
            json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise LayoutError(f"{place}: holds text that is not Unicode ({error}).") from error
    except RecursionError as error:
        raise LayoutError(f"{place}: not JSON that can be read: lists or objects thousands deep.") from error
    except ValueError as error:
        raise LayoutError(f"{place}: not JSON ({error}).") from error
    return content


def text_lines(raw: RawRoot, *patterns: str, encoding: str = "utf-8") -> list[str]:
    """Lines of a text file without surrounding white space; blank ones are left out.

    Raises:
        LayoutError: The file is not there or not in this encoding.
    """
    stripped = (line.strip() for line in _text(raw, raw.one(*patterns), encoding, newline=None))
    return [line for line in stripped if line]


def official_split(word: str) -> Split:
    """The split that a release's own word means: ``Training_Set`` is train, ``val`` validation, ``Testing`` test.

    Raises:
        ValueError: The word is none of train, training, val, valid, validation, dev, test, testing, in any case and
            with or without ``set`` after it.
    """
    plain = word.strip().casefold()
    if plain.endswith("set"):
        plain = plain.removesuffix("set").rstrip(" \t_-")
    if plain not in _SPLITS:
        raise ValueError(f"{word[:60]!r} does not name a split (train, validation or test)")
    return _SPLITS[plain]


@contextmanager
def _parsing(what: str, advice: str) -> Iterator[None]:
    """Turns whatever the parsers of zip, XML and numbers raise into an error; keeps their warnings off the terminal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except LayoutError:
            raise
        except Exception as error:
            raise LayoutError(f"{what} ({str(error) or type(error).__name__}). {advice}") from error


def _check_unpacked(stream: BinaryIO, place: str) -> None:
    with zipfile.ZipFile(stream) as parts:
        size = sum(part.file_size for part in parts.infolist())
    if size > _MAX_SHEET_BYTES:
        raise LayoutError(
            f"{place}: unpacks to {size:,} bytes, over the limit of {_MAX_SHEET_BYTES:,}; save its table as .csv."
        )


def _text(raw: RawRoot, file: RawFile, encoding: str, newline: str | None) -> Iterator[str]:
    """Yields the lines of a text file, decoded as they are asked for: text takes up to four times its bytes."""
    data = raw.read(file)
    marked = codecs.lookup(encoding).name == "utf-8" and data.startswith(codecs.BOM_UTF8)
    stream = io.BytesIO(data)
    stream.seek(3 * marked)
    try:
        yield from io.TextIOWrapper(stream, encoding, newline=newline)
    except UnicodeDecodeError as error:
        # Streams count from the piece that they decode.
        offset = _undecodable(data[3:] if marked else data, encoding, error) + 3 * marked
        raise LayoutError(
            f"{raw.location}: {file.path}: not {encoding} at byte {offset} (0x{data[offset]:02x}). "
            "Read it with the encoding that it has."
        ) from error
    except UnicodeError as error:
        # Streams of UTF-16 and UTF-32 want the mark that tells the order of bytes.
        raise LayoutError(
            f"{raw.location}: {file.path}: not {encoding}: {error}. Name the order, as utf-16-le."
        ) from error


def _undecodable(data: bytes, encoding: str, found: UnicodeDecodeError) -> int:
    try:
        data.decode(encoding)
    except UnicodeDecodeError as error:
        return error.start
    return found.start


def _table(
    rows: Iterable[tuple[int, list[str]]],
    columns: Collection[str],
    header: Sequence[str] | None,
    place: str,
    unit: str,
    title_rows: int = 1,
    padded: bool = False,
) -> Iterator[dict[str, str]]:
    required = set(columns)
    stripped = ((number, [cell.strip() for cell in row]) for number, row in rows)
    filled = ((number, row) for number, row in stripped if any(row))
    if header is None:
        candidates: list[list[str]] = []
        for _, row in islice(filled, title_rows):
            candidates.append(row)
            if required <= set(row):
                break
        if not candidates:
            raise LayoutError(f"{place}: empty; expected a table with the columns {_quoted(sorted(required))}.")
        names = candidates[-1] if required <= set(candidates[-1]) else candidates[0]
    else:
        names = list(header)
    missing = sorted(required - set(names))
    if missing:
        raise LayoutError(
            f"{place}: expected the columns {_quoted(sorted(required))}; {_quoted(missing)} not found. "
            f"There are {_quoted(names)}."
        )
    twice = sorted(name for name in required if names.count(name) > 1)
    if twice:
        raise LayoutError(f"{place}: there is more than one column {_quoted(twice)}.")
    taken = {name: index for index, name in enumerate(names) if name in required or (name and names.count(name) == 1)}
    needed = max((taken[name] for name in required), default=-1)
    for number, row in filled:
        while len(row) > len(names) and not row[-1]:
            row.pop()
        if len(row) > len(names):
            raise LayoutError(f"{place}, {unit} {number}: {len(row)} cells, the header has {len(names)}.")
        # A sheet does not store empty cells; a text file that lacks a delimiter is cut off.
        if len(row) <= needed and not padded:
            raise LayoutError(f"{place}, {unit} {number}: {len(row)} cells, {needed + 1} are needed.")
        row += [""] * (len(names) - len(row))
        yield {name: row[index] for name, index in taken.items()}


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).upper()
        case float() if value.is_integer():
            return str(int(value))
        case datetime() if value.time() == time():
            return value.date().isoformat()
        case datetime() | date() | time():
            return value.isoformat()
        case _:
            return str(value)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
