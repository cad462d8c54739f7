"""Index: every sample of a raw root with clean labels, and everything odd about it. Opens no picture."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from med_mat.annotations import named_labels, raw_labels, region_files, to_json
from med_mat.card import Card, Label
from med_mat.columns import Lines, Rows, absent_from, give_back, lines_of, reordered, taken, texts_of, whole
from med_mat.errors import CardError, LayoutError, MedMatError
from med_mat.raw import Copy, RawFile, RawRoot, canonical_name
from med_mat.raw.listing import Files, Texts
from med_mat.raw.patterns import compile_patterns
from med_mat.registry import Source
from med_mat.sample import ClassMask, Sample
from med_mat.schema import INDEX, Extra, clean_extra

_PICTURE_NAME = re.compile(
    r".*\.(avi|bmp|dcm|dicom|gif|jfif|jp2|jpe?g|mp4|nii(\.gz)?|p[bgnp]m|png|tiff?|webp)\s*", re.IGNORECASE | re.DOTALL
)
_PACKED = frozenset((".gif", ".gz", ".jfif", ".jp2", ".jpeg", ".jpg", ".png", ".webp"))
NO_SPLIT = "none"
_LONGEST = 1_000
_REMEMBERED = 4_096
_NO_EXTRA = clean_extra({})[0]


@dataclass(frozen=True, slots=True)
class Oddity:
    """Something about a raw root that a correct download, as the card describes it, may or may not hold.

    Attributes:
        kind: One of the card's defect kinds, or ``unknown_label``, which no card can declare.
        path: Path in the raw root; for files that are not there, their key.
        detail: What was expected and what was found.
        declared: The card's ``known_defects`` expect it.
    """

    kind: str
    path: str
    detail: str
    declared: bool = False


@dataclass
class Tally:
    """Numbers of pictures by clean label and by official split (``none`` where there is none)."""

    total: int = 0
    by_label: Counter[str] = field(default_factory=Counter)
    by_split: Counter[str] = field(default_factory=Counter)
    by_split_and_label: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, labels: Iterable[str], split: str | None) -> None:
        """Counts one picture."""
        name = split or NO_SPLIT
        self.total += 1
        self.by_split[name] += 1
        in_split = self.by_split_and_label.setdefault(name, Counter())
        for label in labels:
            self.by_label[label] += 1
            in_split[label] += 1

    def remove(self, labels: Iterable[str], split: str | None) -> None:
        """Takes back one picture that was counted; what has none left is not named any more."""
        name = split or NO_SPLIT
        self.total -= 1
        in_split = self.by_split_and_label[name]
        for label in labels:
            _take_one(self.by_label, label)
            _take_one(in_split, label)
        _take_one(self.by_split, name)
        if name not in self.by_split:
            del self.by_split_and_label[name]

    def as_dict(self) -> dict[str, Any]:
        """Returns plain, sorted dictionaries."""
        return {
            "total": self.total,
            "by_label": dict(sorted(self.by_label.items())),
            "by_split": dict(sorted(self.by_split.items())),
            "by_split_and_label": {
                split: dict(sorted(labels.items())) for split, labels in sorted(self.by_split_and_label.items())
            },
        }


def _take_one(counts: Counter[str], name: str) -> None:
    counts[name] -= 1
    if not counts[name]:
        del counts[name]


@dataclass(frozen=True)
class Index:
    """What a loader found in a raw root.

    Attributes:
        slug: The source.
        table: One line per sample, columns of ``schema.INDEX``, in the order of key and frame.
        found: Samples whose file is there.
        missing: Pictures that a label file names and that are not there.
        groups: Number of distinct groups among the samples found.
        files: Picture files in the raw root.
        left_out: Reason to number of picture files or samples that are knowingly no rows.
        odd: Everything odd, in order of kind and path.
        card: The source's card.
    """

    slug: str
    table: pa.Table
    found: Tally
    missing: Tally
    groups: int
    files: int
    left_out: Mapping[str, int]
    odd: tuple[Oddity, ...]
    card: Card

    @property
    def undeclared(self) -> tuple[Oddity, ...]:
        """Oddities that the card does not declare."""
        return tuple(oddity for oddity in self.odd if not oddity.declared)

    @property
    def exit_code(self) -> int:
        """0 if nothing odd is undeclared, else 1."""
        return 1 if self.undeclared else 0

    def as_dict(self) -> dict[str, Any]:
        """Returns what ``med-mat index --json`` prints."""
        return {
            "slug": self.slug,
            "samples": self.found.as_dict(),
            "missing": self.missing.as_dict(),
            "groups": self.groups,
            "files": self.files,
            "left_out": dict(sorted(self.left_out.items())),
            "odd": [asdict(oddity) for oddity in self.odd],
            "exit_code": self.exit_code,
        }


def is_picture(file: RawFile) -> bool:
    """Tells by its name whether a file holds pictures."""
    return _PICTURE_NAME.fullmatch(file.name) is not None


def index_source(source: Source, raw: RawRoot, *, allow_missing: bool = False) -> Index:
    """Runs a loader over a raw root and cleans what it yields by the card.

    Args:
        source: Loader and card.
        raw: The source's raw root.
        allow_missing: The root is a slice of a download: pictures that a label file names and that are not there
            are counted, not odd, and there may be fewer pictures of a label than the card expects.

    Raises:
        LayoutError: If the root does not look like the official download.
        CardError: If the card is wrong.
    """
    card = source.card
    collector = _Collector(card, allow_missing)
    try:
        for sample in source.samples(raw):
            collector.add(sample)
    except MedMatError:
        raise
    except OSError as error:
        raise LayoutError(f"{source.slug}: {raw.location} cannot be read: {error}") from error
    except Exception as error:
        raise LayoutError(
            f"{source.slug}: the loader stopped at something that the official download does not have in "
            f"{raw.location}: {type(error).__name__}: {error}"
        ) from error
    return collector.finish(raw)


class _Collector:
    """Takes samples one by one, and keeps nothing of them but columns."""

    def __init__(self, card: Card, allow_missing: bool) -> None:
        self.card = card
        self.allow_missing = allow_missing
        self.rows = Rows(INDEX)
        self.found, self.missing = Tally(), Tally()
        self.left_out: Counter[str] = Counter()
        self.odd: list[Oddity] = []
        self.claimed = Texts()  # files of samples that are no rows
        self.masks = Texts()  # those whose names are of pictures
        self.any_mask = False
        self.folded = _unique_but_for_case(card)
        self.uncounted: set[str] = set()
        self.cleaned: dict[tuple[str, ...], tuple[list[str], bool]] = {}

    def note(self, kind: str, path: object, detail: str) -> None:
        # A cell of a table may hold a novel.
        self.odd.append(Oddity(kind, str(path), detail if len(detail) <= _LONGEST else f"{detail[:_LONGEST]} …"))

    def add(self, sample: Sample) -> None:
        image = sample.image
        if sample.regions and not self.card.has_regions:
            raise CardError(
                f"{self.card.slug}: kind {self.card.kind} has no regions, and the loader gives some of {image.path}"
            )
        labels, known = self._looked_up(sample.labels)
        if not known or sample.uncertain or sample.regions:
            named = dict.fromkeys(raw_labels(sample.regions))
            known = self._known(sample, [*sample.labels, *sample.uncertain, *named])
            if not known:
                labels = []
        if len(labels) > 1 and self.card.kind == "classification":
            raise CardError(
                f"{self.card.slug}: kind classification means one label a picture, {image.path} has "
                f"{len(labels)}: {', '.join(labels)}; kind: multilabel allows several"
            )
        masks = list(region_files(sample.regions))
        named_once = self._tallied(sample, labels)
        for mask in masks:
            if not mask.missing:
                self.any_mask = True
                if is_picture(mask):
                    self.masks.append(str(mask.path))
        if image.missing:
            self.missing.add(named_once, sample.split)
            if not self.allow_missing:
                self.note("missing_image", image.key, "a label file names it; it is not in the raw root")
            return
        if not self._makes_row(sample, labels, known, masks):
            self.claimed.append(str(image.path))
            return
        extra, misunderstood = clean_extra(sample.extra) if sample.extra else (_NO_EXTRA, ())
        for detail in misunderstood:
            self.note("extra", image.path, detail)
        self.rows.append(self._row(sample, labels, extra))
        self.found.add(named_once, sample.split)

    def _makes_row(self, sample: Sample, labels: Sequence[str], known: bool, masks: Sequence[RawFile]) -> bool:
        if not known:
            return False
        # A picture without labels is a negative of a source of regions; one whose label is none is no sample there too.
        if not labels and (sample.labels or not self.card.has_regions):
            self._leave_out(sample)
            return False
        if any(mask.missing for mask in masks):
            self._note_missing_masks(sample)
            return False
        return True

    def _looked_up(self, labels: Sequence[str]) -> tuple[list[str], bool]:
        """Clean labels of raw ones, and whether the card knows them all."""
        raw = tuple(labels)
        found = self.cleaned.get(raw)
        if found is None:
            if len(self.cleaned) == _REMEMBERED:
                self.cleaned.clear()
            found = self.cleaned[raw] = (self._clean(raw), all(self._entry(label) is not None for label in raw))
        return found

    def _known(self, sample: Sample, labels: Iterable[str]) -> bool:
        unknown = [label for label in labels if self._entry(label) is None]
        for label in unknown:
            self.note(
                "unknown_label",
                sample.image.path,
                f"label {label!r} is not in the card; it has: {', '.join(map(repr, self.card.labels))}",
            )
        return not unknown

    def _entry(self, label: str) -> Label | None:
        # Folders become labels, and copies of a release differ in the case of their folders' names.
        return self.card.labels.get(label) or self.folded.get(label.casefold())

    def _clean(self, labels: Iterable[str]) -> list[str]:
        clean = (entry.label for label in labels if (entry := self._entry(label)) is not None)
        return list(dict.fromkeys(label for label in clean if label is not None))

    def _leave_out(self, sample: Sample) -> None:
        if sample.labels:
            entry = self._entry(sample.labels[0])
            meaning = entry.meaning if entry is not None else ""
            self.left_out[f"label {', '.join(map(repr, sample.labels))} is no label: {meaning}"] += 1
        else:
            self.note("no_label", sample.image.path, "the sample has no label")

    def _tallied(self, sample: Sample, labels: list[str]) -> list[str]:
        """Labels that a picture counts for; those of class masks are known to the scan only."""
        if not sample.regions:
            return labels
        found = list(labels)
        for annotation in sample.regions:
            names = self._clean(raw_labels([annotation]))
            if isinstance(annotation, ClassMask):
                self.uncounted.update(names)
            else:
                found += names
        return list(dict.fromkeys(found))

    def _note_missing_masks(self, sample: Sample) -> None:
        self.left_out["its mask is not in the raw root"] += 1
        if self.allow_missing:
            return
        for mask in dict.fromkeys(region_files(sample.regions)):
            if mask.missing:
                self.note("missing_mask", mask.key, f"the mask of {sample.image.path}; it is not in the raw root")

    def _clean_region(self, label: str) -> str | None:
        entry = self._entry(label)
        if entry is not None and entry.no_finding:
            raise CardError(f"{self.card.slug}: label {label!r} says that nothing was found, and no region can bear it")
        return None if entry is None else entry.label

    def _regions(self, sample: Sample) -> tuple[str | None, list[dict[str, Any]] | None]:
        if not self.card.has_regions:
            return None, None
        return (
            to_json(sample.regions, self._clean_region),
            [
                {"path": str(mask.path), "size": mask.size, "mtime_ns": mask.mtime_ns}
                for mask in dict.fromkeys(region_files(sample.regions))
            ],
        )

    def _row(self, sample: Sample, labels: list[str], extra: Extra) -> tuple[Any, ...]:
        image = sample.image
        return (
            str(image.path),
            str(image.key) if sample.key is None else sample.key,
            sample.frame,
            sorted(labels) if self.card.kind == "multilabel" else labels,
            [label for label in self._clean(sample.uncertain) if label not in labels] if sample.uncertain else [],
            sample.split,
            f"{self._namespace}:{sample.group}" if sample.group else None,
            [f"{self.card.slug}:{tie}" for tie in sample.ties],
            image.size,
            image.mtime_ns,
            extra,
            *self._regions(sample),
        )

    @property
    def _namespace(self) -> str:
        groups = self.card.groups
        return self.card.slug if groups is None or groups.namespace is None else groups.namespace

    def finish(self, raw: RawRoot) -> Index:
        pictures = _pictures(raw)
        table = self.rows.table()
        claimed = pa.chunked_array([self.claimed.take(), *table["raw_path"].cast(pa.large_string()).chunks])
        if self.missing.total and not len(claimed) and not self.any_mask and len(pictures):
            raise LayoutError(
                f"{self.card.slug}: none of the {self.missing.total} pictures that the label files name is in "
                f"{raw.location}, which holds {len(pictures)} others, such as {pictures[0].path}. Expected: the "
                f"layout of the official download ({self.card.homepage})"
            )
        order = self._order(table)
        give_back()
        masks = self._count_idle_masks(table["region_files"], order, claimed)
        claimed = pa.chunked_array([*claimed.chunks, masks])
        copies = self._note_copies(raw, claimed)
        claimed = pa.concat_arrays([*claimed.chunks, copies])
        self._note_unread(pictures, claimed)
        del claimed, masks, copies
        give_back()
        columns = table.columns
        del table
        table = reordered(columns, INDEX, order)
        for skipped in raw.skipped:
            self.note("skipped_file", skipped.path, skipped.reason)
        self._note_counts()
        return Index(
            slug=self.card.slug,
            table=table,
            found=self.found,
            missing=self.missing,
            groups=pc.count_distinct(table["group"], mode="only_valid").as_py(),
            files=len(pictures),
            left_out=self.left_out,
            odd=tuple(sorted(declare(self.card, self.odd), key=lambda oddity: (oddity.kind, oddity.path))),
            card=self.card,
        )

    def _order(self, table: pa.Table) -> Lines:
        """Lines of samples in the order of key and frame; one that has both of an earlier one is odd, and no row."""
        lines = np.arange(table.num_rows)
        places = pa.table({"key": table["key"], "frame": pc.fill_null(table["frame"], -1), "line": lines})
        order = pc.sort_indices(places, sort_keys=[(name, "ascending") for name in places.column_names]).to_numpy()
        order = order.astype(np.int64)
        again = np.zeros(len(order), bool)
        if len(order) > 1:
            keys, frames = whole(places["key"]).take(pa.array(order)), whole(places["frame"]).to_numpy()[order]
            again[1:] = pc.equal(keys[1:], keys[:-1]).to_numpy(zero_copy_only=False) & (frames[1:] == frames[:-1])
        first = np.maximum.accumulate(np.where(again, 0, np.arange(len(order))))
        # Told in the order in which the loader gave them.
        later = sorted(zip(order[again].tolist(), order[first[again]].tolist(), strict=True))
        for start in range(0, len(later), _REMEMBERED):
            some = np.array(later[start : start + _REMEMBERED])
            rows = [lines_of(table, column).to_pylist() for column in some.T]
            for row, earlier in zip(*rows, strict=True):
                self._note_second(earlier, row)
        kept: Lines = order[~again]
        return kept

    def _note_second(self, earlier: dict[str, Any], row: dict[str, Any]) -> None:
        if earlier["raw_path"] != row["raw_path"]:
            what = f"has the key of {earlier['raw_path']}"
        else:
            what = f"is named a second time, with labels {row['labels']} and split {row['split']}; kept:"
        self.note(
            "duplicate_sample",
            row["raw_path"],
            f"{what} labels {earlier['labels']}, split {earlier['split']}",
        )
        regions = () if row["regions"] is None else named_labels(row["regions"])
        self.found.remove(dict.fromkeys([*row["labels"], *regions]), row["split"])

    def _count_idle_masks(self, region_files: pa.ChunkedArray, rows: Lines, claimed: pa.ChunkedArray) -> pa.Array:
        masks = self.masks.take().unique()
        if len(masks):
            files = pc.list_flatten(taken(region_files, rows))
            used = pa.chunked_array([*claimed.chunks, files.field("path").cast(pa.large_string())])
            idle = len(masks) - pc.sum(pc.is_in(masks, value_set=used)).as_py()
            if idle:
                self.left_out["mask of a picture that is no sample or not in the raw root"] += idle
        return masks

    def _note_copies(self, raw: RawRoot, claimed: pa.ChunkedArray) -> pa.Array:
        copies = raw.copies
        others = pa.array([str(copy.other.path) for copy in copies], pa.large_string())
        if not copies:
            return others
        for copy, known in zip(copies, pc.is_in(others, value_set=claimed).to_pylist(), strict=True):
            if _same_file(raw, copy):
                # Another pattern of the loader may have found it under a key of its own.
                if is_picture(copy.other) and not known:
                    self.left_out["second copy of the same file in the raw root"] += 1
            else:
                self.note(
                    "key_clash",
                    copy.other.path,
                    f"{copy.other.size} bytes, {copy.kept.path} under the same key {copy.kept.key} has "
                    f"{'others' if copy.kept.size == copy.other.size else copy.kept.size}; the latter is read",
                )
        return others

    def _note_unread(self, pictures: Files, claimed: pa.Array) -> None:
        known = [(_matcher(entry.paths), entry.why) for entry in self.card.unread]
        paths = pictures.paths
        for path in texts_of(paths.take(pa.array(absent_from(paths, claimed)))):
            for matches, why in known:
                if matches(path):
                    self.left_out[why] += 1
                    break
            else:
                self.note("unread_file", path, "a picture that is no sample, and the card does not say why")

    def _note_counts(self) -> None:
        for label, expected in self.card.counts.items():
            number = self.found.by_label[label]
            if label in self.uncounted or number == expected or (self.allow_missing and number < expected):
                continue
            self.note("count", label, f"expected {expected} pictures of {label!r}, found {number}")


def _pictures(raw: RawRoot) -> Files:
    fullmatch = _PICTURE_NAME.fullmatch
    named = (fullmatch(key.rpartition("/")[2]) is not None for key in raw.files.names())
    return raw.files.some(np.flatnonzero(np.fromiter(named, bool)))


def _same_file(raw: RawRoot, copy: Copy) -> bool:
    """Tells whether two files of one key are one file twice.

    Two different pictures of a compressed format rarely have one length, and never all those of a release. Pictures
    of other formats mostly have, and are compared.
    """
    if copy.kept.size != copy.other.size:
        return False
    if {copy.kept.suffix, copy.other.suffix} <= _PACKED:
        return True
    try:
        return raw.read(copy.kept) == raw.read(copy.other)
    except (MedMatError, OSError):
        return False  # not known to be the same


def _unique_but_for_case(card: Card) -> dict[str, Label]:
    folded = [label.casefold() for label in card.labels]
    return {label.casefold(): entry for label, entry in card.labels.items() if folded.count(label.casefold()) == 1}


def _matcher(patterns: Sequence[str]) -> Callable[[str], bool]:
    expression = compile_patterns(patterns)
    return lambda path: expression.fullmatch(canonical_name(path)) is not None


def declare(card: Card, odd: Iterable[Oddity]) -> list[Oddity]:
    """Marks the oddities that the card expects, and sorts them by kind and path."""
    defects = [(defect, _matcher(defect.paths or ["*"])) for defect in card.known_defects]
    seen: Counter[int] = Counter()
    declared = []
    for oddity in sorted(odd, key=lambda oddity: (oddity.kind, oddity.path)):
        known = False
        for number, (defect, matches) in enumerate(defects):
            if defect.kind == oddity.kind and matches(oddity.path):
                seen[number] += 1
                known = defect.count is None or seen[number] <= defect.count
                break
        declared.append(replace(oddity, declared=known))
    return declared
