"""``med-mat push``: a build to the Hub, as far as rights go."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from med_mat.commands.options import Loaders, open_registry, plain_console

if TYPE_CHECKING:
    from rich.console import RenderableType

    from med_mat.hub.push import PushResult, SourcePush

_GOES_OUT = {"images": "rows with pictures", "annotations": "rows without pixels", "none": "nothing"}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(push)


def push(
    build: Annotated[Path, typer.Argument(help="A folder that `med-mat build` made.")],
    repo: Annotated[str, typer.Option(help="Dataset repository on the Hub, such as ORG/med-mat.")],
    public: Annotated[
        bool, typer.Option("--public", help="If the repository is not there yet, make it public; else it is private.")
    ] = False,
    allow_pixels: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SLUG",
            help="Send this source's pictures whatever its card says; private repositories only. May be repeated.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go out, and why; change nothing.")] = False,
    new_major: Annotated[
        bool,
        typer.Option("--new-major", help="Let published rows change their splits; the version counts up to the next."),
    ] = False,
    loaders: Loaders = None,
) -> None:
    """Publish a build to the Hugging Face Hub: what changed, as far as the rights of each source go.

    The token is found as huggingface_hub finds it: HF_TOKEN, or `hf auth login`. A push that was stopped goes on where
    it stopped. Readers see the old version until the new one is whole. A push in which a published row would change its
    split is refused.
    """
    from huggingface_hub.utils.tqdm import disable_progress_bars

    from med_mat.hub.push import push as run_push
    from med_mat.terminal import BuildProgress

    # Two bars on one terminal would overwrite each other.
    disable_progress_bars()
    console = plain_console()
    with BuildProgress(console) as progress:
        result = run_push(
            open_registry(loaders),
            build,
            repo,
            public=public,
            allow_pixels=allow_pixels or (),
            dry_run=dry_run,
            new_major=new_major,
            progress=progress,
        )
    console.print(report(result, dry_run=dry_run))


def report(result: PushResult, *, dry_run: bool) -> RenderableType:
    """Shows what goes out of each source, why, and how the push came out."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from med_mat.errors import visible

    table = Table("source", "card", "goes out", box=SIMPLE_HEAD)
    for name in ("rows", "shards", "MB", "to upload, MB"):
        table.add_column(name, justify="right")
    table.add_column("why", overflow="fold")
    for source in result.sources:
        right = source.right
        table.add_row(
            right.slug,
            right.declared,
            Text(_GOES_OUT[right.serves], style=_style(source)),
            f"{source.rows:,}",
            str(source.shards),
            f"{source.bytes / 1e6:,.1f}",
            f"{source.new_bytes / 1e6:,.1f}",
            visible(right.why),
        )
    lines: list[RenderableType] = [table]
    lines += [Text(warning, style="yellow") for warning in result.warnings]
    return Group(*lines, Text(_sentence(result, dry_run=dry_run)))


def _style(source: SourcePush) -> str:
    if source.right.overridden:
        return "bold red"
    return {"images": "green", "annotations": "yellow", "none": "red"}[source.right.serves]


def _sentence(result: PushResult, *, dry_run: bool) -> str:
    if result.up_to_date:
        return f"{result.repo} is up to date at version {result.version}."
    step = f"from version {result.before} to {result.version}" if result.before else f"version {result.version}"
    if dry_run:
        return f"{result.repo} would go {step}; {result.deleted} files would be deleted. Nothing was changed."
    return f"{result.repo}: {step}, commit {result.commit}, tag v{result.version}; {result.deleted} files deleted."
