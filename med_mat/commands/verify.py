"""``med-mat verify``: reads a published dataset back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from med_mat.commands.options import plain_console

if TYPE_CHECKING:
    from med_mat.hub.verify import Verification

SHOWN_PROBLEMS = 50


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(verify)


def verify(
    repo: Annotated[
        str, typer.Argument(metavar="ORG/NAME[@REV]", help="Dataset repository, and branch, tag or commit.")
    ],
    per_shard: Annotated[int, typer.Option(min=1, help="Pictures to decode of each shard.")] = 1,
) -> None:
    """Read a published dataset back: configs, rows, hashes, pictures, and that nothing restricted has pixels.

    Exit code 0: all is as the manifest says. 1: something is not. 2: it could not be read.
    """
    from med_mat.hub.verify import verify as run_verify
    from med_mat.terminal import BuildProgress

    name, _, revision = repo.partition("@")
    console = plain_console()
    with BuildProgress(console) as progress:
        result = run_verify(name, revision or "main", per_shard=per_shard, progress=progress)
    console.print(report(result), soft_wrap=True)
    raise typer.Exit(1 if result.problems else 0)


def report(result: Verification) -> str:
    """Says what was read, and what is wrong."""
    lines = [
        f"{result.repo}@{result.commit}, version {result.version}: {result.configs} configs resolve, "
        f"{result.rows:,} rows in {result.shards} shards, {result.pictures} pictures decoded."
    ]
    lines += result.problems[:SHOWN_PROBLEMS]
    if len(result.problems) > SHOWN_PROBLEMS:
        lines.append(f"… and {len(result.problems) - SHOWN_PROBLEMS} more")
    lines.append(f"{len(result.problems)} problems." if result.problems else "Nothing is wrong.")
    return "\n".join(lines)
