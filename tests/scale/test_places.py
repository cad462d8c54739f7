"""Files that a build writes, here and on storage that fsspec reaches."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from med_mat.errors import MedMatError
from med_mat.files import (
    PARTIAL_SUFFIX,
    is_local,
    place_of,
    read_table,
    remove_partials,
    replacing,
    write_json,
    write_table,
)


@pytest.fixture(params=["path", "file", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return place_of(
        {"path": str(tmp_path), "file": f"file://{tmp_path}", "memory": f"memory:/{tmp_path}"}[request.param]
    )


def test_what_is_written_is_read(folder: Path) -> None:
    table = pa.table({"a": [1, 2], "b": ["x", None]})
    write_table(folder / "below" / "table.parquet", table)
    assert read_table(folder / "below" / "table.parquet") == table
    assert read_table(folder / "below" / "table.parquet", ["b"]) == table.select(["b"])
    write_json(folder / "below" / "one.json", {"b": 1, "a": "é"})
    write_json(folder / "below" / "one.json", {"a": "é"})
    assert (folder / "below" / "one.json").read_text(encoding="utf-8") == '{\n "a": "é"\n}\n'
    assert sorted(path.name for path in folder.glob("*/*")) == ["one.json", "table.parquet"]


def test_a_file_is_whole_or_as_it_was(folder: Path) -> None:
    write_json(folder / "one.json", 1)

    def fail() -> None:
        with replacing(folder / "one.json") as partial:
            partial.write_text("2", encoding="utf-8")
            assert (folder / "one.json").read_text(encoding="utf-8") == "1\n"
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [path.name for path in folder.glob("*")] == ["one.json"]
    assert (folder / "one.json").read_text(encoding="utf-8") == "1\n"


def test_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    with replacing(tmp_path / "one") as one, replacing(tmp_path / "one") as other:
        one.write_text("one", encoding="utf-8")
        other.write_text("other", encoding="utf-8")
    assert (tmp_path / "one").read_text(encoding="utf-8") == "one"


def test_what_was_left_half_written_goes(folder: Path) -> None:
    write_json(folder / "below" / "one.json", 1)
    if is_local(folder):
        (folder / "below" / f"two.json{PARTIAL_SUFFIX}").touch()
    remove_partials(folder)
    assert [path.name for path in folder.glob("*/*")] == ["one.json"]


def test_a_place_that_nobody_knows() -> None:
    assert is_local(place_of("relative/folder"))
    with pytest.raises(MedMatError, match="nowhere://bucket"):
        place_of("nowhere://bucket/folder")
