"""Scan: every picture is decoded once; what is known stays known; what fails is recorded and tried again."""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny import Row, add_source, noise_bytes, plain_rows, registry_of, write_raw

from med_mat.images import examine
from med_mat.index import index_source
from med_mat.raw import RawRoot
from med_mat.scan import scan
from med_mat.schema import SCAN


class Stopped(BaseException):
    """Stands for whatever ends a scan half way."""


class Bench:
    def __init__(self, folder: Path) -> None:
        self.raw, self.out = folder / "raw", folder / "scan" / "tiny.parquet"
        self.loaders = folder / "loaders"
        add_source(self.loaders, "tiny")
        self.done: list[int] = []

    def scan(self, *, location: Path | None = None, workers: int = 1, stop_after: int | None = None) -> pa.Table:
        """Scans; ``stop_after`` ends the scan at the so-manieth progress report that tells of new pictures."""
        self.done = []

        def progress(number: int) -> None:
            self.done.append(number)
            if len(self.done) - 1 == stop_after:
                raise Stopped

        with RawRoot.open(location or self.raw) as raw:
            index = index_source(registry_of(self.loaders)["tiny"], raw, allow_missing=True)
            return scan(raw, index.table, self.out, workers=workers, progress=progress)

    def tamper(self, name: str) -> None:
        """Changes a file in a way that its state (size, time) does not tell."""
        path = self.raw / name
        before = path.stat()
        path.write_bytes(b"\0" * before.st_size)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_scan_holds_the_facts_of_each_picture(bench: Bench) -> None:
    rows = [Row("b.jpg", "cyst"), Row("a.png", "stone"), Row("c.bmp", "cyst")]
    write_raw(bench.raw, rows)
    table = bench.scan()
    assert table.schema.remove_metadata() == SCAN
    assert table == pq.read_table(bench.out)
    assert table["raw_path"].to_pylist() == ["a.png", "b.jpg", "c.bmp"]
    for line in table.to_pylist():
        data = (bench.raw / line["raw_path"]).read_bytes()
        seen = examine(data)
        assert line["raw_sha256"] == hashlib.sha256(data).hexdigest()
        assert (line["pixel_hash"], line["perceptual_hash"]) == (seen.pixel_hash, seen.perceptual_hash)
        assert (line["width"], line["height"], line["size"]) == (12, 10, len(data))
        assert (line["format"], line["mode"], line["rule"]) == (seen.facts.format, seen.facts.mode, seen.facts.rule)
        assert line["published_bytes"] == seen.facts.published_bytes
        assert line["error"] is None


def test_a_file_in_the_same_state_is_not_read_again(bench: Bench) -> None:
    write_raw(bench.raw, plain_rows(5))
    first = bench.scan()
    assert bench.done == [0, 5]
    for row in plain_rows(5):
        bench.tamper(row.file)
    assert bench.scan() == first
    assert bench.done == [5]


