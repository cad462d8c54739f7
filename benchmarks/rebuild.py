"""A build of many sources, once more with nothing changed, and once more after one card changed.

python benchmarks/rebuild.py --sources 20 --pictures 500
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from build import CARD, LOADER
from PIL import Image


def prepare(folder: Path, sources: int, pictures: int) -> list[Path]:
    (folder / "loaders").mkdir()
    for number in range(sources):
        slug = f"generated_{number:03d}"
        (folder / "loaders" / f"{slug}.py").write_text(LOADER.replace("*.jpg", "*.png"), encoding="utf-8")
        (folder / "loaders" / f"{slug}.md").write_text(CARD, encoding="utf-8")
        for place in range(pictures):
            path = folder / "raw" / slug / ("disc", "ring")[place % 2] / f"{place:06d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(number * pictures + place).integers(0, 256, (128, 128), np.uint8)
            Image.fromarray(pixels).save(path)
    return sorted((folder / "loaders").glob("*.md"))


def build(folder: Path) -> float:
    command = [str(Path(sys.executable).with_name("med-mat")), "build", "--raw", str(folder / "raw")]
    command += ["--out", str(folder / "out"), "--loaders", str(folder / "loaders")]
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (folder / "out" / "data").rglob("*.parquet")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sources", type=int, default=20)
    parser.add_argument("--pictures", type=int, default=500)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        cards = prepare(folder, arguments.sources, arguments.pictures)
        first = build(folder)
        before = times(folder)
        nothing = build(folder)
        text = cards[len(cards) // 2].read_text(encoding="utf-8")
        cards[len(cards) // 2].write_text(text.replace("Which shape does", "What form does"), encoding="utf-8")
        one = build(folder)
        changed = sum(before[path] != time for path, time in times(folder).items())
        machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
        print(f"{arguments.sources} sources of {arguments.pictures} pictures, {len(before)} shards ({machine})")
        print(f"first build {first:.1f} s")
        print(f"nothing changed {nothing:.1f} s")
        print(f"one card changed {one:.1f} s, {changed} shards written")


if __name__ == "__main__":
    main()
