"""A Hub on loopback for the session, processes that talk to it, and small builds of noise."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_clients import Clients
from hub_server import HubServer
from hub_server.app import TOKEN
from hub_workshop import Workshop

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    server = HubServer(tmp_path_factory.mktemp("hub"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def client(hub: HubServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    clients = Clients(hub.url, TOKEN, tmp_path_factory.mktemp("hub-home"))
    yield clients
    clients.close()


@pytest.fixture
def repo() -> str:
    """A name that no other test uses; the repository is not made."""
    return f"org/med-mat-{next(_NUMBERS)}"


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path / "workshop")
