"""Index: every sample of a raw root with clean labels, and everything odd about it. Opens no picture."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa

from med_mat.annotations import raw_labels, region_files, to_json
from med_mat.card import Card, Label
from med_mat.errors import CardError, LayoutError, MedMatError
from med_mat.raw import Copy, RawFile, RawRoot, canonical_name
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
    def __init__(self, card: Card, allow_missing: bool) -> None:
        self.card = card
        self.allow_missing = allow_missing
        self.rows: dict[tuple[str, int], dict[str, Any]] = {}
        self.found, self.missing = Tally(), Tally()
        self.left_out: Counter[str] = Counter()
        self.odd: list[Oddity] = []
        self.claimed: set[PurePosixPath] = set()
        self.masks: dict[PurePosixPath, RawFile] = {}
        self.folded = _unique_but_for_case(card)
        self.uncounted: set[str] = set()

    def note(self, kind: str, path: object, detail: str) -> None:
        # A cell of a table may hold a novel.
        self.odd.append(Oddity(kind, str(path), detail if len(detail) <= _LONGEST else f"{detail[:_LONGEST]} …"))

    def add(self, sample: Sample) -> None:
        image = sample.image
        if sample.regions and not self.card.has_regions:
            raise CardError(
                f"{self.card.slug}: kind {self.card.kind} has no regions, and the loader gives some of {image.path}"
            )
        named = dict.fromkeys(raw_labels(sample.regions))
        known = self._known(sample, [*sample.labels, *sample.uncertain, *named])
        labels = self._clean(sample.labels) if known else []
        if len(labels) > 1 and self.card.kind == "classification":
            raise CardError(
                f"{self.card.slug}: kind classification means one label a picture, {image.path} has "
                f"{len(labels)}: {', '.join(labels)}; kind: multilabel allows several"
            )
        masks = list(region_files(sample.regions))
        named_once = self._tallied(sample, labels)
        self.masks.update({mask.path: mask for mask in masks if not mask.missing})
        if image.missing:
            self.missing.add(named_once, sample.split)
            if not self.allow_missing:
                self.note("missing_image", image.key, "a label file names it; it is not in the raw root")
            return
        self.claimed.add(image.path)
        if not known:
            return
        # A picture without labels is a negative of a source of regions; one whose label is none is no sample there too.
        if not labels and (sample.labels or not self.card.has_regions):
            self._leave_out(sample)
            return
        if any(mask.missing for mask in masks):
            self._note_missing_masks(sample)
            return
        key = str(image.key) if sample.key is None else sample.key
        extra, misunderstood = clean_extra(sample.extra)
        for detail in misunderstood:
            self.note("extra", image.path, detail)
        row = self._row(sample, key, labels, extra)
        place = (key, -1 if sample.frame is None else sample.frame)
        earlier = self.rows.get(place)
        if earlier is not None:
            self._note_second(earlier, row)
            return
        self.rows[place] = row
        self.found.add(named_once, sample.split)

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

    def _tallied(self, sample: Sample, labels: Sequence[str]) -> list[str]:
        """Labels that a picture counts for; those of class masks are known to the scan only."""
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

    def _regions(self, sample: Sample) -> dict[str, Any]:
        if not self.card.has_regions:
            return {"regions": None, "region_files": None}
        return {
            "regions": to_json(sample.regions, self._clean_region),
            "region_files": [
                {"path": str(mask.path), "size": mask.size, "mtime_ns": mask.mtime_ns}
                for mask in dict.fromkeys(region_files(sample.regions))
            ],
        }

    def _row(self, sample: Sample, key: str, labels: list[str], extra: Extra) -> dict[str, Any]:
        return {
            "raw_path": str(sample.image.path),
            "key": key,
            "frame": sample.frame,
            "labels": sorted(labels) if self.card.kind == "multilabel" else labels,
            "uncertain": [label for label in self._clean(sample.uncertain) if label not in labels],
            "split": sample.split,
            "group": f"{self._namespace}:{sample.group}" if sample.group else None,
            "ties": [f"{self.card.slug}:{tie}" for tie in sample.ties],
            "size": sample.image.size,
            "mtime_ns": sample.image.mtime_ns,
            "extra": extra,
            **self._regions(sample),
        }

    @property
    def _namespace(self) -> str:
        groups = self.card.groups
        return self.card.slug if groups is None or groups.namespace is None else groups.namespace

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

    def finish(self, raw: RawRoot) -> Index:
        pictures = [file for file in raw.files if is_picture(file)]
        if self.missing.total and not self.claimed and not self.masks and pictures:
            raise LayoutError(
                f"{self.card.slug}: none of the {self.missing.total} pictures that the label files name is in "
                f"{raw.location}, which holds {len(pictures)} others, such as {pictures[0].path}. Expected: the "
                f"layout of the official download ({self.card.homepage})"
            )
        self._count_idle_masks()
        self._note_copies(raw)
        self._note_unread(pictures)
        for skipped in raw.skipped:
            self.note("skipped_file", skipped.path, skipped.reason)
        self._note_counts()
        rows = [self.rows[place] for place in sorted(self.rows)]
        return Index(
            slug=self.card.slug,
            table=pa.Table.from_pylist(rows, schema=INDEX),
            found=self.found,
            missing=self.missing,
            groups=len({row["group"] for row in rows if row["group"] is not None}),
            files=len(pictures),
            left_out=self.left_out,
            odd=tuple(sorted(declare(self.card, self.odd), key=lambda oddity: (oddity.kind, oddity.path))),
            card=self.card,
        )

    def _count_idle_masks(self) -> None:
        used = {mask["path"] for row in self.rows.values() for mask in row["region_files"] or ()}
        for path, mask in self.masks.items():
            if path not in self.claimed and str(path) not in used and is_picture(mask):
                self.left_out["mask of a picture that is no sample or not in the raw root"] += 1
        self.claimed.update(self.masks)

    def _note_copies(self, raw: RawRoot) -> None:
        for copy in raw.copies:
            known = copy.other.path in self.claimed
            self.claimed.add(copy.other.path)
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

    def _note_unread(self, pictures: Iterable[RawFile]) -> None:
        known = [(_matcher(entry.paths), entry.why) for entry in self.card.unread]
        for file in pictures:
            if file.path in self.claimed:
                continue
            for matches, why in known:
                if matches(str(file.path)):
                    self.left_out[why] += 1
                    break
            else:
                self.note("unread_file", file.path, "a picture that is no sample, and the card does not say why")

    def _note_counts(self) -> None:
        for label, expected in self.card.counts.items():
            number = self.found.by_label[label]
            if label in self.uncounted or number == expected or (self.allow_missing and number < expected):
                continue
            self.note("count", label, f"expected {expected} pictures of {label!r}, found {number}")


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
