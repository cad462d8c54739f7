"""What a repository is to hold: shards by content, the published manifest, its version and the pages beside."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from med_mat.card import Card
from med_mat.configs import Config, configs, settled_splits
from med_mat.dataset_card import dataset_card
from med_mat.errors import LayoutError, MedMatError
from med_mat.hub.gate import Outgoing, Right, add_digests, digest_text
from med_mat.hub.remote import Stored, blob_hash
from med_mat.plan import SPLITS
from med_mat.schema import SCHEMA_VERSION
from med_mat.vocabulary import Redistribution

DATA = "data/"
MANIFEST = "manifest.json"
CHANGELOG = "CHANGELOG.md"
FIRST_VERSION = "1.0.0"
HUB = "https://huggingface.co/datasets"

ENTRY_FIELDS = (
    "rows",
    "splits",
    "labels",
    "groups",
    "samples",
    "missing",
    "left_out",
    "losses",
    "odd",
    "follow_an_earlier_source",
    "disputed",
    "withdrawn",
)
"""What the published manifest takes from the build's, of a source of which rows go out. Of others it has the right."""

Entry = dict[str, Any]
Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """What the repository is to hold.

    Attributes:
        version: Its version.
        shards: Path to SHA-256, of all shards.
        local: Path to file, of the shards that are at hand.
        pages: Path to text.
        overridden: Sources whose pictures go out by an override.
    """

    version: str
    shards: Mapping[str, str]
    local: Mapping[str, Outgoing]
    pages: Mapping[str, str]
    overridden: tuple[str, ...]

    def missing(self, files: Mapping[str, Stored]) -> list[Outgoing]:
        """Lists the shards that are not in a revision as they should be, in the order of paths.

        Raises:
            MedMatError: If one is not at hand either.
        """
        absent = [path for path, sha256 in sorted(self.shards.items()) if not _is(files.get(path), sha256)]
        lost = [path for path in absent if path not in self.local]
        if lost:
            raise MedMatError(
                f"{lost[0]}: the published manifest names it, the repository does not hold it, and this build has it "
                "not; build its source and push again"
            )
        return [self.local[path] for path in absent]

    def surplus(self, files: Mapping[str, Stored]) -> list[str]:
        """Lists the files under ``data/`` that should not be there."""
        return sorted(path for path in files if path.startswith(DATA) and path not in self.shards)

    def stale(self, files: Mapping[str, Stored]) -> list[str]:
        """Lists the pages that are missing or say something else."""
        return [path for path, text in self.pages.items() if not _page_is(files.get(path), text)]

    def reached(self, files: Mapping[str, Stored]) -> bool:
        """Tells whether a revision is as it should be."""
        return not (
            any(not _is(files.get(path), sha256) for path, sha256 in self.shards.items())
            or self.surplus(files)
            or self.stale(files)
        )

    def name(self, base: str) -> str:
        """Returns 12 hex digits that tell this change of this commit from any other."""
        told = [base, *sorted(self.shards.items()), *sorted(self.pages.items())]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]


def _is(stored: Stored | None, sha256: str) -> bool:
    return stored is not None and stored.lfs and stored.hash == sha256


def _page_is(stored: Stored | None, text: str) -> bool:
    if stored is None:
        return False
    data = text.encode()
    return stored.hash == (hashlib.sha256(data).hexdigest() if stored.lfs else blob_hash(data))


def source_entry(right: Right, built: Mapping[str, Any], shards: Sequence[Outgoing]) -> Entry:
    """Writes the published manifest's entry of a source.

    Args:
        right: What of it goes out.
        built: The entry of the build's manifest.
        shards: What goes out.

    Raises:
        LayoutError: If the build is of an older version.
    """
    entry: Entry = {"redistribution": right.declared, "serves": right.serves}
    if right.serves == "none":
        return entry
    absent = [name for name in ENTRY_FIELDS if name not in built]
    if absent:
        raise LayoutError(
            f"manifest.json of the build says nothing of {', '.join(absent)} of {right.slug}: an older version wrote "
            "it; run `med-mat build` again"
        )
    return {
        **entry,
        **{name: built[name] for name in ENTRY_FIELDS},
        "digest": _digest(shards),
        "shards": {shard.path: {"rows": shard.rows, "bytes": shard.bytes, "sha256": shard.sha256} for shard in shards},
    }


def _digest(shards: Sequence[Outgoing]) -> str:
    sums: dict[str, int] = {}
    for shard in shards:
        split = PurePosixPath(shard.path).name.split("-")[0]
        sums[split] = add_digests(sums.get(split, 0), [int(shard.digest, 16)])
    told = json.dumps({split: digest_text(total) for split, total in sums.items()}, sort_keys=True)
    return hashlib.blake2b(told.encode(), digest_size=16).hexdigest()


