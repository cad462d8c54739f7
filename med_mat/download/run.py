"""Downloads sources: terms, room, several files at a time, checks, and what is left to a person."""

from __future__ import annotations

import shutil
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from med_mat.card import Card, Place
from med_mat.download.archives import is_foreign, unpack, verify
from med_mat.download.digest import Tick, digest_of
from med_mat.download.errors import (
    AccessError,
    ChecksumError,
    DownloadError,
    SpaceError,
    StoppedError,
    TermsError,
    UnpackError,
)
from med_mat.download.lock import BY_HAND, FOLDER, Entry, Lock, read_lock
from med_mat.download.outcome import Outcome
from med_mat.download.pages import address, is_automatic, needs, place_key
from med_mat.download.places import remotes
from med_mat.download.plan import parts_of
from med_mat.download.remote import Remote
from med_mat.download.transfer import Meter, Policy, came, fetch, require_space
from med_mat.errors import MedMatError
from med_mat.raw.names import archive_kind, first_volume, foreign_stem, is_junk
from med_mat.registry import Registry


class Watcher(Protocol):
    """Is told what happens; shows it or not."""

    def begin(self, slug: str, files: int) -> None:
        """So many files are to be fetched for a source."""
        ...

    def file(self, slug: str, name: str, size: int | None) -> Meter:
        """A file begins."""
        ...

    def done(self, slug: str, name: str) -> None:
        """A file is in its place."""
        ...


class _Silent:
    def begin(self, slug: str, files: int) -> None:
        pass

    def file(self, slug: str, name: str, size: int | None) -> _Silent:
        del slug, name, size
        return self

    def done(self, slug: str, name: str) -> None:
        pass

    def total(self, size: int | None) -> None:
        pass

    def at(self, position: int) -> None:
        pass


@dataclass(frozen=True)
class Options:
    """How to download.

    Attributes:
        jobs: Files at a time.
        per_host: Files at a time from one server.
        check: Read again the files that are there, and compare them with the record.
        choose: Number of the place to take, counted through the card from 1; replaces the one that it is an
            alternative to.
    """

    jobs: int = 4
    per_host: int = 2
    check: bool = False
    choose: int | None = None


Ask = Callable[[Card], bool]


def download(
    registry: Registry,
    slugs: Sequence[str],
    raw: Path,
    *,
    accept: Iterable[str] = (),
    ask: Ask | None = None,
    options: Options | None = None,
    policy: Policy | None = None,
    watcher: Watcher | None = None,
) -> list[Outcome]:
    """Downloads sources into ``raw/<slug>``.

    Nothing lies in a raw root before it is whole and checked: what is half done lies in ``raw/.med-mat``, and the
    next call goes on with it. What a file has been checked against, its SHA-256 and its origin are recorded beside.

    Args:
        registry: The sources.
        slugs: Which ones.
        raw: Folder of raw roots.
        accept: Slugs whose terms are accepted.
        ask: Asks a person about the terms of a card; None if there is nobody to ask.
        options: How to download.
        policy: How long to try, and how much of the disk stays free.
        watcher: Is told what happens.

    Returns:
        An outcome per source and raw root, in the order of ``slugs``. One that fails does not stop the others.

    Raises:
        TermsError: Terms were not accepted; nothing was fetched.
        DownloadError: Another process downloads into the same folder, or a record is damaged.
        KeyError: A slug is unknown.
    """
    cards = [registry[slug].card for slug in dict.fromkeys(slugs)]
    accepted = set(accept)
    for slug in accepted:
        registry[slug]
    folder = raw / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "download.lock", timeout=0):
            locks = {card.raw_slug: read_lock(raw, card.raw_slug) for card in cards}
            _settle_terms(cards, locks, accepted, ask)
            options = options or Options()
            slots = _Slots(options)
            # Two sources may read one download: it is fetched once.
            runs: dict[str, _Run] = {}
            for card in cards:
                if card.raw_slug not in runs:
                    lock = locks[card.raw_slug]
                    runs[card.raw_slug] = _Run(
                        card, raw, lock, options, policy or Policy(), watcher or _Silent(), slots
                    )
            done = _run_all(runs, registry, options.jobs)
            return [_of(done[card.raw_slug], card) for card in cards]
    except Timeout as error:
        raise DownloadError(f"{raw}: another process downloads into this folder. Wait for it") from error


