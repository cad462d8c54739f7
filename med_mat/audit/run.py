"""The audit of a build: which pictures stand in it more than once, and whether that does harm."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from med_mat.audit.bands import bands
from med_mat.audit.collection import Album, Collection, fingerprint_array, read_collection
from med_mat.audit.compared import compared_file, ordered, read_compared, write_compared
from med_mat.audit.confirm import Agreement, compare
from med_mat.audit.contradictions import Spaces, disagreement
from med_mat.audit.lineage import Relation, relations
from med_mat.audit.near import NEAR, Candidate, connect, search
from med_mat.build import WORK, Progress
from med_mat.engine import run
from med_mat.registry import Registry

if TYPE_CHECKING:
    import duckdb

_PAIRS_IN_UNIT = 256

SAME_FILE, SAME_PIXELS, NEAR_DUPLICATE = "same file", "same pixels", "near duplicate"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures whose fingerprints are near, and what comparing their pixels said.

    Attributes:
        first: Number of the one in the collection.
        second: Number of the other.
        distance: Bits in which their fingerprints differ.
        orientation: Index in ``bands.ORIENTATIONS``.
        agreement: Of their pixels; None where those of either are not at hand.
    """

    first: int
    second: int
    distance: int
    orientation: int
    agreement: Agreement | None


