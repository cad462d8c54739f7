"""Cards: the single home of what is known of a source, as YAML front matter and prose."""

from __future__ import annotations

import re
import reprlib
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import unquote

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from med_mat.errors import CardError
from med_mat.raw.names import member_path
from med_mat.raw.patterns import compile_patterns
from med_mat.vocabulary import Kind, Redistribution, load_yaml, subsets, vocabulary

Access = Literal["open", "login", "request-form", "competition-rules", "credentialed"]
Platform = Literal[
    "dataverse",
    "figshare",
    "github",
    "github_release",
    "huggingface",
    "kaggle",
    "kaggle_competition",
    "manual",
    "mendeley",
    "physionet",
    "url",
    "zenodo",
]
OfficialSplits = Literal["kept", "void", "none"]
DrawnOn = Literal["displayed", "stored"]
PathIds = Literal["plain", "pseudonymous", "private"]
DefectKind = Literal[
    "contradiction",
    "copy",
    "count",
    "duplicate_sample",
    "extra",
    "key_clash",
    "missing_image",
    "missing_mask",
    "no_label",
    "region",
    "skipped_file",
    "unread_file",
    "unreadable_image",
]

# Cuts while it goes: what is repeated by aliases may be long beyond all memory when written out.
_SHORT = reprlib.Repr()
_SHORT.maxlevel = 2
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80
_PLACE_IDS = {
    "dataverse": r"10[.]\d+/\S+",
    "figshare": r"\d+",
    "github": r"[\w.-]+/[\w.-]+",
    "github_release": r"[\w.-]+/[\w.-]+@\S+",
    "huggingface": r"[\w.-]+/[\w.-]+",
    "kaggle": r"[\w.-]+/[\w.-]+",
    "kaggle_competition": r"[a-z0-9-]+",
    "mendeley": r"[a-z0-9]{10}/\d+",
    "physionet": r"[a-z0-9-]+/[\d.]+",
    "zenodo": r"\d+",
}
MOST_REGION_LABELS = 255
"""Values of an 8-bit label map beside that of the background."""

_CLEAN_LABEL = re.compile(r"[^\s;|]+( [^\s;|]+)*")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _word(kind: Literal["modalities", "anatomies", "tasks"]) -> BeforeValidator:
    def check(value: object) -> object:
        allowed = getattr(vocabulary(), kind)
        if not isinstance(value, str) or value not in allowed:
            raise ValueError(f"{value!r} is not in the vocabulary; allowed: {', '.join(allowed)}")
        return value

    return BeforeValidator(check)


def _single_line(value: object) -> object:
    if isinstance(value, str) and ("\n" in value or value != value.strip() or not value):
        raise ValueError("must be one line without blanks at its ends")
    return value


Line = Annotated[str, BeforeValidator(_single_line)]


def _pattern(value: str) -> str:
    compile_patterns([value])
    return value


Pattern = Annotated[Line, AfterValidator(_pattern)]


class Published(_Model):
    """The MAT triplet as the paper's table prints it."""

    modality: Line
    anatomy: Line
    task: Line


class Licence(_Model):
    """Under which terms the source is offered, and what tells so."""

    name: Line
    spdx: Line | None = None
    url: Line | None = None
    evidence: Line


