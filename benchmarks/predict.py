"""How long the whole catalogue takes, from the costs that ``stages.py`` measured and the sizes of the sources.

    python benchmarks/stages.py --json stages.json
    python benchmarks/predict.py stages.json --read 500 --write 300

``catalogue.csv`` has the number of pictures, their usual megapixels and format, and the size of each download, as the
sources' own pages give them; where a page says nothing, gigabytes are left empty and follow from the megapixels.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import NamedTuple

CORES = (1, 8, 64, 512)

SHARD_MB = 400
"""Aim for the size of a shard, in MB: what encode cannot do on more than one core."""

UNIT_PICTURES, UNIT_MB = 128, 67
"""What scan cannot do on more than one core."""


class Rate(NamedTuple):
    """Where the cost of a format is taken from: what was measured, its megapixels."""

    measured: str
    megapixels: float


RATES = {
    "jpg": Rate("JPEG 2048", 4.19),
    "png": Rate("PNG 1024", 1.05),
    "png16": Rate("PNG 1024, 16 bit", 1.05),
    "tif": Rate("BMP 450", 0.2025),
    "bmp": Rate("BMP 450", 0.2025),
    "pgm": Rate("PGM 1024", 1.05),
    "dcm": Rate("DICOM 3518x2800, 16 bit", 9.85),
}
"""Colour TIFF is read as quickly as BMP, and written as the same PNG."""


class Source(NamedTuple):
    slug: str
    pictures: int
    read_mb: float
    written_mb: float
    scan: float
    encode: float
    unit: float
    shard: float


def sources(measured: dict[str, dict[str, float]], fixed: tuple[float, float]) -> list[Source]:
    """Costs in seconds of one core. ``fixed`` is what scan and encode of the smallest picture take."""
    found = []
    with (Path(__file__).parent / "catalogue.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            pictures, pixels = int(row["pictures"]), float(row["megapixels"])
            rate = RATES[row["format"]]
            figures = measured[rate.measured]
            share = pixels / rate.megapixels
            read = float(row["gigabytes"]) * 1e3 if row["gigabytes"] else pictures * figures["megabytes"] * share
            passed = row["format"] in ("jpg", "png")
            written = read if passed else pictures * figures["published_megabytes"] * share
            # Bytes that pass through cost by their number, pictures that are encoded anew by their pixels.
            each = figures["encode"] / figures["megabytes"] * read / pictures if passed else figures["encode"] * share
            scan, encode = fixed[0] + figures["scan"] * share, fixed[1] + each
            in_shard = max(1.0, SHARD_MB / max(written / pictures, 1e-9))
            in_unit = max(1.0, min(UNIT_PICTURES, UNIT_MB / max(read / pictures, 1e-9)))
            unit, shard = scan * min(pictures, in_unit), encode * min(pictures, in_shard)
            found.append(Source(row["slug"], pictures, read, written, scan * pictures, encode * pictures, unit, shard))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("measured", type=Path, help="what stages.py --json wrote")
    parser.add_argument("--read", type=float, default=500, help="MB/s that all cores together can read")
    parser.add_argument("--write", type=float, default=300, help="MB/s that all cores together can write")
    parser.add_argument("--row-seconds", type=float, default=33e-6, help="of one core, to plan a row")
    arguments = parser.parse_args()
    measured = json.loads(arguments.measured.read_text(encoding="utf-8"))
    formats = measured["formats"]
    every = sources(formats, (0.0007, 0.0006))
    index = measured["index"][1]
    pictures = sum(source.pictures for source in every)
    read, written = sum(source.read_mb for source in every), sum(source.written_mb for source in every)
    scan, encode = sum(source.scan for source in every), sum(source.encode for source in every)
    # Index and plan run in one process whatever the number of cores.
    alone = pictures * (index["processor"] / index["names"] + arguments.row_seconds)
    longest = max(source.shard for source in every)
    print(
        f"{len(every)} sources, {pictures:,} pictures, {read / 1e6:.2f} TB read twice, {written / 1e6:.2f} TB written; "
        f"scan {scan / 3600:.1f}, encode {encode / 3600:.1f}, index and plan {alone / 3600:.2f} hours of a core; "
        f"longest shard {longest:.0f} s\n"
    )
    print("| cores | processor alone | with the disk and what cannot be divided |\n| ---: | ---: | ---: |")
    for cores in CORES:
        # A source is scanned when the one before it is; shards of all sources are encoded together.
        scanned = sum(max(source.scan / cores, source.read_mb / arguments.read, source.unit) for source in every)
        encoded = max(encode / cores, read / arguments.read, written / arguments.write, longest)
        processor = (scan + encode) / cores + alone
        total = scanned + encoded + alone
        print(f"| {cores} | {processor / 3600:.2f} h | {total / 3600:.2f} h |")
    print("\n| source | hours of a core | TB read |\n| --- | ---: | ---: |")
    for source in sorted(every, key=lambda source: -(source.scan + source.encode))[:8]:
        print(f"| {source.slug} | {(source.scan + source.encode) / 3600:.2f} | {source.read_mb / 1e6:.3f} |")


if __name__ == "__main__":
    main()
