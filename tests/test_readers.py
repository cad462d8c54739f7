"""Label files are read strictly: what does not fit is named, nothing is guessed."""

from __future__ import annotations

import csv
import datetime
import io
import json
from collections.abc import Sequence
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from med_mat.errors import LayoutError
from med_mat.raw import RawRoot
from med_mat.readers import csv_rows, json_file, official_split, sheet_rows, text_lines


def root(folder: Path, name: str, content: bytes | str) -> RawRoot:
    (folder / "wrapper").mkdir(exist_ok=True)
    (folder / "wrapper" / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return RawRoot.open(folder)


def sheet(folder: Path, *tables: Sequence[Sequence[object]]) -> RawRoot:
    book = openpyxl.Workbook()
    for number, table in enumerate(tables):
        page = book.create_sheet(f"page {number}")
        for row in table:
            page.append(list(row))
    del book["Sheet"]
    stream = io.BytesIO()
    book.save(stream)
    return root(folder, "t.xlsx", stream.getvalue())


# Delimited text


def test_values_are_strings_without_surrounding_space(tmp_path: Path) -> None:
    text = '\ufeff id , label,"note"\r\n007, NaN ,"a, ""b""\nc"\r\n8,, null \r\n\r\n,,\r\n9,x'
    raw = root(tmp_path, "t.csv", text)
    assert list(csv_rows(raw, "t.csv", columns=["id", "label"])) == [
        {"id": "007", "label": "NaN", "note": 'a, "b"\nc'},
        {"id": "8", "label": "", "note": "null"},
        {"id": "9", "label": "x", "note": ""},
    ]


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [("id;label\n1;a\n", ";"), ("id\tlabel\n1\ta\t\n", "\t"), ("id   label\n 1 a  \n", " "), ("id|label\r1|a\r", "|")],
)
def test_delimiters(tmp_path: Path, text: str, delimiter: str) -> None:
    raw = root(tmp_path, "t.txt", text)
    rows = list(csv_rows(raw, "t.txt", columns=["id", "label"], delimiter=delimiter))
    assert rows == [{"id": "1", "label": "a"}]


def test_a_table_without_header(tmp_path: Path) -> None:
    raw = root(tmp_path, "t.csv", "ISIC_1,benign\nISIC_2,malignant\n")
    rows = csv_rows(raw, "t.csv", columns=["image"], header=["image", "label"])
    assert [row["label"] for row in rows] == ["benign", "malignant"]
    with pytest.raises(LayoutError, match=r"'age' not found. There are 'image', 'label'"):
        next(csv_rows(raw, "t.csv", columns=["age"], header=["image", "label"]))


def test_a_huge_cell(tmp_path: Path) -> None:
    raw = root(tmp_path, "t.csv", f"id,outline\n1,{'7 ' * 400_000}\n")
    (row,) = csv_rows(raw, "t.csv", columns=["outline"])
    assert row["outline"] == ("7 " * 400_000).strip()


def test_encodings(tmp_path: Path) -> None:
    raw = root(tmp_path, "t.csv", "id,é\n1,ü\n".encode("cp1252"))
    assert list(csv_rows(raw, "t.csv", columns=["é"], encoding="cp1252")) == [{"id": "1", "é": "ü"}]
    with pytest.raises(LayoutError, match=r"wrapper/t\.csv: not utf-8 at byte 3 \(0xe9\)"):
        list(csv_rows(raw, "t.csv", columns=["é"]))
    raw = root(tmp_path, "t.csv", b"\xef\xbb\xbfid\n\xff\n")
    with pytest.raises(LayoutError, match=r"not UTF8 at byte 6 \(0xff\)"):
        list(csv_rows(raw, "t.csv", columns=["id"], encoding="UTF8"))
    raw = root(tmp_path, "t.csv", "id\né\n".encode("utf-16"))
    assert list(csv_rows(raw, "t.csv", columns=["id"], encoding="utf-16")) == [{"id": "é"}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", r"t\.csv: expected the columns 'id', 'label'; 'id', 'label' not found. There are 'a', 'b'\."),
        ("id;label\n1;2\n", r"There are 'id;label'"),
        ("", r"t\.csv: empty; expected a table with the columns 'id', 'label'"),
        ("\n,,\n", r"empty"),
        ("id,label\n1,2\n1,2,3\n", r"t\.csv, line 3: 3 cells, the header has 2"),
        ('id,label\n"1\n1",2\n1,2,3\n', r"line 4: 3 cells"),
        ("id,x,label\n1,2\n", r"line 2: 2 cells, 3 are needed"),
        ("id,label,label\n1,2,3\n", r"more than one column 'label'"),
        ('id,label\n1,"2\n3,4\n', r"line 3: not a table \(unexpected end of data\)"),
        ('id,label\n1,"2"x\n', r"line 2: not a table"),
    ],
)
def test_tables_that_do_not_fit(tmp_path: Path, text: str, message: str) -> None:
    raw = root(tmp_path, "t.csv", text)
    with pytest.raises(LayoutError, match=message):
        list(csv_rows(raw, "t.csv", columns=["label", "id"]))


