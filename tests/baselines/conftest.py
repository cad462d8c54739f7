"""A small build and a tiny model of it, made once for all tests of the baselines."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny import Row, add_source, registry_of, write_raw

from med_mat.baselines.models import Loaded, load_model
from med_mat.baselines.questions import Data, Questions, load_questions
from med_mat.baselines.tiny import save_tiny
from med_mat.build import build
from med_mat.card import Card
from med_mat.demo import write_raw_trees
from med_mat.registry import Registry

# Two threads that wait for one another are slower than one where other tests run beside these.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """Two sources of noise: one label of four, and several labels with yes/no questions."""
    folder = tmp_path_factory.mktemp("baselines")
    add_source(folder / "loaders", "single")
    labels = ("cyst", "stone", "tumor", "normal", "cyst", "cyst")
    rows = [
        Row(f"{number}.png", labels[number % 6], split="test" if number % 3 == 0 else "train") for number in range(48)
    ]
    write_raw(folder / "raw" / "single", rows, size=(40, 32), mode="RGB")
    add_source(folder / "loaders", "several", kind="multilabel", presence="Is there {label}?", subset="20")
    sets = ("cyst|stone", "tumor", "cyst", "normal")
    write_raw(folder / "raw" / "several", [Row(f"{number}.png", sets[number % 4]) for number in range(24)])
    build(registry_of(folder / "loaders"), folder / "raw", folder / "med-mat")
    return Data(str(folder / "med-mat"))


@pytest.fixture(scope="session")
def demo(sources: Registry, tmp_path_factory: pytest.TempPathFactory) -> Data:
    """The demo's build: phantoms in the layouts of five sources."""
    folder = tmp_path_factory.mktemp("demo")
    slugs = [slug for slug, _ in write_raw_trees(sources, folder / "raw")]
    build(sources, folder / "raw", folder / "med-mat", slugs=slugs)
    return Data(str(folder / "med-mat"))


@pytest.fixture(scope="session")
def cards(sources: Registry) -> dict[str, Card]:
    return {source.card.slug: source.card for source in sources}


@pytest.fixture(scope="session")
def train_questions(data: Data) -> Questions:
    return load_questions(data, ["single"], "train")


@pytest.fixture(scope="session")
def tiny_folder(train_questions: Questions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    save_tiny(folder, train_questions.table.to_pylist())
    return folder


@pytest.fixture(scope="session")
def tiny_model(tiny_folder: Path) -> Loaded:
    return load_model(str(tiny_folder), precision="float32", device="cpu")
