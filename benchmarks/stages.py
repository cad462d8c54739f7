"""What index, scan and encode cost, by format, and what they hold in memory; the figures of docs/scale.md.

    python benchmarks/stages.py --names 1000000 --pictures 10000

Costs by format, and of ways to write a PNG, are seconds of one core on bytes in memory, medians over a second and a
half each. The index, the scan of mixed formats and whole builds run in processes of their own, looked at every 50
ms for their memory.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import io
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from build import CARD, LOADER, SLUG, _peak_of
from PIL import Image

from med_mat.images import examine, publish

SECONDS = 1.5
SUFFIX = {"JPEG": "jpg", "PNG": "png", "TIFF": "tif", "BMP": "bmp", "PGM": "pgm", "DICOM": "dcm"}
KINDS = [
    "JPEG 512",
    "JPEG 2048",
    "PNG 1024",
    "PNG 1024, 16 bit",
    "TIFF 96",
    "BMP 450",
    "PGM 1024",
    "DICOM 1024, 16 bit",
    "DICOM 3518x2800, 16 bit",
]
MIXED = ["JPEG 512", "PNG 512", "PNG 512, 16 bit", "TIFF 96", "BMP 450", "PGM 512", "DICOM 512, 16 bit"]


def plane(seed: int, height: int, width: int) -> np.ndarray:
    """A grey picture with the frequencies of photographs, and some grain, from 0 to 1."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    frequency[0, 0] = 1
    rng = np.random.default_rng(seed)
    spectrum = rng.normal(size=frequency.shape) + 1j * rng.normal(size=frequency.shape)
    found = np.fft.irfft2(spectrum / frequency**1.2, s=(height, width))
    found = (found - found.min()) / np.ptp(found)
    return np.clip(found + rng.normal(0, 0.01, found.shape), 0, 1)


def make(kind: str, seed: int) -> bytes:
    size = kind.split()[1].rstrip(",")
    height, width = (int(part) for part in size.split("x")) if "x" in size else (int(size), int(size))
    grey = plane(seed, height, width)
    stream = io.BytesIO()
    if kind.startswith("DICOM"):
        _dicom(stream, (grey * 4095).astype(np.uint16))
    elif kind.endswith("16 bit"):
        Image.fromarray((grey * 65535).astype(np.uint16)).save(stream, "PNG")
    elif kind.startswith(("PNG", "PGM")):
        Image.fromarray((grey * 255).astype(np.uint8)).save(stream, "PNG" if kind.startswith("PNG") else "PPM")
    else:
        colour = np.stack([grey, grey**1.2, grey**0.8], -1)
        picture = Image.fromarray((colour * 255).astype(np.uint8))
        picture.save(stream, kind.split()[0], **({"quality": 90} if kind.startswith("JPEG") else {}))
    return stream.getvalue()


def _dicom(stream: io.BytesIO, pixels: np.ndarray) -> None:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = SecondaryCaptureImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid(entropy_srcs=["generated"])
    data.Rows, data.Columns = pixels.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.WindowCenter, data.WindowWidth, data.Modality = 2048, 4096, "MG"
    data.PixelData = pixels.tobytes()
    data.save_as(stream, enforce_file_format=True)


def cost(function: Callable[[Any], object], pictures: list[Any]) -> float:
    """Seconds of a core for one picture; the median, since other processes come between."""
    taken = []
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(taken) < len(pictures):
        begun = time.process_time()
        function(pictures[len(taken) % len(pictures)])
        taken.append(time.process_time() - begun)
    return statistics.median(taken)


def by_format() -> dict[str, dict[str, float]]:
    found = {}
    for kind in KINDS:
        pictures = [make(kind, seed) for seed in range(3)]
        found[kind] = {
            "megabytes": statistics.mean(map(len, pictures)) / 1e6,
            "published_megabytes": statistics.mean(len(publish(data)) for data in pictures) / 1e6,
            "sha256": cost(lambda data: hashlib.sha256(data).digest(), pictures),
            "decode": 0.0 if kind.startswith("DICOM") else cost(_decode, pictures),
            "scan": cost(examine, pictures),
            "encode": cost(publish, pictures),
        }
    return found


def _decode(data: bytes) -> None:
    Image.open(io.BytesIO(data)).load()


