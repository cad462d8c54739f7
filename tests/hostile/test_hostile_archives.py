"""Archives that climb out, lie, nest or do not end: what is sound in them is read, the rest listed with a reason."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny import med_mat, noise_bytes
from world import World, good, losses, odd, tarred, world, zipped

from med_mat.raw import RawRoot
from med_mat.raw.names import is_junk

PICTURE = noise_bytes("within", "x.png")


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def built(place: World, tree: Mapping[str, bytes]) -> tuple[set[str], dict[str, str]]:
    """Paths published beside the good ones, and the reason by path of all that is listed."""
    place.put({**good(), **tree})
    before = everything(place.raw)
    result = place.build()
    assert everything(place.raw) == before
    assert {path.name for path in place.folder.iterdir()} <= {"loaders", "raw", "out", "cache"}
    assert result.sources[0].index is not None
    reasons = {line.path: line.detail for line in result.sources[0].undeclared}
    assert set(reasons) == {path for _, path in odd(result)}
    assert result.exit_code == (1 if reasons else 0)
    lost = losses(result)
    indexed = set(result.sources[0].index.table["raw_path"].to_pylist())
    assert indexed >= set(good())
    return indexed - set(good()) - set(lost), reasons


def tar_of(*members: tarfile.TarInfo) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(PICTURE) if member.size else None)
    return stream.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    info.size = len(PICTURE) if kind == tarfile.REGTYPE else 0
    return info


def test_members_that_climb_out_or_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(PICTURE)
    out = ["../../../secret.png", "/cyst/a.png", "C:/cyst/a.png", "c:\\cyst\\a.png", "cyst/../../../secret.png"]
    links = [
        member("cyst/soft.png", tarfile.SYMTYPE, "../../../secret.png"),
        member("cyst/hard.png", tarfile.LNKTYPE, "cyst/a.png"),
        member("cyst/device.png", tarfile.CHRTYPE),
        member("cyst/pipe.png", tarfile.FIFOTYPE),
    ]
    soft = zipfile.ZipInfo("cyst/soft.png")
    soft.external_attr = (stat.S_IFLNK | 0o777) << 16
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in (*out, "cyst/in.png"):
            archive.writestr(name, PICTURE)
        archive.writestr(soft, "../../../secret.png")
    (tmp_path / "world").mkdir()
    place = world(tmp_path / "world")
    published, reasons = built(
        place,
        {"a.zip": stream.getvalue(), "b.tar": tar_of(*map(member, out), *links, member("cyst/within.png"))},
    )
    assert published == {"a.zip/cyst/in.png", "b.tar/cyst/within.png"}
    assert sum("absolute" in reason for reason in reasons.values()) == 6
    assert sum("climbs out" in reason for reason in reasons.values()) == 4
    assert sum("link or device" in reason for reason in reasons.values()) == 5
    assert len(reasons) == 15


def test_of_members_that_share_a_name_the_others_are_listed(tmp_path: Path) -> None:
    first, last = noise_bytes("first", "x.png"), noise_bytes("last", "x.png")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of the name that stands twice
        for name, content in (("cyst/a.png", first), ("cyst/a.png", first), ("cyst//a.png", last), ("b.png", first)):
            archive.writestr(name, content)
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive_:
        for name in ("cyst/t.png", "./cyst/t.png"):
            archive_.addfile(member(name), io.BytesIO(PICTURE))
    place = world(tmp_path)
    published, reasons = built(place, {"a.zip": stream.getvalue(), "b.tar": tar.getvalue()})
    assert published == {"a.zip/cyst/a.png", "b.tar/cyst/t.png"}
    assert reasons["a.zip/cyst/a.png"] == "the archive holds 3 members of this name; the last is read"
    assert reasons["b.tar/cyst/t.png"] == "the archive holds 2 members of this name; the last is read"
    assert "no sample" in reasons["a.zip/b.png"]
    with RawRoot.open(place.raw) as raw:
        assert raw.read("a.zip/cyst/a.png") == last


def with_size(archive: bytes, size: int) -> bytes:
    """A zip whose directory states another uncompressed size for its first member."""
    header = archive.index(b"PK\x01\x02")
    return archive[: header + 24] + struct.pack("<I", size) + archive[header + 28 :]


def packed_zeros(megabytes: int) -> bytes:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (deflate.compress(bytes(1 << 20)) + deflate.flush(zlib.Z_FULL_FLUSH)) * megabytes


def zip_of_zeros(name: str, megabytes: int) -> bytes:
    """An honest zip of one member of zeros, made without compressing them."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    content = packed_zeros(megabytes) + deflate.flush()
    crc, size = 0, megabytes << 20
    for _ in range(megabytes):
        crc = zlib.crc32(bytes(1 << 20), crc)
    facts = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 0x21, crc, len(content), size, len(name), 0)
    local = b"PK\x03\x04" + facts + name.encode() + content
    central = b"PK\x01\x02" + struct.pack("<H", 20) + facts + struct.pack("<HHHII", 0, 0, 0, 0, 0) + name.encode()
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)
    return local + central + end


