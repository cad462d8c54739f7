"""Fixtures of sources: a raw tree in the official layout, as YAML, and what a loader must make of it.

``docs/adding-a-source.md`` describes the file. In a checkout it is ``tests/sources/<slug>.yaml``; beside the card for
sources from elsewhere.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from med_mat.card import Card
from med_mat.errors import MedMatError
from med_mat.registry import Source
from med_mat.trees import Content, CopyOf, Mask, Picture, Sheet, write_tree
from med_mat.vocabulary import load_yaml

WRAPPER = "$"
"""Stands for the fixture's ``wrapper`` at the start of a path."""


class FixtureError(MedMatError):
    """A fixture is missing, incomplete or contradicts itself."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _File(_Model):
    """One file of a tree that is not plain text."""

    picture: list[str] | str | None = None
    mask: dict[str, int | tuple[int, int, int]] | None = None
    of: str = ""
    background: int | tuple[int, int, int] = 0
    nth: int | None = None
    size: tuple[int, int] | None = None
    mode: Literal["L", "RGB", "RGBA", "1", "P", "I;16"] = "L"
    encoded_as: str | None = None
    sheet: list[list[Any]] | None = None
    copy_of: str | None = None
    text: str | None = None
    encoding: str = "utf-8"

    @model_validator(mode="after")
    def _one_content(self) -> Self:
        contents = ("picture", "mask", "sheet", "copy_of", "text")
        given = [name for name in contents if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"a file holds one of {', '.join(contents)}; found {', '.join(given) or 'none'}")
        if self.mask is not None and self.mode == "RGBA":
            raise ValueError("a mask has no mode RGBA")
        return self

    def content(self) -> Content:
        if self.picture is not None:
            labels = [self.picture] if isinstance(self.picture, str) else self.picture
            return Picture(tuple(labels), self.size or (96, 96), self.mode, self.encoded_as)
        if self.mask is not None and self.mode != "RGBA":
            return Mask(self.of, self.mask, self.background, self.nth, self.size, self.mode, self.encoded_as)
        if self.sheet is not None:
            return Sheet(self.sheet)
        if self.copy_of is not None:
            return CopyOf(self.copy_of)
        return (self.text or "").encode(self.encoding)


class ExpectedSample(_Model):
    """A sample that must come out of the tree, with clean labels."""

    key: str
    path: str = WRAPPER + "/{key}"
    labels: list[str] = []
    regions: list[str] = []
    split: Literal["train", "validation", "test"] | None = None
    group: str | None = None
    ties: list[str] = []
    uncertain: list[str] = []
    frame: int | None = None
    extra: dict[str, float | str] = {}


class ExpectedOddity(_Model):
    """An oddity that the card declares."""

    kind: str
    path: str


class Mutation(_Model):
    """A change of the tree after which the index must complain.

    ``rename`` replaces a text in every path; ``edit`` replaces a text in one text file; ``remove`` deletes files.
    """

    rename: tuple[str, str] | None = None
    edit: tuple[str, str, str] | None = None
    remove: str | None = None

    @model_validator(mode="after")
    def _one_change(self) -> Self:
        if sum(change is not None for change in (self.rename, self.edit, self.remove)) != 1:
            raise ValueError("a mutation is one of rename, edit, remove")
        return self

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.model_dump(exclude_none=True).items())


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
        """Returns a path of the fixture as it is below the raw root."""
        return path.replace(WRAPPER, self.wrapper, 1).lstrip("/") if path.startswith(f"{WRAPPER}/") else path

    def contents(self) -> dict[str, Content]:
        """Returns the tree: path below the raw root to content."""
        return {
            self.place(name): self._placed(file if isinstance(file, str) else file.content())
            for name, file in self.tree.items()
        }

    def _placed(self, content: Content) -> Content:
        if isinstance(content, CopyOf):
            return CopyOf(self.place(content.path))
        if isinstance(content, Mask):
            return replace(content, of=self.place(content.of))
        if isinstance(content, str):
            return content.replace(f"|{WRAPPER}/", f"|{self.wrapper}/" if self.wrapper else "|")
        return content

    @property
    def regions(self) -> dict[tuple[str, int | None], list[str]]:
        """Key and frame of each sample to the clean labels of its objects."""
        return {(sample.key, sample.frame): sample.regions for sample in self.samples}

    def expected(self) -> list[dict[str, Any]]:
        """Returns what the index must hold of each sample, in the fixture's order."""
        return [
            {**sample.model_dump(exclude={"regions"}), "path": self.place(sample.path.format(key=sample.key))}
            for sample in self.samples
        ]


def fixture_path(source: Source) -> Path:
    """Finds the file of a source's fixture: beside its card, else in the checkout that its loader lies in.

    Raises:
        FixtureError: If there is none.
    """
    places = [
        source.card_path.with_suffix(".yaml"),
        source.module_path.parent.parent / "tests" / "sources" / f"{source.slug}.yaml",
    ]
    found = next((path for path in places if path.is_file()), None)
    if found is None:
        raise FixtureError(f"source {source.slug} has no fixture; expected {' or '.join(map(str, places))}")
    return found


def parse_fixture(text: str, slug: str) -> SourceFixture:
    """Reads a fixture.

    Raises:
        FixtureError: With one line per problem, each naming the field.
    """
    try:
        content = load_yaml(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise FixtureError(f"fixture {slug}: not YAML: {error}") from error
    if not isinstance(content, dict):
        raise FixtureError(f"fixture {slug}: must be a mapping with cite, tree, samples, mutations")
    try:
        return SourceFixture.model_validate({**content, "slug": slug})
    except ValidationError as error:
        lines = (
            f"fixture {slug}, field {'.'.join(str(step) for step in problem['loc'])}: {problem['msg']}"
            for problem in error.errors()
        )
        raise FixtureError("\n".join(lines)) from error


def read_fixture(path: Path) -> SourceFixture:
    """Reads the fixture of one file, which is named by the slug.

    Raises:
        FixtureError: As ``parse_fixture``; also when the file is not UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise FixtureError(f"fixture {path}: must be UTF-8: {error}") from error
    return parse_fixture(text, path.stem)


def write_mutated(fixture: SourceFixture, mutation: Mutation, folder: Path, card: Card) -> None:
    """Writes the tree with one change.

    Raises:
        FixtureError: If the change changes nothing, or a file cannot be edited.
    """
    tree = fixture.contents()
    if mutation.edit is not None:
        file, old, new = mutation.edit
        file = fixture.place(file)
        if file not in tree:
            raise FixtureError(f"fixture {fixture.slug}: mutation {mutation}: {file} is not in the tree")
        edited = _edit(tree[file], old, new)
        if edited == tree[file]:
            raise FixtureError(f"fixture {fixture.slug}: mutation {mutation}: {file} does not hold {old!r}")
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
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    if mutation.edit is None and there == set(tree):
        raise FixtureError(f"fixture {fixture.slug}: mutation {mutation} changes nothing")


def _edit(content: Content, old: str, new: str) -> Content:
    if isinstance(content, Sheet):
        return Sheet([[new if cell == old else cell for cell in row] for row in content.rows])
    if isinstance(content, bytes):
        return content.replace(old.encode(), new.encode())
    if isinstance(content, str):
        return content.replace(old, new)
    raise FixtureError(f"only text and sheets can be edited, not {type(content).__name__}")
