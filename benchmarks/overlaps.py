"""Precision and recall of the audit on real pictures, with planted copies and look-alikes of one source.

    python benchmarks/overlaps.py --raw FOLDER --json med_mat/audit/measured.json

``FOLDER`` holds slices of official downloads, one folder per source. The threshold is chosen on every other source in
alphabetical order and reported on the rest. ``med_mat.audit.page`` writes the figures into ``docs/overlaps.md``.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
from collections import defaultdict
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from med_mat.audit.bands import distances
from med_mat.audit.confirm import SAME, compare, small
from med_mat.audit.near import NEAR, Candidate, search
from med_mat.errors import MedMatError
from med_mat.hashing import rank
from med_mat.images import fingerprints, pixel_hash, pixels
from med_mat.images.hashes import FINGERPRINT_BYTES, WINDOWS

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".dcm"}
NOT_PICTURES = ("mask", "_lesion", "Segmentation", "GroundTruth", "Disc")
PER_SOURCE = 8
NEIGHBOURS, WAYS = 4, 2

# Looked at side by side: one picture in two windows, two sizes or two frames that nobody can tell apart.
SEEN_TO_BE_ONE = (
    ("Tumor- (1000).jpg", "Tumor- (1002).jpg"),
    ("malignant (7).png", "malignant (9).png"),
    ("Non-Covid (857).png", "Non-Covid (978).png"),
    ("E63574A7-4188-4C8D-8D17-9D67A18A1AFA.jpeg", "F4341CE7-73C9-45C6-99C8-8567A5484B63.jpeg"),
    ("Te-no_0379.jpg", "Tr-no_1198.jpg"),
    ("large.cell.carcinoma/000169.png", "large.cell.carcinoma_left.hilum_T2_N2_M0_IIIa/000169.png"),
    ("large.cell.carcinoma/000118.png", "large.cell.carcinoma_left.hilum_T2_N2_M0_IIIa/000118 (2).png"),
)


def jpeg(quality: int) -> Callable[[Image.Image], Image.Image]:
    def change(image: Image.Image) -> Image.Image:
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=quality)
        copy = Image.open(stream)
        copy.load()
        return copy

    return change


def cut(left: float, top: float, right: float, bottom: float) -> Callable[[Image.Image], Image.Image]:
    def change(image: Image.Image) -> Image.Image:
        width, height = image.size
        return image.crop(
            (round(left * width), round(top * height), round((1 - right) * width), round((1 - bottom) * height))
        )

    return change


def gamma(image: Image.Image) -> Image.Image:
    return image.point([round(255 * (level / 255) ** 0.6) for level in range(256)] * len(image.getbands()))


def half(image: Image.Image) -> Image.Image:
    return image.resize((max(8, image.width // 2), max(8, image.height // 2)), Image.Resampling.LANCZOS)


def square(image: Image.Image) -> Image.Image:
    return image.resize((224, 224), Image.Resampling.BICUBIC)


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG quality 75": jpeg(75),
    "JPEG quality 30": jpeg(30),
    "half the size": half,
    "224 x 224 pixels": square,
    "224 x 224 pixels, JPEG quality 50": lambda image: jpeg(50)(square(image)),
    "darker by 40%": lambda image: ImageEnhance.Brightness(image).enhance(0.6),
    "brighter by 30%": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "contrast up by 50%": lambda image: ImageEnhance.Contrast(image).enhance(1.5),
    "gamma 0.6": gamma,
    "histogram equalized": ImageOps.equalize,
    "mirrored": ImageOps.mirror,
    "upside down": ImageOps.flip,
    "turned by 90 degrees": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "turned by 10 degrees": lambda image: image.rotate(10, Image.Resampling.BICUBIC),
    "black frame of 10%": lambda image: ImageOps.expand(image, (image.width // 10, image.height // 10), 0),
    "cut by 2% at each side": cut(0.02, 0.02, 0.02, 0.02),
    "cut by 5% at each side": cut(0.05, 0.05, 0.05, 0.05),
    "cut by 10% at each side": cut(0.1, 0.1, 0.1, 0.1),
    "cut by 5% at one side": cut(0, 0, 0, 0.05),
    "cut by 10% at one side": cut(0.1, 0, 0, 0),
    "cut by 18% at one side": cut(0, 0, 0, 0.18),
    "cut by 3% at two sides": cut(0.03, 0, 0, 0.03),
    "cut by 8% at two sides": cut(0.08, 0, 0, 0.08),
    "cut by 15% at two sides": cut(0.15, 0, 0, 0.15),
    "mirrored, cut by 5%, 224 x 224, JPEG quality 60": lambda image: jpeg(60)(
        square(cut(0.05, 0.05, 0.05, 0.05)(ImageOps.mirror(image)))
    ),
}


def load(raw: Path) -> list[tuple[str, str, Image.Image]]:
    """Source, path and picture of every picture that decodes; of equal pictures the first."""
    found, seen = [], set()
    for path in sorted(raw.rglob("*")):
        place = path.relative_to(raw)
        if path.suffix.lower() not in SUFFIXES or any(part in str(place) for part in NOT_PICTURES):
            continue
        try:
            image = pixels(path.read_bytes())
        except MedMatError:
            continue
        name = pixel_hash(image)
        if name not in seen and fingerprints(image):
            seen.add(name)
            found.append((place.parts[0], str(place), image.convert("L" if image.mode in ("1", "L", "LA") else "RGB")))
    return found


def prints(images: list[Image.Image]) -> np.ndarray:
    taken = b"".join(fingerprints(image) or b"\0" * len(WINDOWS) * FINGERPRINT_BYTES for image in images)
    return np.frombuffer(taken, np.uint8).reshape(len(images), len(WINDOWS), FINGERPRINT_BYTES)


def agreement(first: Image.Image, second: Image.Image, one: Candidate) -> float:
    return compare(
        small(first),
        small(second),
        orientation=one.orientation,
        first_window=one.first_window,
        second_window=one.second_window,
    ).detail


def is_one(first: str, second: str) -> bool:
    return any(
        (first.endswith(a) and second.endswith(b)) or (first.endswith(b) and second.endswith(a))
        for a, b in SEEN_TO_BE_ONE
    )


def isic_number(path: str) -> str:
    name = Path(path).stem.removesuffix("_downsampled")
    return name if name.startswith("ISIC_") else path


def measure(raw: Path) -> dict[str, Any]:
    loaded = load(raw)
    every = prints([image for *_, image in loaded])
    sources = sorted({source for source, *_ in loaded})
    half_of = {source: ("chosen on", "reported on")[number % 2] for number, source in enumerate(sources)}
    by_source: dict[str, list[int]] = defaultdict(list)
    for number, (source, *_) in enumerate(loaded):
        by_source[source].append(number)
    scores = look_alikes(loaded, every, by_source)
    picked = [
        number
        for source in sources
        for number in sorted(by_source[source], key=lambda one: rank("pick", loaded[one][1]))[:PER_SOURCE]
    ]
    copies = {name: planted(loaded, every, picked, change) for name, change in CHANGES.items()}
    result: dict[str, Any] = {
        "near": NEAR,
        "threshold": SAME,
        "pictures": len(loaded),
        "sources": {side: [one for one in sources if half_of[one] == side] for side in ("chosen on", "reported on")},
        "copies": {},
        "look_alikes": {},
    }
    for name, found in copies.items():
        line = {}
        for side in ("chosen on", "reported on"):
            mine = [score for number, score in found.items() if half_of[loaded[number][0]] == side]
            line[side] = {
                "planted": len(mine),
                "candidates": sum(score is not None for score in mine),
                "confirmed": sum(score is not None and score >= SAME for score in mine),
            }
        result["copies"][name] = line
    for side in ("chosen on", "reported on"):
        mine = [score for (one, _), score in scores.items() if half_of[loaded[one][0]] == side]
        result["look_alikes"][side] = {
            "pairs": len(mine),
            "called the same": sum(score >= SAME for score in mine),
            "highest": [round(score, 3) for score in sorted(mine, reverse=True)[:5]],
        }
    result["thresholds"] = sweep(copies, scores, loaded, half_of)
    result["families"] = families(raw, loaded, every)
    return result


def planted(
    loaded: list[tuple[str, str, Image.Image]],
    every: np.ndarray,
    picked: list[int],
    change: Callable[[Image.Image], Image.Image],
) -> dict[int, float | None]:
    """Number of the original to how well its copy agrees with it; None where it is no candidate."""
    copies = [change(loaded[number][2]) for number in picked]
    search_among = np.concatenate([every, prints(copies)])
    found = {(one.first, one.second): one for one in search(search_among).candidates}
    scores: dict[int, float | None] = {}
    for place, number in enumerate(picked):
        one = found.get((number, len(loaded) + place))
        scores[number] = None if one is None else agreement(loaded[number][2], copies[place], one)
    return scores


def look_alikes(
    loaded: list[tuple[str, str, Image.Image]], every: np.ndarray, by_source: dict[str, list[int]]
) -> dict[tuple[int, int], float]:
    """Pairs of different pictures of one source whose fingerprints are nearest, whatever their distance.

    How well two look alike depends on where they are laid over each other, so each pair is tried in the ways in which
    its windows are nearest, and the best counts.
    """
    # Of two windows that a search compares, one is the whole picture or the picture without its margins.
    windows = [pair for pair in product(range(len(WINDOWS)), repeat=2) if min(pair) < 2]
    scores: dict[tuple[int, int], float] = {}
    for numbers in by_source.values():
        for number in numbers:
            others = np.array([other for other in numbers if other != number])
            if not len(others):
                continue
            tables = np.stack(
                [
                    distances(np.repeat(every[[number], one], len(others), axis=0), every[others, other])
                    for one, other in windows
                ],
                axis=1,
            )
            nearest = tables.min(axis=(1, 2))
            for place in np.argsort(nearest, kind="stable")[:NEIGHBOURS]:
                other = int(others[place])
                pair = (min(number, other), max(number, other))
                if pair in scores or is_one(loaded[pair[0]][1], loaded[pair[1]][1]):
                    continue
                table = tables[place] if number < other else _swapped(every, pair, windows)
                scores[pair] = max(
                    agreement(
                        loaded[pair[0]][2],
                        loaded[pair[1]][2],
                        Candidate(*pair, int(table[way].min()), *windows[way], int(table[way].argmin())),
                    )
                    for way in np.argsort(table.min(axis=1), kind="stable")[:WAYS]
                )
    return scores


def _swapped(every: np.ndarray, pair: tuple[int, int], windows: list[tuple[int, int]]) -> np.ndarray:
    return np.stack([distances(every[[pair[0]], one], every[[pair[1]], other])[0] for one, other in windows])


def sweep(
    copies: dict[str, dict[int, float | None]],
    scores: dict[tuple[int, int], float],
    loaded: list[tuple[str, str, Image.Image]],
    half_of: dict[str, str],
) -> list[dict[str, Any]]:
    """Candidates that are copies and are called so, and look-alikes that are called copies, by threshold."""
    lines = []
    for threshold in (0.1, 0.2, 0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7):
        line: dict[str, Any] = {"threshold": threshold}
        for side in ("chosen on", "reported on"):
            right = [
                score
                for found in copies.values()
                for number, score in found.items()
                if score is not None and half_of[loaded[number][0]] == side
            ]
            wrong = [score for (one, _), score in scores.items() if half_of[loaded[one][0]] == side]
            line[side] = {
                "copies": len(right),
                "kept": sum(score >= threshold for score in right),
                "look_alikes": len(wrong),
                "kept wrongly": sum(score >= threshold for score in wrong),
            }
        lines.append(line)
    return lines


def families(raw: Path, loaded: list[tuple[str, str, Image.Image]], every: np.ndarray) -> dict[str, Any]:
    """What really stands in several folders: equal files, and near duplicates between sources."""
    by_file: dict[str, list[str]] = defaultdict(list)
    for path in sorted(raw.rglob("*")):
        if path.suffix.lower() in SUFFIXES:
            by_file[hashlib.sha256(path.read_bytes()).hexdigest()].append(str(path.relative_to(raw)))
    repeated = [paths for paths in by_file.values() if len(paths) > 1]
    across = [paths for paths in repeated if len({Path(path).parts[0] for path in paths}) > 1]
    near = []
    for one in search(every).candidates:
        score = agreement(loaded[one.first][2], loaded[one.second][2], one)
        if score >= SAME:
            near.append([loaded[one.first][1], loaded[one.second][1], one.distance, round(score, 3)])
    names = [isic_number(path) for _, path, _ in loaded]
    found = {(first, second) for first, second, *_ in near}
    same_name = [
        (loaded[one][1], loaded[other][1])
        for one in range(len(names))
        for other in range(one + 1, len(names))
        if names[one] == names[other]
    ]
    return {
        "files that stand twice": len(repeated),
        "in several folders": len(across),
        "near duplicates": [
            {"sources": [Path(first).parts[0], Path(second).parts[0]], "distance": distance, "detail": score}
            for first, second, distance, score in sorted(near, key=lambda line: line[2])
        ],
        "unequal pictures of one ISIC number": len(same_name),
        "found": sum(pair in found for pair in same_name),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--raw", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    result = measure(arguments.raw)
    text = json.dumps(result, indent=1) + "\n"
    print(text)
    if arguments.json:
        arguments.json.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