def test_a_zip_that_is_made_by_hand_is_a_zip() -> None:
    with zipfile.ZipFile(io.BytesIO(zip_of_zeros("a", 2))) as archive:
        assert archive.read("a") == bytes(2 << 20)


def test_sizes_that_are_claimed_and_not_true(tmp_path: Path) -> None:
    claiming = member("cyst/claims.png")
    claiming.size = 6 << 30
    published, reasons = built(
        world(tmp_path),
        {
            "bomb.zip": zip_of_zeros("cyst/bomb.png", 1_100),
            "claims more.zip": with_size(zipped({"cyst/more.png": PICTURE}, zipfile.ZIP_STORED), len(PICTURE) + 9),
            "claims 4 GiB.zip": with_size(zipped({"cyst/huge.png": PICTURE}), 0xFFFFFFFE),
            "claims less.zip": with_size(zipped({"cyst/less.png": PICTURE}), 9),
            "claims.tar": tar_of(member("cyst/a.png"))[:1024] + claiming.tobuf(),
        },
    )
    assert published == set()
    assert "decompression bomb" in reasons["bomb.zip/cyst/bomb.png"]
    assert "decompression bomb" in reasons["claims 4 GiB.zip/cyst/huge.png"]
    assert "damaged in its archive" in reasons["claims more.zip/cyst/more.png"]
    assert "claims less.zip/cyst/less.png" in reasons
    assert "not a readable archive" in reasons["claims.tar"]


def test_what_is_too_large_to_be_read_at_once(tmp_path: Path) -> None:
    place = world(tmp_path)
    place.put(good())
    # A hole, which takes no room on the disk.
    with (place.raw / "cyst/large.png").open("wb") as stream:
        stream.truncate(5 << 30)
    result = place.build()
    assert losses(result) == {
        "cyst/large.png": "cyst/large.png has 5,368,709,120 bytes, over the limit of 4,294,967,296."
    }
    assert result.manifest["rows"] == len(good())


@pytest.mark.parametrize(
    ("name", "pack"),
    [("a.tar.gz", gzip.compress), ("a.tar.bz2", bz2.compress), ("a.tar.xz", lzma.compress)],
)
def test_compressed_archives_that_do_not_stop_inflating(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, pack: Callable[[bytes], bytes]
) -> None:
    # Without this a bomb would have to be of a gigabyte, and the test would take its time.
    monkeypatch.setattr("med_mat.raw.archives._BOMB_BYTES", 8 << 20)
    data = pack(tarred({"cyst/a.png": PICTURE}) + bytes(32 << 20))
    published, reasons = built(world(tmp_path), {name: data})
    assert published == set()
    assert "holds more than" in reasons[name]
    assert list((tmp_path / "cache").iterdir()) == []


def test_archives_in_archives_in_archives(tmp_path: Path) -> None:
    data = zipped({"cyst/10.png": PICTURE})
    for level in reversed(range(10)):
        data = zipped({"inner.zip": data, f"cyst/{level}.png": noise_bytes(f"level {level}", "x.png")})
    published, reasons = built(world(tmp_path), {"inner.zip": data})
    assert {PurePosixPath(path).name for path in published} == {"0.png", "1.png", "2.png", "3.png"}
    deepest = "/".join(["inner.zip"] * 5)
    assert list(reasons) == [deepest]
    assert "more than 4 deep" in reasons[deepest]


def test_more_archives_in_an_archive_than_a_release_can_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("med_mat.raw.root.MAX_NESTED", 3)
    inner = {f"{number}.zip": zipped({f"cyst/{number}.png": noise_bytes(f"n{number}", "x.png")}) for number in range(5)}
    published, reasons = built(world(tmp_path), {"outer.zip": zipped(inner)})
    assert published == {f"outer.zip/{number}.zip/cyst/{number}.png" for number in range(3)}
    assert set(reasons) == {"outer.zip/3.zip", "outer.zip/4.zip"}
    assert all("more than 3 archives within archives" in reason for reason in reasons.values())