def _run_all(runs: Mapping[str, _Run], registry: Registry, jobs: int) -> dict[str, Outcome]:
    with ThreadPoolExecutor(jobs, thread_name_prefix="source") as pool:
        running = {raw_slug: pool.submit(run.outcome, registry) for raw_slug, run in runs.items()}
        try:
            wait(running.values())
        except BaseException:
            # Whoever presses Ctrl-C wants to have the prompt back, and what came so far.
            for run in runs.values():
                run.stop.set()
            raise
    return {raw_slug: future.result() for raw_slug, future in running.items()}


def _of(done: Outcome, card: Card) -> Outcome:
    """The outcome for a source that reads the download of another one."""
    if done.slug == card.slug:
        return done
    return replace(done, slug=card.slug, fetched=(), present=(*done.present, *done.fetched))


def _settle_terms(cards: Sequence[Card], locks: Mapping[str, Lock], accepted: set[str], ask: Ask | None) -> None:
    refused = []
    for card in cards:
        lock = locks[card.raw_slug]
        if lock.has_accepted(card):
            continue
        if card.slug in accepted or (ask is not None and ask(card)):
            lock.accept(card)
        else:
            refused.append(card)
    if refused:
        lines = [f"  {card.slug}: {card.licence.name} ({card.licence.url or card.homepage})" for card in refused]
        flags = " ".join(f"--accept {card.slug}" for card in refused)
        raise TermsError(
            "these terms have not been accepted, so nothing was fetched:\n"
            + "\n".join(lines)
            + f"\nRead them, and if you accept them, add {flags}"
        )


class _Slots:
    """So many files at a time, and so many from one server."""

    def __init__(self, options: Options) -> None:
        self._hosts: dict[str, threading.Semaphore] = defaultdict(lambda: threading.Semaphore(options.per_host))
        self._all = threading.Semaphore(options.jobs)
        self._guard = threading.Lock()

    @contextmanager
    def of(self, host: str) -> Iterator[None]:
        with self._guard:
            slot = self._hosts[host]
        # The server's slot comes first: who waits for it must not keep others from other servers.
        with slot, self._all:
            yield


class _Stoppable:
    """A meter that ends the download once it is to stop."""

    def __init__(self, meter: Meter, tick: Tick) -> None:
        self._meter, self._tick = meter, tick

    def total(self, size: int | None) -> None:
        self._meter.total(size)

    def at(self, position: int) -> None:
        self._tick(position)
        self._meter.at(position)


