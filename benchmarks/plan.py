"""Plan of generated indexes and scans: time and memory, read source by source as a build reads them.

    python benchmarks/plan.py --rows 2000000

The rows are those of seven sources: single labels of four, with and without groups; fourteen findings that stand
together, by patient and with an official split; boxes. ``--profile`` shows where the time goes.
"""

from __future__ import annotations

import argparse
import cProfile
import hashlib
import json
import os
import platform
import pstats
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from med_mat.card import Card, parse_card
from med_mat.files import read_table
from med_mat.plan import INDEX_COLUMNS, SCAN_COLUMNS, Input, plan
from med_mat.schema import INDEX, SCAN

ORGANS = ["cyst", "stone", "tumor", "normal kidney"]
FINDINGS = [
    "mass",
    "nodule",
    "edema",
    "hernia",
    "effusion",
    "pneumonia",
    "infiltration",
    "fibrosis",
    "emphysema",
    "atelectasis",
    "cardiomegaly",
    "consolidation",
    "pneumothorax",
    "thickening",
]
BOXED = ["polyp", "ulcer", "bleeding"]
SHARES = {
    "one_a": 0.2,
    "one_b": 0.15,
    "one_c": 0.15,
    "grouped": 0.1,
    "several_a": 0.15,
    "several_b": 0.15,
    "boxes": 0.1,
}


def card_of(slug: str) -> Card:
    kind = "detection" if slug == "boxes" else "multilabel" if slug.startswith("several") else "classification"
    labels = {"detection": BOXED, "multilabel": [*FINDINGS, "no finding"]}.get(kind, ORGANS)
    front = {
        "title": "Generated",
        "kind": kind,
        "modality": "xray",
        "anatomy": "chest",
        "task": "disease classification",
        "homepage": "none",
        "download": {"where": "generated", "how": "generated"},
        "access": "open",
        "licence": {"name": "CC0", "spdx": "CC0-1.0", "evidence": "generated"},
        "redistribution": "images",
        "citation": "@misc{none}",
        "labels": {
            label: {"label": label, "meaning": label, **({"no_finding": True} if label.startswith("no") else {})}
            for label in labels
        },
        "official_splits": "kept" if kind == "multilabel" else "none",
        "path_ids": "plain",
        "instructions": ["Which, {label}?" if kind == "detection" else f"Which, {number}?" for number in range(6)],
        "presence": "Is there {label}?",
    }
    if slug == "grouped" or kind == "multilabel":
        front["groups"] = {"of": "patient", "how": "generated"}
    if kind == "detection":
        front["drawn_on"] = "stored"
    return parse_card(f"---\n{json.dumps(front)}\n---\nGenerated.\n", slug)


