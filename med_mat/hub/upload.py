"""Brings a repository from one state to another so that a reader sees the old one or the new one, and none between.

The change is laid on a pull request in batches and merged at its end. What is done is asked of the Hub and not
remembered here, so an upload that was stopped, on this machine or another, goes on where it stopped.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from med_mat.hub.gate import Outgoing, RightsError
from med_mat.hub.remote import DATASET, HubError, Patience, Snapshot, snapshot
from med_mat.hub.state import Target

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

COMMIT_FILES = 100
"""Files of one commit; the Hub's documentation advises to stay below or at this (docs/publishing.md)."""
UPLOAD_FILES = 16
"""Files that are uploaded between two moves of the progress bar."""
FOLDER_FILES = 10_000
REPO_FILES = 100_000
_TITLE = re.compile(r"Med-MAT \d+\.\d+\.\d+ \([0-9a-f]{12}\)")

Item = TypeVar("Item")


class Progress(Protocol):
    """What an upload tells while it runs."""

    def start(self, stage: str, total: int) -> None:
        """A stage begins; ``total`` bytes are ahead."""

    def advance(self, number: int) -> None:
        """Some of them are done."""


class Silent:
    """Tells nobody."""

    def start(self, stage: str, total: int) -> None:
        """Nothing."""

    def advance(self, number: int) -> None:
        """Nothing."""


def check_limits(target: Target) -> None:
    """Refuses what the Hub cannot hold well.

    Raises:
        HubError: If a folder or the repository would have too many files.
    """
    folders: dict[str, int] = {}
    for path in target.shards:
        folder = path.rpartition("/")[0]
        folders[folder] = folders.get(folder, 0) + 1
    for folder, number in folders.items():
        if number > FOLDER_FILES:
            raise HubError(f"{folder}: {number} files; the Hub takes {FOLDER_FILES} in a folder; build larger shards")
    if len(target.shards) + len(target.pages) > REPO_FILES:
        raise HubError(f"{len(target.shards)} files; the Hub takes {REPO_FILES} in a repository; build larger shards")


