"""``med-mat export``: rows in the formats of other training tools."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from med_mat.commands.options import Cache, Loaders


class Format(StrEnum):
    """What can be written."""

    UPSTREAM_JSON = "upstream-json"
    LLAVA = "llava"
    SHAREGPT = "sharegpt"
    WEBDATASET = "webdataset"


class Boxes(StrEnum):
    """How boxes are written."""

    CANONICAL = "canonical"
    PERMILLE = "permille"
    PERCENT = "percent"
    PIXELS = "pixels"


class Empty(StrEnum):
    """What becomes of a row without picture."""

    DROP = "drop"
    ERROR = "error"


class Part(StrEnum):
    """The splits."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(export)


def export(
    config: Annotated[str, typer.Argument(help="A source, subset_NN, modality_<code>, anatomy_<area>, default, …")],
    form: Annotated[Format, typer.Option("--format", help="What to write.")],
    out: Annotated[Path, typer.Option(help="Folder to write; must be empty or not there.")],
    dataset: Annotated[str, typer.Option(help="Folder of a build, or repository on the Hub.")] = "med-mat",
    split: Annotated[Part | None, typer.Option(help="Only this split.")] = None,
    raw: Annotated[
        Path | None,
        typer.Option(help="Folder with one raw root per source, for pictures that the dataset does not hold."),
    ] = None,
    empty: Annotated[
        Empty, typer.Option(help="Rows without picture: leave out and count, or stop with an error.")
    ] = Empty.DROP,
    boxes: Annotated[Boxes, typer.Option(help="How boxes in questions and answers are written.")] = Boxes.CANONICAL,
    loaders: Loaders = None,
    cache: Cache = None,
) -> None:
    """Write rows for other tools, one question an item, with the pictures beside."""
    from med_mat.api import load, raw_roots
    from med_mat.export import export_rows

    roots = raw_roots(raw, config, dataset=dataset, loaders=loaders or ()) if raw is not None else {}
    rows = load(
        config,
        dataset=dataset,
        split=split.value if split is not None else None,
        streaming=True,
        raw=roots,
        empty=empty.value,
        cache=cache,
        loaders=loaders or (),
    )
    done = export_rows(rows, out, form.value, boxes=boxes.value)
    for name, number in done.questions.items():
        print(f"{name}: {number:,} questions")
    print(f"{out}: {done.pictures:,} pictures")
