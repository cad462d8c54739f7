"""``med-mat download``."""

from __future__ import annotations

import re
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from med_mat.commands.options import AsJson, Loaders, open_registry, plain_console, print_json, show

if TYPE_CHECKING:
    from med_mat.card import Card

_WIDE = 140
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def _amount(text: str) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)b?", text.strip().lower())
    if not found:
        raise typer.BadParameter(f"{text!r} is not a number of bytes such as 500M or 20G")
    return int(float(found[1]) * _UNITS[found[2]])


def download(
    slugs: Annotated[list[str] | None, typer.Argument(metavar="[SLUG]...", help="Sources.")] = None,
    raw: Annotated[
        Path | None, typer.Option(help="Folder for the downloads, one raw root per source, named by slug.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All sources.")] = False,
    plan: Annotated[
        bool, typer.Option("--plan", "--dry-run", help="Show what would be fetched. Asks no server.")
    ] = False,
    accept: Annotated[
        list[str] | None, typer.Option(metavar="SLUG", help="Accept the terms of this source; may be repeated.")
    ] = None,
    place: Annotated[
        int | None, typer.Option("--from", min=1, help="Take this place of the card (--plan numbers them).")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, max=16, help="Files at a time.")] = 4,
    per_host: Annotated[int, typer.Option(min=1, max=8, help="Files at a time from one server.")] = 2,
    keep_free: Annotated[str, typer.Option(help="Leave so much of the disk free, such as 20G.")] = "1G",
    retries: Annotated[int, typer.Option(min=0, max=50, help="Repeat a failed request so often.")] = 6,
    check: Annotated[bool, typer.Option(help="Read the files that are there again, and compare checksums.")] = False,
    as_json: AsJson = False,
    loaders: Loaders = None,
) -> None:
    """Fetch official downloads, each through its platform's own way, or say what a person must do for them.

    Terms are shown and must be accepted once per source. A download that was stopped goes on where it stopped.

    Exit code 0: all there. 1: something is left to you. 2: something failed, or terms were not accepted.
    """
    from med_mat.download import plan as plans
    from med_mat.errors import MedMatError

    registry = open_registry(loaders)
    if plan:
        rows = plans.plan(registry, slugs or (), raw)
        if as_json:
            print_json(rows)
            return
        from med_mat.download.terminal import plan_table

        console = plain_console()
        if not console.is_terminal:
            console.width = _WIDE
        console.print(plan_table(rows))
        return
    wanted = [source.slug for source in registry] if every else slugs or []
    if not wanted:
        raise MedMatError("name sources, or give --all; `med-mat download --plan` lists them")
    if raw is None:
        raise MedMatError("name the folder for the downloads with --raw DIR")
    if place is not None and len(wanted) != 1:
        raise MedMatError("--from is about the places of one card: name one source")
    try:
        from med_mat.download.run import Options
        from med_mat.download.run import download as run
        from med_mat.download.terminal import Bars, Lines, outcomes, terms
        from med_mat.download.transfer import Policy
    except ModuleNotFoundError as error:
        raise MedMatError(f"{error.name} is not installed: `pip install 'med-mat[download]'`") from error

    console = plain_console()

    def ask(card: Card) -> bool:
        show(terms(card))
        return typer.confirm("Do you accept these terms?", default=False)

    interactive = sys.stdin.isatty() and not as_json
    log = plain_console()
    log.stderr = True
    with Bars(console) if console.is_terminal and not as_json else nullcontext(Lines(log)) as watcher:
        results = run(
            registry,
            wanted,
            raw,
            accept=accept or (),
            ask=ask if interactive else None,
            options=Options(jobs=jobs, per_host=per_host, check=check, choose=place),
            policy=Policy(retries=retries, keep_free=_amount(keep_free)),
            watcher=watcher,
        )
    if as_json:
        print_json([result.as_dict() for result in results])
    else:
        # Paths and addresses are to be copied: no line is broken.
        console.print(outcomes(results), soft_wrap=True)
    states = {result.state for result in results}
    raise typer.Exit(2 if "failed" in states else 1 if "todo" in states else 0)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(download)
