"""Shuffled reading with decoding: a build beside loose files, WebDataset and MosaicML Streaming of the same pictures.

    python benchmarks/loading.py --pictures 4000 --runs 3

Every way gives RGB pictures and a label, shuffled, in one process, from the page cache. Each is a process of its own;
its first row counts from after its imports. Ways whose package is absent are left out: benchmarks/README.md tells how
to have them.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from build import CARD, LOADER, SLUG, generate, med_mat
from PIL import Image

BUFFER = 1000
"""Rows of a shuffle buffer, where a way has one."""

SHARD = 500
"""Pictures of a tar or of an MDS shard."""

Rows = Callable[[], Iterator[tuple[Image.Image, object]]]


def build_random(folder: Path) -> Rows:
    import datasets

    rows = datasets.load_dataset(str(folder / "med-mat"), "default", split="train", cache_dir=str(folder / "cache"))

    def read() -> Iterator[tuple[Image.Image, object]]:
        for row in rows.shuffle(seed=0).select_columns(["image", "answer"]):
            yield row["image"].convert("RGB"), row["answer"]

    return read


def build_streamed(folder: Path) -> Rows:
    import datasets

    def read() -> Iterator[tuple[Image.Image, object]]:
        rows = datasets.load_dataset(str(folder / "med-mat"), "default", split="train", streaming=True)
        for row in rows.select_columns(["image", "answer"]).shuffle(seed=0, buffer_size=BUFFER):
            yield row["image"].convert("RGB"), row["answer"]

    return read


def loose(folder: Path) -> Rows:
    def read() -> Iterator[tuple[Image.Image, object]]:
        rows = json.loads((folder / "loose.json").read_text(encoding="utf-8"))
        random.Random(0).shuffle(rows)
        for row in rows:
            yield Image.open(row["image"]).convert("RGB"), row["answer"]

    return read


def web(folder: Path) -> Rows:
    import webdataset

    def read() -> Iterator[tuple[Image.Image, object]]:
        tars = sorted(map(str, (folder / "tars").glob("*.tar")))
        rows = webdataset.WebDataset(tars, shardshuffle=len(tars), seed=0).shuffle(BUFFER).decode("pilrgb")
        yield from rows.to_tuple("jpg", "txt")

    return read


def mosaic(folder: Path) -> Rows:
    streaming = _streaming()

    def read() -> Iterator[tuple[Image.Image, object]]:
        rows = streaming.StreamingDataset(local=str(folder / "mds"), shuffle=True, shuffle_seed=0, batch_size=1)
        for row in rows:
            yield Image.open(io.BytesIO(row["image"])).convert("RGB"), row["answer"]

    return read


def _streaming() -> Any:
    if find_spec("torchvision") is None:
        # Streaming imports it for vision sets of its own, which are not used here.
        from importlib.machinery import ModuleSpec
        from types import ModuleType

        for name in (
            "torchvision",
            "torchvision.datasets",
            "torchvision.transforms",
            "torchvision.transforms.functional",
        ):
            module = sys.modules[name] = ModuleType(name)
            module.__spec__ = ModuleSpec(name, None)
            parent, _, child = name.rpartition(".")
            if parent:
                setattr(sys.modules[parent], child, module)
        sys.modules["torchvision.datasets"].__dict__.update(VisionDataset=object, ImageFolder=object)
        sys.modules["torchvision.transforms.functional"].__dict__.update(to_tensor=None)
    import streaming

    return streaming


WAYS: dict[str, tuple[str, Callable[[Path], Rows]]] = {
    "a build, random access": ("datasets", build_random),
    "a build, streamed": ("datasets", build_streamed),
    "loose files with JSON": ("PIL", loose),
    "WebDataset": ("webdataset", web),
    "MosaicML Streaming": ("streaming", mosaic),
}


def prepare(folder: Path, pictures: int, size: int) -> None:
    raw, loaders = folder / "raw" / SLUG, folder / "loaders"
    loaders.mkdir(parents=True)
    (loaders / f"{SLUG}.py").write_text(LOADER, encoding="utf-8")
    (loaders / f"{SLUG}.md").write_text(CARD, encoding="utf-8")
    generate(raw, pictures, size)
    med_mat(raw, folder / "med-mat", loaders, 2)
    # The same pictures as the build has in its training split.
    import pyarrow.parquet as pq

    rows = []
    for shard in sorted((folder / "med-mat" / "data" / SLUG).glob("train-*.parquet")):
        rows += pq.read_table(shard, columns=["key", "answer", "image"]).to_pylist()
    listed = [{"image": str(raw / row["key"]), "answer": row["answer"]} for row in rows]
    (folder / "loose.json").write_text(json.dumps(listed), encoding="utf-8")
    (folder / "tars").mkdir()
    for start in range(0, len(rows), SHARD):
        with tarfile.open(folder / "tars" / f"{start:06d}.tar", "w") as tar:
            for number, row in enumerate(rows[start : start + SHARD], start):
                for suffix, data in (("jpg", row["image"]["bytes"]), ("txt", row["answer"].encode())):
                    member = tarfile.TarInfo(f"{number:06d}.{suffix}")
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
    if find_spec("streaming"):
        size_limit = sum(len(row["image"]["bytes"]) for row in rows) * SHARD // len(rows)
        columns = {"image": "bytes", "answer": "str"}
        with _streaming().MDSWriter(out=str(folder / "mds"), columns=columns, size_limit=size_limit) as writer:
            for row in rows:
                writer.write({"image": row["image"]["bytes"], "answer": row["answer"]})


def measure(way: str, folder: Path) -> dict[str, float]:
    package, opens = WAYS[way]
    if package == "streaming":
        _streaming()
    else:
        import_module(package)
    start = time.perf_counter()
    read = opens(folder)
    opened = time.perf_counter()
    number, first = 0, 0.0
    for _ in read():
        first = first or time.perf_counter()
        number += 1
    end = time.perf_counter()
    return {"open": opened - start, "first": first - opened, "rows": number, "rows_per_second": number / (end - opened)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=4000)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--way", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        # What a package prints on the way is no result.
        result = json.dumps(measure(arguments.way[0], Path(arguments.way[1])))
        print(f"\n{result}")
        return
    ways = [way for way, (package, _) in WAYS.items() if find_spec(package)]
    results: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), arguments.pictures, arguments.size)
        for run in range(arguments.runs):
            for way in ways[run % len(ways) :] + ways[: run % len(ways)]:
                command = [sys.executable, __file__, "--way", way, folder]
                output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
                results[way].append(json.loads(output.splitlines()[-1]))
    print(
        f"{arguments.pictures} JPEGs of {arguments.size}x{arguments.size}; {platform.machine()}, {os.cpu_count()} "
        f"cores, Python {platform.python_version()}; medians of {arguments.runs}\n"
    )
    print("| way | rows | first row, s | rows/s (least to most) |\n| --- | ---: | ---: | ---: |")
    for way, runs in results.items():
        speeds = [run["rows_per_second"] for run in runs]
        first = statistics.median(run["open"] + run["first"] for run in runs)
        print(
            f"| {way} | {runs[0]['rows']:.0f} | {first:.2f} | {statistics.median(speeds):.0f} "
            f"({min(speeds):.0f} to {max(speeds):.0f}) |"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