def discreet(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """Takes out of entries what they tell of sources of which nothing goes out.

    A disputed row names the row of another source and its labels. Where that source is not served, the row stays
    listed and what it names is empty.
    """
    known = {slug for slug, entry in entries.items() if entry["serves"] != "none"}

    def told(row: Sequence[str]) -> list[str]:
        name, other, said = row
        return [name, other, said] if other.partition("/")[0] in known else [name, "", ""]

    return {
        slug: {**entry, "disputed": {**entry["disputed"], "rows": [told(row) for row in entry["disputed"]["rows"]]}}
        if "disputed" in entry
        else entry
        for slug, entry in entries.items()
    }


def manifest_of(
    package: str, version: str, sources: Mapping[str, Entry], withdrawn: Mapping[str, str], allowed: Iterable[str]
) -> Manifest:
    """Writes the published manifest.

    Args:
        package: Version of this package.
        version: Version of the dataset.
        sources: Slug to entry.
        withdrawn: Slug to the version that withdrew it.
        allowed: Sources whose pictures are there by an override.
    """
    return {
        "med_mat": package,
        "schema": SCHEMA_VERSION,
        "version": version,
        "rows": sum(entry.get("rows", 0) for entry in sources.values()),
        "allowed_pixels": sorted(allowed),
        "withdrawn": dict(sorted(withdrawn.items())),
        "sources": dict(sorted(sources.items())),
    }


def served(manifest: Mapping[str, Any]) -> dict[str, Redistribution]:
    """Returns what a published manifest serves of each source."""
    return {slug: entry["serves"] for slug, entry in manifest["sources"].items()}


def published_configs(cards: Iterable[Card], manifest: Mapping[str, Any]) -> list[Config]:
    """Lists the configs of what a manifest serves: ``default`` has the rows with pixels.

    A config of one source comes first: whatever is asked for, datasets also looks up the files of the first config of
    a README, with one request for each of its folders (datasets 5.2, ``HubDatasetModuleFactory.get_module``).
    """
    serves = served(manifest)
    with_rows = [
        (card, [split for split in SPLITS if split in manifest["sources"][card.slug]["splits"]])
        for card in cards
        if serves.get(card.slug, "none") != "none"
    ]
    listed = configs(
        with_rows,
        with_pixels=[slug for slug, right in serves.items() if right == "images"],
        settled={card.slug: settled_splits(manifest["sources"][card.slug]) for card, _ in with_rows},
    )
    return sorted(listed, key=lambda config: config.name != with_rows[0][0].slug)


def pages_of(cards: Sequence[Card], manifest: Manifest, repo: str, changelog: str) -> dict[str, str]:
    """Writes what stands beside the shards.

    Args:
        cards: Cards of the manifest's sources, in order of admission.
        manifest: The published manifest.
        repo: The repository.
        changelog: Its changelog.

    Raises:
        MedMatError: If the packages that write them are not installed.
    """
    try:
        from med_mat.citations import bibtex, cff
        from med_mat.croissant import croissant
    except ModuleNotFoundError as error:
        raise MedMatError(f"{error.name} is missing; install med-mat[publish]") from error
    cards = [card for card in cards if card.slug in manifest["sources"]]
    serves = served(manifest)
    return {
        CHANGELOG: changelog,
        "CITATION.bib": bibtex(cards),
        "CITATION.cff": cff(cards, version=manifest["version"]),
        "README.md": dataset_card(published_configs(cards, manifest), cards, manifest, serves, repo=repo),
        "croissant.json": croissant(cards, manifest, serves, url=f"{HUB}/{repo}", version=manifest["version"]),
        MANIFEST: json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n",
    }


def changes(before: Manifest | None, after: Manifest) -> dict[str, list[str]]:
    """Names what differs between two published manifests.

    Returns:
        ``added``: sources whose rows are new; ``removed``: whose rows are gone; ``rows``: whose rows or pixels differ.
        ``columns`` holds one word if the schema changed.
    """
    old = {} if before is None else {slug: e for slug, e in before["sources"].items() if e["serves"] != "none"}
    new = {slug: entry for slug, entry in after["sources"].items() if entry["serves"] != "none"}
    return {
        "added": sorted(new.keys() - old.keys()),
        "removed": sorted(old.keys() - new.keys()),
        "rows": sorted(slug for slug in new.keys() & old.keys() if _rows(new[slug]) != _rows(old[slug])),
        "columns": ["schema"] if before is not None and before["schema"] != after["schema"] else [],
    }


def _rows(entry: Entry) -> tuple[str, str]:
    return entry["serves"], entry["digest"]


def next_version(before: Manifest | None, changed: Mapping[str, Sequence[str]]) -> str:
    """Counts the version up: major if a published row changes or goes, minor if sources come, else patch."""
    if before is None:
        return FIRST_VERSION
    major, minor, patch = map(int, before["version"].split("."))
    if changed["rows"] or changed["removed"] or changed["columns"]:
        return f"{major + 1}.0.0"
    return f"{major}.{minor + 1}.0" if changed["added"] else f"{major}.{minor}.{patch + 1}"


def changelog_with(old: str, version: str, changed: Mapping[str, Sequence[str]]) -> str:
    """Puts a version on top of a changelog."""
    said = {
        "added": "Sources added",
        "removed": "Sources removed",
        "rows": "Rows changed",
        "columns": "Columns changed",
    }
    lines = [f"- {text}: {', '.join(changed[kind])}" for kind, text in said.items() if changed[kind]]
    body = "\n".join(lines or ["- Pages or files changed, and no row"])
    earlier = old.removeprefix(_CHANGELOG_HEAD)
    return f"{_CHANGELOG_HEAD}\n## {version}\n\n{body}\n{earlier}"


_CHANGELOG_HEAD = "# Changes\n"


def read_manifest(text: str, repo: str) -> Manifest:
    """Reads a published manifest.

    Raises:
        MedMatError: If it is none.
    """
    try:
        manifest: Manifest = json.loads(text)
        for name in ("version", "schema", "sources", "withdrawn", "allowed_pixels"):
            manifest[name]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise MedMatError(
            f"{repo}: its {MANIFEST} is not one that `med-mat push` wrote ({error}); choose another repository, or "
            "put the file back as the last tag has it"
        ) from error
    return manifest