def generate(slug: str, rows: int, folder: Path) -> None:
    """Writes an index and a scan in parts, so that nothing here needs the memory that is measured there."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(len(slug) + rows)
    with (
        pq.ParquetWriter(folder / "index.parquet", INDEX, compression="zstd") as index,
        pq.ParquetWriter(folder / "scan.parquet", SCAN, compression="zstd") as scan,
    ):
        for start in range(0, rows, 50_000):
            found, seen = _lines(slug, range(start, min(rows, start + 50_000)), rng)
            index.write_table(found)
            scan.write_table(seen)


def _lines(slug: str, numbers: range, rng: np.random.Generator) -> tuple[pa.Table, pa.Table]:
    count = len(numbers)
    paths = [f"wrapper/{slug}/images/{number:08d}.png" for number in numbers]
    pixels = [hashlib.md5(f"{slug}{number}".encode()).hexdigest() for number in numbers]
    several, boxes = slug.startswith("several"), slug == "boxes"
    if several:
        clear, drawn = rng.random(count) < 0.5, rng.integers(0, len(FINDINGS), (count, 2))
        labels = [
            ["no finding"] if none else sorted({FINDINGS[one], FINDINGS[other]})
            for none, (one, other) in zip(clear, drawn, strict=True)
        ]
    else:
        labels = [[] if boxes else [ORGANS[number]] for number in rng.integers(0, len(ORGANS), count)]
    sizes = rng.integers(20_000, 60_000, count)
    none = [None] * count
    objects = _objects(rng, count) if boxes else none
    columns: dict[str, Any] = {
        "raw_path": paths,
        "key": [path.removeprefix("wrapper/") for path in paths],
        "labels": labels,
        "uncertain": [[]] * count,
        "ties": [[]] * count,
        "split": [("train", "train", "train", "test")[number // 4 % 4] for number in numbers] if several else none,
        "group": [f"{slug}:{number // 4}" for number in numbers] if several or slug == "grouped" else none,
        "size": sizes,
        "mtime_ns": [1] * count,
        "extra": [{"age": 61.0, "sex": "F"}] * count,
        "regions": ["[]"] * count if boxes else none,
    }
    seen: dict[str, Any] = {
        **{name: columns[name] for name in ("raw_path", "size", "mtime_ns")},
        "raw_sha256": [one + one for one in pixels],
        "pixel_hash": pixels,
        "perceptual_hash": [one[:16] for one in pixels],
        "width": [512] * count,
        "height": [512] * count,
        "format": ["PNG"] * count,
        "mode": ["L"] * count,
        "rule": ["png"] * count,
        "published_bytes": sizes,
        "objects": objects,
        "areas": [_areas(some) for some in objects] if boxes else none,
        "mask_bytes": [0] * count if boxes else none,
    }
    return _table(INDEX, columns), _table(SCAN, seen)


def _table(schema: pa.Schema, columns: dict[str, Any]) -> pa.Table:
    number = len(columns["raw_path"])
    arrays = [pa.array(columns.get(field.name, [None] * number), field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _objects(rng: np.random.Generator, count: int) -> list[list[dict[str, Any]]]:
    corners = rng.random((count, 2, 2)).astype(np.float32) * 0.6
    return [
        [{"label": BOXED[(number + n) % 3], "bbox": [x, y, x + 0.3, y + 0.3]} for n, (x, y) in enumerate(boxes)]
        for number, boxes in enumerate(corners.tolist())
    ]


def _areas(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"label": label, "area": 0.1, "specks": 0} for label in dict.fromkeys(one["label"] for one in objects)]


def read(folder: Path) -> Iterator[Input]:
    for slug in SHARES:
        yield Input(
            card_of(slug),
            *(
                read_table(folder / slug / f"{name}.parquet", columns)
                for name, columns in (("index", INDEX_COLUMNS), ("scan", SCAN_COLUMNS))
            ),
        )


def peak_mb() -> float:
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines())
    return int(lines["VmHWM"].split()[0]) / 1024


def measure(folder: Path, profile: bool) -> dict[str, Any]:
    before = peak_mb()
    cards = [card_of(slug) for slug in SHARES]
    profiler = cProfile.Profile()
    wall, processor = time.perf_counter(), time.process_time()
    if profile:
        profiler.enable()
    plans = plan(read(folder), cards)
    profiler.disable()
    if profile:
        pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(30)
    return {
        "rows": sum(one.table.num_rows for one in plans),
        "seconds": time.perf_counter() - wall,
        "processor_seconds": time.process_time() - processor,
        "plan_mb": sum(one.table.nbytes for one in plans) / 1e6,
        "peak_mb": peak_mb(),
        "start_mb": before,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--inputs", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inputs:
        print(json.dumps(measure(arguments.inputs, arguments.profile)))
        return
    with tempfile.TemporaryDirectory() as folder:
        for slug, share in SHARES.items():
            generate(slug, int(share * arguments.rows), Path(folder) / slug)
        command = [sys.executable, __file__, "--inputs", folder, *(["--profile"] if arguments.profile else [])]
        result = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(
        f"{result['rows']} rows: {result['seconds']:.1f} s, {result['processor_seconds']:.1f} s of a core ({machine})"
    )
    print(
        f"peak memory {result['peak_mb']:.0f} MB, of which the rows {result['plan_mb']:.0f} MB and imports "
        f"{result['start_mb']:.0f} MB"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