class PlaceFile(_Model):
    """A file that a place offers; where a card gives a bare text, that is its name.

    ``name`` is the path below the raw root. ``url`` is where it is, for places of plain addresses. Checksums and
    ``bytes`` are those that the owner publishes, or that somebody who has the file has measured.
    """

    name: Line
    url: Annotated[Line, Field(pattern=r"^https?://[^\s/]+/\S+$")] | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    md5: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None
    bytes: int | None = Field(default=None, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        if isinstance(value, str):
            return {"name": value}
        if isinstance(value, dict) and "name" not in value and isinstance(value.get("url"), str):
            return {**value, "name": unquote(value["url"].split("?")[0].rstrip("/").rpartition("/")[2])}
        return value

    @model_validator(mode="after")
    def _inside(self) -> Self:
        if member_path(self.name)[1] is not None or "\\" in self.name:
            raise ValueError(f"{self.name!r} is not a path below the raw root")
        return self


class Place(_Model):
    """One place that offers the official download, or a part of it.

    ``id`` is what the platform calls it: ``owner/name`` (Kaggle, GitHub, Hugging Face), ``owner/name@tag``
    (a release on GitHub), the name of a competition, the number of a record (Zenodo, figshare), a DOI (Dataverse),
    ``id/version`` (Mendeley Data, PhysioNet). ``files`` are those that are needed; all if left out. ``steps`` say
    what a person does where no program may. ``size_bytes`` is what is known of the size, rounded.

    A place with ``alternative`` stands in for the last one before it that has none; the others make up the
    download together.
    """

    platform: Platform
    id: Line | None = None
    url: Annotated[Line, Field(pattern=r"^https?://\S+$")] | None = None
    files: list[PlaceFile] = []
    steps: list[Line] = []
    size_bytes: int | None = Field(default=None, ge=1)
    alternative: bool = False
    note: Line | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        pattern = _PLACE_IDS.get(self.platform)
        if pattern is not None and (self.id is None or not re.fullmatch(pattern, self.id)):
            raise ValueError(f"platform {self.platform}: id must match {pattern}; found {self.id!r}")
        if pattern is None and self.id is not None:
            raise ValueError(f"platform {self.platform} has no id; give url")
        if self.platform == "url" and not (self.files and all(file.url for file in self.files)):
            raise ValueError("platform url: files must be listed, each with its url")
        if self.platform == "manual" and not (self.url and self.steps):
            raise ValueError("platform manual: needs url and steps")
        if self.platform != "manual" and self.steps:
            raise ValueError(f"platform {self.platform}: steps are for platform manual")
        return self


class Download(_Model):
    """Where the official download is and what it consists of: in words, and as places that a program can use."""

    where: Line
    id: Line | None = None
    files: list[Line] = []
    size: Line | None = None
    how: Line
    places: list[Place] = []

    @model_validator(mode="after")
    def _begins(self) -> Self:
        if self.places and self.places[0].alternative:
            raise ValueError("places: the first one is no alternative to anything")
        return self

    @property
    def parts(self) -> tuple[tuple[Place, ...], ...]:
        """What makes up the download: for each part its place and the alternatives to it."""
        found: list[list[Place]] = []
        for place in self.places:
            if place.alternative:
                found[-1].append(place)
            else:
                found.append([place])
        return tuple(tuple(part) for part in found)


class Label(_Model):
    """A clean label, and how it stands to the other labels of its subset.

    ``label: null`` marks a raw value that is no label: its pictures are left out and counted.
    """

    label: Line | None
    meaning: Line
    count: int | None = Field(default=None, ge=0)
    no_finding: bool = False
    is_a: list[Line] = []
    same_as: list[Line] = []
    overlaps: list[Line] = []

    @model_validator(mode="after")
    def _clean(self) -> Self:
        for text in (self.label, *self.is_a, *self.same_as, *self.overlaps):
            if text is not None and not _CLEAN_LABEL.fullmatch(text):
                raise ValueError(f"{text!r}: a label is words with single blanks between, without ';' and '|'")
        if self.label is None and (self.no_finding or self.is_a or self.same_as or self.overlaps):
            raise ValueError("a value that is no label has no relations")
        if self.label is not None and self.label in (*self.is_a, *self.same_as, *self.overlaps):
            raise ValueError(f"{self.label!r} is related to itself")
        return self


class Groups(_Model):
    """What must stay on one side of a split.

    ``namespace`` is shared by the sources of one lineage, so that they agree on a patient's side.
    """

    of: Line
    namespace: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")] | None = None
    how: Line


class Defect(_Model):
    """An oddity that a correct download holds: expected, and counted."""

    kind: DefectKind
    paths: list[Pattern] = []
    count: int | None = Field(default=None, ge=1)
    why: Line


class Unread(_Model):
    """Picture files of the release that are no samples of this source, and why."""

    paths: Annotated[list[Pattern], Field(min_length=1)]
    why: Line


class Lineage(_Model):
    """Slugs of sources whose pictures this one holds, and of those that it was drawn from."""

    contains: list[Line] = []
    drawn_from: list[Line] = []


class Evidence(_Model):
    """A fact and where it can be read."""

    fact: Line
    where: Line


class Card(_Model):
    """What is known of a source. Every field is described in ``docs/adding-a-source.md``."""

    slug: Annotated[str, Field(pattern=r"^[a-z0-9]+(_[a-z0-9]+)*$")]
    number: int | None = Field(default=None, ge=1)
    title: Line
    kind: Kind
    subset: Annotated[str, Field(pattern=r"^\d\d$")] | None = None
    modality: Annotated[str, _word("modalities")]
    anatomy: Annotated[str, _word("anatomies")]
    task: Annotated[str, _word("tasks")]
    published: Published | None = None
    homepage: Line
    version: Line | None = None
    download: Download
    download_of: Line | None = None
    access: Access
    licence: Licence
    redistribution: Redistribution
    citation: Annotated[str, Field(min_length=1)]
    labels: Annotated[dict[str, Label], Field(min_length=1)]
    groups: Groups | None = None
    official_splits: OfficialSplits
    official_splits_reason: Line | None = None
    no_test_split: Line | None = None
    overlap_priority: list[Line] = []
    smallest_region: float | None = Field(default=None, gt=0, lt=1)
    drawn_on: DrawnOn | None = None
    path_ids: PathIds
    known_defects: list[Defect] = []
    unread: list[Unread] = []
    lineage: Lineage = Lineage()
    burnt_in_text: Line | None = None
    identifying_text: bool = False
    instructions: list[Line] = []
    presence: Line | None = None
    errata: list[Line] = []
    evidence: list[Evidence] = []
    prose: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.slug in ("default", "everything") or self.slug.startswith(("subset_", "modality_", "anatomy_")):
            raise ValueError(f"slug: {self.slug!r} is the name of a config of several sources; choose another")
        if self.official_splits == "void" and not self.official_splits_reason:
            raise ValueError("official_splits: void needs official_splits_reason")
        if self.subset is not None and self.subset not in subsets():
            raise ValueError(f"subset: {self.subset!r} is not one of 01 to {len(subsets())}")
        if self.identifying_text and (self.redistribution == "images" or self.burnt_in_text is None):
            raise ValueError(
                "identifying_text: pictures that bear names or dates are not passed on, whatever the licence allows: "
                "redistribution must be annotations or none, and burnt_in_text must say what is seen"
            )
        if not self.citation.lstrip().startswith("@"):
            raise ValueError("citation: must be a BibTeX entry, which starts with '@'")
        if self.subset is None and not self.instructions:
            raise ValueError("instructions: a source outside the 53 subsets brings its own questions")
        if self.presence is not None and re.findall("[{][^}]*[}]?|[}]", self.presence) != ["{label}"]:
            raise ValueError("presence: must hold {label} once and no other braces")
        if not self.clean_labels:
            raise ValueError("labels: no raw value has a clean label")
        if not self.has_regions and (self.overlap_priority or self.smallest_region or self.drawn_on):
            raise ValueError("overlap_priority, smallest_region, drawn_on: for kinds detection and segmentation only")
        strange = [label for label in self.overlap_priority if label not in self.region_labels]
        if strange or len(set(self.overlap_priority)) != len(self.overlap_priority):
            raise ValueError(f"overlap_priority: clean labels, each once; found {self.overlap_priority}")
        if self.has_regions and not 1 <= len(self.region_labels) <= MOST_REGION_LABELS:
            raise ValueError(f"labels: one to {MOST_REGION_LABELS} of regions, found {len(self.region_labels)}")
        return self

    @property
    def clean_labels(self) -> tuple[str, ...]:
        """Clean labels in the card's order, each once."""
        return tuple(dict.fromkeys(entry.label for entry in self.labels.values() if entry.label is not None))

    @property
    def has_regions(self) -> bool:
        """Whether the source has boxes or masks."""
        return self.kind in ("detection", "segmentation")

    @property
    def region_labels(self) -> tuple[str, ...]:
        """Clean labels that a region can bear: all but those of no finding. Value i of a mask is the i-th of them."""
        nothing = {entry.label for entry in self.labels.values() if entry.no_finding}
        return tuple(label for label in self.clean_labels if label not in nothing)

    @property
    def counts(self) -> dict[str, int]:
        """Expected number of pictures by clean label, for the labels whose every raw value has a count."""
        totals: dict[str, int] = {}
        unknown: set[str] = set()
        for entry in self.labels.values():
            if entry.label is None:
                continue
            if entry.count is None:
                unknown.add(entry.label)
            else:
                totals[entry.label] = totals.get(entry.label, 0) + entry.count
        return {label: total for label, total in totals.items() if label not in unknown}

    @property
    def published_triplet(self) -> Published:
        """The triplet of the published table; the true one for a source that the table does not have."""
        return self.published or Published(
            modality=vocabulary().modalities[self.modality], anatomy=self.anatomy, task=self.task
        )

    @property
    def raw_slug(self) -> str:
        """Name of the folder that holds the source's raw root."""
        return self.download_of or self.slug


def parse_card(text: str, slug: str) -> Card:
    """Reads a card.

    Args:
        text: The file: ``---``, YAML, ``---``, prose.
        slug: The file's name without extension.

    Raises:
        CardError: With one line per problem, each naming card, field and what is allowed.
    """
    parts = re.split(r"^---[ \t]*$\n?", text, maxsplit=2, flags=re.MULTILINE)
    if len(parts) != 3 or parts[0].strip():
        raise CardError(f"card {slug}: must begin with YAML front matter between two lines of '---'")
    try:
        front = load_yaml(parts[1])
    # PyYAML lets through what Python says of impossible dates, overlong numbers and nesting.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise CardError(f"card {slug}: front matter is not YAML: {error}") from error
    if not isinstance(front, dict):
        raise CardError(f"card {slug}: front matter must be a mapping of fields, found {type(front).__name__}")
    if not parts[2].strip():
        raise CardError(f"card {slug}: no prose after the front matter; tell people what the source is")
    try:
        return Card.model_validate({**front, "slug": slug, "prose": parts[2].strip()})
    except ValidationError as error:
        problems = []
        for problem in error.errors():
            field = ".".join(str(step) for step in problem["loc"]) or "(whole card)"
            told = problem["type"] != "missing" and problem["loc"]
            found = f"; found {_SHORT.repr(problem['input'])}" if told else ""
            problems.append(f"card {slug}, field {field}: {problem['msg']}{found}")
        raise CardError("\n".join(problems)) from error


def read_card(path: Path) -> Card:
    """Reads the card of one file.

    Raises:
        CardError: As ``parse_card``; also when the file is not UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CardError(f"card {path.stem}: must be UTF-8: {error}") from error
    return parse_card(text, path.stem)
