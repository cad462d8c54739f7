"""Looks at a build from outside: is every picture file of the raw roots a row, or listed with a reason?"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

Place = tuple[str, int | None]

UNREADABLE = "unreadable"

# Kinds of oddity that stand for a file which is there and is no row.
STANDS_FOR_A_FILE = {"unread_file", "unknown_label", "no_label", "key_clash", "duplicate_sample"}
_PICTURE = re.compile(
    r".*\.(avi|bmp|dcm|dicom|gif|jfif|jp2|jpe?g|mp4|nii(\.gz)?|p[bgnp]m|png|tiff?|webp)\s*", re.I | re.DOTALL
)


def unaccounted(build: Path, raw: Path | None = None) -> list[str]:
    """Says, one sentence each, what a build lost without a word; nothing if all is accounted for.

    Args:
        build: The folder, with its ``manifest.json``, ``.med-mat`` and ``data``.
        raw: Folder of raw roots. Picture files of the roots that are plain folders are counted on the disk too.
    """
    manifest = json.loads((build / "manifest.json").read_text(encoding="utf-8"))
    problems = []
    for slug, entry in manifest["sources"].items():
        problems += [f"{slug}: {problem}" for problem in _of_source(build, slug, entry)]
        if raw is not None and (raw / slug).is_dir():
            problems += [f"{slug}: {problem}" for problem in _on_disk(raw / slug, _summary(build, slug))]
    folders = {path.name for path in (build / "data").glob("*")}
    if folders != {slug for slug, entry in manifest["sources"].items() if entry["rows"]}:
        problems.append(f"data/ holds {sorted(folders)}, the manifest tells of {sorted(manifest['sources'])}")
    if manifest["rows"] != sum(entry["rows"] for entry in manifest["sources"].values()):
        problems.append(f"{manifest['rows']} rows in all is not the sum of the sources")
    return problems


def _summary(build: Path, slug: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((build / ".med-mat" / "index" / f"{slug}.json").read_text(encoding="utf-8"))
    return found


def _places(build: Path, stage: str, slug: str) -> Counter[Place]:
    table = pq.read_table(build / ".med-mat" / stage / f"{slug}.parquet", columns=["raw_path", "frame"])
    return Counter((line["raw_path"], line["frame"]) for line in table.to_pylist())


def _masks(build: Path, slug: str) -> set[str]:
    lines = pq.read_table(build / ".med-mat" / "index" / f"{slug}.parquet", columns=["region_files"]).to_pylist()
    return {mask["path"] for line in lines for mask in line["region_files"] or ()}


def _of_source(build: Path, slug: str, entry: dict[str, Any]) -> Iterator[str]:
    summary = _summary(build, slug)
    index, scan, plan = (_places(build, stage, slug) for stage in ("index", "scan", "plan"))

    # Files of the raw root: in the index, or listed, or counted with a reason.
    indexed = {path for path, _ in index if _PICTURE.fullmatch(path)}
    masks = {path for path in _masks(build, slug) - indexed if _PICTURE.fullmatch(path)}
    odd = {line["path"] for line in summary["odd"] if line["kind"] in STANDS_FOR_A_FILE}
    listed = {path for path in odd - indexed - masks if _PICTURE.fullmatch(path)}
    counted = sum(summary["left_out"].values())
    if summary["files"] != len(indexed) + len(masks) + len(listed) + counted:
        yield (
            f"{summary['files']} picture files, but {len(indexed)} in the index with {len(masks)} masks, {len(listed)} "
            f"listed as odd and {counted} counted as left out"
        )
    if (entry["files"], entry["samples"], index.total()) != (
        summary["files"],
        summary["samples"]["total"],
        summary["samples"]["total"],
    ):
        yield "the manifest's numbers of files and samples are not those of the index"
    if entry["missing"] != summary["missing"]["total"]:
        yield "the manifest's number of missing pictures is not that of the index"

    # Samples: rows, or lost with a reason.
    if set(index) != set(scan) or max(index.values(), default=1) > 1:
        yield "index and scan are not of the same pictures"
    lost = index - plan
    reasons = Counter(entry["left_out"]) - Counter(summary["left_out"])
    if plan - index or lost.total() != reasons.total():
        yield f"{lost.total()} samples are no rows, and {reasons.total()} are counted with a reason: {dict(reasons)}"
    named = {path for path, _, _ in entry["losses"]}
    errors = _errors(build, slug)
    if set(errors) & set(plan) or errors.total() != reasons[UNREADABLE]:
        yield f"{errors.total()} pictures do not decode, {reasons[UNREADABLE]} are counted as such"
    if named and not {path for path, _ in errors} <= named:
        yield f"not decoded and not named: {sorted({path for path, _ in errors} - named)}"
    kinds = Counter(line["kind"] for line in summary["odd"] if not line["declared"])
    if any(entry["undeclared"].get(kind) != number for kind, number in kinds.items()):
        yield "the manifest does not count what the index lists"

    # Rows: in the shards, each once.
    rows: list[dict[str, Any]] = []
    for name, shard in entry["shards"].items():
        data = (build / name).read_bytes()
        if (len(data), hashlib.sha256(data).hexdigest()) != (shard["bytes"], shard["sha256"]):
            yield f"{name} is not the file of the manifest"
        rows += pq.read_table(build / name, columns=["id", "image", "pixel_hash"]).to_pylist()
    planned = pq.read_table(build / ".med-mat" / "plan" / f"{slug}.parquet", columns=["id"])["id"].to_pylist()
    if sorted(row["id"] for row in rows) != sorted(planned) or len(set(planned)) != len(planned):
        yield f"{len(rows)} rows in the shards, {len(planned)} planned, {len(set(planned))} ids"
    if not entry["rows"] == len(rows) == sum(entry["splits"].values()):
        yield f"the manifest tells of {entry['rows']} rows, the shards hold {len(rows)}"
    if not all(row["image"]["bytes"] for row in rows):
        yield "a row has no picture"


def _errors(build: Path, slug: str) -> Counter[Place]:
    table = pq.read_table(build / ".med-mat" / "scan" / f"{slug}.parquet", columns=["raw_path", "frame", "error"])
    return Counter((line["raw_path"], line["frame"]) for line in table.to_pylist() if line["error"] is not None)


def _on_disk(root: Path, summary: dict[str, Any]) -> Iterator[str]:
    """Counts the pictures of a root that holds no archive, junk apart."""
    found = [path.relative_to(root) for path in root.rglob("*") if path.is_file()]
    if any(re.search(r"\.(zip|tar|t?gz|7z|rar)$", path.name, re.I) for path in found):
        return
    pictures = {
        str(path)
        for path in found
        if _PICTURE.fullmatch(path.name) and not any(part.startswith((".", "__MACOSX")) for part in path.parts)
    }
    skipped = {line["path"] for line in summary["odd"] if line["kind"] == "skipped_file"}
    unreadable = {name for name in pictures if not _is_utf8(name)} | (pictures & skipped)
    if summary["files"] != len(pictures) - len(unreadable) or len(skipped) < len(unreadable):
        yield f"{len(pictures)} picture files on the disk, {summary['files']} found, {len(skipped)} skipped"


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
