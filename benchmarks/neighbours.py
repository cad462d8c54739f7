"""How well the threshold for neighbours in training parts copies from other pictures, on real pictures.

    python benchmarks/neighbours.py --raw FOLDER

``FOLDER`` holds slices of official downloads, one folder per source. The threshold is chosen on half of the sources, by
hash of their slugs, and reported on the others: the share of planted copies that it finds, and the share of pictures
whose nearest picture of another group of the same source lies below it. ``baselines/neighbours.py`` holds the result.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from overlaps import is_one, jpeg
from PIL import Image, ImageEnhance

from med_mat.baselines.controls import thumbnail
from med_mat.baselines.neighbours import NEAR, neighbour_distance
from med_mat.errors import MedMatError
from med_mat.hashing import rank
from med_mat.images import pixel_hash, pixels
from med_mat.index import index_source
from med_mat.raw import RawRoot
from med_mat.registry import Source, registry

PER_SOURCE = 60
LEAST = 10
STEPS = [number / 100 for number in range(2, 31)]
FALSE = 0.01


def resized(side: int) -> Callable[[Image.Image], Image.Image]:
    return lambda image: image.resize((side, side), Image.Resampling.BICUBIC)


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG quality 75": jpeg(75),
    "JPEG quality 30": jpeg(30),
    "half the size": lambda image: image.resize((max(8, image.width // 2), max(8, image.height // 2))),
    "224 x 224 pixels, JPEG quality 50": lambda image: jpeg(50)(resized(224)(image)),
    "darker by 20%": lambda image: ImageEnhance.Brightness(image).enhance(0.8),
    "brighter by 10%": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    "brighter by 30%": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "contrast up by 30%": lambda image: ImageEnhance.Contrast(image).enhance(1.3),
    "cut by 2% at each side": lambda image: image.crop(
        (image.width // 50, image.height // 50, image.width - image.width // 50, image.height - image.height // 50)
    ),
}


@dataclass(frozen=True)
class Measured:
    """Distances of one source: copies from their originals by change, and each picture from those of other groups."""

    slug: str
    chosen_on: bool
    copies: dict[str, np.ndarray]
    others: np.ndarray


def pictures(source: Source, raw: RawRoot) -> list[tuple[str, str, Image.Image]]:
    """Path, group and picture of some pictures of a source, by hash; of equal pictures one."""
    rows = index_source(source, raw, allow_missing=True).table.to_pylist()
    rows.sort(key=lambda row: rank("neighbours", row["key"]))
    found, seen = [], set()
    for row in rows[:PER_SOURCE]:
        try:
            image = pixels(raw.read(PurePosixPath(row["raw_path"])), frame=row["frame"])
        except MedMatError:
            continue
        if pixel_hash(image) not in seen:
            seen.add(pixel_hash(image))
            found.append((row["raw_path"], row["group"] or row["key"], image.convert("RGB")))
    return found


def measure(source: Source, raw: RawRoot) -> Measured | None:
    found = pictures(source, raw)
    if len(found) < LEAST:
        return None
    small = np.stack([thumbnail(image) for *_, image in found])
    others = []
    for place, (path, group, _) in enumerate(found):
        rest = [n for n, (name, other, _) in enumerate(found) if other != group and not is_one(path, name)]
        others.append(neighbour_distance(small[rest], small[place : place + 1])[0])
    copies = {}
    for name, change in CHANGES.items():
        changed = np.stack([thumbnail(change(image)) for *_, image in found])
        pairs = zip(small, changed, strict=True)
        copies[name] = np.array([neighbour_distance(one[None], copy[None])[0] for one, copy in pairs])
    return Measured(source.slug, rank("half", source.slug) % 2 == 0, copies, np.array(others))


def share(values: list[np.ndarray], threshold: float) -> float:
    return float((np.concatenate(values) < threshold).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--raw", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    measured, roots = [], set()
    for source in registry():
        folder = arguments.raw / source.card.raw_slug
        if not folder.is_dir() or folder in roots:
            continue
        try:
            one = measure(source, RawRoot.open(folder))
        except MedMatError as error:
            print(f"{source.slug} left out: {str(error).splitlines()[0][:100]}")
            continue
        if one is not None:
            roots.add(folder)
            measured.append(one)
    halves = {"chosen on": [one for one in measured if one.chosen_on]}
    halves["reported on"] = [one for one in measured if not one.chosen_on]
    result: dict[str, Any] = {"threshold": NEAR, "halves": {}, "sources": {}}
    fitting = [step for step in STEPS if share([one.others for one in halves["chosen on"]], step) <= FALSE]
    result["largest with few false"] = max(fitting)
    for name, half in halves.items():
        copies = {change: share([one.copies[change] for one in half], NEAR) for change in CHANGES}
        result["halves"][name] = {
            "sources": [one.slug for one in half],
            "pictures": sum(len(one.others) for one in half),
            "false": share([one.others for one in half], NEAR),
            "copies": copies,
            "by threshold": {
                step: [
                    share([one.others for one in half], step),
                    share([one.copies[change] for one in half for change in CHANGES], step),
                ]
                for step in STEPS
            },
        }
        print(f"{name}: {len(half)} sources, {result['halves'][name]['pictures']} pictures")
        print(f"  another group's picture below {NEAR}: {result['halves'][name]['false']:.3f}")
        for change, found in copies.items():
            print(f"  {change}: {found:.3f} found")
        for step, (false, found) in result["halves"][name]["by threshold"].items():
            print(f"  {step:.2f}: false {false:.3f}, copies {found:.3f}")
    print(f"largest threshold with at most {FALSE:.0%} false on the first half: {max(fitting)}")
    for one in measured:
        low, middle = float(one.others.min()), float(np.median(one.others))
        false = share([one.others], NEAR)
        found = share(list(one.copies.values()), NEAR)
        result["sources"][one.slug] = {"nearest": low, "median": middle, "false": false, "found": found}
        print(
            f"{one.slug}: {len(one.others)} pictures, nearest of another group {low:.3f}, median {middle:.3f}, "
            f"below {NEAR}: {false:.3f}; copies found {found:.3f}"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
