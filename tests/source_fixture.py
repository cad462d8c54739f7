"""Reads ``tests/sources/<slug>.yaml``: a raw tree in the official layout and what a loader must make of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from med_mat.card import Card
from med_mat.trees import Content, CopyOf, Picture, Sheet, write_tree

FOLDER = Path(__file__).parent / "sources"
WRAPPER = "$"
"""Stands for the fixture's ``wrapper`` at the start of a path."""

SLUGS = sorted(path.stem for path in FOLDER.glob("*.yaml"))


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _File(_Model):
    """One file of a tree that is not plain text."""

    picture: list[str] | str | None = None
    size: tuple[int, int] = (96, 96)
    mode: Literal["L", "RGB", "RGBA", "1", "P", "I;16"] = "L"
    encoded_as: str | None = None
    sheet: list[list[Any]] | None = None
    copy_of: str | None = None
    text: str | None = None
    encoding: str = "utf-8"

    def content(self) -> Content:
        if self.picture is not None:
            labels = [self.picture] if isinstance(self.picture, str) else self.picture
            return Picture(tuple(labels), self.size, self.mode, self.encoded_as)
        if self.sheet is not None:
            return Sheet(self.sheet)
        if self.copy_of is not None:
            return CopyOf(self.copy_of)
        assert self.text is not None
        return self.text.encode(self.encoding)


class ExpectedSample(_Model):
    key: str
    path: str = WRAPPER + "/{key}"
    labels: list[str]
    split: Literal["train", "validation", "test"] | None = None
    group: str | None = None
    ties: list[str] = []
    uncertain: list[str] = []
    frame: int | None = None
    extra: dict[str, float | str] = {}


class ExpectedOddity(_Model):
    kind: str
    path: str


class Mutation(_Model):
    """A change of the tree after which the index must complain.

    ``rename`` replaces a text in every path; ``edit`` replaces a text in one text file; ``remove`` deletes files.
    """

    rename: tuple[str, str] | None = None
    edit: tuple[str, str, str] | None = None
    remove: str | None = None


class SourceFixture(_Model):
    """A source's fixture.

    ``cite`` says where the paths are quoted from. A path that starts with ``$/`` lies below ``wrapper``; a sample
    without ``path`` lies at ``$/<key>``.
    """

    slug: str
    cite: Annotated[list[str], Field(min_length=1)]
    wrapper: str = ""
    tree: Annotated[dict[str, str | _File], Field(min_length=1)]
    samples: Annotated[list[ExpectedSample], Field(min_length=1)]
    missing: int = 0
    left_out: int = 0
    odd: list[ExpectedOddity] = []
    mutations: Annotated[list[Mutation], Field(min_length=1)]

    def place(self, path: str) -> str:
        return path.replace(WRAPPER, self.wrapper, 1).lstrip("/") if path.startswith(f"{WRAPPER}/") else path

    def contents(self) -> dict[str, Content]:
        contents = {
            self.place(name): file if isinstance(file, str) else file.content() for name, file in self.tree.items()
        }
        return {
            name: CopyOf(self.place(content.path)) if isinstance(content, CopyOf) else content
            for name, content in contents.items()
        }

    def expected(self) -> list[dict[str, object]]:
        return [
            {**sample.model_dump(), "path": self.place(sample.path.format(key=sample.key))} for sample in self.samples
        ]


def load_fixture(slug: str) -> SourceFixture:
    content = yaml.safe_load((FOLDER / f"{slug}.yaml").read_text(encoding="utf-8"))
    return SourceFixture.model_validate({**content, "slug": slug})


def write_mutated(fixture: SourceFixture, mutation: Mutation, folder: Path, card: Card) -> None:
    tree = fixture.contents()
    if mutation.edit is not None:
        file, old, new = mutation.edit
        file = fixture.place(file)
        edited = _edit(tree[file], old, new)
        assert edited != tree[file], f"{file} does not hold {old!r}"
        tree[file] = edited
    write_tree(tree, folder, card)
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file():
            continue
        if mutation.remove is not None and name.startswith(fixture.place(mutation.remove)):
            path.unlink()
        elif mutation.rename is not None:
            target = folder / name.replace(*mutation.rename)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
    changed = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} != set(tree)
    assert changed or mutation.edit, "the mutation changes nothing"


def _edit(content: Content, old: str, new: str) -> Content:
    if isinstance(content, Sheet):
        return Sheet([[new if cell == old else cell for cell in row] for row in content.rows])
    if isinstance(content, bytes):
        return content.replace(old.encode(), new.encode())
    assert isinstance(content, str), "only text and sheets can be edited"
    return content.replace(old, new)