def test_columns_that_nobody_needs_may_be_odd(tmp_path: Path) -> None:
    raw = root(tmp_path, "t.csv", ",id,note,note,label,,\n0,1,a,b,x,,\n1,2,a,b,y,,,,\n")
    assert list(csv_rows(raw, "t.csv", columns=["id", "label"])) == [
        {"id": "1", "label": "x"},
        {"id": "2", "label": "y"},
    ]


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    raw = root(tmp_path, "t.csv", "id\n")
    for reader in (csv_rows, sheet_rows):
        with pytest.raises(LayoutError, match=r"end in labels\.\*"):
            next(reader(raw, "labels.*", columns=["id"]))
    for read in (json_file, text_lines):
        with pytest.raises(LayoutError, match=r"end in labels\.\*"):
            read(raw, "labels.*")
    assert list(csv_rows(raw, "t.csv", columns=["id"])) == []


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(CELL, min_size=3, max_size=3), max_size=6))
def test_what_a_csv_writer_writes_is_read_back(tmp_path: Path, rows: list[list[str]]) -> None:
    stream = io.StringIO()
    csv.writer(stream).writerows([["a", "b", "c"], *rows])
    raw = root(tmp_path, "t.csv", stream.getvalue())
    got = [list(row.values()) for row in csv_rows(raw, "t.csv", columns=["a", "b", "c"])]
    stripped = [[cell.strip() for cell in row] for row in rows]
    assert got == [row for row in stripped if any(row)]


# Sheets


def test_values_of_a_sheet(tmp_path: Path) -> None:
    day = datetime.datetime(2020, 1, 31)
    raw = sheet(
        tmp_path,
        [
            [" id ", "label", "n", "when", "last"],
            [12.0, " x ", 0.25, day, None],
            [None] * 5,
            ["007", None, True, day.replace(hour=8), 1],
            [10**15, "#N/A", False, datetime.time(8, 30), datetime.date(2021, 2, 3)],
        ],
    )
    assert list(sheet_rows(raw, "t.xlsx", columns=["id", "last"])) == [
        {"id": "12", "label": "x", "n": "0.25", "when": "2020-01-31", "last": ""},
        {"id": "007", "label": "", "n": "TRUE", "when": "2020-01-31T08:00:00", "last": "1"},
        {"id": "1000000000000000", "label": "#N/A", "n": "FALSE", "when": "08:30:00", "last": "2021-02-03"},
    ]


def test_titles_above_the_header_are_passed_over(tmp_path: Path) -> None:
    table = [["The data set"], [None], [None, "Diagnosis"], ["id", "benign", "malignant"], ["1", "x", None]]
    raw = sheet(tmp_path, table, [["other"], [5]])
    assert list(sheet_rows(raw, "t.xlsx", columns=["id", "malignant"])) == [{"id": "1", "benign": "x", "malignant": ""}]
    for page in (1, "page 1"):
        assert list(sheet_rows(raw, "t.xlsx", columns=["other"], sheet=page)) == [{"other": "5"}]
    rows = list(sheet_rows(raw, "t.xlsx", columns=["a"], header=["a", "b", "c"]))
    assert [row["a"] for row in rows] == ["The data set", "", "id", "1"]