class _Run:
    """The download of one raw root."""

    def __init__(
        self, card: Card, raw: Path, lock: Lock, options: Options, policy: Policy, watcher: Watcher, slots: _Slots
    ) -> None:
        self.card, self.lock, self.options, self.policy = card, lock, options, policy
        self.watcher, self.slots = watcher, slots
        self.stop = threading.Event()
        if policy.wait is time.sleep:
            self.policy = replace(policy, wait=self._pause)
        self.folder = raw / card.raw_slug
        self.work = raw / FOLDER / "partial" / card.raw_slug
        self.fetched: list[str] = []
        self.present: list[str] = []
        self.todo: list[str] = []

    def _pause(self, seconds: float) -> None:
        self.stop.wait(seconds)
        self._tick(0)

    def _tick(self, _: int) -> None:
        """Ends what takes long once it is to stop."""
        if self.stop.is_set():
            raise StoppedError("stopped; what came stays, run again to go on")

    def outcome(self, registry: Registry) -> Outcome:
        """Downloads, and says what became of it; raises nothing that a person should read."""
        parts = parts_of(self.card, registry)
        chosen: list[Place] = []
        try:
            chosen = self._choose(parts)
            self._all(chosen)
        except (MedMatError, OSError) as error:
            return self._end(str(error), _elsewhere(parts, chosen))
        finally:
            self.lock.save()
        if not chosen:
            self.todo.append(f"{self.card.download.how} Put it into {self.folder}")
        return self._end(None, {})

    def _end(self, error: str | None, elsewhere: Mapping[int, str]) -> Outcome:
        return Outcome(
            self.card.slug,
            self.folder,
            tuple(sorted(self.fetched)),
            tuple(sorted(self.present)),
            tuple(self.todo),
            error,
            elsewhere,
        )

    def _choose(self, parts: Sequence[Sequence[Place]]) -> list[Place]:
        wanted = self.options.choose
        # A place that was taken once stays: its files are here.
        chosen = [next(filter(self._is_complete, part), part[0]) for part in parts]
        if wanted is None:
            return chosen
        number = 0
        for index, part in enumerate(parts):
            for place in part:
                number += 1
                if number == wanted:
                    chosen[index] = place
                    return chosen
        raise DownloadError(f"--from {wanted}: the card of {self.card.slug} has the places 1 to {number}")

    def _all(self, places: Sequence[Place]) -> None:
        by_hand = [place for place in places if not is_automatic(place)]
        offered = {place_key(place): self._offered(place) for place in places if is_automatic(place)}
        files = [remote for found in offered.values() for remote in found or ()]
        if files and not by_hand:
            self._refuse_strangers(files)
        missing = [remote for remote in files if not self._settle(remote)]
        known = sum(max(0, (remote.size or 0) - came(remote, self.work)) for remote in missing)
        require_space(self.work.parent.parent, known, self.policy, self.card.slug)
        self._fetch_all(missing)
        for key, found in offered.items():
            if found is not None:
                self.lock.complete(key, [remote.name for remote in found])
        if by_hand:
            self._take_over(by_hand)
        self._unpack_all()

    def _is_complete(self, place: Place) -> bool:
        """Whether all files of a place are recorded and here, so that no server need be asked."""
        names = self.lock.places.get(place_key(place))
        if names is None or not all(self._is_there(name) for name in names):
            return False
        # The card may have learnt of another file since.
        return all(any(_fits(name, file.name) for name in names) for file in place.files)

    def _offered(self, place: Place) -> list[Remote] | None:
        """The files of a place; None if all are here."""
        if not self._is_complete(place):
            return remotes(place, self.policy)
        names = self.lock.places[place_key(place)]
        for name in names:
            self._compare(name)
        self.present += names
        return None

    def _refuse_strangers(self, files: Sequence[Remote]) -> None:
        """Raises if a folder holds files of unknown origin, and nothing of what would be fetched."""
        if self.lock.files or any((self.folder / remote.name).exists() for remote in files):
            return
        if any(True for _ in self._here()):
            raise DownloadError(
                f"{self.folder}: holds files already, and no record of where they are from. If they are the download, "
                f"use them as they are (`med-mat index {self.card.slug} --raw {self.folder}`); else move them away"
            )

    def _settle(self, remote: Remote) -> bool:
        """Whether a file is here and need not be fetched."""
        if self._is_there(remote.name):
            self._compare(remote.name)
            self.present.append(remote.name)
            return True
        if remote.name not in self.lock.files and (self.folder / remote.name).is_file():
            self._adopt(remote)
            return True
        return False

    def _is_there(self, name: str) -> bool:
        path, entry = self.folder / name, self.lock.files.get(name)
        if entry is None:
            return False
        if path.is_file():
            return path.stat().st_size == entry.bytes
        return _unpacked_folder(path) is not None

    def _compare(self, name: str) -> None:
        path = self.folder / name
        if not self.options.check or not path.is_file():
            return
        found = self._digest(path)
        if found != self.lock.files[name].sha256:
            raise ChecksumError(
                f"{path}: has changed since it was recorded (sha256 {self.lock.files[name].sha256} expected, {found} "
                "found). Remove it and download again"
            )

    def _digest(self, path: Path, algorithm: str = "sha256") -> str:
        return digest_of(path, self._tick, algorithm).hexdigest()

    def _adopt(self, remote: Remote) -> None:
        """Takes over a file that somebody put there."""
        path = self.folder / remote.name
        digest = self._digest(path)
        expected = remote.known_hash
        found = f"md5:{self._digest(path, 'md5')}" if expected and expected.startswith("md5:") else f"sha256:{digest}"
        if expected is not None and found != expected:
            raise ChecksumError(
                f"{path}: is not the file of {remote.origin} ({expected} expected, {found} found). Move it away"
            )
        checked = "owner" if expected else ("archive" if verify(path, self._tick) else "none")
        self.lock.record(remote.name, Entry(path.stat().st_size, digest, remote.origin, checked))
        self.present.append(remote.name)

    def _fetch_all(self, files: Sequence[Remote]) -> None:
        if not files:
            return
        errors: list[Exception] = []
        self.watcher.begin(self.card.slug, len(files))
        with ThreadPoolExecutor(self.options.jobs, thread_name_prefix="file") as pool:
            futures: list[Future[None]] = [pool.submit(self._one, remote) for remote in files]
            for future in as_completed(futures):
                error = future.exception()
                if error is None or isinstance(error, StoppedError):
                    continue
                if not isinstance(error, Exception):
                    raise error
                errors.append(error)
                # These will not be better at the next file.
                if isinstance(error, AccessError | SpaceError) or len(errors) == _ENOUGH_ERRORS:
                    self.stop.set()
        if self.work.is_dir() and not any(self.work.iterdir()):
            self.work.rmdir()
        if len(errors) > 1:
            raise DownloadError(f"{errors[0]}\n(and {len(errors) - 1} more files failed; what came stays)")
        if errors:
            raise errors[0]
        self._tick(0)

    def _one(self, remote: Remote) -> None:
        with self.slots.of(remote.host):
            if self.stop.is_set():
                return
            meter = self.watcher.file(self.card.slug, remote.name, remote.size)
            got = fetch(remote, self.work, _Stoppable(meter, self._tick), self.policy)
        checked = "owner" if remote.known_hash else "none"
        try:
            if (
                (archive_kind(remote.name) or is_foreign(remote.name))
                and not remote.known_hash
                and verify(got.path, self._tick)
            ):
                checked = "archive"
            self.lock.record(remote.name, Entry(got.size, got.sha256, remote.origin, checked))
        except StoppedError:
            # Not a bad file: the next run goes on with it.
            raise
        except DownloadError:
            shutil.rmtree(got.path.parent)
            raise
        target = self.folder / remote.name
        target.parent.mkdir(parents=True, exist_ok=True)
        got.path.replace(target)
        got.path.parent.rmdir()
        self.fetched.append(remote.name)
        self.watcher.done(self.card.slug, remote.name)

    def _unpack_all(self) -> None:
        parts: dict[str, list[str]] = defaultdict(list)
        for name in (*self.fetched, *self.present):
            stem = foreign_stem(name)
            if stem is not None:
                parts[stem].append(name)
        for stem, names in parts.items():
            if (self.folder / stem).is_dir():
                continue
            try:
                unpack(self.folder / first_volume(names), self.folder / stem, self.policy, self._tick)
            except UnpackError as error:
                self.todo.append(str(error))

    def _here(self) -> Iterator[str]:
        for path in sorted(self.folder.rglob("*")):
            name = path.relative_to(self.folder).as_posix()
            if path.is_file() and not is_junk(name):
                yield name

    def _take_over(self, places: Sequence[Place]) -> None:
        """Looks for what a person must put there; records what is, says how to get what is not."""
        known = [name for name, entry in self.lock.files.items() if entry.origin != BY_HAND]
        inside = [f"{foreign_stem(name)}/" for name in self.lock.files if is_foreign(name)]
        loose = [name for name in self._here() if name not in known and not name.startswith(tuple(inside))]
        taken: list[Place] = []
        for place in places:
            wanted = [file.name for file in place.files] or ["*"]
            missing = [name for name in wanted if not any(_fits(found, name) for found in loose)]
            if missing:
                self.todo += _steps(place, self.folder, [name for name in missing if name != "*"])
            else:
                taken.append(place)
        for name in loose:
            path = self.folder / name
            if name in self.lock.files:
                self._compare(name)
            elif archive_kind(name) or is_foreign(name) or len(loose) <= _RECORDED_BY_HAND:
                checked = "archive" if verify(path, self._tick) else "none"
                self.lock.record(name, Entry(path.stat().st_size, self._digest(path), BY_HAND, checked))
            self.present.append(name)
        recorded = [name for name in loose if name in self.lock.files]
        for place in taken:
            self.lock.complete(place_key(place), recorded)


_ENOUGH_ERRORS = 5
_RECORDED_BY_HAND = 1000
"""Of a folder that a person unpacked, with more files than this, only the archives are hashed."""


def _fits(found: str, wanted: str) -> bool:
    return fnmatch(found.lower(), wanted.lower()) or fnmatch(found.lower(), f"*/{wanted.lower()}")


def _unpacked_folder(path: Path) -> Path | None:
    stem = foreign_stem(path.as_posix())
    return Path(stem) if stem is not None and Path(stem).is_dir() else None


def _steps(place: Place, folder: Path, files: Sequence[str]) -> list[str]:
    named = f"Put {', '.join(files)} into {folder}" if files else f"Put what you get into {folder}"
    return [f"Open {address(place)}", *place.steps, f"{named}, packed or unpacked, and run this command again"]


def _elsewhere(parts: Sequence[Sequence[Place]], chosen: Sequence[Place]) -> dict[int, str]:
    found = {}
    number = 0
    for part in parts:
        for place in part:
            number += 1
            if len(part) > 1 and not any(place is taken for taken in chosen):
                note = f" ({place.note})" if place.note else ""
                need = f", needs: {needs(place)}" if needs(place) else ""
                found[number] = f"{place.platform} {address(place)}{need}{note}"
    return found
