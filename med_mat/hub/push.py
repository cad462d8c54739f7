"""Push: a build to a repository of the Hub, as far as the rights of its sources go."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from med_mat import __version__
from med_mat.build import WORK
from med_mat.card import Card
from med_mat.errors import CardError, LayoutError, MedMatError
from med_mat.hub.gate import Outgoing, Right, RightsError, admit, rights
from med_mat.hub.remote import DATASET, MAIN, HubError, Snapshot, connect, patiently, plainly, read_text, snapshot
from med_mat.hub.standing import Comparison, Standing
from med_mat.hub.state import (
    CHANGELOG,
    MANIFEST,
    Entry,
    Manifest,
    Target,
    changelog_with,
    changes,
    discreet,
    manifest_of,
    next_version,
    pages_of,
    read_manifest,
    source_entry,
)
from med_mat.hub.upload import Progress, Silent, check_limits, upload
from med_mat.publication import read_manifest as read_build
from med_mat.registry import Registry
from med_mat.schema import SCHEMA_VERSION

if TYPE_CHECKING:
    from huggingface_hub import HfApi

STAGING = "outgoing"
"""Folder within a build's work folder: shards without pixels, and what is known of the others."""


@dataclass(frozen=True, slots=True)
class SourcePush:
    """What a push does with a source.

    Attributes:
        right: What of it goes out, and why.
        rows: Rows that are served; 0 where nothing goes out.
        pictures: Rows that are served with pixels.
        shards: Shards that are served.
        bytes: Their size.
        new_bytes: Size of those that the repository does not hold yet.
        here: Whether the build has it; else it stays as it is published.
    """

    right: Right
    rows: int
    pictures: int
    shards: int
    bytes: int
    new_bytes: int
    here: bool


@dataclass(frozen=True, slots=True)
class PushResult:
    """How a push came out, or would.

    Attributes:
        repo: The repository.
        version: The version that it holds then.
        before: The version that it held, None if none.
        changed: What differs, as ``state.changes`` gives it.
        sources: By source, in order of admission.
        deleted: Files that go.
        commit: The commit of ``main`` that holds the version; None of a dry run.
        withdrawn: Published rows that go, since they overlap what is published in another split.
        warnings: What the maintainer must know.
    """

    repo: str
    version: str
    before: str | None
    changed: Mapping[str, Sequence[str]]
    sources: tuple[SourcePush, ...]
    deleted: int
    commit: str | None
    withdrawn: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def up_to_date(self) -> bool:
        """Whether there is nothing to do."""
        return self.version == self.before


@dataclass(frozen=True, slots=True)
class Published:
    """What a repository holds: its newest state, manifest and changelog."""

    state: Snapshot
    manifest: Manifest | None
    changelog: str


