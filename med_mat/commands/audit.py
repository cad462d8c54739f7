"""``med-mat audit``: pictures that stand more than once, and questions that give themselves away."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from med_mat.commands.options import CORES, AsJson, Cache, Loaders, Workers, open_registry, plain_console, print_json
from med_mat.errors import MedMatError


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(audit)


def audit(
    build: Annotated[
        Path | None,
        typer.Argument(help="Folder that `med-mat build` wrote; with --questions none, to check what cards make."),
    ] = None,
    questions: Annotated[
        bool, typer.Option("--questions", help="Check questions instead of pictures: can text alone answer them?")
    ] = False,
    html: Annotated[Path | None, typer.Option(help="Write a page that shows what was found, to be looked at.")] = None,
    raw: Annotated[
        Path | None, typer.Option(help="Folder with one raw root per source: compares also what became no row.")
    ] = None,
    memory: Annotated[str, typer.Option(help="Most memory that joins may take.")] = "2GB",
    workers: Workers = CORES,
    loaders: Loaders = None,
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Find what a build holds twice, across splits and sources, and what answers contradict.

    Exit code 0: nothing crosses splits (with --questions: no question gives itself away). 1: something does. 2: the
    audit could not be done.
    """
    if questions:
        raise typer.Exit(_questions(build, loaders, as_json=as_json))
    if build is None:
        raise MedMatError("an audit of pictures reads a build; give the folder that `med-mat build` wrote")
    from rich.console import Console

    from med_mat.audit.report import report
    from med_mat.audit.run import audit as run_audit
    from med_mat.files import write_text
    from med_mat.terminal import BuildProgress

    registry = open_registry(loaders)
    errors = Console(stderr=True)
    with ExitStack() as open_things:
        # What is not a terminal keeps every line of a bar that moves.
        bar = open_things.enter_context(BuildProgress(errors)) if errors.is_terminal else None
        found = run_audit(build, registry, raw=raw, workers=workers, memory=memory, cache=cache, progress=bar)
    if html is not None:
        from med_mat.audit.html import page

        write_text(html, page(found, registry, raw=raw, cache=cache))
    if as_json:
        print_json(found.as_dict())
    else:
        plain_console().print(report(found))
    raise typer.Exit(found.exit_code)


def _questions(build: Path | None, loaders: list[Path] | None, *, as_json: bool) -> int:
    from med_mat.audit.questions import check_build, check_cards, report

    registry = open_registry(loaders)
    found = check_cards(registry) if build is None else check_build(build, registry)
    if as_json:
        print_json(found.as_dict())
    else:
        plain_console().print(report(found))
    return found.exit_code
