"""What has been accepted and downloaded, in a small file beside the raw roots."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from med_mat.card import Card
from med_mat.download.errors import ChecksumError, DownloadError
from med_mat.files import write_json

FOLDER = ".med-mat"
BY_HAND = "by hand"
_SECONDS_BETWEEN_SAVES = 5.0


@dataclass(frozen=True)
class Entry:
    """A file of a download.

    Attributes:
        bytes: Size.
        sha256: Hexadecimal digest.
        origin: Where it came from.
        checked: What the bytes were checked against: ``owner`` (the owner's checksum), ``archive`` (the checksums
            within the archive), ``none``.
    """

    bytes: int
    sha256: str
    origin: str
    checked: str


@dataclass
class Lock:
    """The record of one raw root. Holds no date and no name of a user, so that equal downloads have equal records.

    Attributes:
        path: The file.
        accepted: Digest of the terms that were accepted, and by which slug; empty before.
        files: By path below the raw root.
        places: What makes up a place that was fetched as a whole.
    """

    path: Path
    accepted: dict[str, str] = field(default_factory=dict)
    files: dict[str, Entry] = field(default_factory=dict)
    places: dict[str, list[str]] = field(default_factory=dict)
    _saved: float = 0.0
    _guard: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def accept(self, card: Card) -> None:
        """Remembers that the terms of a card were accepted."""
        with self._guard:
            self.accepted[card.slug] = terms_digest(card)
            self._save()

    def has_accepted(self, card: Card) -> bool:
        """Whether these very terms were accepted."""
        return self.accepted.get(card.slug) == terms_digest(card)

    def record(self, name: str, entry: Entry) -> None:
        """Remembers a file.

        Raises:
            ChecksumError: An earlier download of the same release had other bytes.
        """
        with self._guard:
            earlier = self.files.get(name)
            if earlier is not None and earlier.origin == entry.origin and earlier.sha256 != entry.sha256:
                raise ChecksumError(
                    f"{name}: {earlier.origin} gave sha256 {earlier.sha256} at the first download, {entry.sha256} now. "
                    f"If the owner has changed the file, remove its entry from {self.path} and download again"
                )
            self.files[name] = entry
            # A release of twenty thousand files has a long record. What a killed process leaves unrecorded is read
            # again and compared with the owner's checksums.
            if time.monotonic() - self._saved > _SECONDS_BETWEEN_SAVES:
                self._save()

    def complete(self, place: str, names: Sequence[str]) -> None:
        """Remembers that all files of a place are here."""
        with self._guard:
            self.places[place] = sorted(names)
            self._save()

    def save(self) -> None:
        """Writes the record."""
        with self._guard:
            self._save()

    def _save(self) -> None:
        write_json(
            self.path,
            {
                "accepted": self.accepted,
                "files": {name: asdict(entry) for name, entry in self.files.items()},
                "places": self.places,
            },
        )
        self._saved = time.monotonic()


def lock_path(raw: Path, raw_slug: str) -> Path:
    """The record of the raw root of a source."""
    return raw / FOLDER / "downloads" / f"{raw_slug}.json"


def read_lock(raw: Path, raw_slug: str) -> Lock:
    """Reads the record of a raw root; an empty one if there is none.

    Raises:
        DownloadError: The file is damaged.
    """
    path = lock_path(raw, raw_slug)
    if not path.exists():
        return Lock(path)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        files = {str(name): Entry(**entry) for name, entry in found["files"].items()}
        return Lock(path, dict(found["accepted"]), files, dict(found["places"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DownloadError(
            f"{path}: not a record of downloads ({error}). Remove it: what is there is checked and recorded anew"
        ) from error


def terms_digest(card: Card) -> str:
    """Digest of what a person accepts: if it changes, it is asked for again."""
    terms = [card.slug, card.licence.name, card.licence.spdx, card.licence.url, card.access, card.redistribution]
    return hashlib.sha256(json.dumps(terms, ensure_ascii=False).encode()).hexdigest()
