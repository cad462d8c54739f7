"""Published rows stay where they are: a push is compared with what is published, and remembers what it published."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from med_mat.build import WORK
from med_mat.errors import MedMatError
from med_mat.hub.records import (
    Record,
    digests,
    hub_splits,
    local_splits,
    read_record,
    record_file,
    write_record,
)
from med_mat.hub.remote import patiently
from med_mat.hub.state import Entry, Manifest
from med_mat.sample import Split

if TYPE_CHECKING:
    from huggingface_hub import HfApi


class MovedRowsError(MedMatError):
    """A published row would change its split."""


@dataclass(frozen=True)
class Comparison:
    """How the rows of a build stand to those that are published.

    Attributes:
        repo: The repository.
        moved: Id to published and built split, of the rows that would change it.
        withdrawn: Ids of published rows that go, since they overlap what is published in another split.
    """

    repo: str
    moved: Mapping[str, tuple[Split, Split]] = field(default_factory=dict)
    withdrawn: tuple[str, ...] = ()

    def refuse_moves(self) -> None:
        """Refuses a build in which a published row changes its split.

        Raises:
            MovedRowsError: If one does.
        """
        if not self.moved:
            return
        first = min(self.moved)
        before, now = self.moved[first]
        raise MovedRowsError(
            f"{self.repo}: {len(self.moved)} published rows would change their split, the first {first} from {before} "
            f"to {now}; a published row keeps it within a major version. Build again with --published {self.repo}, "
            "which leaves them where they are; or, for a new major version, build and push with --new-major"
        )


@dataclass(frozen=True)
class Standing:
    """A build and the repository that it is pushed to.

    Attributes:
        api: The client.
        repo: The repository.
        build: The build's folder.
        built: The sources of its manifest.
        sleep: Waits so many seconds between attempts.
    """

    api: HfApi
    repo: str
    build: Path
    built: Mapping[str, Entry]
    sleep: Callable[[float], None] = time.sleep

    @cached_property
    def _known(self) -> Record | None:
        path = record_file(self.build / WORK, self.repo)
        return read_record(path) if path.is_file() else None

    def _published(self, commit: str, slug: str, entry: Entry) -> Mapping[str, Split]:
        """Rows of a published source: from the build's record if it is of these rows, else from the Hub."""
        splits = self._known.of(slug, entry["digest"]) if self._known else None
        if splits is None:
            splits = patiently(lambda: hub_splits(self.api, self.repo, commit, {slug: entry}), self.sleep)
        return splits

    def compared(self, commit: str, before: Manifest, entries: Mapping[str, Entry]) -> Comparison:
        """Compares the build with what is published.

        Args:
            commit: The commit that holds what is published.
            before: Its manifest.
            entries: Slug to entry of the manifest that the push would write.
        """
        moved: dict[str, tuple[Split, Split]] = {}
        withdrawn: list[str] = []
        for slug, old in before["sources"].items():
            new = entries.get(slug)
            # Equal digests stand for equal rows in equal splits, so that nothing is read of what did not change.
            if new is None or "none" in (old["serves"], new["serves"]) or old["digest"] == new["digest"]:
                continue
            stood = self._published(commit, slug, old)
            now = local_splits(self.build, {slug: self.built[slug]})
            moved.update((name, (split, now[name])) for name, split in stood.items() if now.get(name, split) != split)
            withdrawn += [name for name in self.built[slug]["withdrawn"] if name in stood]
        return Comparison(self.repo, moved, tuple(sorted(withdrawn)))

    def remember(self, commit: str, version: str, entries: Mapping[str, Entry]) -> None:
        """Keeps in the build's work folder what is published now, for the next build.

        Args:
            commit: The commit that holds it.
            version: Its version.
            entries: Slug to entry of its manifest.
        """
        served = {slug: entry for slug, entry in entries.items() if entry["serves"] != "none"}
        splits: dict[str, Split] = {}
        for slug, entry in served.items():
            if slug in self.built:
                splits.update(local_splits(self.build, {slug: self.built[slug]}))
            else:
                splits.update(self._published(commit, slug, entry))
        write_record(self.build / WORK, Record(self.repo, version, digests(served), splits))
