"""What each platform offers: from a card's place to the files that can be fetched."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from fnmatch import fnmatchcase
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import requests

from med_mat.card import Place, PlaceFile
from med_mat.download.errors import AccessError, DownloadError, GoneError
from med_mat.download.remote import USER_AGENT, Opener, Remote
from med_mat.download.transfer import TIMEOUT, BusyError, Policy, patiently
from med_mat.raw.names import member_path

Lister = Callable[[Place, Policy], list[Remote]]

ZENODO_DOI = "10.5281/zenodo.{}"
FIGSHARE_DOI = "10.6084/m9.figshare.{}"
# The addresses below are those of the platforms' public programming interfaces.
MENDELEY = "https://data.mendeley.com/public-api"
PHYSIONET = "https://physionet.org/files"
GITHUB = "https://github.com"
GITHUB_API = "https://api.github.com"
# PhysioNet takes a user name and a password from wget only; other programs are sent to a login page.
_SHOWN = 20
PHYSIONET_AGENT = "Wget/1.21 (med-mat)"

KAGGLE_HOW = (
    "Log in at https://www.kaggle.com/settings/api, make an API token, and set KAGGLE_API_TOKEN to it or save it as "
    "~/.kaggle/access_token"
)
PHYSIONET_HOW = (
    "Set PHYSIONET_USERNAME and PHYSIONET_PASSWORD, or add physionet.org to ~/.netrc, for an account whose "
    "credentials PhysioNet has approved"
)


def remotes(place: Place, policy: Policy) -> list[Remote]:
    """Lists the files of a place; asks its platform where that is needed.

    Args:
        place: A place that a program can use.
        policy: How long to try.

    Raises:
        AccessError: The platform wants credentials, or refuses them.
        GoneError: The platform does not know the place any more, or a file that the card names.
        DownloadError: The platform's answer is of no use.
    """
    found = _LISTERS[place.platform](place, policy)
    for remote in found:
        if member_path(remote.name)[1] is not None or "\\" in remote.name:
            raise DownloadError(
                f"{remote.origin}: offers a file named {remote.name!r}, which is no path below a folder"
            )
    return found


# A release of twenty thousand files is not fetched over as many connections.
_kept = threading.local()


def _session() -> requests.Session:
    """This thread's connections."""
    if not hasattr(_kept, "session"):
        _kept.session = requests.Session()
        # Nothing that a server wants to be told again is.
        _kept.session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session: requests.Session = _kept.session
    return session


def _json(url: str, policy: Policy, what: str) -> Any:
    def call() -> requests.Response:
        response = _session().get(url, timeout=TIMEOUT, headers={"User-Agent": USER_AGENT})
        response.raise_for_status()
        return response

    response = patiently(call, what, policy)
    try:
        return response.json()
    except requests.exceptions.JSONDecodeError as error:
        raise DownloadError(f"{what}: {url} answers with something that is not JSON") from error


def _opener(url: str, *, agent: str = USER_AGENT, auth: tuple[str, str] | None = None) -> Opener:
    def call(headers: Mapping[str, str]) -> AbstractContextManager[requests.Response]:
        return _session().get(url, headers={"User-Agent": agent, **headers}, auth=auth, stream=True, timeout=TIMEOUT)

    return call


def _plain(url: str, name: str, **known: Any) -> Remote:
    parts = urlsplit(url)
    origin = f"{parts.scheme}://{parts.netloc}{parts.path}"
    return Remote(name=name, origin=origin, host=parts.netloc, open=_opener(url), **known)


def _with_card(remote: Remote, file: PlaceFile) -> Remote:
    """A file with what the card knows of it, which must not contradict what the platform says."""
    for field in ("size", "sha256", "md5"):
        ours, theirs = getattr(file, "bytes" if field == "size" else field), getattr(remote, field)
        if ours is not None and theirs is not None and ours != theirs:
            raise DownloadError(
                f"{remote.name} from {remote.origin}: the card says {field} {ours}, the platform {theirs}. The "
                "owner has changed the file; look at it before you change the card"
            )
    return replace(
        remote,
        size=remote.size or file.bytes,
        sha256=remote.sha256 or file.sha256,
        md5=remote.md5 or file.md5,
    )


