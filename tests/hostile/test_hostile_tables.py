"""Label files that are broken, or made to do harm: one error that names the file, and no label that is wrong."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny import med_mat
from world import TABLE_LOADER, table, world, zipped

from med_mat.errors import LayoutError
from med_mat.raw import RawRoot
from med_mat.readers import csv_rows, json_file, sheet_rows, text_lines

HEADER = b"file,label\n"


def root(folder: Path, name: str, content: bytes) -> RawRoot:
    (folder / name).write_bytes(content)
    return RawRoot.open(folder)


def sheet(*rows: list[object]) -> dict[str, bytes]:
    """Parts of a workbook."""
    book = openpyxl.Workbook()
    page = book.active
    assert page is not None
    for row in rows:
        page.append(row)
    stream = io.BytesIO()
    book.save(stream)
    with zipfile.ZipFile(stream) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


PAGE = "xl/worksheets/sheet1.xml"


# What the table may hold, and what the error says.
TABLES: dict[str, tuple[bytes, str]] = {
    "cp1252": (HEADER + "a é.png,cyst\n".encode("cp1252"), r"not utf-8 at byte 13 \(0xe9\)"),
    "utf-16": ((HEADER + b"a.png,cyst\n").decode().encode("utf-16"), r"not utf-8 at byte 0"),
    "renamed column": (b"file,finding\n", r"'label' not found. There are 'file', 'finding'"),
    "no header": (b"a.png,cyst\n", r"'file', 'label' not found"),
    "column twice": (b"file,label,label\n", r"more than one column 'label'"),
    "empty": (b"", r"empty; expected a table"),
    "blank lines": (b"\n \n,,,\n", r"empty; expected a table"),
    "row too long": (HEADER + b"a.png,cyst,x\n", r"line 2: 3 cells, the header has 2"),
    "row too short": (HEADER + b"a.png\n", r"line 2: 1 cells, 2 are needed"),
    "open quotation": (HEADER + b'"a.png,cyst\n', r"line 2: not a table"),
    "unknown label": (HEADER + b"picture 0.png,cysts\n", r"labels that the card does not know"),
    "NUL in a label": (HEADER + b"picture 0.png,cy\0st\n", r"labels that the card does not know"),
    "zip": (zipped({"table.csv": HEADER}), r"not utf-8|not found"),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_does_not_fit_fails_its_source_and_no_other(name: str, tmp_path: Path) -> None:
    content, message = TABLES[name]
    world(tmp_path, TABLE_LOADER, slug="sound").put(table())
    place = world(tmp_path, TABLE_LOADER, slug="broken")
    place.put({**table(), "table.csv": content})
    result = place.build()
    sound, broken = result.sources
    assert (result.exit_code, sound.failure, result.manifest["rows"]) == (2, None, 8)
    assert broken.failure is not None
    assert re.search(message, broken.failure)
    assert "broken" in broken.failure


@pytest.mark.parametrize(("name", "code"), [("cp1252", 2), ("row too short", 2), ("NUL in a label", 1)])
def test_the_command_says_what_is_wrong_with_a_table(name: str, code: int, tmp_path: Path) -> None:
    content, _ = TABLES[name]
    place = world(tmp_path, TABLE_LOADER)
    place.put({**table(), "table.csv": content})
    ended = med_mat(*place.arguments("index"))
    assert ended.returncode == code
    assert "Traceback" not in ended.stderr
    assert ("table.csv" in ended.stderr) == (code == 2)
    assert ("cy\\x00st" in ended.stdout) == (code == 1)


def test_what_a_table_may_well_hold(tmp_path: Path) -> None:
    place = world(tmp_path, TABLE_LOADER)
    place.put(table())
    rows = table()["table.csv"].splitlines()
    rows[0] += b",report"
    rows[1] += b',"' + b"of a patient\nlong " * 60_000 + b'"'
    rows[2] += b",,,,"
    rows.append(b'"picture\n999.png",cyst,"\0"')
    place.put({"table.csv": b"\xef\xbb\xbf" + b"\r\n".join(rows)})
    result = place.build()
    assert (result.exit_code, result.manifest["rows"]) == (0, 8)
    assert result.manifest["sources"]["tiny"]["missing"] == 1
    ended = med_mat(*place.arguments("index"))
    assert ended.returncode == 1
    assert "picture\\n999.png" in ended.stdout


def test_names_that_lead_elsewhere_are_missing_and_never_read(tmp_path: Path) -> None:
    place = world(tmp_path, TABLE_LOADER)
    secret = tmp_path / "secret.png"
    secret.write_bytes(table()["picture 0.png"])
    odd_names = [str(secret), "../../secret.png", "..\\..\\secret.png", "file:///etc/passwd", "", ".", "x" * 5_000]
    rows = "".join(f'"{name}",cyst\n' for name in odd_names)
    place.put({**table(), "table.csv": table()["table.csv"] + rows.encode()})
    result = place.build()
    entry = result.manifest["sources"]["tiny"]
    assert (result.exit_code, entry["rows"], entry["missing"]) == (0, 8, len(odd_names))
    with RawRoot.open(place.raw) as raw:
        for name in (str(secret), "../../secret.png", "a\0b", "x" * 5_000):
            with pytest.raises((LayoutError, OSError)):
                raw.read(name)


# Excel


LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + number, b"&%c;" % (97 + number) * 20) for number in range(12))
    + b"]>"
)
OUTSIDE = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]>'


def _without_declaration(xml: bytes) -> bytes:
    return re.sub(rb"^<\?xml.*?\?>", b"", xml)


def test_entities_in_a_sheet_are_not_expanded(tmp_path: Path) -> None:
    parts = sheet(["id", "label"], [1, "cyst"])
    for declaration, name in ((LAUGHS, b"&m;"), (OUTSIDE, b"&a;")):
        for part, text in ((PAGE, b">cyst<"), (PAGE, b">1<"), ("xl/workbook.xml", b'"Sheet"')):
            assert text in parts[part]
            value = text[:1] + name + text[-1:]
            hostile = declaration + _without_declaration(parts[part]).replace(text, value)
            raw = root(tmp_path, "t.xlsx", zipped({**parts, part: hostile}))
            try:
                rows = list(sheet_rows(raw, "t.xlsx", columns=["id", "label"]))
            except LayoutError as error:
                assert "t.xlsx" in str(error)  # noqa: PT017 - both outcomes are right, and looked at
            else:
                assert sum(len(value) for row in rows for value in row.values()) < 100
                assert Path("/etc/hostname").read_text(encoding="utf-8").strip() not in str(rows)


def test_a_workbook_that_unpacks_to_gigabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = sheet(["id", "label"], [1, "cyst"])
    packed = bytearray(zipped(parts))
    header = packed.rindex(b"PK\x01\x02", 0, packed.rindex(PAGE.encode()))
    packed[header + 24 : header + 28] = (3 << 30).to_bytes(4, "little")
    raw = root(tmp_path, "t.xlsx", bytes(packed))
    with pytest.raises(LayoutError, match=r"t\.xlsx: unpacks to 3,2\d\d,\d{3},\d{3} bytes, over the limit"):
        list(sheet_rows(raw, "t.xlsx", columns=["id"]))
    # One that tells the truth of its size, with a limit that does not take a gigabyte to reach.
    monkeypatch.setattr("med_mat.readers._MAX_SHEET_BYTES", 1 << 20)
    raw = root(tmp_path, "t.xlsx", zipped({**parts, "xl/media/zeros.bin": bytes(2 << 20)}))
    with pytest.raises(LayoutError, match="over the limit of 1,048,576"):
        list(sheet_rows(raw, "t.xlsx", columns=["id"]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda xml: xml.replace(b'<row r="2"', b'<row r="99999999999"'), "claims more than 5000 rows"),
        (lambda xml: xml.replace(b'<row r="2"', b'<row r="x"'), "row 2: damaged"),
        (lambda xml: xml.replace(b'r="A2"', b'r="ZZZZ2"'), "row 2: damaged"),
        (lambda xml: xml[:-40], "row 3: damaged"),
        (lambda xml: xml.replace(b"<v>1</v>", b"<v>1e9999999999x</v>"), "row 2: damaged"),
        (lambda _: b"", "no element found"),
    ],
)
def test_sheets_that_are_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[bytes], bytes], message: str
) -> None:
    # Excel's own limit takes seconds to count to.
    monkeypatch.setattr("med_mat.readers._MAX_SHEET_ROWS", 5_000)
    parts = sheet(["id", "label"], [1, "cyst"])
    raw = root(tmp_path, "t.xlsx", zipped({**parts, PAGE: change(parts[PAGE])}))
    with pytest.raises(LayoutError, match=rf"t\.xlsx.*{message}"):
        list(sheet_rows(raw, "t.xlsx", columns=["id"]))


def test_sheets_that_lack_a_part_or_a_page(tmp_path: Path) -> None:
    parts = sheet(["id", "label"], [1, "cyst"])
    for part in parts:
        raw = root(tmp_path, "t.xlsx", zipped({name: data for name, data in parts.items() if name != part}))
        try:
            rows = list(sheet_rows(raw, "t.xlsx", columns=["id"]))
        except LayoutError as error:
            assert "t.xlsx" in str(error)  # noqa: PT017 - both outcomes are right, and looked at
        else:
            assert [row["id"] for row in rows] == ["1"]
    raw = root(tmp_path, "t.xlsx", zipped(parts))
    with pytest.raises(LayoutError, match="no sheet 'Labels'; there are 'Sheet'"):
        list(sheet_rows(raw, "t.xlsx", columns=["id"], sheet="Labels"))


def test_warnings_of_the_reader_of_sheets_stay_off_the_terminal(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    parts = sheet(["id", "label"], [1, "cyst"])
    rules = b'<extLst><ext uri="{CCE6A557-97BC-4b89-ADB6-D9C93CAAB3DF}"/></extLst></worksheet>'
    raw = root(tmp_path, "t.xlsx", zipped({**parts, PAGE: parts[PAGE].replace(b"</worksheet>", rules)}))
    assert [row["id"] for row in sheet_rows(raw, "t.xlsx", columns=["id"])] == ["1"]
    assert not recwarn.list


# JSON


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": "\\ud800.png"}', "not Unicode"),
        (b'["\xed\xa0\x80"]', "not Unicode"),
        ('["\ud800"]'.encode("utf-16-le", "surrogatepass"), "not Unicode|not JSON"),
        (b'{"\\uDFFF": 1}', "not Unicode"),
        (b"[" * 200_000, "thousands deep"),
        (b'{"a":' * 200_000 + b"1" + b"}" * 200_000, "thousands deep"),
        (b"9" * 5_000, "not JSON"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b"\x80\x04\x95", "not JSON"),
    ],
    ids=range(9),
)
def test_json_that_cannot_be_kept(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(LayoutError, match=rf"t\.json: .*({message})"):
        json_file(root(tmp_path, "t.json", content), "t.json")


def test_json_with_letters_beyond_the_first_plane(tmp_path: Path) -> None:
    for content in (b'["\\ud83d\\ude00"]', '["\U0001f600"]'.encode(), '["\U0001f600"]'.encode("utf-16")):
        assert json_file(root(tmp_path, "t.json", content), "t.json") == ["\U0001f600"]


# Anything at all


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.one_of(
        st.binary(max_size=200),
        st.text(st.sampled_from('id,label";\t\n\r \0\ufeffé\u2028'), max_size=80).map(str.encode),
    ),
    delimiter=st.sampled_from(",;\t "),
    encoding=st.sampled_from(["utf-8", "utf-16", "cp1252", "utf-8-sig"]),
)
def test_any_bytes_are_rows_or_one_error(tmp_path: Path, content: bytes, delimiter: str, encoding: str) -> None:
    raw = root(tmp_path, "t.csv", b"id" + delimiter.encode() + b"label\n" + content)
    readers: list[Callable[[], Any]] = [
        lambda: list(csv_rows(raw, "t.csv", columns=["id", "label"], delimiter=delimiter, encoding=encoding)),
        lambda: text_lines(raw, "t.csv", encoding=encoding),
        lambda: json_file(raw, "t.csv"),
        lambda: list(sheet_rows(raw, "t.csv", columns=["id"])),
    ]
    for reader in readers:
        try:
            read = reader()
        except LayoutError as error:
            assert "t.csv" in str(error)  # noqa: PT017 - both outcomes are right, and looked at
        else:
            json.dumps(read, ensure_ascii=False).encode()
