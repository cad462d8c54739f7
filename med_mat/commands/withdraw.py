"""``med-mat withdraw``: a source out of a published dataset, at its owner's request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from med_mat.commands.options import Loaders, open_registry, plain_console

if TYPE_CHECKING:
    from med_mat.hub.withdraw import Withdrawal


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(withdraw)


def withdraw(
    slug: Annotated[str, typer.Argument(help="The source.")],
    repo: Annotated[str, typer.Option(help="Dataset repository on the Hub, such as ORG/med-mat.")],
    history: Annotated[
        bool, typer.Option("--history", help="Change nothing; tell where files of the source are still to be had.")
    ] = False,
    loaders: Loaders = None,
) -> None:
    """Remove a source from a published dataset, and tell what remains in its history and how that is purged."""
    from med_mat.hub.withdraw import withdraw as run_withdraw

    result = run_withdraw(open_registry(loaders), slug, repo, history_only=history)
    plain_console().print(report(result), soft_wrap=True)


def report(result: Withdrawal) -> str:
    """Says what was done and what remains."""
    remains = result.history
    lines = []
    if result.commit:
        lines.append(
            f"{result.repo}: version {result.version}, commit {result.commit}, serves nothing of {result.slug}."
        )
    if remains.empty:
        return "\n".join([*lines, f"No commit, tag or pull request of {result.repo} holds files of {result.slug}."])
    lines += [
        f"Files of {result.slug} are still to be had from the history of {result.repo}:",
        f"  {remains.files} files in the store of large files, {remains.bytes / 1e6:,.1f} MB",
        f"  tags: {', '.join(remains.tags) or 'none'}",
        f"  pull requests: {', '.join(remains.pull_requests) or 'none'}",
        *([f"  made by the Hub itself: {', '.join(remains.converted)}"] if remains.converted else []),
        "To purge them for good, which changes the commits that readers may have pinned:",
        "  from huggingface_hub import HfApi",
        "  api = HfApi()",
        f'  files = [file for file in api.list_lfs_files("{result.repo}", repo_type="dataset")',
        f'           if file.filename.startswith("data/{result.slug}/")]',
        f'  api.permanently_delete_lfs_files("{result.repo}", files, repo_type="dataset")',
        "Copies that others made, and their caches, are out of reach. See docs/publishing.md.",
    ]
    return "\n".join(lines)
