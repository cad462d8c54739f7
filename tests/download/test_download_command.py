"""``med-mat download`` as people run it, and the plan for every source of the package."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from loopback import Loopback, Reply, Served
from pydantic import ValidationError
from sandbox import Sandbox
from tiny import add_source, med_mat

from med_mat.card import Place, PlaceFile
from med_mat.download.plan import parts_of, plan
from med_mat.registry import Registry
from med_mat.vocabulary import catalogue

DATA = bytes(range(256)) * 2000


@pytest.fixture
def command(sandbox: Sandbox, tmp_path: Path) -> Any:
    """Runs the command with a source ``dl_tiny``, offered on loopback."""
    address = sandbox.url("pictures.bin", Served(DATA))
    places = [
        {"platform": "url", "files": [{"url": address}], "size_bytes": 512_000},
        {"platform": "manual", "url": "https://form.example.org/", "steps": ["Sign"], "alternative": True},
    ]
    loaders = tmp_path / "loaders"
    add_source(loaders, "dl_tiny", download={"where": "here", "how": "Ask.", "size": "half a MB", "places": places})

    def run(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
        return med_mat("download", *arguments, "--loaders", loaders, stdin=subprocess.DEVNULL, **options)

    return run


def test_a_first_download_as_a_new_user_does_it(sandbox: Sandbox, command: Any) -> None:
    bare = command("dl_tiny", "--raw", sandbox.raw)
    assert bare.returncode == 2
    assert "--accept dl_tiny" in bare.stderr
    assert not (sandbox.raw / "dl_tiny").exists()
    done = command("dl_tiny", "--raw", sandbox.raw, "--accept", "dl_tiny", "--keep-free", "0")
    assert done.returncode == 0, done.stderr
    assert "dl_tiny: complete (1 files fetched, 0 there already)" in done.stdout
    assert "med-mat index dl_tiny --raw" in done.stdout
    assert (sandbox.raw / "dl_tiny/pictures.bin").read_bytes() == DATA
    again = command("dl_tiny", "--raw", sandbox.raw, "--json")
    assert json.loads(again.stdout)[0]["present"] == ["pictures.bin"]


def test_a_form_is_exit_code_1(sandbox: Sandbox, command: Any) -> None:
    run = command("dl_tiny", "--raw", sandbox.raw, "--accept", "dl_tiny", "--from", "2")
    assert run.returncode == 1
    assert "1. Open https://form.example.org/" in run.stdout


def wait_for(condition: Callable[[], object]) -> None:
    for _ in range(400):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("waited for 20 seconds in vain")


def test_ctrl_c_gives_the_prompt_back_and_keeps_what_came(sandbox: Sandbox, command: Any, tmp_path: Path) -> None:
    served = Served(DATA, [Reply(200, DATA, {"ETag": '"one"'}, pause=1.0)])
    sandbox.url("pictures.bin", served)
    wanted = ["dl_tiny", "--raw", str(sandbox.raw), "--accept", "dl_tiny", "--keep-free", "0"]
    program = [str(Path(sys.executable).with_name("med-mat")), "download", *wanted]
    program += ["--loaders", str(tmp_path / "loaders")]
    with subprocess.Popen(program, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        wait_for(lambda: any(path.stat().st_size for path in sandbox.raw.rglob("*.part")))
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) != 0
    assert not (sandbox.raw / "dl_tiny").exists()
    assert command(*wanted).returncode == 0
    assert "range" in sandbox.internet.asked[-1].headers
    assert (sandbox.raw / "dl_tiny/pictures.bin").read_bytes() == DATA


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 2)])
def test_at_a_terminal_the_terms_are_shown_and_asked_for(
    sandbox: Sandbox, command: Any, tmp_path: Path, answer: str, code: int
) -> None:
    del command  # it has written the source
    program = [str(Path(sys.executable).with_name("med-mat")), "download", "dl_tiny", "--raw", str(sandbox.raw)]
    program += ["--loaders", str(tmp_path / "loaders"), "--keep-free", "0"]
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(program, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        while b"[y/N]" not in shown:
            shown += os.read(ours, 10_000)
        os.write(ours, f"{answer}\n".encode())
        # Reading a terminal whose last program has ended is an error on Linux.
        with contextlib.suppress(OSError):
            while piece := os.read(ours, 10_000):
                shown += piece
        assert process.wait(timeout=20) == code
    os.close(ours)
    text = shown.decode()
    assert "licence: CC0" in text
    assert "evidence: drawn by the tests" in text
    assert ("dl_tiny: complete" in text) == (code == 0)


def test_a_disk_that_fills_up_on_the_way(sandbox: Sandbox, command: Any) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    wanted = ("dl_tiny", "--raw", sandbox.raw, "--accept", "dl_tiny", "--keep-free", "0")
    run = command(*wanted, preexec_fn=limit)
    assert run.returncode == 2
    assert "cannot be written (File too large)" in run.stdout
    assert "what came stays" in run.stdout
    assert not (sandbox.raw / "dl_tiny").exists()
    assert command(*wanted).returncode == 0
    assert (sandbox.raw / "dl_tiny/pictures.bin").read_bytes() == DATA
    assert any("range" in request.headers for request in sandbox.internet.asked)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "name sources, or give --all"),
        (("dl_tiny",), "--raw DIR"),
        (("dl_tiny", "ct_kidney", "--raw", "x", "--from", "2"), "name one source"),
        (("dl_tniy", "--raw", "x"), "did you mean dl_tiny?"),
        (("dl_tiny", "--raw", "x", "--accept", "dl_tiny", "--keep-free", "much"), "is not a number of bytes"),
    ],
)
def test_wrong_use_is_told(command: Any, tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    run = command(*arguments, cwd=tmp_path)
    assert run.returncode == 2
    assert told in " ".join(run.stderr.split())


def test_the_plan_lists_all_109_sources_and_asks_no_server(command: Any, internet: Loopback, tmp_path: Path) -> None:
    run = command("--plan", "--json", "--raw", tmp_path / "nothing")
    assert run.returncode == 0, run.stderr
    rows = json.loads(run.stdout)
    assert [row["number"] for row in rows[:109]] == list(range(1, 110))
    assert rows[-1]["slug"] == "dl_tiny"
    assert {"licence", "access", "size", "size_bytes", "credentials", "parts", "automatic"} <= set(rows[0])
    assert internet.asked == []
    assert not (tmp_path / "nothing").exists()


def test_the_plan_reads_as_a_table_and_for_one_source_in_full(command: Any) -> None:
    table = command("--plan")
    assert "nct_crc_he_100k" in table.stdout
    assert "sources:" in table.stdout
    one = command("dl_tiny", "--dry-run")
    assert "1: part 1: url https://data.example.org/pictures.bin" in one.stdout
    assert "2:   or: manual https://form.example.org/" in one.stdout
    assert "- Sign" in one.stdout


def test_the_plan_needs_no_client(command: Any, tmp_path: Path) -> None:
    # As without the extra: none of the clients can be imported.
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    for name in ("pooch", "kagglehub", "libarchive"):
        (blocked / f"{name}.py").write_text("raise ModuleNotFoundError(f'No module {__name__}', name=__name__)\n")
    environment = {**os.environ, "PYTHONPATH": str(blocked)}
    assert command("--plan", env=environment).returncode == 0
    run = command("dl_tiny", "--raw", tmp_path / "raw", "--accept", "dl_tiny", env=environment)
    assert run.returncode == 2
    assert "pip install 'med-mat[download]'" in run.stderr


def test_every_source_of_the_package_says_where_its_download_is(sources: Registry) -> None:
    silent = [source.slug for source in sources if not parts_of(source.card, sources)]
    assert silent == []


def test_what_cards_say_of_access_fits_their_places(sources: Registry) -> None:
    for row in plan(sources, [source.slug for source in sources if source.slug in catalogue()]):
        platforms = {part[0]["platform"] for part in row["parts"]}
        if row["access"] == "competition-rules":
            assert "kaggle_competition" in platforms or row["slug"] == "siim_acr_pneumothorax", row["slug"]
        if row["access"] in ("request-form", "credentialed"):
            assert platforms & {"manual", "physionet"}, row["slug"]


def test_no_two_parts_of_a_download_have_a_file_of_one_name(sources: Registry) -> None:
    for source in sources:
        names = [file.name for part in parts_of(source.card, sources) for file in part[0].files]
        archives = [part[0].platform for part in parts_of(source.card, sources) if part[0].platform == "kaggle"]
        assert len(set(names)) == len(names), source.slug
        assert len(archives) <= 1, source.slug


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ({"platform": "kaggle", "id": "somebody"}, "id must match"),
        ({"platform": "mendeley", "id": "abcdefghij"}, "id must match"),
        ({"platform": "url"}, "files must be listed"),
        ({"platform": "url", "files": ["a.zip"]}, "each with its url"),
        ({"platform": "url", "id": "x", "files": [{"url": "https://a.org/b.zip"}]}, "has no id"),
        ({"platform": "manual", "url": "https://a.org/"}, "needs url and steps"),
        ({"platform": "zenodo", "id": "1", "steps": ["Click"]}, "steps are for platform manual"),
        ({"platform": "ftp", "id": "1"}, "Input should be"),
        ({"platform": "zenodo", "id": "1", "files": [{"name": "../x"}]}, "not a path below the raw root"),
        ({"platform": "zenodo", "id": "1", "files": [{"name": "x", "md5": "12"}]}, "String should match pattern"),
        ({"platform": "zenodo", "id": "1", "files": [{"url": "file:///etc/passwd"}]}, "String should match pattern"),
    ],
)
def test_wrong_places_are_told(place: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Place.model_validate(place)


def test_a_file_is_named_by_its_address() -> None:
    assert PlaceFile.model_validate({"url": "https://a.org/x/My%20data.zip?download=1"}).name == "My data.zip"
    assert PlaceFile.model_validate("data.zip") == PlaceFile(name="data.zip")


def test_importing_the_command_line_imports_no_client() -> None:
    code = "import sys, med_mat.cli; print({'pooch', 'kagglehub', 'requests', 'rich.progress'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
