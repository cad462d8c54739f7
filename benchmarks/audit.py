"""The search for near duplicates among generated fingerprints: time, memory, and how many planted copies it finds.

    python benchmarks/audit.py --pictures 1000000

Fingerprints are drawn like those of real collections: pictures of one kind of examination share a pattern, from which
each differs in a third of its bits. Copies differ from their originals in a few bits of 256, some are mirrored or
turned. The figures hold for the search alone: fingerprints are taken in the scan, pixels are compared afterwards.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from med_mat.audit.bands import masks, transposed
from med_mat.audit.near import connect, search
from med_mat.images.hashes import FINGERPRINT_BYTES, WINDOWS

KINDS = 200
WITHIN_KIND = 0.33
COPIES = 0.02
NOISE = {"4 bits": 4, "8 bits": 8, "16 bits": 16, "32 bits": 32, "48 bits": 48}


def generate(pictures: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns fingerprints (n, windows, 32), and of each copy its original (-1 for none) and its kind of noise."""
    rng = np.random.default_rng(seed)
    prints = np.empty((pictures, len(WINDOWS), FINGERPRINT_BYTES), np.uint8)
    patterns = rng.integers(0, 2, (KINDS, 256), np.uint8)
    step = 50_000
    for start in range(0, pictures, step):
        number = min(step, pictures - start)
        kind = rng.integers(0, KINDS, number)
        whole = patterns[kind] ^ (rng.random((number, 256), np.float32) < WITHIN_KIND)
        for window in range(len(WINDOWS)):
            # What is cut off changes the more bits the more it is; a third of all pictures has margins.
            share = 0.0 if window == 0 else 0.12 * window
            changed = rng.random((number, 256), np.float32) < share
            if window == 1:
                changed &= rng.random((number, 1)) < 1 / 3
            prints[start : start + number, window] = np.packbits(whole ^ changed, axis=1, bitorder="little")
    original = np.full(pictures, -1)
    noise = np.full(pictures, -1)
    copies = rng.choice(pictures, int(COPIES * pictures), replace=False)
    originals = rng.permutation(np.setdiff1d(np.arange(pictures), copies))[: len(copies)]
    for place, (copy, source) in enumerate(zip(copies, originals, strict=True)):
        original[copy], noise[copy] = source, place % len(NOISE)
    for number, bits in enumerate(NOISE.values()):
        mine = copies[noise[copies] == number]
        prints[mine] = prints[original[mine]]
        flips = np.zeros((len(mine), 256), np.uint8)
        for line in flips:
            line[rng.choice(256, bits, replace=False)] = 1
        prints[mine] ^= np.packbits(flips, axis=1, bitorder="little")[:, None, :]
    turned = copies[::4]
    for window in range(len(WINDOWS)):
        prints[turned, window] = transposed(np.ascontiguousarray(prints[turned, window]))
        mirror = np.frombuffer(np.array(masks()[1], "<u8").tobytes(), np.uint8)
        prints[turned, window] ^= mirror
    return prints, original, noise


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(pictures: int, memory: str) -> dict[str, Any]:
    prints, original, noise = generate(pictures)
    before = peak_mb()
    with tempfile.TemporaryDirectory() as folder:
        start, used = time.perf_counter(), time.process_time()
        found = search(prints, connection=connect(Path(folder), memory=memory))
        seconds, used = time.perf_counter() - start, time.process_time() - used
    pairs = {(candidate.first, candidate.second) for candidate in found.candidates}
    copies = np.flatnonzero(original >= 0)
    hit = np.array([tuple(sorted((int(copy), int(original[copy])))) in pairs for copy in copies])
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "pictures": pictures,
        "seconds": seconds,
        "cpu_seconds": used,
        "peak_mb": peak_mb(),
        "peak_mb_before": before,
        "candidates": len(pairs),
        "met": found.met,
        "crowded": found.crowded,
        "recall": {name: float(hit[noise[copies] == number].mean()) for number, name in enumerate(NOISE)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=1_000_000)
    parser.add_argument("--memory", default="1500MB", help="what DuckDB may take")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    result = measure(arguments.pictures, arguments.memory)
    print(
        f"{result['pictures']} pictures, {len(WINDOWS)} windows each: {result['seconds']:.0f} s "
        f"({result['cpu_seconds']:.0f} s of processor time), peak memory "
        f"{result['peak_mb']:.0f} MB, fingerprints and generation included ({result['machine']})"
    )
    print(f"{result['candidates']} candidates, {result['met']} near meetings, {result['crowded']} crowded")
    for name, share in result["recall"].items():
        print(f"copies that differ in {name}: {share:.4f} found")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
