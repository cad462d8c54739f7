"""Archives: verified before they lie in a raw root, unpacked only where they must be, and never out of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from loopback import Loopback, Served
from sandbox import Sandbox, rarred, seven_zipped, tarred, zip_bomb, zipped

from med_mat.download.digest import Tick
from med_mat.download.errors import StoppedError
from med_mat.download.run import Options
from med_mat.raw import RawRoot

FILES = {"Cyst/a.png": b"first picture", "Stone/b.png": b"second picture " * 2000}


def offered(sandbox: Sandbox, name: str, data: bytes) -> None:
    sandbox.source({"platform": "url", "files": [{"url": sandbox.url(name, Served(data))}]})


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("good.zip", zipped(FILES)),
        ("good.tar.gz", tarred(FILES)),
        ("good.tar", tarred(FILES, "w")),
        ("unpacked on the way.tar.gz", tarred(FILES, "w")),
        ("nested.zip", zipped({"inner.zip": zipped(FILES)})),
    ],
)
def test_good_archives_stay_packed_and_are_read_in_place(sandbox: Sandbox, name: str, data: bytes) -> None:
    offered(sandbox, name.replace(" ", "%20"), data)
    outcome = sandbox.one()
    assert outcome.error is None
    assert sandbox.files() == {name: data}
    found = RawRoot.open(sandbox.raw / "tiny", cache=sandbox.raw.parent / "cache").glob("{Cyst,Stone}/*.png")
    assert [str(file.key) for file in found] == list(FILES)


def damaged(data: bytes) -> bytes:
    place = data.index(b"first picture") if b"first picture" in data else len(data) // 2
    return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("cut.zip", zipped(FILES)[:-40], "is no zip archive"),
        ("error page.zip", b"Sorry, come back later", "It begins with 'Sorry"),
        ("bit rot.zip", damaged(zipped({"a.bin": b"first picture" + bytes(range(256)) * 9})), "broken"),
        ("cut.tar.gz", tarred(FILES)[:-30], "broken"),
        ("bomb.zip", zip_bomb(), "decompression bomb"),
        ("bomb.tar", tarred({"a": b""}, "w").replace(b"00000000000\x00", b"37777777777\x00", 1), "bomb"),
        ("climbs.zip", zipped({"ok.png": b"", "../../evil.png": b"x"}), "climbs out of its archive"),
        ("absolute.tar", tarred({"/etc/evil": b"x"}, "w"), "absolute name"),
        ("windows.zip", zipped({"..\\evil.png": b"x"}), "climbs out of its archive"),
        ("page.rar", b"<html>not a rar", "is no .rar archive"),
    ],
)
def test_bad_archives_never_reach_the_raw_root(sandbox: Sandbox, name: str, data: bytes, told: str) -> None:
    offered(sandbox, name.replace(" ", "%20"), data)
    outcome = sandbox.one()
    assert outcome.state == "failed"
    assert told in str(outcome.error)
    assert sandbox.files() == {}
    assert not list(sandbox.raw.parent.rglob("evil*"))


@pytest.mark.parametrize("kind", ["rar", "7z"])
def test_archives_that_are_not_read_in_place_are_unpacked(sandbox: Sandbox, tmp_path: Path, kind: str) -> None:
    data = rarred(FILES) if kind == "rar" else seven_zipped(tmp_path / "x.7z", FILES)
    offered(sandbox, f"Pictures.{kind}", data)
    outcome = sandbox.one()
    assert outcome.error is None
    assert outcome.todo == ()
    assert sandbox.files() == {f"Pictures.{kind}": data, **{f"Pictures/{name}": text for name, text in FILES.items()}}
    root = RawRoot.open(sandbox.raw / "tiny")
    assert [str(file.key) for file in root.glob("{Cyst,Stone}/*.png")] == list(FILES)
    assert list(root.skipped) == []


def test_stopping_while_an_archive_is_verified_keeps_it(
    sandbox: Sandbox, internet: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = zipped(FILES)
    offered(sandbox, "good.zip", data)

    def stopped(path: Path, tick: Tick) -> bool:
        raise StoppedError(f"stopped at {path.name}, {tick}")

    with monkeypatch.context() as patch:
        patch.setattr("med_mat.download.run.verify", stopped)
        sandbox.get()
    assert sandbox.files() == {}
    assert sandbox.one().state == "complete"
    assert internet.asked[-1].headers["range"] == f"bytes={len(data)}-"


def test_an_unpacked_archive_may_be_removed(sandbox: Sandbox, tmp_path: Path) -> None:
    data = seven_zipped(tmp_path / "x.7z", FILES)
    offered(sandbox, "Pictures.7z", data)
    sandbox.get()
    (sandbox.raw / "tiny/Pictures.7z").unlink()
    outcome = sandbox.one(options=Options(check=True))
    assert (outcome.state, outcome.fetched) == ("complete", ())


def test_a_7z_that_climbs_out_is_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    offered(sandbox, "Pictures.7z", seven_zipped(tmp_path / "x.7z", {"ok.png": b"x", "../evil.png": b"x"}))
    outcome = sandbox.one()
    assert outcome.state == "failed"
    assert "climbs out of its archive. Nothing was unpacked" in str(outcome.error)
    assert not list(sandbox.raw.parent.rglob("evil*"))
    assert not list(sandbox.raw.rglob("ok.png"))


@pytest.mark.parametrize("kind", ["rar", "7z"])
def test_a_damaged_member_is_told(sandbox: Sandbox, tmp_path: Path, kind: str) -> None:
    files = {"a.png": b"first picture" * 100}
    data = rarred(files) if kind == "rar" else seven_zipped(tmp_path / "x.7z", files)
    offered(sandbox, f"Pictures.{kind}", damaged(data))
    outcome = sandbox.one()
    assert outcome.state == "failed"
    assert "Download it again" in str(outcome.error)
    assert list(sandbox.files()) == [f"Pictures.{kind}"]


def test_parts_of_a_rar_are_left_to_a_person(sandbox: Sandbox) -> None:
    data = rarred(FILES)
    addresses = [sandbox.url(f"x.part{number}.rar", Served(data)) for number in (1, 2)]
    sandbox.source({"platform": "url", "files": [{"url": address} for address in addresses]})
    outcome = sandbox.one()
    assert outcome.state == "todo"
    assert len(outcome.todo) == 1
    assert "unrar x x.part1.rar" in outcome.todo[0]
