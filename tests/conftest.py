"""Fixtures of the suite: what all files share, made once however many processes run them, and the order of files."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from filelock import FileLock
from hypothesis import settings
from source_fixture import SLUGS, load_fixture

from med_mat.registry import Registry, registry

if TYPE_CHECKING:
    from med_mat.build import BuildResult

# Examples draw pictures and write files: how long one takes says nothing.
settings.register_profile("med_mat", deadline=None)
settings.load_profile("med_mat")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"

# Files and folders that take longest, longest first: begun last, one would keep one core busy while the others wait.
SLOW = (
    "test_sources.py",
    "baselines",
    "hub",
    "test_engine_ray.py",
    "test_package.py",
    "test_real_downloads.py",
    "scale",
    "test_build.py",
    "test_check.py",
    "test_hostile_storage.py",
    "test_browse.py",
    "test_image_raw_samples.py",
    "test_download_command.py",
    "test_cli.py",
    "test_no_silent_loss.py",
    "test_new.py",
    "audit",
    "test_export.py",
    "test_attach.py",
    "test_index.py",
    "test_ask.py",
    "test_examples.py",
    "test_phantoms.py",
    "test_documentation.py",
)

Made = TypeVar("Made")


def _begun(path: Path) -> int:
    return next((place for place, name in enumerate(SLOW) if name in (path.name, path.parent.name)), len(SLOW))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _begun(item.path))


@pytest.fixture(scope="session")
def sources() -> Registry:
    return registry()


@pytest.fixture(scope="session", autouse=True)
def _datasets_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    import datasets

    # A cache of an earlier run must not stand in for what this one built.
    datasets.config.HF_DATASETS_CACHE = tmp_path_factory.mktemp("datasets-cache")
    datasets.disable_progress_bars()


def _once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Made]) -> Made:
    """Gives what ``make`` returns for a folder of its own; the processes of a run share both."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"shared-{name}"
    kept = folder.with_suffix(".pickle")
    with FileLock(folder.with_suffix(".lock")):
        if not kept.exists():
            folder.mkdir(exist_ok=True)
            kept.write_bytes(pickle.dumps(make(folder)))
        made: Made = pickle.loads(kept.read_bytes())
        return made


@pytest.fixture(scope="session")
def raw_trees(sources: Registry, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the raw tree of every source's fixture; to be read only."""
    from med_mat.trees import write_tree

    def make(folder: Path) -> Path:
        for slug in SLUGS:
            write_tree(load_fixture(slug).contents(), folder / slug, sources[slug].card)
        return folder

    return _once(tmp_path_factory, "raw", make)


@pytest.fixture(scope="session")
def whole_build(sources: Registry, raw_trees: Path, tmp_path_factory: pytest.TempPathFactory) -> BuildResult:
    """Every source's fixture, built; to be read only."""
    from med_mat.build import build

    def make(folder: Path) -> BuildResult:
        return build(sources, raw_trees, folder / "med-mat", salt=b"test", cache=folder / "cache")

    return _once(tmp_path_factory, "build", make)


@pytest.fixture(scope="session")
def real_build(sources: Registry, tmp_path_factory: pytest.TempPathFactory) -> BuildResult:
    """The slices of official downloads in ``MED_MAT_RAW``, built; to be read only."""
    from med_mat.build import build

    raw = Path(os.environ["MED_MAT_RAW"])
    slugs = [source.slug for source in sources if (raw / source.slug).is_dir()]

    def make(folder: Path) -> BuildResult:
        return build(sources, raw, folder / "dataset", slugs=slugs, workers=2, salt=b"test", cache=folder / "cache")

    return _once(tmp_path_factory, "real", make)


@pytest.fixture(scope="module")
def _folders_resolved_once() -> Iterator[None]:
    """Lets ``load_dataset`` find out once a folder, not once a config, which files each config of it has.

    The README of a build of all sources names some three hundred configs; to read it takes longer than to load one.
    For files whose tests load many configs of folders that do not change.
    """
    import datasets

    resolve = datasets.load.dataset_module_factory
    known: dict[str, Any] = {}

    def once(path: str, **options: Any) -> Any:
        if path not in known:
            known[path] = resolve(path, **options)
        # load_dataset takes from these what it uses.
        return replace(known[path], builder_kwargs=dict(known[path].builder_kwargs))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.load, "dataset_module_factory", once)
        yield