def test_encrypted_cut_and_foreign_archives(tmp_path: Path) -> None:
    encrypted = zipped({"cyst/secret.png": PICTURE, "cyst/open.png": noise_bytes("open", "x.png")})
    header = encrypted.index(b"PK\x01\x02")
    encrypted = encrypted[: header + 8] + b"\x01\x00" + encrypted[header + 10 :]
    damaged = zipped({"cyst/damaged.png": PICTURE, "cyst/sound.png": noise_bytes("sound", "x.png")}, zipfile.ZIP_STORED)
    place = damaged.index(PICTURE) + 60
    damaged = damaged[:place] + bytes([damaged[place] ^ 255]) + damaged[place + 1 :]
    published, reasons = built(
        world(tmp_path),
        {
            "encrypted.zip": encrypted,
            "damaged.zip": damaged,
            "cut.zip": zipped({"cyst/a.png": PICTURE})[:-30],
            "cut.tar": tarred({"cyst/a.png": PICTURE, "cyst/b.png": PICTURE})[:700],
            "cut.tar.gz": gzip.compress(tarred({"cyst/c.png": PICTURE}))[:-20],
            "page.zip": b"<html>log in first</html>",
            "old.rar": b"Rar!\x1a\x07\x00",
            "new.7z": b"7z\xbc\xaf\x27\x1c",
        },
    )
    assert published == {"encrypted.zip/cyst/open.png", "damaged.zip/cyst/sound.png"}
    assert "encrypted; unpack the archive with its password" in reasons["encrypted.zip/cyst/secret.png"]
    assert "damaged in its archive (Bad CRC-32" in reasons["damaged.zip/cyst/damaged.png"]
    assert "`unrar x old.rar`" in reasons["old.rar"]
    assert "`7z x new.7z`" in reasons["new.7z"]
    for name in ("cut.zip", "cut.tar", "cut.tar.gz", "page.zip"):
        assert "download it again" in reasons[name]
    assert len(reasons) == 8


def test_an_archive_that_holds_nothing_to_read_is_named_alone(tmp_path: Path) -> None:
    place = world(tmp_path)
    place.put({"a.zip": zipped({"../a.png": PICTURE}), "b.tar": tar_of(member("x", tarfile.SYMTYPE, "y"))})
    ended = med_mat(*place.arguments("index"))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "a.zip/../a.png: name that climbs out of its archive" in ended.stderr
    assert "b.tar/x: link or device inside an archive" in ended.stderr
    assert "Traceback" not in ended.stderr


PART = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=6)
ODD_PART = st.sampled_from(["..", ".", "", "C:", "a.png", "A.png", "é", "e\u0301", " "])
NAME = st.one_of(st.lists(st.one_of(PART, ODD_PART), max_size=4).map("/".join), st.just("/a.png"))


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(NAME, min_size=1, max_size=8), kind=st.sampled_from(["zip", "tar"]))
def test_every_member_is_a_file_or_has_a_reason(tmp_path: Path, names: list[str], kind: str) -> None:
    contents = [b"%d" % number for number in range(len(names))]
    stream = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(stream, "w") as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name, content in zip(names, contents, strict=True):
                archive.writestr(zipfile.ZipInfo(name or "x"), content)
    else:
        with tarfile.open(fileobj=stream, mode="w") as archive_:
            for name, content in zip(names, contents, strict=True):
                info = tarfile.TarInfo(name or "x")
                info.size = len(content)
                archive_.addfile(info, io.BytesIO(content))
    (tmp_path / f"a.{kind}").write_bytes(stream.getvalue())
    (tmp_path / "beside.txt").write_bytes(b"")
    with RawRoot.open(tmp_path) as raw:
        read = {raw.read(file) for file in raw.files}
        assert read - {b""} <= set(contents)
        reasons = {str(skipped.path): skipped.reason for skipped in raw.skipped}
        for path, reason in reasons.items():
            f"{path} {reason}".encode()
        for name, content in zip(names, contents, strict=True):
            parts = [part for part in (name or "x").replace("\\", "/").split("/") if part not in ("", ".")]
            path = "/".join([f"a.{kind}", *parts])
            folder = not parts or (name or "x").endswith("/") or (kind == "zip" and name.endswith("\\"))
            assert content in read or path in reasons or is_junk(path) or folder, (name, reasons)
    (tmp_path / f"a.{kind}").unlink()
