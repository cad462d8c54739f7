"""Raw roots of noise, their loaders and a build of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
from tiny import Row, add_source, plain_rows, registry_of, write_raw

from med_mat.build import build


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
