"""The controlled words of the MAT triplet, the 53 published subsets and the 109 rows of the published table."""

from __future__ import annotations

import csv
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal, cast

import yaml

Kind = Literal["classification", "multilabel", "detection", "segmentation"]
Redistribution = Literal["images", "annotations", "none"]


# The C parser where PyYAML has it: a hundred cards are read at every start.
_BaseLoader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _UniqueKeyLoader(_BaseLoader):  # type: ignore[misc,valid-type] # which of the two it is shows at run time
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                continue  # the base has an error for it
            if key in keys:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} stands twice", key_node.start_mark)
            keys.add(key)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping


def load_yaml(text: str) -> object:
    """Parses YAML.

    Raises:
        yaml.YAMLError: If it is malformed, or a mapping has a key twice, of which plain YAML would drop one.
    """
    return yaml.load(text, Loader=_UniqueKeyLoader)


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