def watched(command: list[str]) -> tuple[float, float, list[float]]:
    """Runs a command; seconds, peak MB of the command's own process, and of each process that it started."""
    peaks: dict[int, int] = {}
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True) as run:
        while run.poll() is None:
            for status in Path("/proc").glob("[0-9]*/status"):
                process = int(status.parent.name)
                peaks[process] = max(peaks.get(process, 0), _peak_of(status, run.pid))
            time.sleep(0.05)
        if run.returncode:
            raise SystemExit(f"{command} ended with {run.returncode}")
    own = peaks.pop(run.pid) / 1024
    return time.perf_counter() - start, own, sorted((peak / 1024 for peak in peaks.values() if peak), reverse=True)


def png_ways() -> dict[str, dict[str, float]]:
    """Ways to write a PNG: Pillow's levels, and filters in NumPy before libdeflate. Seconds of a core and megabytes."""
    grey, half = plane(0, 1024, 1024), plane(1, 450, 450)
    pictures = {
        "grey 1024x1024": (grey * 255).astype(np.uint8),
        "colour 450x450": (np.stack([half, half**1.2, half**0.8], -1) * 255).astype(np.uint8),
    }
    ways: dict[str, Callable[[np.ndarray], bytes]] = {
        f"Pillow, level {level}": functools.partial(_pillow, level) for level in (1, 4, 6)
    }
    ways |= {f"filters + libdeflate, level {level}": functools.partial(_libdeflate, level) for level in (1, 3, 6)}
    found = {}
    for name, pixels in pictures.items():
        for way, write in ways.items():
            size = len(write(pixels)) / 1e6
            found[f"{name}, {way}"] = {"seconds": cost(write, [pixels]), "megabytes": size}
    return found


def _pillow(level: int, pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=level)
    return stream.getvalue()