def _chosen(offered: list[Remote], place: Place) -> list[Remote]:
    """The files that the card wants, of those that the platform offers."""
    if not place.files:
        return offered
    chosen: dict[str, Remote] = {}
    missing = []
    for file in place.files:
        found = [remote for remote in offered if remote.name == file.name or fnmatchcase(remote.name, file.name)]
        if not found:
            missing.append(file.name)
        chosen.update((remote.name, _with_card(remote, file)) for remote in found)
    if missing:
        names = sorted(remote.name for remote in offered)
        shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else "")
        raise GoneError(
            f"{place.platform} {place.id}: does not offer {', '.join(missing)}; it offers {shown or 'nothing'}"
        )
    return list(chosen.values())


def _urls(place: Place, _: Policy) -> list[Remote]:
    return [_with_card(_plain(str(file.url), file.name), file) for file in place.files]


def _by_doi(doi: str) -> Lister:
    def lister(place: Place, policy: Policy) -> list[Remote]:
        return _repository(doi.format(place.id), place, policy)

    return lister


def _repository(doi: str, place: Place, policy: Policy) -> list[Remote]:
    from pooch.downloaders import DataverseRepository, FigshareRepository, doi_to_repository

    what = f"doi:{doi}"

    def call() -> list[Remote]:
        repository = doi_to_repository(doi, headers={"User-Agent": USER_AGENT}, timeout=TIMEOUT[1])
        answer = repository.api_response
        if isinstance(repository, DataverseRepository):
            answer.raise_for_status()
            files = [entry["dataFile"] for entry in answer.json()["data"]["latestVersion"]["files"]]
            names, md5s, sizes = "filename", "md5", "filesize"
        elif isinstance(repository, FigshareRepository):
            files, names, md5s, sizes = answer, "name", "computed_md5", "size"
        else:
            files, names, md5s, sizes = answer["files"], "key", "checksum", "size"
            if files and "filename" in files[0]:
                names, sizes = "filename", "filesize"
        return [
            _plain(
                repository.download_url(file[names]),
                file[names],
                size=file.get(sizes),
                md5=str(file[md5s]).removeprefix("md5:") if file.get(md5s) else None,
            )
            for file in files
        ]

    def tolerant() -> list[Remote]:
        try:
            return call()
        except requests.exceptions.RequestException:
            raise
        except (KeyError, IndexError, TypeError, ValueError) as error:
            # pooch does not look at the status of the platforms' answers: a refusal is an answer without files.
            raise BusyError(f"the answer lists no files ({type(error).__name__}: {error})") from error

    import warnings

    with warnings.catch_warnings():
        # A figshare record without a version is what cards name.
        warnings.filterwarnings("ignore", message="The Figshare DOI")
        return _chosen(patiently(tolerant, what, policy), place)


def _mendeley(place: Place, policy: Policy) -> list[Remote]:
    record, _, version = str(place.id).partition("/")
    if not place.files:
        # Mendeley packs the whole record; it has no checksum for that.
        return [_plain(f"{MENDELEY}/zip/{record}/download/{version}", f"{record}-{version}.zip")]
    what = f"Mendeley Data {place.id}"
    entries = _json(f"{MENDELEY}/datasets/{record}/files?folder_id=root&version={version}", policy, what)
    try:
        offered = [
            _plain(
                entry["content_details"]["download_url"],
                entry["filename"],
                size=entry["size"],
                sha256=entry["content_details"]["sha256_hash"],
            )
            for entry in entries
        ]
    except (KeyError, TypeError) as error:
        raise DownloadError(f"{what}: the list of its files has another form than expected ({error!r})") from error
    return _chosen(offered, place)


def _github(place: Place, _: Policy) -> list[Remote]:
    name = str(place.id).partition("/")[2]
    return [_plain(f"{GITHUB}/{place.id}/archive/HEAD.zip", f"{name}.zip")]


