"""Withdraw: takes a source out of what a repository serves, and tells where its files are still to be had."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from med_mat.hub.push import Published, kept_rights, make_target, published_cards, published_state
from med_mat.hub.remote import DATASET, HubError, connect, patiently, plainly
from med_mat.hub.upload import Progress, upload
from med_mat.registry import Registry

if TYPE_CHECKING:
    from huggingface_hub import HfApi


@dataclass(frozen=True, slots=True)
class History:
    """Where the files of a source are still to be had.

    Attributes:
        files: Files in the store of large files, whichever commit names them.
        bytes: Their size.
        tags: Tags whose commit holds the source.
        pull_requests: References of pull requests that do.
        converted: Branches that the Hub makes by itself, which may hold copies.
    """

    files: int
    bytes: int
    tags: tuple[str, ...]
    pull_requests: tuple[str, ...]
    converted: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """Whether nothing is left."""
        return not (self.files or self.tags or self.pull_requests)


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """How a withdrawal came out.

    Attributes:
        repo: The repository.
        slug: The source.
        version: The version that no longer has it.
        commit: The commit of ``main`` that holds that version; None if nothing was changed.
        history: What remains.
    """

    repo: str
    slug: str
    version: str
    commit: str | None
    history: History


def withdraw(
    registry: Registry,
    slug: str,
    repo: str,
    *,
    history_only: bool = False,
    progress: Progress | None = None,
    api: HfApi | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Withdrawal:
    """Removes a source from the head of a repository and from its manifest, README and citations.

    The manifest keeps its name under ``withdrawn``, so that no later push puts it back.

    Args:
        registry: Sources, for the cards of those that stay.
        slug: The source.
        repo: ``owner/name``.
        history_only: Change nothing; tell where its files are.
        progress: Told how far the work is.
        api: The client; else one from the environment.
        sleep: Waits so many seconds between attempts.

    Raises:
        HubError: If the repository or the source in it does not exist, or the Hub does not do its part.
        CardError: If a source that stays has no card, or more of it is published than its card allows.
    """
    api = api or connect()
    with plainly(repo):
        published = published_state(api, repo, sleep)
        if published is None or published.manifest is None:
            raise HubError(f"{repo}: nothing is published there; check the name")
        before = published.manifest
        version, commit = before["version"], None
        if not history_only and slug not in before["sources"] and slug not in before["withdrawn"]:
            raise HubError(f"{repo}: has no source {slug}; it has {', '.join(sorted(before['sources'])) or 'none'}")
        if not history_only:
            version, commit = _remove(registry, slug, repo, published, api, progress, sleep)
        history = patiently(lambda: find_history(api, repo, slug), sleep)
    return Withdrawal(repo, slug, version, commit, history)


def _remove(
    registry: Registry,
    slug: str,
    repo: str,
    published: Published,
    api: HfApi,
    progress: Progress | None,
    sleep: Callable[[float], None],
) -> tuple[str, str]:
    before = published.manifest or {}
    entries = {name: entry for name, entry in before["sources"].items() if name != slug}
    cards = published_cards(registry, entries, repo)
    kept_rights(cards, {}, before)
    now = [] if slug in before["withdrawn"] else [slug]
    target, _ = make_target(cards, repo, entries, published, {}, withdrawn=now)
    return target.version, upload(api, repo, published.state, target, progress=progress, sleep=sleep)


def find_history(api: HfApi, repo: str, slug: str) -> History:
    """Looks for the files of a source in everything that a repository keeps.

    Needs the right to write, since the Hub lists the store of large files to nobody else.
    """
    folder = f"data/{slug}"
    stored = [file for file in api.list_lfs_files(repo, repo_type=DATASET) if file.filename.startswith(f"{folder}/")]
    refs = api.list_repo_refs(repo, repo_type=DATASET, include_pull_requests=True)

    def holding(names: list[str]) -> tuple[str, ...]:
        return tuple(name for name in names if api.get_paths_info(repo, [folder], repo_type=DATASET, revision=name))

    return History(
        files=len(stored),
        bytes=sum(file.size for file in stored),
        tags=holding([tag.name for tag in refs.tags]),
        pull_requests=holding([pull.ref for pull in refs.pull_requests or []]),
        converted=tuple(ref.ref for ref in refs.converts),
    )
