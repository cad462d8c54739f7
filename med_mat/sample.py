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
class Outline:
    """A labelled region given by its outline.

    Attributes:
        label: The raw label.
        rings: Points ``(x, y)`` of each ring in pixels of the picture; rings are united.
        points: What the coordinates are: ``edges`` of the plane, or ``pixels`` that belong to the region.
    """

    label: str
    rings: Sequence[Sequence[tuple[float, float]]]
    points: Literal["edges", "pixels"]


@dataclass(frozen=True, slots=True)
class RunLengths:
    """A labelled region given by runs of pixels.

    Attributes:
        label: The raw label.
        runs: As the release writes them.
        dialect: How it writes them; the dialects of ``med_mat.regions``.
        width: Width in pixels of the picture that the runs count in.
        height: Its height.
    """

    label: str
    runs: str
    dialect: Literal["kaggle_columns", "kaggle_rows", "siim_acr"]
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class BinaryMask:
    """A file whose pixels are inside or outside of one label.

    Attributes:
        file: The mask. A file that is not in the raw root is passed on as it is; the index counts it.
        label: The raw label.
        threshold: What is above it is inside: for masks saved with loss. None refuses all but two values.
        inverted: The region is dark on bright.
        frame: Frame or slice inside the file, from 0.
    """

    file: RawFile
    label: str
    threshold: int | None = None
    inverted: bool = False
    frame: int | None = None


@dataclass(frozen=True, slots=True)
class ClassMask:
    """A file whose pixels' values or colours are labels.

    Attributes:
        file: The mask, as for ``BinaryMask``.
        classes: Value, or colour as (red, green, blue), to raw label; None for what is no region.
        indices: Values are the numbers of a palette's colours.
        frame: Frame or slice inside the file, from 0.
        unnamed: What a value that ``classes`` does not name is: an ``error``, or ``background`` where the release is
            known to hold colours between two classes.
    """

    file: RawFile
    classes: Mapping[int, str | None] | Mapping[tuple[int, int, int], str | None]
    indices: bool = False
    frame: int | None = None
    unnamed: Literal["error", "background"] = "error"


Annotation = Region | Outline | RunLengths | BinaryMask | ClassMask
"""What a loader may say of a part of a picture. Nothing in it opens a file."""


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
        regions: Labelled boxes, outlines, run lengths and masks. A source of kind ``detection`` or ``segmentation``
            may yield a picture without any: it is a negative, and ``labels`` may then bear a label of no finding.
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
    regions: Sequence[Annotation] = ()
    extra: Mapping[str, str] = field(default_factory=dict)