def _libdeflate(level: int, pixels: np.ndarray) -> bytes:
    """Of sub, up and average the filter with the smallest sum of differences, as libpng chooses; then one stream."""
    import imagecodecs

    step = 1 if pixels.ndim == 2 else pixels.shape[2]
    rows = pixels.reshape(len(pixels), -1)
    left, above = np.zeros_like(rows), np.zeros_like(rows)
    left[:, step:], above[1:] = rows[:, :-step], rows[:-1]
    filtered = np.stack([rows - left, rows - above, rows - ((left.astype(np.uint16) + above) // 2).astype(np.uint8)])
    best = np.abs(filtered.view(np.int8).astype(np.int16)).sum(2).argmin(0)
    chosen = filtered[best, np.arange(len(rows))]
    lines = np.hstack([np.array([1, 2, 3], np.uint8)[best][:, None], chosen])
    return bytes(imagecodecs.deflate_encode(lines.tobytes(), level=level))


INDEX = """
import sys, time
from pathlib import Path
from med_mat.index import index_source
from med_mat.raw import RawRoot
from med_mat.registry import registry
def peak():
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) / 1024
before = peak()
source = registry([Path(sys.argv[1])])[sys.argv[3]]
start = time.perf_counter(), time.process_time()
found = index_source(source, RawRoot.open(sys.argv[2]))
print(found.table.num_rows, time.perf_counter() - start[0], time.process_time() - start[1],
      peak(), before)
"""
TABLE = "benchmark_table"
TABLE_LOADER = '''
"""Generated pictures in one folder, and a table of their labels."""

def samples(raw):
    from med_mat.readers import csv_rows
    from med_mat.sample import Sample

    images = raw.find("*.jpg", by="stem")
    for row in csv_rows(raw, "labels.csv", columns=["name", "label", "patient"]):
        yield Sample(images[row["name"]], labels=[row["label"]], group=row["patient"])
'''


def index_of(kind: str, names: int, folder: Path, loaders: Path) -> dict[str, Any]:
    """An index of empty files: in folders named by label, in one folder with a table, or in a zip."""
    folder.mkdir()
    labels = ("disc", "ring")
    if kind == "zip":
        with zipfile.ZipFile(folder / "all.zip", "w") as archive:
            for number in range(names):
                archive.writestr(f"part {number // 5000:04d}/{labels[number % 2]}/{number:08d}.jpg", b"")
    elif kind == "table":
        with (folder / "labels.csv").open("w") as table:
            table.write("name,label,patient,comment\n")
            for number in range(names):
                _empty(folder / f"{number:08d}.jpg")
                table.write(f"{number:08d},{labels[number % 2]},p{number // 3:07d},some words of a comment\n")
    else:
        for number in range(names):
            if number % 5000 == 0:
                parent = folder / f"part {number // 5000:04d}"
                for label in labels:
                    (parent / label).mkdir(parents=True)
            _empty(parent / labels[number % 2] / f"{number:08d}.jpg")
    start = time.perf_counter()
    _walk(folder)
    walk = time.perf_counter() - start
    command = [sys.executable, "-c", INDEX, str(loaders), str(folder), TABLE if kind == "table" else SLUG]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    rows, seconds, processor, peak, before = map(float, output)
    if rows != names:
        raise SystemExit(f"{names} names written, {rows} indexed")
    return {
        "kind": kind,
        "names": names,
        "walk": walk,
        "seconds": seconds,
        "processor": processor,
        "peak_mb": peak,
        "start_mb": before,
    }


def _walk(folder: str | os.PathLike[str]) -> None:
    for entry in os.scandir(folder):
        if entry.is_dir():
            _walk(entry)
        else:
            entry.stat()


def _empty(path: Path) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY))


def build_of(pictures: int, mixed: bool, folder: Path, workers: int) -> dict[str, Any]:
    """Builds a source of small pictures, or of mixed formats; then once more, when there is nothing to do."""
    raw, loaders = folder / "raw" / SLUG, folder / "loaders"
    write_source(loaders)
    kinds = MIXED if mixed else ["PNG 64"]
    contents = {kind: [make(kind, seed) for seed in range(6)] for kind in kinds}
    total = 0
    for number in range(pictures):
        kind = kinds[number % len(kinds)]
        if mixed:
            # All copies of a picture bear one label: others would contradict it, and make no row.
            data = contents[kind][number // len(kinds) % 6]
            label = ("disc", "ring")[number // len(kinds) % 6 % 2]
        else:
            stream = io.BytesIO()
            Image.fromarray(np.random.default_rng(number).integers(0, 256, (64, 64), np.uint8)).save(stream, "PNG")
            data, label = stream.getvalue(), ("disc", "ring")[number % 2]
        suffix = SUFFIX[kind.split()[0]]
        path = raw / f"part {number // 5000:04d}" / label / f"{number:08d}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        total += len(data)
    command = [str(Path(sys.executable).with_name("med-mat")), "build", SLUG, "--raw", str(raw.parent)]
    command += ["--out", str(folder / "out"), "--workers", str(workers), "--loaders", str(loaders)]
    seconds, own, others = watched(command)
    again, _, _ = watched(command)
    # Some others are the pool's servers: the largest are the workers.
    return {
        "pictures": pictures, "megabytes": total / 1e6, "seconds": seconds, "again": again, "own_mb": own,
        "worker_mb": others[:workers],
    }  # fmt: skip


def write_source(loaders: Path) -> None:
    loaders.mkdir(parents=True)
    (loaders / f"{SLUG}.py").write_text(
        LOADER.replace("{disc,ring}/*.jpg", "{disc,ring}/*.{jpg,png,tif,bmp,pgm,dcm}"), encoding="utf-8"
    )
    (loaders / f"{SLUG}.md").write_text(CARD, encoding="utf-8")
    (loaders / f"{TABLE}.py").write_text(TABLE_LOADER, encoding="utf-8")
    (loaders / f"{TABLE}.md").write_text(CARD, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--names", type=int, default=1_000_000)
    parser.add_argument("--pictures", type=int, default=10_000, help="of mixed formats")
    parser.add_argument("--small", type=int, default=500, help="small pictures; and a hundred times as many")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    results: dict[str, Any] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "formats": by_format(),
    }
    for kind, figures in results["formats"].items():
        print(kind, " ".join(f"{name} {value * (1 if 'mega' in name else 1e3):.2f}" for name, value in figures.items()))
    results["png"] = png_ways()
    for way, figures in results["png"].items():
        print(way, f"{figures['seconds'] * 1e3:.1f} ms {figures['megabytes']:.3f} MB")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_source(folder / "loaders")
        results["index"] = [
            index_of(kind, names, folder / f"{kind} {names}", folder / "loaders")
            for kind in ("folders", "table", "zip")
            for names in (arguments.names // 100, arguments.names)
        ]
        for entry in results["index"]:
            print("index", entry)
        results["mixed"] = build_of(arguments.pictures, True, folder / "mixed", arguments.workers)
        print("mixed", results["mixed"])
        results["small"] = [
            build_of(number, False, folder / f"small {number}", arguments.workers)
            for number in (arguments.small, 100 * arguments.small)
        ]
        for entry in results["small"]:
            print("small", entry)
    print("peak of this process", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, "MB")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