def upload(
    api: HfApi,
    repo: str,
    base: Snapshot,
    target: Target,
    *,
    progress: Progress | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Brings ``main`` to the target and tags it.

    Args:
        api: The client.
        repo: The repository.
        base: The state of ``main`` that the target was made from.
        target: What it is to hold.
        progress: Told how far the upload is, in bytes.
        sleep: Waits so many seconds between attempts.

    Returns:
        The commit of ``main`` that holds the target.

    Raises:
        HubError: If somebody else changed ``main`` meanwhile, or the Hub does not merge.
        RightsError: If pictures would go out by an override and the repository is not private.
        MedMatError: If a shard changed while it was uploaded.
    """
    check_limits(target)
    patience = Patience(sleep)
    told = progress or Silent()
    while True:
        try:
            return _go_on(api, repo, base, target, told, patience)
        except Exception as error:
            # What was done before the error is seen at the next look, whether or not its answer arrived.
            patience.wait(error)


def _go_on(api: HfApi, repo: str, base: Snapshot, target: Target, progress: Progress, patience: Patience) -> str:
    main = _main(api, repo)
    if not target.reached(main.files):
        if main.commit != base.commit:
            raise HubError(
                f"{repo}: main moved from {base.commit[:8]} to {main.commit[:8]} meanwhile; nothing of it is changed. "
                "Run the command again: what is uploaded stays"
            )
        _refuse_public(repo, main, target)
        number = _pull_request(api, repo, base, target)
        _fill(api, repo, number, target, progress, patience)
        main = _merge(api, repo, number, base, target)
    tag(api, repo, target.version, main.commit)
    _close_others(api, repo)
    return main.commit


def _main(api: HfApi, repo: str) -> Snapshot:
    main = snapshot(api, repo)
    if main is None:
        raise HubError(f"{repo}: the repository is gone, or the token's right to see it")
    return main


def _refuse_public(repo: str, state: Snapshot, target: Target) -> None:
    if target.overridden and not state.private:
        raise RightsError(
            f"{repo} is public: pictures of {', '.join(target.overridden)} may not go there. --allow-pixels works for "
            "private repositories only"
        )


def _pull_request(api: HfApi, repo: str, base: Snapshot, target: Target) -> int:
    title = f"Med-MAT {target.version} ({target.name(base.commit)})"
    for pull in api.get_repo_discussions(repo, repo_type=DATASET, discussion_type="pull_request"):
        if pull.title == title and pull.status in ("draft", "open"):
            return pull.num
    # A draft: nobody merges it by hand before it is whole.
    pull = api.create_pull_request(
        repo, title=title, repo_type=DATASET, description="Made by med-mat, which merges it when it is whole."
    )
    return pull.num


def _branch(number: int) -> str:
    return f"refs/pr/{number}"


def _fill(api: HfApi, repo: str, number: int, target: Target, progress: Progress, patience: Patience) -> None:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    state = snapshot(api, repo, _branch(number))
    if state is None:
        raise HubError(f"{repo}: pull request {number} is gone")
    parent = state.commit
    missing = target.missing(state.files)
    progress.start(f"upload to {repo}", sum(shard.bytes for shard in missing))
    for batch in _batches(missing, COMMIT_FILES):
        operations = []
        for some in _batches(batch, UPLOAD_FILES):
            operations += _preupload(api, repo, number, some)
            progress.advance(sum(shard.bytes for shard in some))
        parent = _commit(api, repo, number, parent, operations, f"{len(batch)} shards, from {batch[0].path}")
        patience.got_on()
    # Shards come before what points at them, and what nothing points at any more goes last.
    rest: list[CommitOperationAdd | CommitOperationDelete] = [
        CommitOperationAdd(path, target.pages[path].encode()) for path in target.stale(state.files)
    ]
    rest += [CommitOperationDelete(path) for path in target.surplus(state.files)]
    for some_rest in _batches(rest, COMMIT_FILES):
        parent = _commit(api, repo, number, parent, some_rest, f"Med-MAT {target.version}")
        patience.got_on()


def _batches(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _preupload(api: HfApi, repo: str, number: int, shards: Sequence[Outgoing]) -> list[CommitOperationAdd]:
    from huggingface_hub import CommitOperationAdd

    operations = [CommitOperationAdd(shard.path, shard.local) for shard in shards]
    api.preupload_lfs_files(
        repo, operations, repo_type=DATASET, revision=_branch(number), free_memory=False, num_threads=5
    )
    for shard, operation in zip(shards, operations, strict=True):
        if operation.upload_info.sha256.hex() != shard.sha256:
            raise HubError(f"{shard.local}: changed while it was uploaded; run `med-mat build` and push again")
    return operations


def _commit(
    api: HfApi,
    repo: str,
    number: int,
    parent: str,
    operations: Sequence[CommitOperationAdd | CommitOperationDelete],
    message: str,
) -> str:
    commit = api.create_commit(
        repo,
        operations,
        commit_message=message,
        repo_type=DATASET,
        revision=_branch(number),
        parent_commit=parent,
    )
    return commit.oid


def _merge(api: HfApi, repo: str, number: int, base: Snapshot, target: Target) -> Snapshot:
    state = snapshot(api, repo, _branch(number))
    main = _main(api, repo)
    if state is None or not target.reached(state.files):
        raise HubError(f"{repo}: pull request {number} does not hold what was put there; run the command again")
    if main.commit != base.commit:
        raise HubError(f"{repo}: main moved to {main.commit[:8]} meanwhile; nothing of it is changed. Run again")
    # Asked again at the last moment: a repository can be made public while an upload runs.
    _refuse_public(repo, main, target)
    if api.get_discussion_details(repo, number, repo_type=DATASET).status == "draft":
        api.change_discussion_status(repo, number, "open", repo_type=DATASET)
    api.merge_pull_request(repo, number, repo_type=DATASET)
    main = _main(api, repo)
    if not target.reached(main.files):
        raise HubError(
            f"{repo}: main at {main.commit[:8]} is not what pull request {number} held; it was changed in the same "
            "moment. Run `med-mat verify`, then push again"
        )
    return main


def tag(api: HfApi, repo: str, version: str, commit: str) -> None:
    """Tags a commit as ``v<version>``, if no commit has that tag."""
    name = f"v{version}"
    if name not in {ref.name for ref in api.list_repo_refs(repo, repo_type=DATASET).tags}:
        api.create_tag(repo, tag=name, revision=commit, repo_type=DATASET, exist_ok=True)


def _close_others(api: HfApi, repo: str) -> None:
    """Closes pull requests of uploads that were given up: ``main`` is no longer what they were made from."""
    for pull in api.get_repo_discussions(repo, repo_type=DATASET, discussion_type="pull_request"):
        if _TITLE.fullmatch(pull.title) and pull.status in ("draft", "open"):
            api.change_discussion_status(repo, pull.num, "closed", repo_type=DATASET, comment="Overtaken.")