def push(
    registry: Registry,
    build: Path,
    repo: str,
    *,
    public: bool = False,
    allow_pixels: Sequence[str] = (),
    dry_run: bool = False,
    new_major: bool = False,
    progress: Progress | None = None,
    api: HfApi | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> PushResult:
    """Publishes a build. Sources that are published and not in the build stay as they are.

    A push that was stopped goes on where it stopped when it is called again. At its end the build's work folder
    remembers which rows are published in which split, so that the next build leaves them there.

    Args:
        registry: All sources.
        build: A finished build.
        repo: ``owner/name`` of a dataset repository; made if it is not there.
        public: Make it public; else it is made private. One that is there stays what it is.
        allow_pixels: Sources whose pictures go out whatever their card says; private repositories only.
        dry_run: Change nothing, make nothing; say what would be done.
        new_major: Let published rows change their splits. The version counts up its first number if any does.
        progress: Told how far the work is.
        api: The client; else one from the environment.
        sleep: Waits so many seconds between attempts.

    Raises:
        RightsError: If something would go out that may not.
        MovedRowsError: If a published row would change its split, but for ``new_major``.
        LayoutError: If the folder is no finished build.
        CardError: If a published source has no card, or its card now forbids what is published and the build does not
            have it.
        HubError: If the Hub does not do its part.
    """
    api = api or connect()
    with plainly(repo), _locked(build):
        built = read_build(build)
        published = published_state(api, repo, sleep)
        _refuse_public(repo, published, public, allow_pixels)
        if published is None and not dry_run:
            patiently(
                lambda: api.create_repo(
                    repo, repo_type=DATASET, exist_ok=True, visibility="public" if public else "private"
                ),
                sleep,
            )
            published = published_state(api, repo, sleep)
            if published is None:
                raise HubError(f"{repo}: made, and not to be seen; check the token with `hf auth whoami`")
            _refuse_public(repo, published, public, allow_pixels)
        before = published.manifest if published else None
        decided = rights(
            published_cards(registry, built["sources"], "build"),
            allow_pixels=allow_pixels,
            withdrawn=before["withdrawn"] if before else None,
        )
        outgoing = _admit_all(build, built, decided, progress or Silent())
        cards = published_cards(registry, {**built["sources"], **(before["sources"] if before else {})}, repo)
        entries = _entries(cards, built, decided, outgoing, before)
        standing = Standing(api, repo, build, built["sources"], sleep)
        compared = Comparison(repo)
        if published is not None and before is not None:
            compared = standing.compared(published.state.commit, before, entries)
        if not new_major:
            compared.refuse_moves()
        every = {**decided, **kept_rights(cards, decided, before)}
        target, changed = make_target(cards, repo, entries, published, _flat(outgoing))
        check_limits(target)
        files = published.state.files if published else {}
        new = {shard.path: shard for shard in target.missing(files)}
        commit = None
        if not dry_run and published is not None:
            commit = upload(api, repo, published.state, target, progress=progress, sleep=sleep)
            standing.remember(commit, target.version, entries)
    return PushResult(
        repo=repo,
        version=target.version,
        before=before["version"] if before else None,
        changed=changed,
        sources=tuple(_told(every[card.slug], entries.get(card.slug, {}), card.slug in decided, new) for card in cards),
        deleted=len(target.surplus(files)),
        commit=commit,
        withdrawn=compared.withdrawn,
        warnings=tuple(_warnings(repo, published, entries, compared.withdrawn)),
    )


def _locked(build: Path) -> Any:
    if not (build / WORK).is_dir():
        raise LayoutError(f"{build}: no build; expected the folder that `med-mat build --out` wrote")
    return _Lock(build)


class _Lock:
    """Keeps builds and other pushes out of a folder while its shards are read."""

    def __init__(self, build: Path) -> None:
        self._build = build
        self._lock = FileLock(build / WORK / "lock", timeout=0)

    def __enter__(self) -> None:
        try:
            self._lock.acquire()
        except Timeout as error:
            raise MedMatError(f"{self._build}: a build or a push is at work in this folder; wait for it") from error

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def published_state(api: HfApi, repo: str, sleep: Callable[[float], None] = time.sleep) -> Published | None:
    """Reads what a repository holds.

    Returns:
        None if there is no such repository, or none that this user may see.

    Raises:
        HubError: If it holds rows that ``med-mat push`` did not put there.
    """

    def look() -> Published | None:
        state = snapshot(api, repo, MAIN)
        if state is None:
            return None
        if MANIFEST not in state.files:
            data = [path for path in state.files if path.startswith("data/")]
            if data:
                raise HubError(f"{repo}: holds {data[0]} and no {MANIFEST}: not made by `med-mat push`; choose another")
            return Published(state, None, "")
        manifest = read_manifest(read_text(api, repo, state.commit, MANIFEST), repo)
        changelog = read_text(api, repo, state.commit, CHANGELOG) if CHANGELOG in state.files else ""
        return Published(state, manifest, changelog)

    return patiently(look, sleep)


def _refuse_public(repo: str, published: Published | None, public: bool, allow_pixels: Sequence[str]) -> None:
    is_public = not published.state.private if published else public
    if allow_pixels and is_public:
        raise RightsError(
            f"{repo} is public: --allow-pixels {', '.join(allow_pixels)} works for private repositories only"
        )


def published_cards(registry: Registry, slugs: Mapping[str, Any], where: str) -> list[Card]:
    """Returns the cards of sources in order of admission.

    Raises:
        CardError: If one has none.
    """
    for slug in slugs:
        if slug not in registry:
            raise CardError(f"{where} has rows of {slug}, for which there is no card; give its --loaders folder")
    return [source.card for source in registry if source.slug in slugs]


def _admit_all(
    build: Path, built: Manifest, decided: Mapping[str, Right], progress: Progress
) -> dict[str, list[Outgoing]]:
    staging = build / WORK / STAGING
    total = sum(record["rows"] for entry in built["sources"].values() for record in entry["shards"].values())
    progress.start("read rows", total)
    found: dict[str, list[Outgoing]] = {}
    for slug, entry in built["sources"].items():
        found[slug] = []
        for path, record in sorted(entry["shards"].items()):
            shard = admit(build, path, record, decided[slug], staging)
            found[slug] += [shard] if shard else []
            progress.advance(record["rows"])
    return found


def _entries(
    cards: Sequence[Card],
    built: Manifest,
    decided: Mapping[str, Right],
    outgoing: Mapping[str, Sequence[Outgoing]],
    before: Manifest | None,
) -> dict[str, Entry]:
    entries = {}
    for card in cards:
        if before is not None and card.slug in before["withdrawn"]:
            continue
        if card.slug in decided:
            entries[card.slug] = source_entry(decided[card.slug], built["sources"][card.slug], outgoing[card.slug])
        elif before is not None:
            entries[card.slug] = before["sources"][card.slug]
    return entries


def kept_rights(cards: Sequence[Card], decided: Mapping[str, Right], before: Manifest | None) -> dict[str, Right]:
    """Gives the rights of published sources that the build does not have.

    Raises:
        CardError: If more of one is published than its card allows now.
    """
    order = {"none": 0, "annotations": 1, "images": 2}
    kept = {}
    for card in cards:
        if card.slug in decided or before is None:
            continue
        serves = before["sources"][card.slug]["serves"]
        allowed = card.slug in before["allowed_pixels"]
        if order[serves] > order[card.redistribution] and not allowed:
            raise CardError(
                f"{card.slug} is published with {serves}, and its card now allows {card.redistribution}; build it and "
                f"push again, or run `med-mat withdraw {card.slug}`"
            )
        kept[card.slug] = Right(card.slug, card.redistribution, serves, "stays as it is published")
    return kept


def _flat(outgoing: Mapping[str, Sequence[Outgoing]]) -> dict[str, Outgoing]:
    return {shard.path: shard for shards in outgoing.values() for shard in shards}


def make_target(
    cards: Sequence[Card],
    repo: str,
    entries: Mapping[str, Entry],
    published: Published | None,
    local: Mapping[str, Outgoing],
    *,
    withdrawn: Sequence[str] = (),
) -> tuple[Target, dict[str, list[str]]]:
    """Works out what a repository is to hold, and its version.

    Args:
        cards: Cards of its sources, in order of admission.
        repo: The repository.
        entries: Slug to entry of the manifest.
        published: What it holds now.
        local: Path to file, of the shards at hand.
        withdrawn: Sources that are withdrawn now.

    Returns:
        The target, whose version is the published one if nothing differs, and what differs.
    """
    entries = discreet(entries)
    before = published.manifest if published else None
    changelog = published.changelog if published else ""
    allowed = tuple(
        slug for slug, entry in entries.items() if entry["serves"] == "images" and entry["redistribution"] != "images"
    )

    def target(version: str, text: str) -> Target:
        gone = {**(before["withdrawn"] if before else {}), **dict.fromkeys(withdrawn, version)}
        manifest = manifest_of(__version__, version, entries, gone, allowed)
        shards = {
            path: shard["sha256"] for entry in entries.values() for path, shard in entry.get("shards", {}).items()
        }
        return Target(version, shards, local, pages_of(cards, manifest, repo, text), allowed)

    if before is not None and published is not None:
        same = target(before["version"], changelog)
        if same.reached(published.state.files):
            return same, {}
    changed = changes(before, {"schema": SCHEMA_VERSION, "sources": entries})
    version = next_version(before, changed)
    return target(version, changelog_with(changelog, version, changed)), changed


def _told(right: Right, entry: Entry, here: bool, new: Mapping[str, Outgoing]) -> SourcePush:
    shards = entry.get("shards", {})
    return SourcePush(
        right=right,
        rows=entry.get("rows", 0),
        pictures=entry.get("rows", 0) if right.serves == "images" else 0,
        shards=len(shards),
        bytes=sum(shard["bytes"] for shard in shards.values()),
        new_bytes=sum(shard["bytes"] for path, shard in shards.items() if path in new),
        here=here,
    )


def _warnings(
    repo: str, published: Published | None, entries: Mapping[str, Entry], withdrawn: Sequence[str]
) -> list[str]:
    if published is None or published.manifest is None:
        return []
    told = []
    if withdrawn:
        told.append(
            f"{len(withdrawn)} published rows are withdrawn, since they overlap what is published in another split; "
            f"the first is {withdrawn[0]}"
        )
    for slug, entry in published.manifest["sources"].items():
        if entry["serves"] == "images" and entries[slug]["serves"] != "images":
            told.append(
                f"{slug}: earlier commits of {repo} hold its pictures; `med-mat withdraw --history {slug}` says where"
            )
    return told
