"""Small sources of the tests' own: a loader that reads a table, a card, and raw roots of drawn noise."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from med_mat.card import Card, parse_card
from med_mat.registry import Registry, registry

LOADER = '''\
"""Pictures that a table names."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import csv_rows
from med_mat.sample import Sample

COLUMNS = ["file", "labels", "group", "split", "age"]


def samples(raw: RawRoot) -> Iterator[Sample]:
    images = raw.find("*.{png,jpg,bmp}")
    for row in csv_rows(raw, "table.csv", columns=COLUMNS):
        yield Sample(
            images[row["file"]],
            labels=row["labels"].split("|") if row["labels"] else [],
            group=row["group"] or None,
            split=row["split"] or None,
            ties=[row["tie"]] if row["tie"] else [],
            extra={"age": row["age"]},
        )
'''

LABELS: dict[str, Any] = {
    "cyst": {"label": "kidney cyst", "meaning": "a cyst"},
    "stone": {"label": "kidney stone", "meaning": "a stone"},
    "tumor": {"label": "kidney tumor", "meaning": "a tumor"},
    "normal": {"label": "normal kidney", "meaning": "nothing", "no_finding": True},
}


@dataclass(frozen=True)
class Row:
    """A line of the table; ``group`` and the rest are empty where the release says nothing."""

    file: str
    labels: str
    group: str = ""
    split: str = ""
    age: str = ""
    tie: str = ""


def front_matter(**fields: Any) -> dict[str, Any]:
    """Front matter of a card that is right; a field given as None is left out."""
    front: dict[str, Any] = {
        "title": "Tiny",
        "kind": "classification",
        "subset": "02",
        "modality": "ct",
        "anatomy": "kidney",
        "task": "disease classification",
        "homepage": "https://example.org/tiny",
        "download": {"where": "nowhere", "how": "Draw it."},
        "access": "open",
        "licence": {"name": "CC0", "spdx": "CC0-1.0", "evidence": "drawn by the tests"},
        "redistribution": "images",
        "citation": "@misc{tiny}",
        "labels": LABELS,
        "official_splits": "none",
        "path_ids": "plain",
        **fields,
    }
    return {name: value for name, value in front.items() if value is not None}


def card_text(**fields: Any) -> str:
    front = yaml.safe_dump(front_matter(**fields), sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\nPictures of noise.\n"


def make_card(slug: str = "tiny", **fields: Any) -> Card:
    return parse_card(card_text(**fields), slug)


def label_entries(labels: Iterable[str] | Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Raw labels that are clean ones already, with what the card says of them beyond that."""
    more = labels if isinstance(labels, Mapping) else {}
    return {label: {"label": label, "meaning": f"shows {label}", **more.get(label, {})} for label in labels}


def add_source(folder: Path, slug: str, loader: str = LOADER, **fields: Any) -> None:
    """Writes a loader and its card into a folder for ``--loaders``, at the end of its ledger."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{slug}.py").write_text(loader, encoding="utf-8")
    (folder / f"{slug}.md").write_text(card_text(**fields), encoding="utf-8")
    ledger = folder / "LEDGER"
    admitted = ledger.read_text(encoding="utf-8").split() if ledger.exists() else []
    ledger.write_text("\n".join(dict.fromkeys([*admitted, slug])) + "\n", encoding="utf-8")


def registry_of(folder: Path) -> Registry:
    """The sources of a folder alone: those of the package would only be slow here."""
    every = registry([folder])
    here = [path.stem for path in folder.glob("*.py")]
    return Registry({slug: source for slug, source in every.sources.items() if slug in here})


def noise(seed: str, size: tuple[int, int] = (12, 10), mode: str = "L") -> Image.Image:
    """A picture whose every pixel follows from ``seed``."""
    number = size[0] * size[1] * (3 if mode == "RGB" else 1)
    return Image.frombytes(mode, size, hashlib.shake_128(seed.encode()).digest(number))


def noise_bytes(seed: str, name: str, size: tuple[int, int] = (12, 10), mode: str = "L") -> bytes:
    stream = io.BytesIO()
    noise(seed, size, mode).save(stream, {"png": "PNG", "jpg": "JPEG", "bmp": "BMP"}[name.rpartition(".")[2]])
    return stream.getvalue()


def write_raw(
    folder: Path,
    rows: Iterable[Row],
    *,
    pictures: Mapping[str, bytes] | None = None,
    absent: Sequence[str] = (),
    size: tuple[int, int] = (12, 10),
    mode: str = "L",
) -> None:
    """Writes a table and the pictures that it names.

    ``pictures`` gives the content of some files; the content of the others follows from their names. Files that are
    ``absent`` are in the table alone.
    """
    rows = list(rows)
    folder.mkdir(parents=True, exist_ok=True)
    for name in dict.fromkeys(row.file for row in rows):
        if name not in absent:
            content = (pictures or {}).get(name) or noise_bytes(name, name, size, mode)
            (folder / name).write_bytes(content)
    with (folder / "table.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([field.name for field in fields(Row)])
        writer.writerows(astuple(row) for row in rows)


def plain_rows(number: int, labels: Sequence[str] = tuple(LABELS), suffix: str = "png") -> list[Row]:
    """Pictures without groups, labels in turn."""
    return [Row(f"picture {place:03d}.{suffix}", labels[place % len(labels)]) for place in range(number)]


def golden(name: str, value: object) -> tuple[object, object]:
    """Gives a value as JSON has it, and what ``tests/golden/<name>.json`` says; the two must be equal.

    ``test_hashing.py`` tells how to write the file anew.
    """
    path = Path(__file__).parent / "golden" / f"{name}.json"
    text = json.dumps(value, indent=1) + "\n"
    if os.environ.get("MED_MAT_WRITE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return json.loads(text), json.loads(path.read_text(encoding="utf-8"))


# Names, by how they begin, that libraries look up when they are imported; the process with the imports done would not
# see them changed.
_READ_AT_IMPORT = ("HF_", "HOME", "HUGGING", "PYTHON", "XDG_")


def _read_at_import() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(_READ_AT_IMPORT)}


_IMPORTED_UNDER = _read_at_import()


@cache
def _warm() -> subprocess.Popen[str]:
    script = Path(__file__).with_name("warm_command.py")
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-P", script], **pipes)


def med_mat(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs the command as a process of its own.

    The process is forked from one that has done the imports. It is the installed command where that would make a
    difference: where a test gives ``options`` beyond the folder to run in, or changes what imports depend on.
    """
    command = [str(argument) for argument in arguments]
    if options.keys() - {"cwd"} or _read_at_import() != _IMPORTED_UNDER:
        return installed(*command, **options)
    with tempfile.TemporaryDirectory() as streams:
        out, err = Path(streams, "out"), Path(streams, "err")
        out.touch()
        err.touch()
        request = {
            "arguments": command,
            "environment": dict(os.environ),
            "folder": str(options.get("cwd", Path.cwd())),
            "streams": streams,
        }
        server = _warm()
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        code = int(server.stdout.readline())
        return subprocess.CompletedProcess(["med-mat", *command], code, out.read_text(), err.read_text())


def installed(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs the installed command."""
    command = Path(sys.executable).with_name("med-mat")
    return subprocess.run([command, *map(str, arguments)], capture_output=True, text=True, **options)
