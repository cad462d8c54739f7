"""``med-mat check``: everything that a reviewer of a source would look at."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from functools import cache as cache_result
from pathlib import Path
from typing import Annotated

import typer

from med_mat.commands.options import CORES, AllowMissing, AsJson, Cache, Loaders, Workers, plain_console, print_json


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(check)


def check(
    slugs: Annotated[list[str] | None, typer.Argument(metavar="[SLUG]...", help="Sources to check.")] = None,
    raw: Annotated[
        str | None, typer.Option(help="The official download of the one source: folder, archive or fsspec URL.")
    ] = None,
    changed_since: Annotated[
        str | None,
        typer.Option(metavar="REF", help="Also the sources whose files differ from this commit of the checkout."),
    ] = None,
    allow_missing: AllowMissing = False,
    workers: Workers = CORES,
    loaders: Loaders = None,
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Check sources as a reviewer would: card, labels, rights, loader, fixture, rows, and the download if given.

    Exit code 0: ready. 1: something must be mended. 2: the check could not be done.
    """
    from rich.console import Console

    from med_mat.contribute.changes import changed_sources, ledger_findings
    from med_mat.contribute.check import Download, check_source, find_source
    from med_mat.contribute.verdict import Part, Verdict, verdict_page
    from med_mat.errors import MedMatError
    from med_mat.registry import registry
    from med_mat.terminal import BuildProgress

    wanted = list(slugs or ())
    verdicts: list[Verdict] = []
    if changed_since is not None:
        wanted += changed_sources(Path.cwd(), changed_since)
        appended = tuple(ledger_findings(Path.cwd(), changed_since))
        verdicts.append(Verdict("LEDGER", (Part("ledger", "what stood in it stands, in its order", appended),)))
    wanted = list(dict.fromkeys(wanted))
    if not wanted and changed_since is None:
        raise MedMatError("nothing to check: name a source, or give --changed-since")
    if raw is not None and len(wanted) != 1:
        raise MedMatError(f"--raw is the download of one source, and {len(wanted)} are to be checked")
    folders = list(loaders or ())
    # A hundred cards are read once, whatever the number of sources to check.
    sources = cache_result(lambda: registry(folders))
    for slug in wanted:
        source = find_source(slug, folders)
        with ExitStack() as open_things:
            scratch = Path(open_things.enter_context(tempfile.TemporaryDirectory(prefix="med-mat-check-")))
            download = None
            if raw is not None:
                bar = open_things.enter_context(BuildProgress(Console(stderr=True)))
                download = Download(raw, allow_missing, workers, cache, bar)
            verdicts.append(check_source(source, sources, scratch, download))
    if as_json:
        print_json([verdict.as_dict() for verdict in verdicts])
    else:
        console = plain_console()
        for verdict in verdicts:
            console.print(verdict_page(verdict))
    raise typer.Exit(max((verdict.exit_code for verdict in verdicts), default=0))
