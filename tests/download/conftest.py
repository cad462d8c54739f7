"""A loopback internet for each test, and sources whose downloads lie in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback import Loopback
from sandbox import Sandbox


@pytest.fixture
def internet(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    world = Loopback(tmp_path_factory.mktemp("authority"))
    for name, value in world.environment.items():
        monkeypatch.setenv(name, value)
    yield world
    world.close()


@pytest.fixture
def sandbox(internet: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    # No credentials of whoever runs the tests.
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(home / ".kaggle"))
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY", "PHYSIONET_USERNAME", "PHYSIONET_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    return Sandbox(internet, tmp_path)
