"""Each platform through its own client, under its own name, on loopback."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path

import pytest
from loopback import Loopback, Reply, Request, Served, as_json
from sandbox import Sandbox, zipped
from tiny import add_source, med_mat

from med_mat.download.run import Options
from med_mat.download.transfer import PIECE, Policy

ARCHIVE = zipped({"a.png": hashlib.shake_128(b"pixels").digest(200_000), "table.csv": b"file,label\n"})
MD5 = hashlib.md5(ARCHIVE).hexdigest()
SHA256 = hashlib.sha256(ARCHIVE).hexdigest()


# Kaggle: kagglehub's client.


@pytest.fixture
def token(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> str:
    del sandbox  # its environment comes first
    monkeypatch.setenv("KAGGLE_API_TOKEN", "KGAT_secret")
    return "KGAT_secret"


def test_kaggle_gives_the_archive_of_one_version_and_it_stays_packed(
    sandbox: Sandbox, internet: Loopback, token: str
) -> None:
    sandbox.kaggle("somebody", "tiny", Served(ARCHIVE))
    sandbox.source({"platform": "kaggle", "id": "somebody/tiny"})
    outcome = sandbox.one()
    assert outcome.error is None
    assert sandbox.files() == {"archive.zip": ARCHIVE}
    posts = [request for request in internet.asked if request.method == "POST"]
    assert {request.headers["authorization"] for request in posts} == {f"Bearer {token}"}
    assert json.loads(posts[-1].body)["datasetVersionNumber"] == 3
    record = (sandbox.raw / ".med-mat/downloads/tiny.json").read_text()
    assert "https://www.kaggle.com/datasets/somebody/tiny/versions/3" in record
    assert "secret" not in record
    assert '"checked": "archive"' in record


def test_kaggle_broken_off_goes_on_at_the_signed_address(sandbox: Sandbox, internet: Loopback, token: str) -> None:
    del token
    sandbox.kaggle("somebody", "tiny", Served(ARCHIVE, [2 * PIECE]))
    sandbox.source({"platform": "kaggle", "id": "somebody/tiny"})
    assert sandbox.one().state == "complete"
    assert sandbox.files() == {"archive.zip": ARCHIVE}
    storage = [request for request in internet.asked if request.host == "storage.googleapis.com"]
    assert storage[-1].headers["range"] == f"bytes={2 * PIECE}-"
    assert "authorization" not in storage[-1].headers


def test_kaggle_data_sets_need_no_token_where_kaggle_asks_for_none(sandbox: Sandbox, internet: Loopback) -> None:
    sandbox.kaggle("somebody", "tiny", Served(ARCHIVE))
    sandbox.source({"platform": "kaggle", "id": "somebody/tiny"})
    assert sandbox.one().state == "complete"
    assert all("authorization" not in request.headers for request in internet.asked)


def test_kaggle_knows_the_older_kind_of_credentials(
    sandbox: Sandbox, internet: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLE_USERNAME", "reader")
    monkeypatch.setenv("KAGGLE_KEY", "k3y")
    sandbox.kaggle("somebody", "tiny", Served(ARCHIVE))
    sandbox.source({"platform": "kaggle", "id": "somebody/tiny"})
    assert sandbox.one().state == "complete"
    expected = "Basic " + base64.b64encode(b"reader:k3y").decode()
    posts = [request for request in internet.asked if request.method == "POST"]
    assert {request.headers["authorization"] for request in posts} == {expected}


def test_kaggle_prints_nothing_between_the_json(
    sandbox: Sandbox, internet: Loopback, token: str, capsys: pytest.CaptureFixture[str]
) -> None:
    del token
    sandbox.kaggle("somebody", "tiny", Served(ARCHIVE))
    version = "https://api.kaggle.com/v1/datasets.DatasetApiService/GetDataset"
    newer = {"Content-Type": "application/json", "X-Kaggle-HubVersion": "99.0.0"}
    internet.serve(version, lambda _: Reply(200, b'{"currentVersionNumber": 3}', newer))
    sandbox.source({"platform": "kaggle", "id": "somebody/tiny"})
    assert sandbox.one().state == "complete"
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("answer", "told"),
    [([1], "names no version"), ({}, "names no version"), ({"currentVersionNumber": "x"}, "another form")],
)
def test_kaggle_that_answers_otherwise(
    sandbox: Sandbox, internet: Loopback, token: str, answer: object, told: str
) -> None:
    del token
    internet.serve("https://api.kaggle.com/v1/datasets.DatasetApiService/GetDataset", lambda _: as_json(answer))
    sandbox.source({"platform": "kaggle", "id": "somebody/tiny"})
    assert told in str(sandbox.one().error)


@pytest.mark.parametrize("status", [401, 403])
def test_kaggle_refuses_a_bad_token(sandbox: Sandbox, internet: Loopback, token: str, status: int) -> None:
    internet.serve(
        "https://api.kaggle.com/v1/datasets.DatasetApiService/GetDataset",
        lambda _: as_json({"code": status, "message": "Unauthenticated"}, status),
    )
    sandbox.source({"platform": "kaggle", "id": "somebody/tiny"})
    outcome = sandbox.one()
    assert outcome.state == "failed"
    assert f"HTTP {status}" in str(outcome.error)
    assert "KAGGLE_API_TOKEN" in str(outcome.error)
    assert token not in str(outcome.error)
    assert sandbox.waits == []


def test_kaggle_that_was_taken_down_names_the_other_places(sandbox: Sandbox, token: str) -> None:
    del token
    sandbox.source(
        {"platform": "kaggle", "id": "somebody/gone"},
        {"platform": "mendeley", "id": "abcdefghij/1", "alternative": True},
    )
    outcome = sandbox.one()
    assert "nothing there any more" in str(outcome.error)
    assert outcome.alternatives == {2: "mendeley https://data.mendeley.com/datasets/abcdefghij/1"}


def test_kaggle_that_is_busy_is_asked_again(sandbox: Sandbox, internet: Loopback, token: str) -> None:
    del token
    sandbox.kaggle("somebody", "tiny", Served(ARCHIVE))
    version = internet.routes["api.kaggle.com/v1/datasets.DatasetApiService/GetDataset"]
    busy = [Reply(429, b"", {"Retry-After": "5"})]
    internet.serve(
        "https://api.kaggle.com/v1/datasets.DatasetApiService/GetDataset",
        lambda request: busy.pop() if busy else version(request),
    )
    sandbox.source({"platform": "kaggle", "id": "somebody/tiny"})
    assert sandbox.one().state == "complete"
    assert sandbox.waits == [5.0]


COMPETITION = "https://api.kaggle.com/v1/competitions.CompetitionApiService/DownloadDataFiles"


def test_a_competition(sandbox: Sandbox, internet: Loopback, token: str) -> None:
    del token
    signed = internet.serve("https://storage.googleapis.com/competitions/all.zip", Served(ARCHIVE))
    internet.serve(COMPETITION, lambda _: Reply(302, b"", {"Location": signed}))
    sandbox.source({"platform": "kaggle_competition", "id": "a-challenge"}, access="competition-rules")
    assert sandbox.one().state == "complete"
    assert sandbox.files() == {"a-challenge.zip": ARCHIVE}
    assert json.loads(next(request for request in internet.asked if request.method == "POST").body) == {
        "competitionName": "a-challenge"
    }


def test_a_competition_needs_a_token(sandbox: Sandbox, internet: Loopback) -> None:
    sandbox.source({"platform": "kaggle_competition", "id": "a-challenge"})
    outcome = sandbox.one()
    assert "needs an account" in str(outcome.error)
    assert "https://www.kaggle.com/competitions/a-challenge/rules" in str(outcome.error)
    assert internet.asked == []


def test_a_competition_whose_rules_were_not_accepted(sandbox: Sandbox, internet: Loopback, token: str) -> None:
    del token
    internet.serve(COMPETITION, lambda _: as_json({"code": 403, "message": "You must accept the rules"}, 403))
    sandbox.source({"platform": "kaggle_competition", "id": "a-challenge"})
    outcome = sandbox.one()
    assert "accept its rules at https://www.kaggle.com/competitions/a-challenge/rules" in str(outcome.error)


# Repositories that pooch knows by DOI.


def zenodo(sandbox: Sandbox, served: Served, **more: object) -> None:
    sandbox.doi("10.5281/zenodo.42", "https://zenodo.org/records/42")
    files = [
        {
            "key": name,
            "size": len(data),
            "checksum": f"md5:{hashlib.md5(data).hexdigest()}",
            "links": {"self": f"https://zenodo.org/api/records/42/files/{name}/content"},
        }
        for name, data in {"pictures.zip": ARCHIVE, "readme.txt": b"read me"}.items()
    ]
    files[0].update(more)
    sandbox.internet.serve("https://zenodo.org/api/records/42", lambda _: as_json({"id": 42, "files": files}))
    sandbox.internet.serve("https://zenodo.org/api/records/42/files/pictures.zip/content", served)
    sandbox.internet.serve("https://zenodo.org/api/records/42/files/readme.txt/content", Served(b"read me"))


def test_zenodo_gives_all_files_and_their_checksums(sandbox: Sandbox) -> None:
    zenodo(sandbox, Served(ARCHIVE))
    sandbox.source({"platform": "zenodo", "id": "42"})
    assert sandbox.one().error is None
    assert sandbox.files() == {"pictures.zip": ARCHIVE, "readme.txt": b"read me"}
    record = json.loads((sandbox.raw / ".med-mat/downloads/tiny.json").read_text())
    assert {entry["checked"] for entry in record["files"].values()} == {"owner"}


def test_zenodo_gives_the_files_that_the_card_names(sandbox: Sandbox, internet: Loopback) -> None:
    zenodo(sandbox, Served(ARCHIVE))
    sandbox.source({"platform": "zenodo", "id": "42", "files": ["pictures.zip"]})
    assert sandbox.one().error is None
    assert list(sandbox.files()) == ["pictures.zip"]
    assert not any("readme" in path for path in internet.paths())


def test_zenodo_agents_are_named(sandbox: Sandbox, internet: Loopback) -> None:
    zenodo(sandbox, Served(ARCHIVE))
    sandbox.source({"platform": "zenodo", "id": "42"})
    sandbox.get()
    agents = {request.headers["user-agent"] for request in internet.asked}
    assert not any("python-requests" in agent for agent in agents)


def test_a_file_that_zenodo_does_not_have(sandbox: Sandbox) -> None:
    zenodo(sandbox, Served(ARCHIVE))
    sandbox.source({"platform": "zenodo", "id": "42", "files": ["other.zip"]})
    assert "does not offer other.zip; it offers pictures.zip, readme.txt" in str(sandbox.one().error)


def test_zenodo_files_that_are_not_what_zenodo_says(sandbox: Sandbox) -> None:
    zenodo(sandbox, Served(ARCHIVE), checksum=f"md5:{'0' * 32}")
    sandbox.source({"platform": "zenodo", "id": "42", "files": ["pictures.zip"]})
    assert "has other bytes than its owner says (md5:0000" in str(sandbox.one().error)
    assert sandbox.files() == {}


def test_a_card_and_zenodo_that_disagree(sandbox: Sandbox) -> None:
    zenodo(sandbox, Served(ARCHIVE))
    sandbox.source({"platform": "zenodo", "id": "42", "files": [{"name": "pictures.zip", "md5": "0" * 32}]})
    assert "the card says md5 0000" in str(sandbox.one().error)


def test_zenodo_that_is_busy(sandbox: Sandbox, internet: Loopback) -> None:
    zenodo(sandbox, Served(ARCHIVE))
    listing = internet.routes["zenodo.org/api/records/42"]
    troubles = [as_json({"status": 429, "message": "rate limit exceeded"}, 429)]
    internet.serve(
        "https://zenodo.org/api/records/42", lambda request: troubles.pop() if troubles else listing(request)
    )
    sandbox.source({"platform": "zenodo", "id": "42", "files": ["pictures.zip"]})
    assert sandbox.one().error is None
    assert sandbox.waits == [1.0]


def test_a_doi_that_leads_nowhere(sandbox: Sandbox) -> None:
    sandbox.source({"platform": "zenodo", "id": "43"})
    assert "nothing there any more" in str(sandbox.one().error)


def test_figshare(sandbox: Sandbox, internet: Loopback) -> None:
    sandbox.doi("10.6084/m9.figshare.7", "https://figshare.com/articles/dataset/Tiny/7")
    file = {
        "name": "Database.zip",
        "size": len(ARCHIVE),
        "computed_md5": MD5,
        "download_url": internet.serve("https://ndownloader.figshare.com/files/70", Served(ARCHIVE)),
    }
    internet.serve("https://api.figshare.com/v2/articles", lambda _: as_json([{"id": 7}]))
    internet.serve("https://api.figshare.com/v2/articles/7", lambda _: as_json({"files": [file]}))
    sandbox.source({"platform": "figshare", "id": "7", "files": ["Database.zip"]})
    assert sandbox.one().error is None
    assert sandbox.files() == {"Database.zip": ARCHIVE}


def test_dataverse(sandbox: Sandbox, internet: Loopback) -> None:
    doi = "10.7910/DVN/TINY"
    page = "https://dataverse.harvard.edu/dataset.xhtml"
    sandbox.doi(doi, page)
    file = {"id": 9, "filename": "pictures.zip", "filesize": len(ARCHIVE), "md5": MD5}
    answer = {"data": {"latestVersion": {"files": [{"dataFile": file}]}}}
    internet.serve("https://dataverse.harvard.edu/api/datasets/:persistentId", lambda _: as_json(answer))
    internet.serve("https://dataverse.harvard.edu/api/access/datafile/9", Served(ARCHIVE))
    sandbox.source({"platform": "dataverse", "id": doi})
    assert sandbox.one().error is None
    assert sandbox.files() == {"pictures.zip": ARCHIVE}


# Mendeley Data and GitHub.


def test_mendeley_packs_a_whole_record(sandbox: Sandbox, internet: Loopback) -> None:
    internet.serve("https://data.mendeley.com/public-api/zip/abcdefghij/download/2", Served(ARCHIVE))
    sandbox.source({"platform": "mendeley", "id": "abcdefghij/2"})
    assert sandbox.one().error is None
    assert sandbox.files() == {"abcdefghij-2.zip": ARCHIVE}


@pytest.mark.parametrize("wanted", ["pictures.zip", "*"])
def test_mendeley_gives_single_files_with_checksums(sandbox: Sandbox, internet: Loopback, wanted: str) -> None:
    details = {
        "download_url": internet.serve("https://data.mendeley.com/public-files/x/file_downloaded", Served(ARCHIVE)),
        "sha256_hash": SHA256,
    }
    entry = {"filename": "pictures.zip", "size": len(ARCHIVE), "content_details": details}

    def listing(request: Request) -> Reply:
        assert request.query == {"folder_id": ["root"], "version": ["2"]}
        return as_json([entry])

    internet.serve("https://data.mendeley.com/public-api/datasets/abcdefghij/files", listing)
    sandbox.source({"platform": "mendeley", "id": "abcdefghij/2", "files": [wanted]})
    assert sandbox.one().error is None
    assert sandbox.files() == {"pictures.zip": ARCHIVE}


def test_mendeley_that_answers_otherwise(sandbox: Sandbox, internet: Loopback) -> None:
    internet.serve("https://data.mendeley.com/public-api/datasets/abcdefghij/files", lambda _: as_json({"a": 1}))
    sandbox.source({"platform": "mendeley", "id": "abcdefghij/2", "files": ["*"]})
    assert "another form than expected" in str(sandbox.one().error)


def test_a_repository_on_github(sandbox: Sandbox, internet: Loopback) -> None:
    packed = internet.serve("https://codeload.github.com/somebody/tiny/zip/HEAD", Served(ARCHIVE))
    internet.serve("https://github.com/somebody/tiny/archive/HEAD.zip", lambda _: Reply(302, b"", {"Location": packed}))
    sandbox.source({"platform": "github", "id": "somebody/tiny"})
    assert sandbox.one().error is None
    assert sandbox.files() == {"tiny.zip": ARCHIVE}


def test_a_release_on_github(sandbox: Sandbox, internet: Loopback) -> None:
    asset = {
        "name": "tiny_1.0.zip",
        "size": len(ARCHIVE),
        "digest": f"sha256:{SHA256}",
        "browser_download_url": internet.serve("https://github.com/d/tiny_1.0.zip", Served(ARCHIVE)),
    }
    internet.serve(
        "https://api.github.com/repos/somebody/tiny/releases/tags/1.0", lambda _: as_json({"assets": [asset]})
    )
    sandbox.source({"platform": "github_release", "id": "somebody/tiny@1.0"})
    assert sandbox.one().error is None
    assert sandbox.files() == {"tiny_1.0.zip": ARCHIVE}


# PhysioNet.

TREE = {"train.csv": b"image_id\n", "train_images/a b.dicom": b"one", "train_images/b.dicom": b"two"}


@pytest.fixture
def physionet(sandbox: Sandbox, internet: Loopback, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Checksums that the server lists, to be changed by tests."""
    monkeypatch.setenv("PHYSIONET_USERNAME", "reader")
    monkeypatch.setenv("PHYSIONET_PASSWORD", "pass word")
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in TREE.items()}
    expected = "Basic " + base64.b64encode(b"reader:pass word").decode()

    def guarded(data: bytes | None) -> object:
        def answer(request: Request) -> Reply:
            if not request.headers["user-agent"].startswith("Wget/"):
                return Reply(403)
            if request.headers.get("authorization") != expected:
                return Reply(401, b"", {"WWW-Authenticate": 'Basic realm="PhysioNet"'})
            listed = "".join(f"{digest} {name}\n" for name, digest in sums.items()).encode()
            return Reply(200, listed if data is None else data)

        return answer

    base = "https://physionet.org/files/tiny/1.0.0"
    internet.serve(f"{base}/SHA256SUMS.txt", guarded(None))  # type: ignore[arg-type] # a route, made in a function
    for name, data in TREE.items():
        internet.serve(f"{base}/{name.replace(' ', '%20')}", guarded(data))  # type: ignore[arg-type] # likewise
    sandbox.source({"platform": "physionet", "id": "tiny/1.0.0"}, access="credentialed")
    return sums