def _github_release(place: Place, policy: Policy) -> list[Remote]:
    repository, _, tag = str(place.id).partition("@")
    what = f"GitHub release {place.id}"
    release = _json(f"{GITHUB_API}/repos/{repository}/releases/tags/{quote(tag)}", policy, what)
    offered = [
        _plain(
            asset["browser_download_url"],
            asset["name"],
            size=asset.get("size"),
            sha256=(asset.get("digest") or "").removeprefix("sha256:") or None,
        )
        for asset in release.get("assets", [])
    ]
    if not offered:
        raise GoneError(f"{what}: has no files")
    return _chosen(offered, place)


def _physionet(place: Place, policy: Policy) -> list[Remote]:
    auth = physionet_account()
    page = f"https://physionet.org/content/{place.id}/"
    if auth is None:
        raise AccessError(f"PhysioNet {place.id}: needs an account. {PHYSIONET_HOW}")
    denied = f"Sign the data use agreement at {page}, and check the account. {PHYSIONET_HOW}"
    base = f"{PHYSIONET}/{place.id}"

    def call() -> str:
        response = requests.get(
            f"{base}/SHA256SUMS.txt", auth=auth, timeout=TIMEOUT, headers={"User-Agent": PHYSIONET_AGENT}
        )
        response.raise_for_status()
        return response.text

    found = []
    for line in patiently(call, f"PhysioNet {place.id}", policy, denied).splitlines():
        digest, _, name = line.strip().partition(" ")
        name = name.strip().removeprefix("./")
        if len(digest) != 64 or not name:
            raise DownloadError(f"PhysioNet {place.id}: SHA256SUMS.txt has a line of another form: {line[:80]!r}")
        url = f"{base}/{quote(name)}"
        opener = _opener(url, agent=PHYSIONET_AGENT, auth=auth)
        found.append(
            Remote(name=name, origin=url, host="physionet.org", open=opener, sha256=digest.lower(), denied=denied)
        )
    return _chosen(found, place)


def physionet_account() -> tuple[str, str] | None:
    """The user's name and password at PhysioNet, from the environment or ``.netrc``; None if neither has them."""
    name, password = os.environ.get("PHYSIONET_USERNAME"), os.environ.get("PHYSIONET_PASSWORD")
    if name and password:
        return name, password
    found: tuple[str, str] | None = requests.utils.get_netrc_auth(f"{PHYSIONET}/")
    return found


def _kaggle(place: Place, policy: Policy) -> list[Remote]:
    from kagglesdk.datasets.types.dataset_api_service import ApiDownloadDatasetRequest, ApiGetDatasetRequest

    owner, _, name = str(place.id).partition("/")
    page = f"https://www.kaggle.com/datasets/{place.id}"
    denied = f"Open {page} while logged in, and agree to what it asks. {KAGGLE_HOW}"
    wanted = ApiGetDatasetRequest()
    wanted.owner_slug, wanted.dataset_slug = owner, name

    def call() -> int:
        try:
            with _kaggle_client() as client:
                return int(client.datasets.dataset_api_client.get_dataset(wanted).current_version_number)
        except requests.exceptions.RequestException:
            raise
        # The client trusts the form of the answer.
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise DownloadError(f"Kaggle {place.id}: the answer has another form than expected ({error!r})") from error

    # The version is fixed before the first byte, so that a download that is gone on with is of one release.
    version = patiently(call, f"Kaggle {place.id}", policy, denied)
    if version < 1:
        raise DownloadError(f"Kaggle {place.id}: the answer names no version")
    request = ApiDownloadDatasetRequest()
    request.owner_slug, request.dataset_slug, request.dataset_version_number = owner, name, version

    def ask(client: Any) -> requests.Response:
        response: requests.Response = client.datasets.dataset_api_client.download_dataset(request)
        return response

    return [_from_kaggle(f"{page}/versions/{version}", "archive.zip", ask, denied)]


