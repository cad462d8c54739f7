"""The fixtures of this checkout's sources, ``tests/sources/<slug>.yaml``; ``med_mat.fixtures`` reads them."""

from __future__ import annotations

from pathlib import Path

from med_mat.fixtures import SourceFixture, read_fixture

FOLDER = Path(__file__).parent / "sources"

SLUGS = sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_fixture(slug: str) -> SourceFixture:
    return read_fixture(FOLDER / f"{slug}.yaml")
