"""The controlled words of the MAT triplet, the 53 published subsets and the 109 rows of the published table."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal, cast

import yaml

Kind = Literal["classification", "multilabel", "detection", "segmentation"]
Redistribution = Literal["images", "annotations", "none"]


def load_yaml(text: str) -> object:
    """Parses YAML with the C parser where PyYAML has it: a hundred cards are read at every start."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(text, Loader=loader)


@dataclass(frozen=True, slots=True)
class Subset:
    """One of the 53 published groups of sources.

    Attributes:
        number: Two digits, ``"01"`` to ``"53"``.
        title: As published, spelling kept.
        modality: Modality code, as published.
        area: Anatomical area, as published.
        kind: Kind of label, as published.
        elements: Coarse task words under which the paper's tables use the subset.
    """

    number: str
    title: str
    modality: str
    area: str
    kind: Kind
    elements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CatalogueRow:
    """One of the 109 rows of the published table, with what is known of its licence before a card settles it.

    Attributes:
        number: Row number, from 1.
        slug: The source's name everywhere in this project.
        title: Title of the dataset.
        kind: Kind of label.
        modality: Modality, as published.
        anatomy: Anatomical area, as published.
        task: Task, as published.
        subset: Number of the subset, two digits.
        download_of: Slug of the row whose download this row reads; empty for its own.
        access: What stands before the download.
        redistribution: What may be passed on, as far as known.
        spdx: SPDX id of the licence; empty where none is known.
    """

    number: int
    slug: str
    title: str
    kind: Kind
    modality: str
    anatomy: str
    task: str
    subset: str
    download_of: str
    access: str
    redistribution: Redistribution
    spdx: str


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words that a card's triplet may use.

    Attributes:
        modalities: Code to name.
        anatomies: Word to meaning.
        tasks: Word to meaning.
    """

    modalities: dict[str, str]
    anatomies: dict[str, str]
    tasks: dict[str, str]


def _resource(name: str) -> str:
    return files("med_mat").joinpath(name).read_text(encoding="utf-8")


@cache
def vocabulary() -> Vocabulary:
    """Returns the controlled words."""
    words = cast(dict[str, dict[str, object]], load_yaml(_resource("vocabulary.yaml")))
    modalities = cast(dict[str, dict[str, str]], words["modalities"])
    return Vocabulary(
        modalities={code: entry["name"] for code, entry in modalities.items()},
        anatomies=cast(dict[str, str], words["anatomies"]),
        tasks=cast(dict[str, str], words["tasks"]),
    )


@cache
def subsets() -> dict[str, Subset]:
    """Returns the 53 subsets by number."""
    entries = cast(dict[str, dict[str, object]], load_yaml(_resource("subsets.yaml")))
    return {
        number: Subset(
            number=number,
            title=cast(str, entry["title"]),
            modality=cast(str, entry["modality"]),
            area=cast(str, entry["area"]),
            kind=cast(Kind, entry["kind"]),
            elements=tuple(cast(list[str], entry["elements"])),
        )
        for number, entry in entries.items()
    }


@cache
def catalogue() -> dict[str, CatalogueRow]:
    """Returns the 109 rows of the published table by slug, in their order."""
    rows = csv.DictReader(_resource("catalogue.csv").splitlines())
    return {
        row["slug"]: CatalogueRow(
            number=int(row["number"]),
            slug=row["slug"],
            title=row["title"],
            kind=cast(Kind, row["kind"]),
            modality=row["modality"],
            anatomy=row["anatomy"],
            task=row["task"],
            subset=row["subset"],
            download_of=row["download_of"],
            access=row["access"],
            redistribution=cast(Redistribution, row["redistribution"]),
            spdx=row["spdx"],
        )
        for row in rows
    }
