"""What is asked of the Hub, through huggingface_hub's client: the state of a repository, and errors for people."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from med_mat.errors import MedMatError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

DATASET = "dataset"
MAIN = "main"
ATTEMPTS = 8
"""How often in a row something is tried that fails for reasons that pass."""
LONGEST_WAIT = 60.0
_PASSING = (408, 425, 429, 500, 502, 503, 504)

Result = TypeVar("Result")


class HubError(MedMatError):
    """The Hub did not do what was asked of it."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The content of a file in a repository.

    Attributes:
        hash: SHA-256 of an LFS file; git's SHA-1 of the blob of another.
        lfs: Which of the two.
        size: Bytes.
    """

    hash: str
    lfs: bool
    size: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A revision of a repository.

    Attributes:
        commit: The commit.
        private: Whether the repository is private.
        files: Path to content.
    """

    commit: str
    private: bool
    files: Mapping[str, Stored]


def blob_hash(data: bytes) -> str:
    """Returns git's SHA-1 of a blob."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def connect() -> HfApi:
    """Returns the client, with endpoint and token from the environment as huggingface_hub finds them."""
    from huggingface_hub import HfApi

    from med_mat import __version__

    return HfApi(library_name="med-mat", library_version=__version__)


def snapshot(api: HfApi, repo: str, revision: str = MAIN) -> Snapshot | None:
    """Reads a revision: one request for the commit, one for each thousand files.

    Returns:
        None if there is no such repository, or none that this user may see.

    Raises:
        HubError: If there is no such revision.
    """
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError
    from huggingface_hub.hf_api import RepoFile

    try:
        info = api.dataset_info(repo, revision=revision)
    except RevisionNotFoundError as error:
        raise HubError(f"{repo}: has no revision {revision}; `med-mat verify {repo}` takes its newest") from error
    except RepositoryNotFoundError:
        return None
    if info.sha is None:
        raise HubError(f"{repo}: the Hub names no commit for {revision}; try again")
    files = {}
    for entry in api.list_repo_tree(repo, repo_type=DATASET, revision=info.sha, recursive=True):
        if isinstance(entry, RepoFile):
            content = entry.lfs.sha256 if entry.lfs else entry.blob_id
            files[entry.path] = Stored(content, entry.lfs is not None, entry.size)
    return Snapshot(info.sha, bool(info.private), files)


def read_text(api: HfApi, repo: str, commit: str, path: str) -> str:
    """Reads a text file of a commit."""
    return Path(api.hf_hub_download(repo, path, repo_type=DATASET, revision=commit)).read_text(encoding="utf-8")


def passing(error: BaseException) -> bool:
    """Tells whether an error may go away by itself: too many requests, a server's fault, a lost connection."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, HfHubHTTPError):
            return seen.response.status_code in _PASSING
        if isinstance(seen, httpx2.TransportError):
            return True
        # huggingface_hub wraps what went wrong in one of many uploads.
        seen = seen.__cause__
    return False


class Patience:
    """Waits between attempts, longer each time, as long as nothing gets on.

    Args:
        sleep: Waits so many seconds.
    """

    def __init__(self, sleep: Callable[[float], None] = time.sleep) -> None:
        self._sleep = sleep
        self._failed = 0

    def got_on(self) -> None:
        """Something was achieved: the next failure is a first one again."""
        self._failed = 0

    def wait(self, error: Exception) -> None:
        """Waits after a failure.

        Raises:
            Exception: The failure itself, if it does not pass or has come too often.
        """
        self._failed += 1
        if not passing(error) or self._failed >= ATTEMPTS:
            raise error
        self._sleep(max(_retry_after(error), min(LONGEST_WAIT, 2.0 ** (self._failed - 1))))


def patiently(call: Callable[[], Result], sleep: Callable[[float], None] = time.sleep) -> Result:
    """Calls until it works. The call must bear to be repeated.

    Raises:
        Exception: What the call raises, if that does not pass or has come too often.
    """
    patience = Patience(sleep)
    while True:
        try:
            return call()
        except Exception as error:
            patience.wait(error)


def _retry_after(error: BaseException) -> float:
    from huggingface_hub.errors import HfHubHTTPError

    told = error.response.headers.get("Retry-After", "") if isinstance(error, HfHubHTTPError) else ""
    return min(LONGEST_WAIT, float(told)) if told.isdigit() else 0.0


@contextmanager
def plainly(repo: str) -> Iterator[None]:
    """Turns errors of the client into errors for people, without anything secret.

    Raises:
        HubError: Instead of what the client raises.
    """
    import httpx2
    from huggingface_hub.errors import (
        HfHubHTTPError,
        LocalEntryNotFoundError,
        LocalTokenNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    try:
        yield
    except OfflineModeIsEnabled as error:
        raise HubError(f"{repo}: HF_HUB_OFFLINE is set, so the Hub is not asked; unset it") from error
    except LocalTokenNotFoundError as error:
        raise HubError(f"{repo}: no token; run `hf auth login`, or set HF_TOKEN") from error
    except RepositoryNotFoundError as error:
        raise HubError(
            f"{repo}: no such dataset repository, or no right to see it; check the name, and the token with "
            "`hf auth whoami`"
        ) from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        hint = "the token has no right to write there; check `hf auth whoami`" if status in (401, 403) else "try again"
        raise HubError(f"{repo}: the Hub answered {status}: {without_secrets(str(error))}; {hint}") from error
    except (httpx2.TransportError, LocalEntryNotFoundError) as error:
        raise HubError(
            f"{repo}: no connection to the Hub: {without_secrets(str(error))}; what is uploaded stays, try again"
        ) from error
    except RuntimeError as error:
        # huggingface_hub reports an upload that failed so, with the reason as the cause.
        if error.__cause__ is None:
            raise
        raise HubError(f"{repo}: {without_secrets(f'{error}: {error.__cause__}')}; what is uploaded stays") from error


def without_secrets(text: str) -> str:
    """Takes tokens, and what signs the address of an upload, out of a message."""
    text = re.sub(r"(https?://[^\s?'\"]+)\?[^\s'\"]*", r"\1", text)
    return re.sub(r"hf_\w{8,}", "hf_***", text).strip()