def _kaggle_competition(place: Place, _: Policy) -> list[Remote]:
    from kagglehub.config import get_kaggle_credentials
    from kagglesdk.competitions.types.competition_api_service import ApiDownloadDataFilesRequest

    page = f"https://www.kaggle.com/competitions/{place.id}"
    denied = f"Join the competition and accept its rules at {page}/rules. {KAGGLE_HOW}"
    if not get_kaggle_credentials():
        raise AccessError(f"Kaggle competition {place.id}: needs an account. {denied}")
    request = ApiDownloadDataFilesRequest()
    request.competition_name = place.id

    def ask(client: Any) -> requests.Response:
        response: requests.Response = client.competitions.competition_api_client.download_data_files(request)
        return response

    return [_from_kaggle(page, f"{place.id}.zip", ask, denied)]


def _kaggle_client() -> Any:
    import kagglehub
    from kagglehub.config import get_kaggle_credentials
    from kagglesdk import KaggleClient

    found = get_kaggle_credentials()
    # Not kagglehub's own way to make it: that prints to the standard output, which may be JSON.
    return KaggleClient(
        username=found.username if found else None,
        password=found.key if found else None,
        api_token=found.api_key if found else None,
        user_agent=f"kagglehub/{kagglehub.__version__} {USER_AGENT}",
    )


def _from_kaggle(origin: str, name: str, ask: Callable[[Any], requests.Response], denied: str) -> Remote:
    @contextmanager
    def call(headers: Mapping[str, str]) -> Iterator[requests.Response]:
        # kagglehub's own download unpacks into a second copy, without a limit; its client gives the archive as it is.
        with _kaggle_client() as client, ask(client) as response:
            if "Range" not in headers or not response.history:
                yield response
                return
            # The address that Kaggle hands out holds for a while and for any range.
            signed = response.url
        with requests.get(signed, headers={"User-Agent": USER_AGENT, **headers}, stream=True, timeout=TIMEOUT) as rest:
            yield rest

    return Remote(name=name, origin=origin, host="www.kaggle.com", open=call, denied=denied)


def _huggingface(place: Place, _: Policy) -> list[Remote]:
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    repository = str(place.id)
    page = f"https://huggingface.co/datasets/{repository}"
    try:
        info = HfApi(user_agent=USER_AGENT).dataset_info(repository, files_metadata=True)
    except GatedRepoError as error:
        raise AccessError(f"Hugging Face {repository}: ask for access at {page}, then `hf auth login`") from error
    except RepositoryNotFoundError as error:
        raise GoneError(f"Hugging Face {repository}: nothing there any more, or private ({page})") from error
    # The client trusts the form of the answer: what lacks there is a KeyError.
    except (HfHubHTTPError, OSError, KeyError, ValueError) as error:
        raise DownloadError(f"Hugging Face {repository}: {error}") from error
    found = []
    for entry in info.siblings or []:
        name = entry.rfilename

        def fetch(folder: Path, name: str = name) -> Path:
            try:
                return Path(hf_hub_download(repository, name, repo_type="dataset", revision=info.sha, local_dir=folder))
            except GatedRepoError as error:
                raise AccessError(f"Hugging Face {repository}: ask for access at {page}") from error
            except HfHubHTTPError as error:
                raise DownloadError(f"Hugging Face {repository}, {name}: {error}") from error

        found.append(
            Remote(
                name=name,
                origin=f"{page}/resolve/{info.sha}/{quote(name)}",
                host="huggingface.co",
                open=_opener(f"{page}/resolve/{info.sha}/{quote(name)}"),
                size=entry.size,
                sha256=entry.lfs.sha256 if entry.lfs else None,
                fetch=fetch,
            )
        )
    return _chosen(found, place)


_LISTERS: dict[str, Lister] = {
    "dataverse": _by_doi("{}"),
    "figshare": _by_doi(FIGSHARE_DOI),
    "github": _github,
    "github_release": _github_release,
    "huggingface": _huggingface,
    "kaggle": _kaggle,
    "kaggle_competition": _kaggle_competition,
    "mendeley": _mendeley,
    "physionet": _physionet,
    "url": _urls,
    "zenodo": _by_doi(ZENODO_DOI),
}
