"""The wheel, away from the clone: loaders, cards and data travel in it, and it does the main job."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def _run(*command: str | Path, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def _tracked() -> set[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return set(filter(None, listed.split("\0")))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # A copy, so that the build leaves nothing in the clone.
    source = folder / "source"
    for name in _tracked():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    _run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, source, cwd=folder)
    return next(folder.glob("*.whl"))


@pytest.mark.slow
def test_wheel_holds_every_loader_and_card_and_no_test(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    tracked = _tracked()
    for folder in ("loaders", "cards"):
        expected = {f"med_mat/{name}" for name in tracked if name.startswith(f"{folder}/")}
        assert expected
        assert expected <= names
    assert {name for name in tracked if name.startswith("med_mat/")} <= names
    assert not [name for name in names if name.split("/")[0] not in ("med_mat",) and ".dist-info/" not in name]


@pytest.mark.slow
def test_installed_wheel_lists_sources_and_runs_the_demo(wheel: Path, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    _run(sys.executable, "-m", "venv", venv, cwd=tmp_path)
    python = venv / "bin" / "python"
    constraints = ROOT / "constraints.txt"
    quick = ("--quiet", "--no-compile", "--constraint", constraints)
    _run(python, "-m", "pip", "install", *quick, wheel, cwd=tmp_path)
    installed = json.loads(_run(python, "-m", "pip", "list", "--format", "json", cwd=tmp_path))
    assert "torch" not in {package["name"] for package in installed}
    sources = json.loads(_run(venv / "bin" / "med-mat", "sources", "--json", cwd=tmp_path))
    assert len(sources) == 109
    assert {"ct_kidney", "nih_chest_xray_sample"} <= {row["slug"] for row in sources if row["status"] == "ready"}
    said = _run(venv / "bin" / "med-mat", "demo", cwd=tmp_path)
    assert "load_dataset" in said
    assert (tmp_path / "demo.png").stat().st_size > 10_000
    manifest = json.loads((tmp_path / "med-mat" / "manifest.json").read_text(encoding="utf-8"))
    assert len(manifest["sources"]) >= 5
    assert all(entry["rows"] and not entry["undeclared"] for entry in manifest["sources"].values())
