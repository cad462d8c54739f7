"""Names that few programs expect: the picture is published under a key that is text, or listed with a reason."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import datasets
import pytest
from tiny import med_mat, noise_bytes
from world import COMMAND, LABELS, good, odd, world, zipped

from med_mat.raw import RawRoot

linux = pytest.mark.skipif(sys.platform != "linux", reason="other file systems refuse or change such names")

CARRIED = [
    "new\nline.png",
    "tab\tbell\x07.png",
    "\x1b[31mred\x1b[0m.png",
    " leading.png",
    "two  blanks.png",
    "\u202egnp.exe.png",
    "[bold]x[red] :smile:.png",
    "a\\b.png",
    "quote'\"`$(true).png",
    "-rf.png",
    "%20%2e%2e.png",
    "#,;|&.png",
    "CASE.png",
    "case.png",
    "\U0001f600\u200d\u0301.png",
    "n" * 251 + ".png",
    "\u00a0nbsp.png",
    "*?[ab]{c}.png",
]


@linux
def test_odd_names_are_carried_into_rows_that_load(tmp_path: Path) -> None:
    place = world(tmp_path)
    place.put({**good(), **{f"cyst/{name}": noise_bytes(name, "x.png") for name in CARRIED}})
    ended = med_mat(*place.arguments())
    assert (ended.returncode, ended.stderr) == (0, "")
    result = place.build()
    rows = datasets.load_dataset(str(place.out), "everything")
    keys = {row["key"] for part in rows.values() for row in part}
    assert keys == {unicodedata.normalize("NFC", f"cyst/{name}") for name in CARRIED} | set(good())
    assert result.manifest["rows"] == len(keys)


LISTED = ["trailing.png ", "trailing.png\n", "C:drive.tiff.png\t"]


@linux
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_what_is_odd_is_shown_and_does_not_move_the_terminal(tmp_path: Path, encoding: str) -> None:
    place = world(tmp_path)
    # The slash makes a folder, and of both a closing tag of the terminal's markup.
    unread = [f"elsewhere[/{name}" for name in ["bold].png", *CARRIED]] + [f"cyst/{name}" for name in LISTED]
    place.put({**good(), **{name: noise_bytes(name, "x.png") for name in unread}})
    strange = place.raw / "cyst" / os.fsdecode(b"\xff\xfe.png")
    strange.write_bytes(b"")
    (place.raw / os.fsdecode(b"folder \xe9")).mkdir()
    (place.raw / os.fsdecode(b"folder \xe9/a.png")).write_bytes(b"")
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    for command in ("build", "index"):
        ended = med_mat(*place.arguments(command), env=environment, encoding=encoding, errors="strict")
        assert (ended.returncode, ended.stderr) == (1, "")
        assert not set(ended.stdout) & {chr(code) for code in range(32) if chr(code) != "\n"}
        assert f"{len(unread) + 2} undeclared oddities" in ended.stdout
    ended = med_mat(*place.arguments("index"), "--json", env=environment, encoding=encoding, errors="strict")
    listed = {(line["kind"], line["path"]) for line in json.loads(ended.stdout)["odd"]}
    skipped = {("skipped_file", "cyst/\\udcff\\udcfe.png"), ("skipped_file", "folder \\udce9")}
    assert listed == {("unread_file", name) for name in unread} | skipped
    assert odd(place.build()) == listed


@linux
def test_names_that_differ_in_their_unicode_form_alone(tmp_path: Path) -> None:
    place = world(tmp_path)
    one, two = unicodedata.normalize("NFC", "cyst/é.png"), unicodedata.normalize("NFD", "cyst/é.png")
    content = noise_bytes("e", "x.png")
    place.put({**good(), one: content, two: content})
    result = place.build()
    assert (result.exit_code, result.manifest["rows"]) == (0, len(good()) + 1)
    assert result.manifest["sources"]["tiny"]["left_out"] == {"second copy of the same file in the raw root": 1}
    place.put({two: noise_bytes("another", "x.png", (30, 30))})
    result = place.build()
    assert result.exit_code == 1
    (clash,) = odd(result)
    assert clash[0] == "key_clash"
    assert unicodedata.normalize("NFC", clash[1]) == one


def test_pictures_of_one_name_and_one_length_are_compared_where_the_format_says_nothing(tmp_path: Path) -> None:
    place = world(tmp_path)
    same, other = noise_bytes("same", "x.bmp"), noise_bytes("other", "x.bmp")
    assert len(same) == len(other)
    tree = {"a/cyst/1.bmp": same, "b/cyst/1.bmp": other, "a/cyst/2.bmp": same, "b/cyst/2.bmp": same}
    place.put({**good(), **tree})
    result = place.build()
    assert odd(result) == {("key_clash", "b/cyst/1.bmp")}
    assert result.manifest["sources"]["tiny"]["left_out"] == {"second copy of the same file in the raw root": 1}


@linux
def test_names_within_archives(tmp_path: Path) -> None:
    place = world(tmp_path)
    names = [f"cyst/{name}" for name in CARRIED if "\\" not in name]
    place.put({**good(), "a.zip": zipped({name: noise_bytes(name, "x.png") for name in names})})
    result = place.build()
    assert (result.exit_code, result.manifest["rows"]) == (0, len(good()) + len(names))


@linux
def test_a_folder_whose_own_name_is_odd(tmp_path: Path) -> None:
    place = world(tmp_path / "with\nnew [/line] \x1b[31m")
    place.put({f"nothing/{label}.txt": b"" for label in LABELS})
    ended = med_mat(*place.arguments("index"))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "\x1b" not in ended.stderr
    assert "[/line] \\x1b[31m" in ended.stderr


@linux
def test_the_command_inspects_a_file_of_any_name(tmp_path: Path) -> None:
    for name in (b"\xff[b]\x1b.png", b"no picture \xff.png"):
        path = os.fsencode(tmp_path) + b"/" + name
        Path(os.fsdecode(path)).write_bytes(b"" if b"no" in name else noise_bytes("x", "x.png"))

        ended = subprocess.run([os.fsencode(COMMAND), b"inspect", path], capture_output=True, check=False)
        assert ended.returncode == (2 if b"no" in name else 0)
        assert b"\x1b" not in ended.stdout + ended.stderr
        assert b"Traceback" not in ended.stderr


@linux
def test_a_raw_root_whose_path_is_not_text(tmp_path: Path) -> None:
    place = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    place.mkdir()
    (place / "a.zip").write_bytes(zipped({"b.zip": zipped({"c.txt": b"c"})}))
    with RawRoot.open(place, cache=tmp_path / "cache") as raw:
        assert raw.read("a.zip/b.zip/c.txt") == b"c"
