"""Fixtures of the suite: raw trees of every source, and the folder of real downloads where there is one."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

from med_mat.registry import Registry, registry

# Examples draw pictures and write files: how long one takes says nothing.
settings.register_profile("med_mat", deadline=None)
settings.load_profile("med_mat")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"


@pytest.fixture(scope="session")
def sources() -> Registry:
    return registry()


@pytest.fixture(scope="session", autouse=True)
def _datasets_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    import datasets

    # A cache of an earlier run must not stand in for what this one built.
    datasets.config.HF_DATASETS_CACHE = tmp_path_factory.mktemp("datasets-cache")
    datasets.disable_progress_bars()
