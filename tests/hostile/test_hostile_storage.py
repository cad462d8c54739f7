"""Files that may not be read, go away, change meanwhile, or find no room: one error or one record, and no half file."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from accounting import UNREADABLE
from tiny import noise_bytes
from world import COMMAND, TABLE_LOADER, World, good, losses, table, tarred, world, zipped

from med_mat.errors import LayoutError, RawChangedError

if sys.platform == "linux":
    import resource

linux = pytest.mark.skipif(sys.platform != "linux", reason="limits and capabilities are set as Linux has them")


def _as_anybody() -> None:
    """Gives up the administrator's right to read what may not be read, for a suite that runs as the administrator."""
    drop_bounding, override, read_search = 24, 1, 2
    if os.geteuid() == 0:
        system = ctypes.CDLL(None, use_errno=True)
        for capability in (override, read_search):
            if system.prctl(drop_bounding, capability, 0, 0, 0):
                raise OSError(ctypes.get_errno(), "capabilities cannot be dropped")


def as_anybody(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False, preexec_fn=_as_anybody
    )


@pytest.fixture
def place(tmp_path: Path) -> Iterator[World]:
    made = world(tmp_path)
    made.put(good())
    yield made
    for path in [tmp_path, *tmp_path.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)
    for path in tmp_path.rglob("*"):
        if path.is_dir():
            path.chmod(0o755)


# Permissions


@linux
def test_what_may_not_be_read_is_listed_and_tried_again(place: World) -> None:
    place.put({f"{name}/cyst/a.png": noise_bytes(name, "x.png") for name in ("not listed", "not entered")})
    (place.raw / "cyst/loop.png").symlink_to("loop.png")
    (place.raw / "cyst/gone.png").symlink_to("nowhere.png")
    (place.raw / "cyst/good 0.png").chmod(0)
    (place.raw / "not listed").chmod(0o300)
    (place.raw / "not entered/cyst").chmod(0o600)
    ended = as_anybody(*place.arguments("index"), "--json")
    assert (ended.returncode, ended.stderr) == (1, "")
    reasons = {line["path"]: line["detail"] for line in json.loads(ended.stdout)["odd"]}
    assert reasons == {
        "cyst/gone.png": "link to nothing",
        "cyst/loop.png": "cannot be looked at (Too many levels of symbolic links); check the link or the permissions",
        "not entered/cyst/a.png": "cannot be looked at (Permission denied); check the link or the permissions",
        "not listed": "folder cannot be listed (Permission denied); check its permissions",
    }
    ended = as_anybody(*place.arguments())
    assert (ended.returncode, ended.stderr) == (1, "")
    assert "5 undeclared oddities" in ended.stdout
    entry = json.loads((place.out / "manifest.json").read_text(encoding="utf-8"))["sources"]["tiny"]
    assert entry["losses"] == [["cyst/good 0.png", UNREADABLE, "cannot be read: Permission denied"]]
    assert entry["rows"] == len(good()) - 1

    for name in ("cyst/good 0.png", "not listed", "not entered/cyst"):
        (place.raw / name).chmod(0o755)
    # The time of the file is what it was; what failed to be read is read now all the same.
    for name in ("not listed", "not entered"):
        shutil.rmtree(place.raw / name)
    (place.raw / "cyst/loop.png").unlink()
    (place.raw / "cyst/gone.png").unlink()
    assert place.build().exit_code == 0


@linux
def test_a_table_that_may_not_be_read(tmp_path: Path) -> None:
    place = world(tmp_path, TABLE_LOADER)
    place.put(table())
    (place.raw / "table.csv").chmod(0)
    for command in ("index", "build"):
        ended = as_anybody(*place.arguments(command))
        assert ended.returncode == 2
        assert "Permission denied" in ended.stderr + ended.stdout
        assert "table.csv" in (ended.stderr + ended.stdout).replace("\n", "")
        assert "Traceback" not in ended.stderr


@linux
def test_places_that_may_not_be_written(place: World) -> None:
    place.out.mkdir()
    place.out.chmod(0o555)
    ended = as_anybody(*place.arguments())
    assert ended.returncode == 2
    assert ended.stderr.startswith("med-mat: ")
    assert f"Permission denied: '{place.out}" in ended.stderr
    ended = as_anybody("inspect", place.raw / "cyst/good 0.png", "--out", place.out / "x.png")
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr


# What changes meanwhile


class Meanwhile:
    """Does something when a stage of a build begins."""

    def __init__(self, stage: str, act: Callable[[], None]) -> None:
        self.stage, self.act = stage, act

    def start(self, stage: str, total: int) -> None:
        assert total >= 0
        if stage.startswith(self.stage):
            self.act()

    def advance(self, number: int) -> None:
        assert number >= 0


