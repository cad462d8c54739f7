"""The ``med-mat`` command as a process: what it prints, how it fails, and what it does not import."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from tiny import LABELS, Row, add_source, installed, med_mat, plain_rows, write_raw

from med_mat.vocabulary import catalogue

HEAVY = {"pyarrow", "pandas", "datasets", "pydantic", "PIL", "numpy", "pydicom", "huggingface_hub", "torch"}


def test_the_command_itself_imports_nothing_heavy() -> None:
    code = "import sys, med_mat.cli; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "typer" in done.stdout.split()
    assert not HEAVY & set(done.stdout.split())


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, med_mat; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())


def test_help_names_every_command() -> None:
    done = installed("--help")
    assert done.returncode == 0
    for command in ("sources", "show", "index", "build", "preview"):
        assert f" {command} " in done.stdout


@pytest.fixture
def loaders(tmp_path: Path) -> Path:
    add_source(tmp_path / "loaders", "tiny", title="A tiny source")
    return tmp_path / "loaders"


def test_sources_lists_the_catalogue_and_what_comes_from_outside(loaders: Path) -> None:
    rows = json.loads(med_mat("sources", "--json", "--loaders", loaders).stdout)
    assert [row["slug"] for row in rows] == [*catalogue(), "tiny"]
    status = {row["slug"]: row["status"] for row in rows}
    assert status["tiny"] == status["ct_kidney"] == "ready"
    for row in rows:
        if row["status"] == "planned":
            assert row["title"] == catalogue()[row["slug"]].title
    table = med_mat("sources", "--subset", "02", "--loaders", loaders).stdout
    assert "ct_kidney" in table
    assert "tiny" in table
    assert "2 of 2 sources are ready." in table


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--modality", "X-ray", "--kind", "detection"], {"vindr_spinexr_det", "vindr_pcxr_det"}),
        (["--modality", "xray", "--kind", "detection"], {"vindr_spinexr_det", "vindr_pcxr_det"}),
        (["--subset", "53"], {row.slug for row in catalogue().values() if row.subset == "53"}),
        (["--modality", "pet"], set()),
    ],
)
def test_sources_can_be_narrowed(options: list[str], expected: set[str]) -> None:
    rows = json.loads(med_mat("sources", "--json", *options).stdout)
    assert {row["slug"] for row in rows} == expected


def test_show_prints_a_card(loaders: Path) -> None:
    done = med_mat("show", "tiny", "--loaders", loaders)
    assert done.returncode == 0
    for text in ("A tiny source", "ct / kidney / disease classification", "normal kidney", "Pictures of noise."):
        assert text in done.stdout


def test_build_and_preview(loaders: Path, tmp_path: Path) -> None:
    write_raw(tmp_path / "raw" / "tiny", plain_rows(20))
    (tmp_path / "salt").write_bytes(b"secret")
    command = ["build", "--raw", tmp_path / "raw", "--out", tmp_path / "med-mat", "--loaders", loaders]
    done = installed(*command, "--workers", "1", "--salt-file", tmp_path / "salt")
    assert (done.returncode, done.stderr) == (0, "")
    assert "20 rows" in done.stdout
    manifest = json.loads((tmp_path / "med-mat" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["rows"] == 20
    sheet = tmp_path / "sheet.png"
    done = med_mat("preview", "tiny", "--raw", tmp_path / "raw" / "tiny", "--out", sheet, "--loaders", loaders)
    assert done.returncode == 0
    assert "20 pictures, 4 labels" in done.stdout
    with Image.open(sheet) as image:
        assert image.width > 100


def test_exit_codes_of_build(loaders: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    write_raw(raw / "tiny", plain_rows(12), pictures={"picture 003.png": b"no picture"})
    command = ["build", "--raw", raw, "--out", tmp_path / "out", "--loaders", loaders, "--workers", "1"]
    done = med_mat(*command)
    assert done.returncode == 1
    assert "unreadable_image" in done.stdout
    add_source(loaders, "broken")
    (raw / "broken").mkdir()
    (raw / "broken" / "notes.txt").write_text("nothing", encoding="utf-8")
    done = med_mat(*command)
    assert done.returncode == 2
    assert "broken failed" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["show", "ct_kidny"], "med-mat: no source 'ct_kidny'; did you mean ct_kidney"),
        (["index", "ct_kidney", "--raw", "/no/such/place"], "med-mat: /no/such/place: no such file or folder"),
        (["sources", "--loaders", "/no/such/place"], "med-mat: --loaders /no/such/place: no such folder"),
        (["build", "--raw", "/no/such/place", "--out", "{tmp}/out"], "med-mat: /no/such/place: holds no raw root"),
        (["build", "--raw", "{tmp}", "--out", "{tmp}/out", "--salt-file", "{tmp}/no"], "No such file or directory"),
        (["index", "ct_kidney"], "Missing option '--raw'"),
        (["build", "--raw", "{tmp}", "--out", "{tmp}/out", "--workers", "0"], "Invalid value for '--workers'"),
        (["frobnicate"], "No such command 'frobnicate'"),
    ],
)
def test_a_mistake_is_told_without_a_trace_and_exits_with_2(
    arguments: list[str], expected: str, tmp_path: Path
) -> None:
    run = installed if arguments == ["show", "ct_kidny"] else med_mat
    done = run(*(argument.format(tmp=tmp_path) for argument in arguments))
    assert done.returncode == 2
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_card_is_told(loaders: Path) -> None:
    card = loaders / "tiny.md"
    card.write_text(card.read_text(encoding="utf-8").replace("modality: ct", "modality: pet"), encoding="utf-8")
    done = med_mat("show", "tiny", "--loaders", loaders)
    assert done.returncode == 2
    assert "card tiny, field modality: Value error, 'pet' is not in the vocabulary; allowed: co, ct, der" in done.stderr


def test_names_that_look_like_markup_are_printed_as_they_are(loaders: Path, tmp_path: Path) -> None:
    rows = [Row(f"[bold]{label} [red] :tada:.png", label) for label in LABELS]
    write_raw(tmp_path / "raw", rows, absent=[rows[1].file])
    done = med_mat("index", "tiny", "--raw", tmp_path / "raw", "--loaders", loaders)
    assert done.returncode == 1
    assert rows[1].file in done.stdout
