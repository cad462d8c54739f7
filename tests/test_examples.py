"""The examples run as their readers run them: as programs, on a build and on a published dataset."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import datasets
import pytest
from test_attach import strip

from med_mat.build import build
from med_mat.demo import write_raw_trees
from med_mat.registry import Registry

EXAMPLES = Path(__file__).parent.parent / "examples"

Run = Callable[..., str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, sources: Registry) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    slugs = [slug for slug, _ in write_raw_trees(sources, folder / "raw")]
    build(sources, folder / "raw", folder / "med-mat", slugs=slugs)
    strip(folder / "med-mat", folder / "published", ["ct_kidney"])
    return folder


@pytest.fixture
def run(folder: Path, tmp_path: Path) -> Run:
    def run_example(name: str, *options: object) -> str:
        environment = {**os.environ, "HF_HOME": str(folder / "hf"), "CUDA_VISIBLE_DEVICES": ""}
        done = subprocess.run(
            [sys.executable, EXAMPLES / name, *map(str, options)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run_example


def test_the_page_names_every_program() -> None:
    named = set(re.findall(r"\]\((\w+\.py)\)", (EXAMPLES / "README.md").read_text(encoding="utf-8")))
    assert named == {path.name for path in EXAMPLES.glob("*.py")}


@pytest.mark.slow
def test_a_classifier_learns_and_is_scored(run: Run, folder: Path, tmp_path: Path) -> None:
    rows = ("--dataset", folder / "med-mat", "--config", "ct_kidney")
    run("train_classifier.py", *rows, "--out", tmp_path / "model", "--epochs", 5, "--side", 32)
    told = run("evaluate_classifier.py", *rows, "--model", tmp_path / "model", "--side", 32)
    number, score, guess = (float(line.split(":")[1]) for line in told.splitlines())
    assert number == len(datasets.load_dataset(str(folder / "med-mat"), "ct_kidney", split="test"))
    # Phantoms differ plainly by label: who learns beats who guesses.
    assert score > guess + 0.2


def test_pictures_are_attached_and_saved(run: Run, folder: Path, tmp_path: Path) -> None:
    rows = ("--dataset", folder / "published", "--config", "modality_ct")
    told = run("attach_images.py", *rows, "--raw", f"ct_kidney={folder / 'raw' / 'ct_kidney'}", "--out", tmp_path / "x")
    saved = datasets.load_from_disk(str(tmp_path / "x"))
    for split, part in datasets.load_dataset(str(folder / "med-mat"), "modality_ct").items():
        assert [row["image"].tobytes() for row in saved[split]] == [row["image"].tobytes() for row in part]
        lacking = sum(source == "ct_kidney" for source in part["source"])
        assert f"{split}: {len(part)} rows, {lacking} without picture" in told
        assert f"{split}: {len(part)} rows with picture" in told


def test_questions_are_exported_by_triplet(run: Run, folder: Path, tmp_path: Path) -> None:
    told = run("export_questions.py", "--dataset", folder / "med-mat", "--out", tmp_path / "x")
    items = json.loads((tmp_path / "x" / "train.json").read_text(encoding="utf-8"))
    assert {item["image"].split("/")[0] for item in items} == {"brain_tumor_mri"}
    assert told.startswith(f"{len(items)} questions about {len(items)} pictures")
    assert items[0]["conversations"][0]["value"].startswith("<image>\n")


PAGES = ("using.md", "exports.md")


@pytest.mark.parametrize("page", PAGES)
def test_pages_show_what_their_examples_print(
    page: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (EXAMPLES.parent / "docs" / page).read_text(encoding="utf-8")
    found = re.findall(r"<!-- example -->\n```python\n(.*?)```\n\n```\n(.*?)```", text, re.DOTALL)
    assert len(found) == text.count("<!-- example -->") > 0
    for name, place in {"med-mat": "med-mat", "published": "published", "demo-raw": "raw"}.items():
        (tmp_path / name).symlink_to(folder / place)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for number, (code, printed) in enumerate(found):
        capsys.readouterr()
        exec(compile(code, f"{page}, example {number}", "exec"), names)
        assert capsys.readouterr().out == printed
