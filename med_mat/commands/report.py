"""``med-mat report``: a build as one static page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from med_mat.commands.options import Loaders, open_registry


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(report)


def report(
    build: Annotated[Path, typer.Argument(help="Folder that `med-mat build` wrote.")],
    out: Annotated[Path, typer.Option(help="Folder to write; the page is its index.html.")],
    published: Annotated[
        bool,
        typer.Option("--published", help="Show only what may be passed on, so that the page may be passed on too."),
    ] = False,
    pictures: Annotated[int, typer.Option(min=0, help="Sample pictures of a source, at most.")] = 4,
    loaders: Loaders = None,
) -> None:
    """Write one page that shows what a build holds, source by source, with samples. It needs no network."""
    from med_mat.files import write_text
    from med_mat.report.gather import gather
    from med_mat.report.page import render

    facts = gather(open_registry(loaders), build, published=published, pictures=pictures)
    page = out / "index.html"
    write_text(page, render(facts))
    built = sum(source.built for source in facts.sources)
    print(f"{page}: {built} of {len(facts.sources)} sources, {page.stat().st_size / 1e6:.1f} MB")