def test_physionet_gives_the_tree(sandbox: Sandbox, physionet: dict[str, str], internet: Loopback) -> None:
    assert sandbox.one().error is None
    assert sandbox.files() == TREE
    assert "pass word" not in (sandbox.raw / ".med-mat/downloads/tiny.json").read_text()
    asked = len(internet.asked)
    assert sandbox.one().present == tuple(sorted(physionet))
    assert len(internet.asked) == asked


def test_physionet_takes_up_what_a_killed_run_left_unrecorded(
    sandbox: Sandbox, physionet: dict[str, str], internet: Loopback
) -> None:
    del physionet
    sandbox.get()
    (sandbox.raw / ".med-mat/downloads/tiny.json").unlink()
    (sandbox.raw / "tiny/train.csv").unlink()
    internet.asked.clear()
    outcome = sandbox.one()
    assert (outcome.fetched, len(outcome.present)) == (("train.csv",), 2)
    assert len(internet.asked) == 2


def test_physionet_gives_the_files_that_the_card_names(sandbox: Sandbox, physionet: dict[str, str]) -> None:
    del physionet
    sandbox.source({"platform": "physionet", "id": "tiny/1.0.0", "files": ["*.csv"]})
    assert sandbox.one().error is None
    assert list(sandbox.files()) == ["train.csv"]


