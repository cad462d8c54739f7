"""Fetches one file: goes on where it stopped, waits when asked to, checks what came."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Protocol, TypeVar

import pooch
import requests
import urllib3

from med_mat.download.digest import digest_of
from med_mat.download.errors import AccessError, ChecksumError, DownloadError, GoneError, SpaceError
from med_mat.download.remote import Remote
from med_mat.errors import visible
from med_mat.files import write_text

T = TypeVar("T")
PIECE = 1 << 16
"""Bytes that are asked for at a time; so many are lost at most when a connection breaks."""
TIMEOUT = (20, 30)
"""Seconds to connect, and between two pieces of an answer."""

_PROGRESS = 1 << 20
LOST_AFTER = 2
"""Attempts to find a server by its name."""

_BUSY = {408, 425, 429, 500, 502, 503, 504}
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_BROKEN = (
    requests.exceptions.ConnectionError,
    requests.exceptions.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)


class Meter(Protocol):
    """Is told how far a file is."""

    def total(self, size: int | None) -> None:
        """Bytes of the whole file, once known."""
        ...

    def at(self, position: int) -> None:
        """Bytes that are here."""
        ...


@dataclass(frozen=True)
class Policy:
    """How politely and how long to try.

    Attributes:
        retries: How often a request is repeated that failed without bringing anything new.
        longest_wait: Seconds; a server that asks for more ends the attempt.
        keep_free: Bytes of the disk that stay free.
        wait: Sleeps for some seconds.
    """

    retries: int = 6
    longest_wait: float = 600.0
    keep_free: int = 1 << 30
    wait: Callable[[float], None] = time.sleep


@dataclass(frozen=True)
class Fetched:
    """A file that is here, checked, and not yet in its place."""

    path: Path
    size: int
    sha256: str


class BusyError(Exception):
    """Trouble that may pass.

    ``after`` is how many seconds the server asks to wait, if it does; ``lost`` says that there is no such server.
    """

    def __init__(self, reason: str, after: float | None = None, *, lost: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after
        self.lost = lost


def fetch(remote: Remote, work: Path, meter: Meter, policy: Policy) -> Fetched:
    """Fetches a file into the work folder.

    What a broken attempt has left there is used by the next one, if the server says that the file is still the same.

    Args:
        remote: The file.
        work: Folder for the file and what there is of it; on the disk of the raw root.
        meter: Is told how far the file is.
        policy: How long to try.

    Raises:
        AccessError: The server wants credentials, or refuses them.
        GoneError: Nothing is there, or the server cannot be found.
        ChecksumError: The bytes are not those that the owner says. What came is removed.
        SpaceError: The disk has no room for it.
        DownloadError: The server failed too often, or sent a web page in place of the file.
    """
    work.mkdir(parents=True, exist_ok=True)
    stem, done, partial = _places(remote, work)
    done.parent.mkdir(exist_ok=True)
    if done.exists():
        # The process was killed before the file was in its place.
        done.replace(partial)
    if remote.fetch is not None:
        return _by_client(remote, work / f"{stem}.client", done, policy)
    pooch.get_logger().setLevel("ERROR")
    try:
        return _retrieve(remote, done, _Resumable(remote, partial, meter, policy))
    finally:
        if not done.exists():
            shutil.rmtree(done.parent)


def came(remote: Remote, work: Path) -> int:
    """Bytes of a file that earlier attempts have left in the work folder."""
    _, done, partial = _places(remote, work)
    return _size(done) or _size(partial)


def _places(remote: Remote, work: Path) -> tuple[str, Path, Path]:
    # Names may hold folders, and two sources may have a file of one name.
    stem = hashlib.sha256(f"{remote.origin}\0{remote.name}".encode()).hexdigest()[:24]
    return stem, work / stem / remote.name.rpartition("/")[2], work / f"{stem}.part"


@dataclass
class _Resumable:
    """What pooch calls to fetch a file; knows the SHA-256 of what came."""

    remote: Remote
    partial: Path
    meter: Meter
    policy: Policy
    sha256: str = ""

    def __call__(self, _url: str, output_file: str, _pooch: object) -> None:
        self.sha256 = _download(self.remote, self.partial, self.meter, self.policy)
        self.partial.replace(output_file)


def _retrieve(remote: Remote, done: Path, download: _Resumable) -> Fetched:
    for attempt in (1, 2):
        resumed = download.partial.exists()
        try:
            pooch.retrieve(remote.origin, remote.known_hash, fname=done.name, path=done.parent, downloader=download)
            break
        except ValueError as error:
            # Of a file that was put together from two attempts, a part may be of an older release.
            if attempt == 1 and resumed:
                continue
            raise ChecksumError(
                f"{remote.name} from {remote.origin} has other bytes than its owner says "
                f"({remote.known_hash} expected, sha256:{download.sha256} found). It was removed. Try again; if it "
                "stays so, the owner has changed the file, or somebody else has"
            ) from error
    _note(download.partial).unlink(missing_ok=True)
    return Fetched(done, done.stat().st_size, download.sha256)


def require_space(folder: Path, needed: int, policy: Policy, what: str) -> None:
    """Checks that so many bytes fit on a folder's disk and leave free what the policy keeps.

    Raises:
        SpaceError: They do not.
    """
    free = shutil.disk_usage(folder).free
    if needed + policy.keep_free > free:
        raise SpaceError(
            f"{folder}: {what} needs {needed:,} bytes and {policy.keep_free:,} are to stay free, {free:,} are free. "
            "Free space, name another --raw, or set --keep-free"
        )


def patiently(call: Callable[[], T], what: str, policy: Policy, denied: str = "") -> T:
    """Calls until it succeeds, and waits between the attempts as the server asks.

    Args:
        call: Asks a server with ``requests`` and raises for a status that is no success.
        what: What is asked for, in errors.
        policy: How long to try.
        denied: What a person must do when the server refuses.

    Raises:
        AccessError: The server wants credentials, or refuses them.
        GoneError: Nothing is there.
        DownloadError: It failed too often.
    """
    failures = 0
    while True:
        try:
            try:
                return call()
            except requests.exceptions.RequestException as error:
                raise _meaning(error, what, denied) from error
        except BusyError as trouble:
            failures += 1
            _wait(trouble, failures, what, policy)


def raise_for(response: requests.Response, what: str, denied: str) -> None:
    """Raises what the status of an answer means; nothing for a success.

    Raises:
        BusyError: For trouble that may pass.
        AccessError: For 401 and 403.
        GoneError: For 404 and 410.
        DownloadError: For any other failure.
    """
    status = response.status_code
    if status < 400:
        return
    if status in _BUSY:
        raise BusyError(f"HTTP {status}", _retry_after(response.headers))
    if status in (401, 403):
        raise AccessError(f"{what}: the server refuses (HTTP {status}). {denied}".rstrip())
    if status in (404, 410):
        raise GoneError(f"{what}: nothing there any more (HTTP {status})")
    raise DownloadError(f"{what}: the server answers HTTP {status} {visible(response.reason or '')}".rstrip())


def _download(remote: Remote, partial: Path, meter: Meter, policy: Policy) -> str:
    failures = 0
    while True:
        before = _size(partial)
        try:
            return _attempt(remote, partial, meter, policy)
        except BusyError as trouble:
            # A server that breaks off again and again still gets there; one that gives nothing does not.
            failures = 1 if _size(partial) - before >= _PROGRESS else failures + 1
            _wait(trouble, failures, f"{remote.name} from {remote.origin}", policy)


def _attempt(remote: Remote, partial: Path, meter: Meter, policy: Policy) -> str:
    """Asks once for what is missing, and returns the SHA-256 of the whole file."""
    what = f"{remote.name} from {remote.origin}"
    have = _size(partial)
    if remote.size is not None and have == remote.size:
        return digest_of(partial, meter.at).hexdigest()
    # Sizes and checksums are those of the file, not of what a server makes of it on the way.
    headers = {"Accept-Encoding": "identity", **_resume_headers(partial, have)}
    try:
        with remote.open(headers) as response:
            if response.status_code == 416:
                return _beyond(response, partial, have, meter)
            raise_for(response, what, remote.denied)
            start = _start_of(response, have)
            total = _total_of(response, start)
            _refuse_page(response, remote)
            if remote.size is not None and total is not None and total != remote.size:
                raise ChecksumError(
                    f"{what}: {remote.size:,} bytes expected, the server has {total:,}. The owner has changed the file"
                )
            meter.total(total or remote.size)
            require_space(partial.parent, (total or remote.size or 0) - start, policy, remote.name)
            digest = digest_of(partial, meter.at) if start else hashlib.sha256()
            _note_version(partial, response)
            position = start
            with partial.open("ab" if start else "wb") as sink:
                meter.at(position)
                for chunk in response.iter_content(PIECE):
                    sink.write(chunk)
                    digest.update(chunk)
                    position += len(chunk)
                    meter.at(position)
    except requests.exceptions.RequestException as error:
        raise _meaning(error, what, remote.denied) from error
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise SpaceError(
            f"{partial.parent}: {remote.name} cannot be written ({os.strerror(error.errno)}). Free space and run "
            "again: what came stays"
        ) from error
    if total is not None and position != total:
        raise BusyError(f"the connection ended after {position:,} of {total:,} bytes")
    return digest.hexdigest()


def _meaning(error: requests.exceptions.RequestException, what: str, denied: str) -> Exception:
    """What an error of ``requests`` means for whoever asked."""
    if error.response is not None:
        try:
            raise_for(error.response, what, denied)
        except (BusyError, DownloadError) as meant:
            return meant
    if isinstance(error, requests.exceptions.SSLError) or not isinstance(error, _BROKEN):
        return DownloadError(f"{what}: {_plain(error)}")
    cause = getattr(error.args[0] if error.args else None, "reason", None)
    return BusyError(_plain(error), lost=isinstance(cause, urllib3.exceptions.NameResolutionError))


def _by_client(remote: Remote, folder: Path, done: Path, policy: Policy) -> Fetched:
    require_space(folder.parent, remote.size or 0, policy, remote.name)
    assert remote.fetch is not None
    path = remote.fetch(folder)
    digest = digest_of(path).hexdigest()
    size = path.stat().st_size
    if (remote.sha256 and digest != remote.sha256) or (remote.size is not None and size != remote.size):
        path.unlink()
        raise ChecksumError(
            f"{remote.name} from {remote.origin} has other bytes than its owner says ({remote.sha256 or remote.size} "
            f"expected, {digest} of {size:,} bytes found). It was removed; try again"
        )
    path.replace(done)
    shutil.rmtree(folder)
    return Fetched(done, size, digest)


def _beyond(response: requests.Response, partial: Path, have: int, meter: Meter) -> str:
    whole = re.fullmatch(r"bytes \*/(\d+)", response.headers.get("Content-Range", ""))
    if whole and int(whole[1]) == have:
        return digest_of(partial, meter.at).hexdigest()
    partial.unlink()
    raise BusyError(f"the server has less than the {have:,} bytes that an earlier attempt brought; starting afresh", 0)


def _start_of(response: requests.Response, have: int) -> int:
    if response.status_code != 206:
        return 0
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    if not found or int(found[1]) != have:
        raise DownloadError(
            f"{response.url.split('?')[0]}: asked for what follows byte {have:,}, the server sent "
            f"{visible(response.headers.get('Content-Range', 'something else'))}"
        )
    return have


def _total_of(response: requests.Response, start: int) -> int | None:
    ranged = re.fullmatch(r"bytes \d+-\d+/(\d+)", response.headers.get("Content-Range", ""))
    if ranged:
        return int(ranged[1])
    length = response.headers.get("Content-Length", "")
    return start + int(length) if length.isdigit() and not response.headers.get("Content-Encoding") else None


def _refuse_page(response: requests.Response, remote: Remote) -> None:
    kind = response.headers.get("Content-Type", "")
    if kind.startswith("text/html") and not remote.name.lower().endswith((".html", ".htm")):
        raise AccessError(
            f"{remote.name} from {remote.origin}: a web page came in place of the file. The address asks for a "
            f"login or a click, or has moved. {remote.denied}".rstrip()
        )


def _resume_headers(partial: Path, have: int) -> dict[str, str]:
    if not have:
        return {}
    headers = {"Range": f"bytes={have}-"}
    if _note(partial).is_file():
        # What the server had then; if it has another file now, it sends the whole of it.
        headers["If-Range"] = _note(partial).read_text(encoding="utf-8").strip()
    return headers


def _note_version(partial: Path, response: requests.Response) -> None:
    tag = response.headers.get("ETag", "")
    version = tag if tag.startswith('"') else response.headers.get("Last-Modified", "")
    if version:
        write_text(_note(partial), version + "\n")
    else:
        _note(partial).unlink(missing_ok=True)


def _note(partial: Path) -> Path:
    """File that holds the server's mark for the release that ``partial`` is a part of."""
    return partial.with_suffix(".version")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _wait(trouble: BusyError, failures: int, what: str, policy: Policy) -> None:
    if trouble.lost and failures > LOST_AFTER:
        raise GoneError(f"{what}: the server cannot be found ({trouble.reason})")
    if failures > policy.retries:
        raise DownloadError(
            f"{what}: given up after {failures} attempts ({trouble.reason}). What came stays; try later"
        )
    pause = trouble.after if trouble.after is not None else min(2.0 ** (failures - 1), 60.0)
    if pause > policy.longest_wait:
        raise DownloadError(
            f"{what}: the server asks to wait {pause:,.0f} seconds ({trouble.reason}). What came stays; try then"
        )
    policy.wait(pause)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    value = headers.get("Retry-After", "").strip()
    if value.isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def _plain(error: Exception) -> str:
    # What stands behind the question mark of a signed address is a secret.
    text = re.sub(r"\?[^\s'\")>]+", "?…", str(error)) or type(error).__name__
    return visible(text, lines=False)[:300]
