"""What a loader yields: one picture of the official release with its labels as the release writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from med_mat.raw import RawFile

Split = Literal["train", "validation", "test"]

EXTRA_FIELDS = ("age", "sex", "view", "laterality", "site")


@dataclass(frozen=True, slots=True)
class Region:
    """A labelled box on a picture.

    Attributes:
        label: The raw label.
        box: ``(xmin, ymin, xmax, ymax)`` in pixels of the picture.
    """

    label: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture with its labels, in the release's own words.

    Attributes:
        image: The file that holds the picture. A file that a label table names but that is not in the raw root
            is passed on as it is (``image.missing``); the index counts it.
        labels: Raw labels, as the card lists them. One for single-label sources.
        uncertain: Raw labels that the release neither affirms nor denies. They are never asked, nor a wrong option.
        frame: Frame or slice inside the file, from 0; None for a file that holds one picture.
        key: Canonical name of the picture in the official release. None takes ``image.key``.
        group: What must stay on one side of a split (patient, lesion, slide, video, original of an augmentation),
            without namespace. None means that the picture stands alone.
        ties: What ties the picture to others of this source beyond its group, such as a lesion where the group is a
            name that other sources know; they share a split too.
        split: The official split, also where the card calls it void.
        regions: Labelled boxes.
        mask: The file of a label map that belongs to the picture.
        extra: Facts that identify nobody; keys from ``EXTRA_FIELDS``.
    """

    image: RawFile
    labels: Sequence[str] = ()
    uncertain: Sequence[str] = ()
    frame: int | None = None
    key: str | None = None
    group: str | None = None
    ties: Sequence[str] = ()
    split: Split | None = None
    regions: Sequence[Region] = ()
    mask: RawFile | None = None
    extra: Mapping[str, str] = field(default_factory=dict)
