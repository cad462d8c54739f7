"""Upstream's question files as rows: for those who have them and move over."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from med_mat.errors import ImageError, LayoutError, MedMatError
from med_mat.files import replacing
from med_mat.hashing import row_id
from med_mat.questions.ask import LETTERS, MAX_OPTIONS
from med_mat.registry import Registry
from med_mat.schema import ROW, features
from med_mat.vocabulary import CatalogueRow, catalogue, subsets

KEYS = ("id", "caption", "image", "Question", "Answer", "Question-choice", "Answer-choice", "data-no")
FOLDER = "med-mat"
_OPTION = re.compile(r"([A-Z]): ?(.*)", re.DOTALL)
_BATCH = 100
_NAMED = 10


@dataclass
class Imported:
    """What became of upstream's items.

    Attributes:
        rows: Number of rows by source.
        left_out: Reason to number of items that became no row.
        named: Reason to the first items by name.
        unplaced: Title folder to number of items whose source is not known.
        without_picture: Number of rows whose picture was not found, of those looked for.
    """

    rows: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    named: dict[str, list[str]] = field(default_factory=dict)
    unplaced: Counter[str] = field(default_factory=Counter)
    without_picture: int = 0

    def leave_out(self, reason: str, name: str) -> None:
        """Counts an item, and keeps the names of the first."""
        self.left_out[reason] += 1
        names = self.named.setdefault(reason, [])
        if len(names) < _NAMED:
            names.append(name)


class _RefusedError(Exception):
    """An item that becomes no row, and why."""


def import_upstream(
    files: Sequence[Path],
    out: Path,
    registry: Registry,
    *,
    titles: Mapping[str, str] | None = None,
    images: Path | None = None,
) -> Imported:
    """Reads upstream's question files into rows, one Parquet file for each.

    Upstream published training questions alone, and no pictures. What its files do not tell is null: group, hashes
    and sizes, unless the pictures are there. Ids are not those of a build, since upstream's paths hold wrapper
    folders; with pictures, ``raw_sha256`` joins the two.

    Args:
        files: Question files (``ori--02-train.json``, ``Subset--02-train.json``).
        out: Folder to write; ``load_dataset`` reads it as it lies.
        registry: Sources with their cards, for the true triplet.
        titles: Upstream's title folder to source, where the catalogue's number (``data-no``) is missing or wrong.
        images: The folder that holds upstream's ``med-mat`` folder, or that folder itself.

    Returns:
        What became of the items.

    Raises:
        LayoutError: If a file is no list of upstream's items, or ``images`` holds no picture of a file.
        MedMatError: If ``titles`` names a source that the catalogue does not have, or two files have one name.
    """
    slugs = {str(row.number): row for row in catalogue().values()}
    titles = dict(titles or {})
    unknown = sorted(set(titles.values()) - set(catalogue()))
    if unknown:
        raise MedMatError(f"titles: {', '.join(unknown)} is no source of the catalogue; `med-mat sources` lists them")
    names = Counter(path.stem for path in files)
    twice = sorted(name for name, number in names.items() if number > 1)
    if twice:
        raise MedMatError(f"{twice[0]}.json is given twice, from different folders; import them into different folders")
    done = Imported()
    facts = _Facts(registry)
    schema = features().arrow_schema
    for path in files:
        with (
            replacing(out / f"{path.stem}.parquet") as partial,
            pq.ParquetWriter(partial, schema, compression="zstd") as writer,
        ):
            batch: list[dict[str, Any]] = []
            for item in _items(path):
                row = _row(path, item, slugs, titles, facts, images, done)
                if row is None:
                    continue
                batch.append(row)
                if len(batch) == _BATCH:
                    writer.write_table(pa.Table.from_pylist(batch, schema=schema))
                    batch = []
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
    if images is not None and done.without_picture and done.without_picture == sum(done.rows.values()):
        raise LayoutError(
            f"{images}: none of {done.without_picture:,} pictures is there; expected upstream's folders below "
            f"{images / FOLDER}, such as {FOLDER}/<title folder>/…"
        )
    return done


def _items(path: Path) -> Iterator[Mapping[str, Any]]:
    import ijson

    number = 0
    try:
        with path.open("rb") as stream:
            for number, item in enumerate(ijson.items(stream, "item"), start=1):
                lacking = [key for key in KEYS if not isinstance(item, dict) or key not in item]
                if lacking:
                    raise LayoutError(
                        f"{path}: item {number} is none of upstream's: it lacks {', '.join(map(repr, lacking))}"
                    )
                yield item
    except ijson.JSONError as error:
        raise LayoutError(f"{path}: not JSON after item {number}: {error}") from error
    if not number:
        raise LayoutError(f"{path}: expected a list of upstream's items, found none")


def _row(
    path: Path,
    item: Mapping[str, Any],
    numbers: Mapping[str, CatalogueRow],
    titles: Mapping[str, str],
    facts: _Facts,
    images: Path | None,
    done: Imported,
) -> dict[str, Any] | None:
    place = PurePosixPath(str(item["image"]))
    parts = place.parts[1:] if place.parts[:1] == (FOLDER,) else place.parts
    name = f"{path.name}, id {item['id']}"
    if len(parts) < 2 or ".." in parts or place.is_absolute():
        done.leave_out("its image is no path below a title folder", name)
        return None
    entry = catalogue()[titles[parts[0]]] if parts[0] in titles else numbers.get(str(item["data-no"]))
    if entry is None:
        done.unplaced[parts[0]] += 1
        return None
    try:
        question = _question(item)
    except _RefusedError as refused:
        done.leave_out(str(refused), name)
        return None
    picture: dict[str, Any] = {}
    if images is not None:
        found = _picture(images, parts)
        if isinstance(found, str):
            done.leave_out(found, name)
            return None
        picture = found
        done.without_picture += not found
    done.rows[entry.slug] += 1
    identity = row_id(entry.slug, f"upstream:{item['image']}:{item['id']}", None)
    if picture:
        extension = "jpg" if picture["image"]["bytes"][:2] == b"\xff\xd8" else "png"
        picture["image"]["path"] = f"{identity.split('/')[1]}.{extension}"
    row: dict[str, Any] = {
        **facts.of(entry),
        "id": identity,
        **question,
        "labels": [str(item["caption"])],
        "key": "/".join(parts[1:]),
        **picture,
    }
    return {column.name: row.get(column.name) for column in ROW}


def _question(item: Mapping[str, Any]) -> dict[str, Any]:
    lines = str(item["Question-choice"]).split("\n")
    options: list[str] = []
    # From the end, since a question may have several lines: the instruction, then the options.
    end = len(lines) - 1
    while end and (match := _OPTION.fullmatch(lines[end - 1])):
        options.insert(0, match[2])
        end -= 1
    letters = [line[0] for line in lines[end:-1]]
    if not 2 <= len(options) <= MAX_OPTIONS or letters != list(LETTERS[: len(options)]):
        raise _RefusedError("its choice form does not list two to four options, A to D")
    letter = str(item["Answer-choice"]).strip()
    if letter not in letters:
        raise _RefusedError("its right letter is none of its options")
    answer = options[letters.index(letter)]
    if answer.strip() != str(item["Answer"]).strip():
        raise _RefusedError("the option of its right letter is not its answer")
    return {
        "question": "\n".join(lines[:end]),
        "options": options,
        "answer": answer,
        "answer_index": letters.index(letter),
        "more_questions": [],
    }


def _picture(images: Path, parts: Sequence[str]) -> dict[str, Any] | str:
    """Reads a picture as a build would; empty if it is not there, the reason if it is none."""
    from med_mat.images import examine, publish

    for folder in (images / FOLDER, images):
        path = folder.joinpath(*parts)
        if path.is_file():
            break
    else:
        return {}
    data = path.read_bytes()
    try:
        seen = examine(data)
        published = publish(data)
    except ImageError as error:
        return f"its picture does not decode: {error}"
    return {
        "image": {"bytes": published, "path": None},
        "raw_sha256": hashlib.sha256(data).hexdigest(),
        "pixel_hash": seen.pixel_hash,
        "perceptual_hash": seen.perceptual_hash,
        "width": seen.facts.width,
        "height": seen.facts.height,
    }


class _Facts:
    """What is the same for all rows of a source."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._known: dict[str, dict[str, Any]] = {}

    def of(self, entry: CatalogueRow) -> dict[str, Any]:
        if entry.slug not in self._known:
            self._known[entry.slug] = self._find(entry)
        return self._known[entry.slug]

    def _find(self, entry: CatalogueRow) -> dict[str, Any]:
        card = self._registry[entry.slug].card if entry.slug in self._registry else None
        subset = subsets()[entry.subset]
        return {
            "objects": [],
            "mask_labels": [],
            "kind": entry.kind,
            "source": entry.slug,
            "subset": entry.subset,
            "modality": card.modality if card else subset.modality,
            "anatomy": card.anatomy if card else entry.anatomy,
            "task": card.task if card else entry.task,
            "task_elements": list(subset.elements),
            "published_modality": entry.modality,
            "published_anatomy": entry.anatomy,
            "published_task": entry.task,
            "licence": (card.licence.spdx or card.licence.name) if card else entry.spdx or "not settled",
        }