def test_a_sheet_that_claims_to_be_smaller_than_it_is(tmp_path: Path) -> None:
    import zipfile

    raw = sheet(tmp_path, [["id", "label"], ["1", "x"], ["2", "y"]])
    place = tmp_path / "wrapper/t.xlsx"
    with zipfile.ZipFile(place) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    page = "xl/worksheets/sheet1.xml"
    assert b'<dimension ref="A1:B3"' in parts[page]
    parts[page] = parts[page].replace(b'<dimension ref="A1:B3"', b'<dimension ref="A1:A2"')
    with zipfile.ZipFile(place, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    assert [row["label"] for row in sheet_rows(raw, "t.xlsx", columns=["label"])] == ["x", "y"]


def test_sheets_that_do_not_fit(tmp_path: Path) -> None:
    raw = sheet(tmp_path, [["id", "label"], [1, 2], [3, 4, 5]], [])
    with pytest.raises(
        LayoutError, match=r"t\.xlsx: expected the columns 'age'; 'age' not found. There are 'id', 'label'"
    ):
        list(sheet_rows(raw, "t.xlsx", columns=["age"]))
    with pytest.raises(LayoutError, match=r"row 3: 3 cells, the header has 2"):
        list(sheet_rows(raw, "t.xlsx", columns=["id"]))
    for page in (2, -1, "Sheet1"):
        with pytest.raises(LayoutError, match=rf"no sheet {page!r}; there are 'page 0', 'page 1'"):
            list(sheet_rows(raw, "t.xlsx", columns=["id"], sheet=page))
    with pytest.raises(LayoutError, match="empty"):
        list(sheet_rows(raw, "t.xlsx", columns=["id"], sheet=1))
    for content in (b"id,label\n1,2\n", b"", b"PK\x03\x04 broken"):
        raw = root(tmp_path, "t.xlsx", content)
        with pytest.raises(LayoutError, match=r"t\.xlsx: not an \.xlsx workbook"):
            list(sheet_rows(raw, "t.xlsx", columns=["id"]))


# JSON, lists, splits


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_json_files(tmp_path: Path, encoding: str) -> None:
    content = {"images": [{"id": 1, "name": "é"}, {"id": 2}], "none": None}
    raw = root(tmp_path, "t.json", json.dumps(content, ensure_ascii=False).encode(encoding))
    assert json_file(raw, "*.json") == content


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"t\.json: not JSON"),
        ("", "not JSON"),
        (b"\xff{}", "not JSON"),
        ('[{"a": 1, "b": 2, "a": 1}]', "name 'a' twice"),
    ],
)
def test_json_that_does_not_fit(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(LayoutError, match=message):
        json_file(root(tmp_path, "t.json", text), "t.json")


def test_text_lines(tmp_path: Path) -> None:
    raw = root(tmp_path, "t.txt", "\ufeff a.png \r\n\r\n \t\nb.png\rc\u2028d\x0ce.png")
    assert text_lines(raw, "t.txt") == ["a.png", "b.png", "c\u2028d\x0ce.png"]
    raw = root(tmp_path, "t.txt", b"\xe9\n")
    assert text_lines(raw, "t.txt", encoding="latin-1") == ["é"]
    with pytest.raises(LayoutError, match=r"t\.txt: not utf-8 at byte 0"):
        text_lines(raw, "t.txt")


@pytest.mark.parametrize(
    ("split", "words"),
    [
        ("train", "train Training TRAIN Training_Set training-set trainset"),
        ("validation", "val Valid validation Validation_set VAL_SET dev"),
        ("test", "test Testing TEST test_set testset"),
    ],
)
def test_official_splits(split: str, words: str) -> None:
    assert {official_split(word) for word in [*words.split(), f" {words.split()[0]} set "]} == {split}


@pytest.mark.parametrize("word", ["", "set", "trainval", "train1", "all", "0", "testes", "development set 2"])
def test_words_that_name_no_split(word: str) -> None:
    with pytest.raises(ValueError, match="does not name a split"):
        official_split(word)
