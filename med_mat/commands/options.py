"""Options and ways to print that commands share."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from med_mat.registry import Registry

CORES = os.cpu_count() or 1

Loaders = Annotated[
    list[Path] | None, typer.Option("--loaders", help="Folder with more loaders and their cards; may be repeated.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RawRootOption = Annotated[str, typer.Option("--raw", help="The source's raw root: folder, archive or fsspec URL.")]
Workers = Annotated[int, typer.Option(min=1, help="Number of processes.")]
AllowMissing = Annotated[
    bool,
    typer.Option("--allow-missing", help="The root is a slice of a download: missing pictures are counted, not odd."),
]
Cache = Annotated[
    Path | None, typer.Option(help="Folder for compressed tars and inner archives, unpacked once; may be deleted.")
]


def open_registry(loaders: list[Path] | None) -> Registry:
    """Opens the sources of the package and those of ``--loaders`` folders."""
    from med_mat.registry import registry

    return registry(loaders or ())


def plain_console() -> Console:
    """Returns a console that prints names as they are."""
    from rich.console import Console

    # Names of files may hold [/b] and :x:, which would be read as markup and emoji.
    return Console(markup=False, emoji=False)


def show(renderable: RenderableType) -> None:
    """Prints a table, panel or text."""
    plain_console().print(renderable)


def print_json(value: Any) -> None:
    """Prints JSON that the terminal's encoding can hold."""
    text = json.dumps(value, indent=1, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        # JSON has escapes of its own for letters that the terminal's encoding lacks.
        text = json.dumps(value, indent=1)
    print(text)
