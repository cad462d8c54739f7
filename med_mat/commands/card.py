"""``med-mat card``: the page that stands before a dataset, and what is published beside its rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from med_mat.commands.options import Loaders, open_registry


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(card)


def card(
    build: Annotated[Path, typer.Argument(help="A folder that `med-mat build` made.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Write README.md, CITATION.bib, CITATION.cff and croissant.json into this folder."),
    ] = None,
    preview: Annotated[Path | None, typer.Option(help="Write the README as a page (HTML).")] = None,
    published: Annotated[
        bool, typer.Option("--published", help="As it would be published: each source's right decides.")
    ] = False,
    repo: Annotated[str, typer.Option(help="Name of the repository that the page gives to readers.")] = "med-mat",
    loaders: Loaders = None,
) -> None:
    """Show the README of a build as a page, or write it with citations and croissant.json."""
    from med_mat.errors import MedMatError
    from med_mat.files import write_text
    from med_mat.publication import publication_files

    if out is None and preview is None:
        raise MedMatError("med-mat card: nothing to write; give --preview PAGE.html, --out FOLDER or both")
    files = publication_files(open_registry(loaders), build, published=published, repo=repo)
    if out is not None:
        for name, text in files.items():
            write_text(out / name, text)
            print(out / name)
    if preview is not None:
        from med_mat.dataset_card import card_as_page

        write_text(preview, card_as_page(files["README.md"]))
        print(preview)
