"""Raw roots of noise, their loaders and a build of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from tiny import Row, add_source, noise_bytes, plain_rows, registry_of, write_raw

from med_mat.build import BuildResult, build


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

    def drawn(self, slug: str, rows: Sequence[Row], shown: Mapping[str, str], **fields: object) -> None:
        """Draws a source whose files show what they are told to; equal words give equal pixels."""
        add_source(self.loaders, slug, **fields)
        pictures = {row.file: noise_bytes(shown.get(row.file, f"{slug} {row.file}"), row.file) for row in rows}
        write_raw(self.folder / "raw" / slug, rows, pictures=pictures)

    def admit(self, *slugs: str) -> None:
        """Admits sources in an order of its own."""
        (self.loaders / "LEDGER").write_text("\n".join(slugs) + "\n", encoding="utf-8")

    def pictures(self, slug: str) -> list[bytes]:
        """The bytes of a source's pictures as the build has them."""
        found = []
        for path in sorted((self.out / "data" / slug).glob("*.parquet")):
            found += [image["bytes"] for image in pq.read_table(path, columns=["image"])["image"].to_pylist()]
        assert found
        return found

    def build(self, *slugs: str, shard_bytes: int = 1 << 30) -> Path:
        build_into(self.loaders, self.folder / "raw", self.out, slugs=slugs, shard_bytes=shard_bytes)
        return self.out


def build_into(loaders: Path, raw: Path, out: Path, **options: Any) -> BuildResult:
    """Builds sources, none of which may fail."""
    result = build(registry_of(loaders), raw, out, **options)
    assert not any(source.failure for source in result.sources)
    return result
