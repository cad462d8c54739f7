"""The row contract: what every published row holds, and how facts beside the picture are cleaned.

``docs/schema.md`` describes each column; ``tests/golden/schema.json`` keeps them from drifting.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypedDict

import pyarrow as pa

if TYPE_CHECKING:
    from datasets import Features

SCHEMA_VERSION = 1
AGE_CAP = 90.0
"""Ages above 89 are published as 90: a high age can tell who somebody is (45 CFR 164.514(b)(2)(i)(C))."""

_QUESTION = [
    ("kind", pa.string()),
    ("question", pa.string()),
    ("options", pa.list_(pa.string())),
    ("answer", pa.string()),
    ("answer_index", pa.int8()),
]

EXTRA = pa.struct(
    [
        ("age", pa.float32()),
        ("sex", pa.string()),
        ("view", pa.string()),
        ("laterality", pa.string()),
        ("site", pa.string()),
    ]
)

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])

FILE_STATE = pa.struct([("path", pa.string()), ("size", pa.int64()), ("mtime_ns", pa.int64())])

LABEL_AREA = pa.struct([("label", pa.string()), ("area", pa.float64()), ("specks", pa.int32())])

OBJECT = pa.struct([("label", pa.string()), ("bbox", pa.list_(pa.float32()))])

ROW = pa.schema(
    [
        ("id", pa.string()),
        ("image", IMAGE),
        ("question", pa.string()),
        ("options", pa.list_(pa.string())),
        ("answer", pa.string()),
        ("answer_index", pa.int8()),
        ("more_questions", pa.list_(pa.struct(_QUESTION))),
        ("labels", pa.list_(pa.string())),
        ("objects", pa.list_(OBJECT)),
        ("mask", IMAGE),
        ("mask_labels", pa.list_(pa.string())),
        ("kind", pa.string()),
        ("source", pa.string()),
        ("subset", pa.string()),
        ("modality", pa.string()),
        ("anatomy", pa.string()),
        ("task", pa.string()),
        ("task_elements", pa.list_(pa.string())),
        ("published_modality", pa.string()),
        ("published_anatomy", pa.string()),
        ("published_task", pa.string()),
        ("group", pa.string()),
        ("key", pa.string()),
        ("frame", pa.int32()),
        ("raw_sha256", pa.string()),
        ("pixel_hash", pa.string()),
        ("perceptual_hash", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("licence", pa.string()),
        ("extra", EXTRA),
    ]
)
"""Columns of a published row, as Arrow types. ``features()`` gives the same as datasets' features."""

INDEX = pa.schema(
    [
        ("raw_path", pa.string()),
        ("key", pa.string()),
        ("frame", pa.int32()),
        ("labels", pa.list_(pa.string())),
        ("uncertain", pa.list_(pa.string())),
        ("split", pa.string()),
        ("group", pa.string()),
        ("ties", pa.list_(pa.string())),
        ("size", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("extra", EXTRA),
        ("regions", pa.string()),
        ("region_files", pa.list_(FILE_STATE)),
    ]
)
"""Columns of an index: one line per sample, in the order of keys. ``group`` carries its namespace.

``regions`` is null but for sources of boxes and masks, else what ``med_mat.annotations`` writes; ``region_files`` are
the files that it names, with their state.
"""

SCAN = pa.schema(
    [
        ("raw_path", pa.string()),
        ("frame", pa.int32()),
        ("size", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("raw_sha256", pa.string()),
        ("pixel_hash", pa.string()),
        ("perceptual_hash", pa.string()),
        ("fingerprints", pa.binary()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("format", pa.string()),
        ("mode", pa.string()),
        ("rule", pa.string()),
        ("published_bytes", pa.int64()),
        ("error", pa.string()),
        ("objects", pa.list_(OBJECT)),
        ("areas", pa.list_(LABEL_AREA)),
        ("mask_hash", pa.string()),
        ("mask_bytes", pa.int64()),
        ("region_state", pa.string()),
        ("region_error", pa.string()),
    ]
)
"""Columns of a scan: one line per picture of a raw root. ``error`` is null where the picture decodes.

The last six are null but for sources of boxes and masks: the row's objects; the share of the picture that each label
covers, and how many of its components are too small for a box; hash and encoded size of the row's mask; what the
regions were made of; why they do not fit the picture, null where they do.
"""

_PIXELS = ("image", "mask")

PLAN = pa.schema(
    [
        ("split", pa.string()),
        ("shard", pa.int32()),
        ("raw_path", pa.string()),
        *(field for field in ROW if field.name not in _PIXELS),
    ]
)
"""Columns of a plan: the rows of a source without pixels, and the shard that each goes to."""

REGION_PLAN = pa.schema([*PLAN, ("regions", pa.string()), ("mask_hash", pa.string())])
"""Columns of a plan of a source of boxes and masks: also what the mask is drawn from, and its hash."""


def features() -> Features:
    """Returns ``ROW`` as ``datasets.Features``: ``image`` and ``mask`` become ``datasets.Image``."""
    import datasets

    plain = datasets.Features.from_arrow_schema(ROW)
    return datasets.Features({**plain, **{name: datasets.Image() for name in _PIXELS}})


class Extra(TypedDict):
    """Facts beside a picture that identify nobody. Age in years; sex ``F`` or ``M``; laterality ``L`` or ``R``."""

    age: float | None
    sex: str | None
    view: str | None
    laterality: str | None
    site: str | None


_SEX = {"f": "F", "female": "F", "w": "F", "m": "M", "male": "M"}
_SIDE = {"l": "L", "left": "L", "r": "R", "right": "R"}
_UNKNOWN = {"", "unknown", "unk", "nan", "none", "n/a", "na"}
_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([ymwd]?)", re.IGNORECASE)
_YEARS = {"": 1.0, "y": 1.0, "m": 1 / 12, "w": 7 / 365.25, "d": 1 / 365.25}


def clean_extra(extra: Mapping[str, str]) -> tuple[Extra, list[str]]:
    """Brings the facts beside a picture into the words of the schema.

    Args:
        extra: As a loader yields it. Ages may carry DICOM's unit letters (``060Y``, ``013M``).

    Returns:
        The clean facts, and one sentence per value that was not understood and is left null.
    """
    clean = Extra(age=None, sex=None, view=None, laterality=None, site=None)
    odd = []
    for name, value in extra.items():
        text = value.strip()
        if text.lower() in _UNKNOWN:
            continue
        if name == "age":
            match = _AGE.fullmatch(text)
            years = float(match[1]) * _YEARS[match[2].lower()] if match else None
            if years is None or years > 120:
                odd.append(f"age {text!r} is no age in years")
            else:
                clean["age"] = AGE_CAP if years > 89 else round(years, 2)
        elif name == "sex" and text.lower() in _SEX:
            clean["sex"] = _SEX[text.lower()]
        elif name == "laterality" and text.lower() in _SIDE:
            clean["laterality"] = _SIDE[text.lower()]
        elif name == "view":
            clean["view"] = text
        elif name == "site":
            clean["site"] = text.lower()
        else:
            odd.append(f"{name} {text!r} is not in the schema's words")
    return clean, odd
