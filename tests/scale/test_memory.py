"""Memory of index and scan: some hundred bytes of columns for a picture, and no object of Python."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tiny import add_source, plain_rows, registry_of, write_raw

from med_mat.index import index_source
from med_mat.raw import RawRoot
from med_mat.scan import scan
from med_mat.schema import INDEX

FEW = 200
MANY = 100 * FEW

PEAK = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from tiny import registry_of
from med_mat.index import index_source
from med_mat.raw import RawRoot
found = index_source(registry_of(Path(sys.argv[1]))["tiny"], RawRoot.open(sys.argv[2]))
lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(found.table.num_rows, int(lines["VmHWM"].split()[0]) * 1024)
"""

LOADER = '''
"""Pictures in folders."""

from med_mat.sample import Sample


def samples(raw):
    for image in raw.glob("{cyst,stone}/*.jpg"):
        yield Sample(image, labels=[image.parent.name])
'''


def peak_of_index(folder: Path, names: int) -> int:
    """Bytes that a process of its own held at most while it indexed so many names in a zip."""
    with zipfile.ZipFile(folder / f"{names}.zip", "w") as archive:
        for number in range(names):
            archive.writestr(f"part {number // 5000}/{('cyst', 'stone')[number % 2]}/{number:08d}.jpg", b"")
    command = [sys.executable, "-c", PEAK, folder / "loaders", folder / f"{names}.zip", Path(__file__).parents[1]]
    rows, peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert int(rows) == names
    return int(peak)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is read from Linux's /proc")
def test_a_name_takes_some_hundred_bytes_to_index(tmp_path: Path) -> None:
    add_source(tmp_path / "loaders", "tiny")
    (tmp_path / "loaders" / "tiny.py").write_text(LOADER, encoding="utf-8")
    # The smaller one fills every batch once, so that only what grows is left of the difference.
    few, many = 20_000, 80_000
    grown = peak_of_index(tmp_path, many) - peak_of_index(tmp_path, few)
    assert grown / (many - few) < 1000


class Measured:
    """An engine that looks at no picture: its lines are all alike. It keeps the size of the largest unit."""

    def __init__(self, line: dict[str, Any]) -> None:
        self.line = line
        self.longest = 0

    def __call__(self, _: Callable[[Any], Any], units: Iterable[Any], /) -> Iterator[Any]:
        for unit in units:
            self.longest = max(self.longest, len(unit.pictures))
            yield [
                {**self.line, "raw_path": one.raw_path, "size": one.size, "mtime_ns": one.mtime_ns}
                for one in unit.pictures
            ]


def test_a_scan_keeps_no_object_for_a_picture(tmp_path: Path) -> None:
    add_source(tmp_path / "loaders", "tiny")
    write_raw(tmp_path / "raw", plain_rows(2))
    raw = RawRoot.open(tmp_path / "raw")
    table = index_source(registry_of(tmp_path / "loaders")["tiny"], raw).table
    line = scan(raw, table, tmp_path / "one.parquet").to_pylist()[0]
    row = table.to_pylist()[0]
    peaks, columns = [], []
    for number in (FEW, MANY):
        index = pa.Table.from_pylist([{**row, "raw_path": f"{n:08d}.png", "key": str(n)} for n in range(number)], INDEX)
        engine = Measured(line)
        tracemalloc.start()
        before = pa.total_allocated_bytes()
        found = scan(raw, index, tmp_path / f"{number}.parquet", engine=engine)
        columns.append(pa.total_allocated_bytes() - before)
        peaks.append(tracemalloc.get_traced_memory()[1])
        again = scan(raw, index, tmp_path / f"{number}.parquet", engine=engine)
        tracemalloc.stop()
        assert found.num_rows == number
        assert found == again
        assert engine.longest <= 128
    # What stays is a few thousand pictures on their way to a worker, and places of lines.
    assert peaks[1] - peaks[0] < 8_000_000 + 100 * MANY
    assert columns[1] / MANY < 1_000
