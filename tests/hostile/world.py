"""A source whose loader takes every picture in folders named by label, and builds of what tests put there."""

from __future__ import annotations

import io
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accounting import unaccounted
from tiny import add_source, noise_bytes, registry_of

from med_mat.build import BuildResult, build

LOADER = '''\
"""Pictures in folders named by what they show."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    for image in raw.glob("{cyst,stone,tumor,normal}/*.{png,jpg,bmp,tif,gif,dcm,nii,nii.gz,webp,ppm,jp2}"):
        yield Sample(image, labels=[image.parent.name])
'''
TABLE_LOADER = '''\
"""Pictures that a table names."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import csv_rows
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    images = raw.find("*.png")
    for row in csv_rows(raw, "table.csv", columns=["file", "label"]):
        yield Sample(images[row["file"]], labels=[row["label"]])
'''
COMMAND = Path(sys.executable).with_name("med-mat")
LABELS = ("cyst", "stone", "tumor", "normal")


def good(number: int = 2) -> dict[str, bytes]:
    """Pictures of every label that nothing is wrong with."""
    names = [f"{label}/good {place}.png" for label in LABELS for place in range(number)]
    return {name: noise_bytes(name, name) for name in names}


def table(number: int = 8) -> dict[str, bytes]:
    """Pictures, and the table that names them."""
    names = [f"picture {place}.png" for place in range(number)]
    rows = [f"{name},{LABELS[place % len(LABELS)]}" for place, name in enumerate(names)]
    content = "\n".join(["file,label", *rows, ""]).encode()
    return {"table.csv": content, **{name: noise_bytes(name, name) for name in names}}


@dataclass(frozen=True)
class World:
    """A folder with a source, its raw root, and what is built of it."""

    folder: Path
    slug: str = "tiny"

    @property
    def loaders(self) -> Path:
        return self.folder / "loaders"

    @property
    def raw(self) -> Path:
        return self.folder / "raw" / self.slug

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def put(self, tree: Mapping[str, bytes]) -> None:
        for name, content in tree.items():
            place = self.raw / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)

    def build(self, *, still: bool = True, **options: Any) -> BuildResult:
        """Builds, and sees that nothing is lost; ``still`` says that the raw root does not change meanwhile."""
        result = build(registry_of(self.loaders), self.folder / "raw", self.out, cache=self.folder / "cache", **options)
        assert unaccounted(self.out, self.folder / "raw" if still else None) == []
        return result

    def arguments(self, command: str = "build") -> list[object]:
        """What to give the command."""
        if command == "index":
            return ["index", self.slug, "--raw", self.raw, "--loaders", self.loaders, "--cache", self.folder / "cache"]
        return [
            *("build", "--raw", self.folder / "raw", "--out", self.out, "--loaders", self.loaders),
            *("--cache", self.folder / "cache", "--workers", 1),
        ]


def world(folder: Path, loader: str = LOADER, *, slug: str = "tiny", **card: Any) -> World:
    made = World(folder, slug)
    add_source(made.loaders, slug, loader, **card)
    return made


def losses(result: BuildResult) -> dict[str, str]:
    """Path to reason of what a build could not publish."""
    return {path: detail for path, _, detail in result.manifest["sources"]["tiny"]["losses"]}


def odd(result: BuildResult) -> set[tuple[str, str]]:
    """Kind and path of everything undeclared."""
    return {(oddity.kind, oddity.path) for source in result.sources for oddity in source.undeclared}


def zipped(tree: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in tree.items():
            archive.writestr(name, content)
    return stream.getvalue()


def tarred(tree: Mapping[str, bytes], mode: str = "w") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload] # the mode is not literal
        for name, content in tree.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()