def test_a_file_that_goes_away_before_the_scan_is_a_loss(place: World) -> None:
    picture = place.raw / "cyst/good 1.png"
    content = picture.read_bytes()
    result = place.build(still=False, progress=Meanwhile("scan", picture.unlink))
    assert losses(result) == {"cyst/good 1.png": "no file cyst/good 1.png. Has the download been moved or changed?"}
    assert (result.exit_code, result.manifest["rows"]) == (1, len(good()) - 1)
    picture.write_bytes(content)
    result = place.build()
    assert (result.exit_code, result.manifest["rows"]) == (0, len(good()))


def test_a_file_that_grows_between_index_and_scan(place: World) -> None:
    picture = place.raw / "cyst/good 1.png"
    place.build(progress=Meanwhile("scan", lambda: picture.write_bytes(noise_bytes("new", "x.png", (50, 50)))))
    result = place.build()
    assert (result.exit_code, result.manifest["rows"]) == (0, len(good()))


@pytest.mark.parametrize("what", ["goes", "changes"])
def test_a_file_that_goes_or_changes_before_it_is_encoded_stops_the_build_by_name(place: World, what: str) -> None:
    whole = place.build()
    before = {path: path.read_bytes() for path in place.out.rglob("*") if path.is_file()}
    picture = place.raw / "cyst/good 1.png"
    place.put({"cyst/new.png": noise_bytes("new", "x.png")})  # so that there is something to encode
    content = noise_bytes("changed", "x.png", (40, 40))
    act = picture.unlink if what == "goes" else lambda: picture.write_bytes(content)
    with pytest.raises(LayoutError if what == "goes" else RawChangedError, match=r"cyst/good 1\.png"):
        place.build(progress=Meanwhile("encode", act))
    data = {path: content for path, content in before.items() if ".med-mat" not in path.parts}
    assert {path: path.read_bytes() for path in data if path.suffix == ".parquet"} == {
        path: content for path, content in data.items() if path.suffix == ".parquet"
    }
    assert list(place.out.rglob("*.partial")) == []
    picture.write_bytes(content)
    result = place.build()
    assert (result.exit_code, result.manifest["rows"]) == (0, whole.manifest["rows"] + 1)


def test_an_archive_that_is_replaced_before_it_is_scanned(place: World) -> None:
    place.put({"a.zip": zipped({"cyst/z.png": noise_bytes("z", "x.png")})})
    result = place.build(progress=Meanwhile("scan", lambda: (place.raw / "a.zip").write_bytes(b"<html>")))
    assert set(losses(result)) == {"a.zip/cyst/z.png"}
    assert result.manifest["rows"] == len(good())


# No room


@linux
def test_a_file_that_is_larger_than_memory_is_a_loss(place: World) -> None:
    with (place.raw / "cyst/large.png").open("wb") as stream:
        stream.truncate(3 << 30)
    limit = 3 << 30
    ended = subprocess.run(
        [COMMAND, *map(str, place.arguments())],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    assert (ended.returncode, ended.stderr) == (1, "")
    entry = json.loads((place.out / "manifest.json").read_text(encoding="utf-8"))["sources"]["tiny"]
    reason = "cannot be read: it needs more memory than there is"
    assert entry["losses"] == [["cyst/large.png", UNREADABLE, reason]]
    assert entry["rows"] == len(good())


@linux
def test_a_full_disk_leaves_no_half_file_and_the_next_build_goes_on(tmp_path: Path) -> None:
    place = world(tmp_path)
    names = [f"{label}/{number}.png" for label in ("cyst", "stone") for number in range(12)]
    pictures = {name: noise_bytes(name, name, (150, 150)) for name in names}
    place.put(pictures)
    stopped = []
    for limit in (1_500, 100_000):
        ended = subprocess.run(
            [COMMAND, *map(str, place.arguments()), "--workers", "2"],
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=lambda limit=limit: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        )
        assert ended.returncode == 2
        assert "Traceback" not in ended.stderr
        assert "cannot be written (File too large). Free space" in ended.stderr
        stopped.append(Path(ended.stderr.split(": ")[1]))
        assert list(place.out.rglob("*.partial")) == []
        assert not stopped[-1].exists()
    # In the scan, then in a shard.
    assert [path.relative_to(place.out).parts[:2] for path in stopped] == [(".med-mat", "scan"), ("data", "tiny")]
    result = place.build(workers=2)
    assert (result.exit_code, result.manifest["rows"]) == (0, len(pictures))


@linux
def test_a_full_disk_while_an_archive_is_unpacked(tmp_path: Path) -> None:
    place = world(tmp_path)
    place.put({"a.tar.gz": tarred(good(), "w:gz"), **good()})
    ended = subprocess.run(
        [COMMAND, *map(str, place.arguments("index"))],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000)),
    )
    assert ended.returncode == 2
    assert "a.tar.gz cannot be written into the cache folder (File too large)" in ended.stderr
    assert list((tmp_path / "cache").iterdir()) == []
