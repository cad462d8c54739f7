"""``med-mat import-upstream``: upstream's question files as rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from med_mat.commands.options import Loaders, open_registry


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("import-upstream")(import_upstream)


def import_upstream(
    files: Annotated[list[Path], typer.Argument(help="Question files, such as Subset--02-train.json.")],
    out: Annotated[Path, typer.Option(help="Folder to write; load_dataset reads it as it lies.")],
    images: Annotated[
        Path | None, typer.Option(help="Folder that holds upstream's med-mat folder; pictures are taken from there.")
    ] = None,
    title: Annotated[
        list[str] | None,
        typer.Option(help="FOLDER=SLUG: the source of a title folder that the catalogue's number does not tell."),
    ] = None,
    loaders: Loaders = None,
) -> None:
    """Read upstream's published questions into rows.

    Exit code 0: every item became a row. 1: some did not; they are counted.
    """
    from med_mat.errors import MedMatError
    from med_mat.export import import_upstream as run

    titles = {}
    for pair in title or ():
        folder, equals, slug = pair.rpartition("=")
        if not (folder and equals and slug):
            raise MedMatError(f"--title {pair}: expected FOLDER=SLUG")
        titles[folder] = slug
    done = run(files, out, open_registry(loaders), titles=titles, images=images)
    for slug, number in sorted(done.rows.items()):
        print(f"{slug}: {number:,} rows")
    if done.without_picture:
        print(f"{done.without_picture:,} rows without picture: not below {images}")
    for folder, number in sorted(done.unplaced.items()):
        print(f"not placed: {number:,} items of {folder!r}; tell its source with --title '{folder}=SLUG'")
    for reason, number in sorted(done.left_out.items()):
        print(f"left out: {number:,} items, {reason}: {'; '.join(done.named[reason][:3])}")
    raise typer.Exit(1 if done.unplaced or done.left_out else 0)
