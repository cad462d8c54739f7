"""Columns of a listing are read as the objects that they stand for."""

from __future__ import annotations

import builtins
import io
import zipfile
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from med_mat import columns
from med_mat.columns import Rows, absent_from
from med_mat.raw import Lookup, RawRoot
from med_mat.raw.archives import DAMAGE
from med_mat.raw.files import Names
from med_mat.raw.listing import stem_of
from med_mat.raw.members import Members, ZipDirectory

texts = st.lists(st.text("ab/.", max_size=3), max_size=30)


@given(texts, texts, st.sampled_from([1, 3, 1 << 60]))
def test_absent_texts_are_those_not_among_the_others_whatever_their_hashes(
    some: list[str], others: list[str], hashes: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "hash", lambda text: builtins.hash(text) % hashes, raising=False)
        patch.setattr(columns, "_BATCH", 4)
        found = absent_from(pa.array(some, pa.large_string()), pa.array(others, pa.large_string()))
    assert found.tolist() == [place for place, text in enumerate(some) if text not in others]


@given(texts)
def test_names_are_found_at_all_their_places(some: list[str]) -> None:
    names = Names(some)
    for text in [*some, "absent"]:
        assert [place for place in names.places(text) if some[place] == text] == [
            place for place, other in enumerate(some) if other == text
        ]
    alike = {tuple(places) for places in names.alike()}
    assert {tuple(p for p, other in enumerate(some) if other == text) for text in some if some.count(text) > 1} <= alike


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c/d"]), st.integers(0, 9), st.integers(0, 99)), max_size=12))
def test_of_members_of_one_path_the_last_counts(entries: list[tuple[str, int, int]]) -> None:
    members = Members(entries)
    expected = {path: (place, size) for path, place, size in entries}
    assert {path: members.find(path) for path, _ in members} == expected
    assert sorted(members) == sorted((path, size) for path, (_, size) in expected.items())
    paths = [path for path, _, _ in entries]
    assert dict(members.several) == {path: paths.count(path) for path in paths if paths.count(path) > 1}
    assert members.find("absent") is None


@given(st.lists(st.text("a.b ", min_size=1, max_size=5).filter(lambda part: part not in (".", "..")), min_size=1))
def test_a_stem_is_that_of_a_path(parts: list[str]) -> None:
    path = PurePosixPath(*parts)
    if not path.name.endswith("."):  # releases of Python differ there
        assert stem_of(str(path)) == str(path.with_suffix(""))


def test_rows_are_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "_BATCH", 2)
    schema = pa.schema([("a", pa.int32()), ("b", pa.list_(pa.string()))])
    rows = Rows(schema)
    assert rows.table() == schema.empty_table()
    for number in range(5):
        rows.append((number, [str(number)]))
    assert rows.table().to_pydict() == {"a": [0, 1, 2, 3, 4], "b": [["0"], ["1"], ["2"], ["3"], ["4"]]}


def test_found_files_are_read_like_a_list(tmp_path: Path) -> None:
    for name in ("b/2.jpg", "a/1.jpg", "a/1.png", "c/3.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    raw = RawRoot.open(tmp_path)
    found = raw.glob("*/*.jpg")
    listed = list(found)
    assert [str(file.key) for file in listed] == ["a/1.jpg", "b/2.jpg", "c/3.jpg"]
    assert [file.size for file in listed] == [7, 7, 7]
    assert found == listed
    assert found != listed[:2]
    assert found != 3
    assert (found[0], found[-1], found[1:], found[::-1]) == (listed[0], listed[-1], listed[1:], listed[::-1])
    assert found + raw.glob("*/*.png") == [*listed, *raw.glob("*/*.png")]
    assert listed[:1] + found == [listed[0], *listed]
    assert listed[1] in found
    assert repr(found).count("RawFile(") == 3
    with pytest.raises(IndexError):
        _ = found[3]
    names = raw.find("*/*.jpg")
    assert list(names.values()) == listed
    assert Lookup({file.name: file for file in found})["2.JPG"] == listed[1]


def zip_with(entries: dict[str, bytes], comment: bytes, prefix: bytes, wide: bool) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            with archive.open(name, "w", force_zip64=wide) as member:
                member.write(data)
        archive.comment = comment
    return prefix + stream.getvalue()


# A stream in memory, unlike a file, may be asked for what is before its start: prefixes are longer than that.
long = st.binary(min_size=80, max_size=90)


@given(
    st.dictionaries(st.text("abé/", min_size=1, max_size=6), st.binary(max_size=40), max_size=8),
    st.binary(max_size=40) | st.just(b"PK\5\6"),
    st.just(b"")
    | long
    | st.builds(lambda start, end: start + b"PK\6\7" + end, long, st.binary(min_size=16, max_size=16)),
    st.booleans(),
)
def test_the_directory_of_a_zip_is_what_zipfile_reads(
    entries: dict[str, bytes], comment: bytes, prefix: bytes, wide: bool
) -> None:
    data = zip_with(entries, comment, prefix, wide)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            expected = [(info.filename, archive.read(info)) for info in archive.infolist()]
    except DAMAGE as error:  # a comment that holds the mark of the end
        with pytest.raises(type(error)):
            list(ZipDirectory(io.BytesIO(data)).records())
        return
    file = io.BytesIO(data)
    directory = ZipDirectory(file)
    found = []
    for place, info in directory.records():
        with directory.open(file, place) as member:
            found.append((info.filename, member.read()))
    assert found == expected


def test_more_records_than_zipfile_is_given_at_once() -> None:
    entries = {f"{number}.txt": str(number).encode() for number in range(2500)}
    file = io.BytesIO(zip_with(entries, b"", b"", wide=False))
    directory = ZipDirectory(file)
    places = {info.filename: place for place, info in directory.records()}
    assert list(places) == list(entries)
    for name in ("0.txt", "1023.txt", "1024.txt", "2499.txt"):
        with directory.open(file, places[name]) as member:
            assert member.read() == entries[name]