@dataclass(frozen=True, slots=True)
class Member:
    """A picture of a family.

    Attributes:
        number: Its number in the collection.
        source: Slug.
        key: Name in the official release.
        id: Row id; None if it became no row.
        split: Split of the row.
        labels: Clean labels.
    """

    number: int
    source: str
    key: str
    id: str | None
    split: str | None
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Family:
    """Pictures that show the same.

    Attributes:
        members: In order of admission.
        how: ``SAME_FILE`` if all are one file, ``SAME_PIXELS`` if all have the same pixels, else ``NEAR_DUPLICATE``.
        splits: Splits in which rows of it stand.
        contradictions: Pairs of row ids that two sources answer differently, with the labels that exclude each other.
    """

    members: tuple[Member, ...]
    how: str
    contradictions: tuple[tuple[str, str, str], ...] = ()

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits in which rows of the family stand, sorted."""
        return tuple(sorted({member.split for member in self.members if member.split is not None}))

    @property
    def sources(self) -> tuple[str, ...]:
        """Sources that hold the picture, in order of admission."""
        return tuple(dict.fromkeys(member.source for member in self.members))


@dataclass(frozen=True, slots=True)
class Overlap:
    """What two sources share; pictures are counted in the first.

    Attributes:
        first: The source that was admitted first.
        second: The other.
        same_file: Pictures of the first whose very file stands in the second.
        same_pixels: Pictures of the first whose pixels, but not whose file, stand in the second.
        near: Pictures of the first of which a near duplicate, but no equal, stands in the second.
        groups: Patients, lesions or originals that both have.
        across_splits: Rows of the second that stand in another split than the same picture or group of the first.
        declared: Cards say so.
        relation: What they say, see ``lineage.relations``.
    """

    first: str
    second: str
    same_file: int = 0
    same_pixels: int = 0
    near: int = 0
    groups: int = 0
    across_splits: int = 0
    declared: bool = False
    relation: str = ""

    @property
    def pictures(self) -> int:
        """Pictures of the first that the second shows too."""
        return self.same_file + self.same_pixels + self.near


@dataclass(frozen=True)
class Audit:
    """What was found.

    Attributes:
        folder: The build.
        sources: Slug to number of pictures that decode.
        families: Pictures that show the same, those that do harm first.
        overlaps: Pairs of sources that share anything, or of which a card says so.
        torn_groups: Groups (hashed, as published, or with their namespace) whose rows stand in several splits.
        pairs: All near pairs that were compared.
        crowded: Meetings of pictures that so many others resemble that only the nearest were compared.
    """

    folder: Path
    sources: dict[str, int]
    families: tuple[Family, ...]
    overlaps: tuple[Overlap, ...]
    torn_groups: tuple[str, ...]
    pairs: tuple[Pair, ...]
    crowded: int
    lines: dict[int, dict[str, Any]] = field(repr=False, default_factory=dict)

    @property
    def leaks(self) -> tuple[Family, ...]:
        """Families whose rows stand in several splits."""
        return tuple(family for family in self.families if len(family.splits) > 1)

    @property
    def contradictions(self) -> tuple[Family, ...]:
        """Families of which two sources say what cannot both be true."""
        return tuple(family for family in self.families if family.contradictions)

    @property
    def undeclared(self) -> tuple[Overlap, ...]:
        """Pairs of sources that share pictures, of which no card says so."""
        return tuple(one for one in self.overlaps if not one.declared and one.pictures)

    @property
    def unseen(self) -> tuple[Overlap, ...]:
        """Pairs of sources that share nothing here, though a card says so: builds of slices, or a mistaken card."""
        return tuple(one for one in self.overlaps if not one.pictures and not one.groups)

    @property
    def unconfirmed(self) -> int:
        """Near pairs of which no pixels are at hand."""
        return sum(pair.agreement is None for pair in self.pairs)

    @property
    def exit_code(self) -> int:
        """1 if a picture or group stands in several splits, else 0."""
        return 1 if self.leaks or self.torn_groups else 0

    def as_dict(self) -> dict[str, Any]:
        """Returns what ``med-mat audit --json`` prints."""
        return {
            "sources": self.sources,
            "families": [
                {
                    "how": family.how,
                    "splits": family.splits,
                    "members": [
                        {name: value for name, value in asdict(member).items() if name != "number"}
                        for member in family.members
                    ],
                    "contradictions": family.contradictions,
                }
                for family in self.families
            ],
            "overlaps": [asdict(overlap) for overlap in self.overlaps],
            "undeclared": [[overlap.first, overlap.second] for overlap in self.undeclared],
            "unseen": [[overlap.first, overlap.second] for overlap in self.unseen],
            "torn_groups": self.torn_groups,
            "near_pairs": [
                {
                    "first": self.lines[pair.first]["id"] or self.lines[pair.first]["raw_path"],
                    "second": self.lines[pair.second]["id"] or self.lines[pair.second]["raw_path"],
                    "distance": pair.distance,
                    "detail": None if pair.agreement is None else round(pair.agreement.detail, 3),
                    "same": None if pair.agreement is None else pair.agreement.same,
                }
                for pair in self.pairs
            ],
            "candidates": len(self.pairs),
            "unconfirmed": self.unconfirmed,
            "crowded": self.crowded,
            "leaks": len(self.leaks),
            "contradictions": len(self.contradictions),
            "exit_code": self.exit_code,
        }


def audit(
    folder: Path,
    registry: Registry,
    *,
    raw: Path | None = None,
    workers: int = 1,
    near: int = NEAR,
    memory: str = "2GB",
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Audit:
    """Audits a build.

    Exact duplicates are rows with equal hashes. Near duplicates are found by fingerprints and confirmed by pixels,
    which are read from shards, or from raw roots for pictures that became no row.

    Args:
        folder: The build, with its work folder.
        registry: All sources.
        raw: Folder with a raw root per source; None compares only what stands in shards.
        workers: Number of processes that compare pixels.
        near: Bits in which fingerprints of a candidate pair differ at most.
        memory: Most memory that joins may take, as DuckDB reads it.
        cache: Where compressed tars and archives within archives were unpacked.
        progress: Told how far the audit is.

    Raises:
        LayoutError: If the folder is no build with its work folder.
        MedMatError: If DuckDB is not installed.
    """
    telling = progress or _Silent()
    collection = read_collection(folder, registry)
    database = connect(folder / WORK / "audit", memory=memory, threads=workers)
    database.register("pictures", collection.pictures)
    candidates, crowded = _candidates(collection, database, near, telling)
    pairs = _compared(collection, candidates, raw, workers, cache, telling)
    confirmed = [(pair.first, pair.second) for pair in pairs if pair.agreement is not None and pair.agreement.same]
    families, lines = _families(collection, confirmed)
    for pair in pairs:
        for number in (pair.first, pair.second):
            lines.setdefault(number, _line(collection, number))
    return Audit(
        folder=folder,
        sources={card.slug: _count(collection, card.slug) for card in collection.cards},
        families=families,
        overlaps=_overlaps(collection, families, database, relations([source.card for source in registry])),
        torn_groups=_torn_groups(database),
        pairs=pairs,
        crowded=crowded,
        lines=lines,
    )


class _Silent:
    def start(self, stage: str, total: int) -> None:
        """Says nothing."""

    def advance(self, number: int) -> None:
        """Says nothing."""


def _count(collection: Collection, slug: str) -> int:
    return int(pc.sum(pc.equal(collection.pictures["source"], slug)).as_py() or 0)


def _line(collection: Collection, number: int) -> dict[str, Any]:
    line: dict[str, Any] = collection.pictures.slice(number, 1).drop_columns(["fingerprints"]).to_pylist()[0]
    return line


def _candidates(
    collection: Collection,
    database: duckdb.DuckDBPyConnection,
    near: int,
    progress: Progress,
) -> tuple[list[Candidate], int]:
    """Near pairs among the first pictures of each pixel hash, by their numbers in the collection."""
    lines = database.execute(
        "SELECT min(number) AS number FROM pictures WHERE octet_length(fingerprints) > 0 GROUP BY pixel_hash ORDER BY 1"
    ).fetchnumpy()
    first = np.asarray(lines["number"], np.int64)
    if len(first) < 2:
        return [], 0
    prints = fingerprint_array(collection.pictures["fingerprints"].take(pa.array(first)))
    progress.start("search", len(bands()))
    found = search(prints, near=near, connection=database, progress=progress.advance)
    numbered = [
        Candidate(
            int(first[one.first]),
            int(first[one.second]),
            one.distance,
            one.first_window,
            one.second_window,
            one.orientation,
        )
        for one in found.candidates
    ]
    return numbered, found.crowded


@dataclass(frozen=True)
class _Unit:
    album: Album
    candidates: tuple[Candidate, ...]
    lines: dict[int, dict[str, Any]]


def _compare_unit(unit: _Unit) -> tuple[int, list[tuple[Candidate, Agreement]]]:
    images = unit.album.load(unit.lines.values())
    found = [
        (
            one,
            compare(
                images[one.first],
                images[one.second],
                orientation=one.orientation,
                first_window=one.first_window,
                second_window=one.second_window,
            ),
        )
        for one in unit.candidates
        if one.first in images and one.second in images
    ]
    return len(unit.candidates), found


def _compared(
    collection: Collection,
    candidates: Sequence[Candidate],
    raw: Path | None,
    workers: int,
    cache: Path | None,
    progress: Progress,
) -> tuple[Pair, ...]:
    """Compares what no earlier audit has compared, and keeps what it finds out."""
    path = compared_file(collection.folder / WORK)
    known = read_compared(path)
    hashes = collection.pictures["pixel_hash"]

    def names(one: Candidate) -> tuple[str, str]:
        return ordered(hashes[one.first].as_py(), hashes[one.second].as_py())

    fresh = [one for one in candidates if names(one) not in known]
    progress.start("compare", len(fresh))
    for number, found in run(_compare_unit, _units(collection, fresh, raw, cache), workers):
        known.update((names(one), agreement) for one, agreement in found)
        progress.advance(number)
    write_compared(path, known)
    pairs = [Pair(one.first, one.second, one.distance, one.orientation, known.get(names(one))) for one in candidates]
    return tuple(sorted(pairs, key=lambda pair: (pair.distance, pair.first, pair.second)))


def _units(
    collection: Collection, candidates: Sequence[Candidate], raw: Path | None, cache: Path | None
) -> Iterator[_Unit]:
    cards = {card.slug: card for card in collection.cards}
    # Pictures of one shard lie side by side in the collection, so a unit reads few shards.
    in_order = sorted(candidates, key=lambda one: (one.first, one.second))
    for start in range(0, len(in_order), _PAIRS_IN_UNIT):
        chosen = tuple(in_order[start : start + _PAIRS_IN_UNIT])
        numbers = sorted({number for one in chosen for number in (one.first, one.second)})
        lines = {number: _line(collection, number) for number in numbers}
        yield _Unit(Album(collection.folder, raw, cards, cache), chosen, lines)


def _families(
    collection: Collection, confirmed: Iterable[tuple[int, int]]
) -> tuple[tuple[Family, ...], dict[int, dict[str, Any]]]:
    pictures = collection.pictures
    hashes = pictures.select(["number", "pixel_hash"]).filter(pc.invert(pictures["one_colour"]))
    encoded = hashes["pixel_hash"].combine_chunks().dictionary_encode().indices.to_numpy()
    numbers = hashes["number"].to_numpy()
    class_of = dict(zip(numbers.tolist(), encoded.tolist(), strict=True))
    parent: dict[int, int] = {}

    def root(node: int) -> int:
        while parent.setdefault(node, node) != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for one, other in confirmed:
        parent[root(class_of[one])] = root(class_of[other])
    counts = np.bincount(encoded) if len(encoded) else np.zeros(0, np.int64)
    linked = set(parent)
    members: dict[int, list[int]] = defaultdict(list)
    for number, name in class_of.items():
        if counts[name] > 1 or name in linked:
            members[root(name)].append(number)
    families, lines = [], {}
    spaces: Spaces = {}
    for together in members.values():
        if len(together) > 1:
            mine = {number: _line(collection, number) for number in sorted(together)}
            lines.update(mine)
            families.append(_family(collection, list(mine.values()), spaces))
    # What does harm comes first, then what is large.
    families.sort(key=lambda family: (len(family.splits) < 2, not family.contradictions, -len(family.members)))
    return tuple(families), lines


def _family(collection: Collection, lines: Sequence[dict[str, Any]], spaces: Spaces) -> Family:
    members = tuple(
        Member(line["number"], line["source"], line["key"], line["id"], line["split"], tuple(line["labels"] or ()))
        for line in lines
    )
    if len({(line["raw_sha256"], line["frame"]) for line in lines}) == 1:
        how = SAME_FILE
    else:
        how = SAME_PIXELS if len({line["pixel_hash"] for line in lines}) == 1 else NEAR_DUPLICATE
    contradictions = []
    for one, other in combinations(members, 2):
        if one.source != other.source and one.id is not None and other.id is not None:
            said = disagreement(
                one.labels, collection.card(one.source), other.labels, collection.card(other.source), spaces
            )
            if said is not None:
                contradictions.append((one.id, other.id, said))
    return Family(members, how, tuple(contradictions))


def _overlaps(
    collection: Collection,
    families: Sequence[Family],
    database: duckdb.DuckDBPyConnection,
    known: Mapping[tuple[str, str], Relation],
) -> tuple[Overlap, ...]:
    order = {card.slug: number for number, card in enumerate(collection.cards)}
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for one, other, how, number in database.execute(_SHARED_SQL).fetchall():
        counts[_sorted(one, other, order)][how] += number
    for family in families:
        for one, other in combinations(family.sources, 2):
            firsts = [member for member in family.members if member.source == one]
            seconds = [member for member in family.members if member.source == other]
            tally = counts[_sorted(one, other, order)]
            tally["pictures"] += len(firsts)
            placed = {member.split for member in firsts if member.split is not None}
            tally["across"] += sum(member.split is not None and bool(placed - {member.split}) for member in seconds)
    for pair, relation in known.items():
        # What only follows from other cards need not be there, so it is named only where something was found.
        if relation.direct and pair[0] in order and pair[1] in order:
            counts.setdefault(pair, Counter())
    return tuple(
        Overlap(
            first=one,
            second=other,
            same_file=tally["file"],
            same_pixels=tally["pixels"] - tally["file"],
            near=tally["pictures"] - tally["pixels"],
            groups=tally["group"],
            across_splits=tally["across"],
            declared=(one, other) in known,
            relation=known[one, other].why if (one, other) in known else "",
        )
        for (one, other), tally in sorted(counts.items(), key=lambda item: [order[slug] for slug in item[0]])
    )


_SHARED_SQL = """
WITH shown AS (SELECT * FROM pictures WHERE NOT one_colour),
pixels AS (SELECT DISTINCT pixel_hash AS what, source FROM shown),
files AS (SELECT DISTINCT raw_sha256 || ':' || coalesce(frame, -1) AS what, source FROM shown),
groups AS (SELECT DISTINCT "group" AS what, source FROM pictures WHERE "group" IS NOT NULL),
first_of AS (SELECT source, min(number) AS place FROM pictures GROUP BY source)
SELECT a.source, b.source, 'pixels', count(*)
FROM shown a JOIN pixels b ON a.pixel_hash = b.what
JOIN first_of f ON f.source = a.source JOIN first_of s ON s.source = b.source
WHERE f.place < s.place GROUP BY ALL
UNION ALL
SELECT a.source, b.source, 'file', count(*)
FROM shown a JOIN files b ON a.raw_sha256 || ':' || coalesce(a.frame, -1) = b.what
JOIN first_of f ON f.source = a.source JOIN first_of s ON s.source = b.source
WHERE f.place < s.place GROUP BY ALL
UNION ALL
SELECT a.source, b.source, 'group', count(*)
FROM groups a JOIN groups b ON a.what = b.what
JOIN first_of f ON f.source = a.source JOIN first_of s ON s.source = b.source
WHERE f.place < s.place GROUP BY ALL
"""


def _sorted(one: str, other: str, order: dict[str, int]) -> tuple[str, str]:
    return (one, other) if order[one] <= order[other] else (other, one)


def _torn_groups(database: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    lines = database.execute(
        'SELECT "group" FROM pictures WHERE split IS NOT NULL AND "group" IS NOT NULL '
        "GROUP BY 1 HAVING count(DISTINCT split) > 1 ORDER BY 1"
    ).fetchall()
    return tuple(line[0] for line in lines)