@pytest.mark.parametrize("change", ["time", "size"])
def test_a_file_in_another_state_is_read_again_and_the_others_are_not(bench: Bench, change: str) -> None:
    write_raw(bench.raw, plain_rows(5))
    first = bench.scan().to_pylist()
    names = [row.file for row in plain_rows(5)]
    bench.tamper(names[3])
    path = bench.raw / names[1]
    before = path.stat()
    path.write_bytes(noise_bytes("another", names[1], (12, 10) if change == "time" else (30, 10)))
    if change == "size":
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    else:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    again = bench.scan().to_pylist()
    assert bench.done == [4, 1]
    assert [old["raw_path"] for old, new in zip(first, again, strict=True) if old != new] == [names[1]]
    assert again[1]["raw_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_pictures_that_come_and_go(bench: Bench) -> None:
    write_raw(bench.raw, plain_rows(5))
    first = bench.scan().to_pylist()
    (bench.raw / first[2]["raw_path"]).unlink()
    write_raw(bench.raw / "more", [Row("zoom.png", "cyst")])
    (bench.raw / "table.csv").write_text(
        (bench.raw / "table.csv").read_text(encoding="utf-8") + "zoom.png,cyst,,,\n", encoding="utf-8"
    )
    (bench.raw / "more" / "table.csv").unlink()
    again = bench.scan().to_pylist()
    assert bench.done == [4, 1]
    # In the order of paths, whatever the order in which they were scanned.
    assert [line["raw_path"] for line in again] == sorted(
        ["more/zoom.png", *(line["raw_path"] for line in first if line != first[2])]
    )
    assert [line for line in again if line["raw_path"] != "more/zoom.png"] == [*first[:2], *first[3:]]


def test_all_pictures_may_go(bench: Bench) -> None:
    rows = plain_rows(3)
    write_raw(bench.raw, rows)
    bench.scan()
    for row in rows:
        (bench.raw / row.file).unlink()
    table = bench.scan()
    assert table.num_rows == 0
    assert table.schema.remove_metadata() == SCAN


def test_a_scan_goes_on_where_it_was_stopped(bench: Bench) -> None:
    rows = plain_rows(300)
    write_raw(bench.raw, rows)
    with pytest.raises(Stopped):
        bench.scan(stop_after=1)
    assert not bench.out.exists()
    number = bench.done[-1]
    assert 0 < number < 300
    expected = Bench(bench.out.parent / "fresh")
    expected.raw = bench.raw
    whole = expected.scan()
    # What the stopped scan has seen is not read again: it could not be any more.
    for row in rows[:number]:
        bench.tamper(row.file)
    assert bench.scan() == whole
    assert bench.done[0] == number
    assert sum(bench.done) == 300
    assert [path.name for path in bench.out.parent.iterdir() if path.is_file()] == ["tiny.parquet"]
    assert not bench.out.with_suffix(".parts").exists()


def test_a_stopped_scan_does_not_hide_later_changes(bench: Bench) -> None:
    rows = plain_rows(300)
    write_raw(bench.raw, rows)
    bench.scan()
    for row in rows:
        path = bench.raw / row.file
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    with pytest.raises(Stopped):
        bench.scan(stop_after=1)
    # The first picture changes once more after the stopped scan has seen it.
    path = bench.raw / rows[0].file
    path.write_bytes(noise_bytes("another", rows[0].file))
    os.utime(path, ns=(0, 1))
    line = bench.scan().to_pylist()[0]
    assert (line["raw_sha256"], line["mtime_ns"]) == (hashlib.sha256(path.read_bytes()).hexdigest(), 1)


@pytest.mark.parametrize("workers", [1, 2])
def test_what_does_not_decode_is_recorded_with_its_reason(bench: Bench, workers: int) -> None:
    rows = plain_rows(8)
    whole = noise_bytes("x", "x.png")
    write_raw(
        bench.raw,
        rows,
        pictures={
            rows[1].file: whole[: len(whole) // 2],
            rows[2].file: b"<html><body>Not found</body></html>",
            rows[3].file: b"\0" * 50,
        },
    )
    (bench.raw / rows[4].file).write_bytes(b"")
    lines = bench.scan(workers=workers).to_pylist()
    broken = {line["raw_path"]: line for line in lines if line["error"] is not None}
    assert list(broken) == [row.file for row in rows[1:5]]
    for name, said in zip(broken, ["", "HTML page", "zero bytes", "empty (0 bytes)"], strict=True):
        assert said in broken[name]["error"]
        assert broken[name]["raw_sha256"] == hashlib.sha256((bench.raw / name).read_bytes()).hexdigest()
        assert broken[name]["pixel_hash"] is None
        assert broken[name]["width"] is None
    assert all(line["pixel_hash"] for line in lines if line["error"] is None)


def test_what_could_not_be_read_is_tried_again(bench: Bench) -> None:
    rows = plain_rows(3)
    write_raw(bench.raw, rows, pictures={rows[1].file: b"\0" * len(noise_bytes(rows[1].file, rows[1].file))})
    assert bench.scan()["error"].null_count == 2
    # The same size and time, as when a disk was away for a while.
    path = bench.raw / rows[1].file
    before = path.stat()
    path.write_bytes(noise_bytes(rows[1].file, rows[1].file)[: before.st_size])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    table = bench.scan()
    assert bench.done == [2, 1]
    assert table["error"].null_count == 3
    assert bench.scan() == table
    assert bench.done == [3]


def test_a_reason_does_not_say_where_the_root_lies(bench: Bench, tmp_path: Path) -> None:
    write_raw(bench.raw, plain_rows(3))
    reasons = []
    for place in ("here", "far/away"):
        archive = tmp_path / place / "tiny.zip"
        archive.parent.mkdir(parents=True)
        with zipfile.ZipFile(archive, "w") as packed:
            for path in sorted(bench.raw.iterdir()):
                packed.write(path, path.name)
        data = bytearray(archive.read_bytes())
        data[data.find(b"\x89PNG") + 20] ^= 0xFF
        archive.write_bytes(data)
        bench.out.unlink(missing_ok=True)
        lines = bench.scan(location=archive).to_pylist()
        reasons.append([line["error"] for line in lines])
        assert [error is None for error in reasons[-1]] == [False, True, True]
    assert reasons[0] == reasons[1]
    assert str(tmp_path) not in reasons[0][0]


def test_a_scan_by_another_version_counts_for_nothing(bench: Bench) -> None:
    write_raw(bench.raw, plain_rows(4))
    table = bench.scan()
    pq.write_table(table.replace_schema_metadata({b"med_mat_scan": b"0"}), bench.out)
    assert bench.scan() == table
    assert bench.done == [0, 4]


def test_the_number_of_workers_does_not_matter(bench: Bench) -> None:
    write_raw(bench.raw, plain_rows(300))
    one = bench.scan()
    bench.out.unlink()
    assert bench.scan(workers=2) == one
