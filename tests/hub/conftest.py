"""A Hub on loopback for the session, processes that talk to it, and small builds of noise."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hub_clients import Clients
from hub_server import HubServer
from hub_server.app import TOKEN
from tiny import Row, add_source, plain_rows, registry_of, write_raw

from med_mat.build import build

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


@dataclass(frozen=True)
class Workshop:
    """Raw roots, loaders and a build of small sources."""

    folder: Path

    @property
    def loaders(self) -> Path:
        return self.folder / "loaders"

    @property
    def out(self) -> Path:
        return self.folder / "build"

    def source(self, slug: str, redistribution: str = "images", rows: int = 24, **fields: object) -> None:
        """Draws a source; pictures of different sources differ."""
        add_source(self.loaders, slug, redistribution=redistribution, **fields)
        drawn = [Row(f"{slug} {row.file}", row.labels) for row in plain_rows(rows)]
        write_raw(self.folder / "raw" / slug, drawn)

    def pictures(self, slug: str) -> list[bytes]:
        """The bytes of a source's pictures as the build has them."""
        found = []
        for path in sorted((self.out / "data" / slug).glob("*.parquet")):
            found += [image["bytes"] for image in pq.read_table(path, columns=["image"])["image"].to_pylist()]
        assert found
        return found

    def build(self, *slugs: str, shard_bytes: int = 1 << 30) -> Path:
        result = build(registry_of(self.loaders), self.folder / "raw", self.out, slugs=slugs, shard_bytes=shard_bytes)
        assert not any(source.failure for source in result.sources)
        return self.out


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path / "workshop")