def test_physionet_refuses_a_wrong_password(
    sandbox: Sandbox, physionet: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    del physionet
    monkeypatch.setenv("PHYSIONET_PASSWORD", "wrong")
    outcome = sandbox.one()
    assert "the server refuses (HTTP 401)" in str(outcome.error)
    assert "Sign the data use agreement at https://physionet.org/content/tiny/1.0.0/" in str(outcome.error)
    assert "wrong" not in str(outcome.error)


def test_physionet_without_an_account(
    sandbox: Sandbox, physionet: dict[str, str], internet: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    del physionet
    monkeypatch.delenv("PHYSIONET_USERNAME")
    assert "Set PHYSIONET_USERNAME and PHYSIONET_PASSWORD" in str(sandbox.one().error)
    assert internet.asked == []


def test_physionet_knows_the_account_in_netrc(
    sandbox: Sandbox, physionet: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    del physionet
    monkeypatch.delenv("PHYSIONET_USERNAME")
    netrc = Path(os.environ["HOME"]) / ".netrc"
    netrc.write_text('machine physionet.org login reader password "pass word"\n')
    netrc.chmod(0o600)
    assert sandbox.one().error is None


def test_physionet_files_that_are_not_what_it_lists(sandbox: Sandbox, physionet: dict[str, str]) -> None:
    physionet["train_images/b.dicom"] = "0" * 64
    outcome = sandbox.one()
    assert "has other bytes than its owner says" in str(outcome.error)
    assert "train_images/b.dicom" not in sandbox.files()


def test_a_list_that_climbs_out_of_the_folder_is_refused(sandbox: Sandbox, physionet: dict[str, str]) -> None:
    physionet["../evil.csv"] = "0" * 64
    outcome = sandbox.one()
    assert "no path below a folder" in str(outcome.error)
    assert sandbox.files() == {}


# Hugging Face, in a process of its own: the client reads its settings when it is imported.


def hub(internet: Loopback) -> None:
    commit = "1" * 40
    entry = {
        "rfilename": "pictures/a.zip",
        "size": len(ARCHIVE),
        "lfs": {"sha256": SHA256, "size": len(ARCHIVE), "pointerSize": 130},
    }
    info = {"id": "somebody/tiny", "sha": commit, "siblings": [entry, {"rfilename": "README.md", "size": 3}]}
    internet.serve("https://huggingface.co/api/datasets/somebody/tiny", lambda _: as_json(info))

    def file(request: Request) -> Reply:
        served = Served(ARCHIVE, etag=f'"{SHA256}"')(request)
        marks = {"X-Repo-Commit": commit, "X-Linked-Size": str(len(ARCHIVE)), "X-Linked-Etag": f'"{SHA256}"'}
        return Reply(served.status, served.body, {**served.headers, **marks})

    internet.serve(f"https://huggingface.co/datasets/somebody/tiny/resolve/{commit}/pictures/a.zip", file)


def test_hugging_face_through_its_own_client_and_the_command(
    sandbox: Sandbox, internet: Loopback, tmp_path: Path
) -> None:
    hub(internet)
    place = {"platform": "huggingface", "id": "somebody/tiny", "files": ["pictures/*"]}
    add_source(tmp_path / "loaders", "hf_tiny", download={"where": "Hub", "how": "Ask.", "places": [place]})
    environment = {**os.environ, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}
    run = med_mat(
        *("download", "hf_tiny", "--raw", sandbox.raw, "--loaders", tmp_path / "loaders"),
        *("--accept", "hf_tiny", "--keep-free", "0", "--json"),
        env=environment,
    )
    assert run.returncode == 0, run.stderr + run.stdout
    assert json.loads(run.stdout)[0]["fetched"] == ["pictures/a.zip"]
    assert sandbox.files("hf_tiny") == {"pictures/a.zip": ARCHIVE}


def test_choices_between_places_of_several_parts_keep_the_other_parts(sandbox: Sandbox) -> None:
    places = [
        {"platform": "url", "files": [{"url": sandbox.url(f"{name}.bin", Served(name.encode()))}], "alternative": other}
        for name, other in (("a", False), ("a2", True), ("b", False))
    ]
    sandbox.source(*places)
    assert sandbox.one(options=Options(choose=2), policy=Policy(keep_free=0)).error is None
    assert sandbox.files() == {"a2.bin": b"a2", "b.bin": b"b"}
