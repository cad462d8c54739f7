"""Which sources there are: loaders with their cards, from the package, from folders and from entry points."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from med_mat.errors import CardError

if TYPE_CHECKING:
    from med_mat.card import Card
    from med_mat.raw import RawRoot
    from med_mat.sample import Sample

ENTRY_POINT_GROUP = "med_mat.loaders"

Loader = Callable[["RawRoot"], "Iterator[Sample]"]


@dataclass(frozen=True)
class Source:
    """A loader and its card.

    Attributes:
        slug: The source's name.
        module_path: The loader's file.
        card_path: The card's file.
        module_name: Name under which the loader is imported.
    """

    slug: str
    module_path: Path
    card_path: Path
    module_name: str

    @cached_property
    def card(self) -> Card:
        """The card.

        Raises:
            CardError: If the file is missing or wrong.
        """
        from med_mat.card import read_card

        if not self.card_path.is_file():
            raise CardError(f"source {self.slug}: loader {self.module_path} has no card; expected {self.card_path}")
        return read_card(self.card_path)

    @cached_property
    def samples(self) -> Loader:
        """The loader's generator.

        Raises:
            CardError: If the module has none.
        """
        module = _import(self.module_name, self.module_path)
        loader: Loader | None = getattr(module, "samples", None)
        if loader is None:
            raise CardError(f"source {self.slug}: {self.module_path} must define samples(raw)")
        return loader


@dataclass(frozen=True)
class Registry:
    """All sources by slug, in order of admission.

    The order is the ledger's: where pictures or groups of two sources collide, the earlier keeps.
    """

    sources: dict[str, Source]

    def __getitem__(self, slug: str) -> Source:
        """Returns a source.

        Raises:
            KeyError: With the nearest names.
        """
        if slug not in self.sources:
            import difflib

            near = difflib.get_close_matches(slug, self.sources, n=3)
            hint = f"; did you mean {', '.join(near)}?" if near else "; `med-mat sources` lists them"
            raise KeyError(f"no source {slug!r}{hint}")
        return self.sources[slug]

    def __iter__(self) -> Iterator[Source]:
        return iter(self.sources.values())

    def __len__(self) -> int:
        return len(self.sources)

    def __contains__(self, slug: object) -> bool:
        return slug in self.sources


def registry(folders: Iterable[Path] = ()) -> Registry:
    """Finds the sources of the package, of entry points and of ``folders``.

    Args:
        folders: Folders of loaders with their cards beside them (``<slug>.py`` and ``<slug>.md``), and perhaps a
            ``LEDGER``.

    Raises:
        CardError: If two places have one slug, a ledger lacks a loader, or an entry point cannot be loaded.
    """
    package = importlib.import_module("med_mat.loaders")
    cards = importlib.import_module("med_mat.cards")
    sources = _from_folder(_folder(package), _folder(cards), package.__name__)
    for point in sorted(importlib.metadata.entry_points(group=ENTRY_POINT_GROUP), key=lambda point: point.name):
        sources += _from_entry_point(point)
    for folder in folders:
        if not folder.is_dir():
            raise CardError(f"--loaders {folder}: no such folder")
        sources += _from_folder(folder, folder, None)
    found: dict[str, Source] = {}
    for source in sources:
        if source.slug in found:
            raise CardError(
                f"source {source.slug} is defined twice: {found[source.slug].module_path} and {source.module_path}"
            )
        found[source.slug] = source
    return Registry(found)


def _folder(module: ModuleType) -> Path:
    if module.__file__ is None:
        raise CardError(f"{module.__name__} has no folder: give it an __init__.py")
    return Path(module.__file__).parent


def _from_folder(folder: Path, cards: Path, package: str | None) -> list[Source]:
    slugs = sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))
    return [
        Source(
            slug=slug,
            module_path=folder / f"{slug}.py",
            card_path=cards / f"{slug}.md",
            module_name=f"{package}.{slug}" if package else f"_med_mat_loaders.{abs(hash(folder)):x}.{slug}",
        )
        for slug in _in_ledger_order(slugs, cards / "LEDGER")
    ]


def _from_entry_point(point: importlib.metadata.EntryPoint) -> list[Source]:
    try:
        module = point.load()
    except Exception as error:
        raise CardError(
            f"entry point {point.name} of {ENTRY_POINT_GROUP}, {point.value}, cannot be loaded: "
            f"{type(error).__name__}: {error}. Mend or uninstall the package that brings it"
        ) from error
    if not isinstance(module, ModuleType) or module.__file__ is None:
        raise CardError(f"entry point {point.name} of {ENTRY_POINT_GROUP} must name a module or package: {point.value}")
    path = Path(module.__file__)
    if path.stem == "__init__":
        return _from_folder(path.parent, path.parent, module.__name__)
    return [Source(path.stem, path, path.with_suffix(".md"), module.__name__)]


def _in_ledger_order(slugs: Sequence[str], ledger: Path) -> list[str]:
    if not ledger.is_file():
        return list(slugs)
    admitted = ledger.read_text(encoding="utf-8").split()
    missing = [slug for slug in slugs if slug not in admitted]
    if missing or len(set(admitted)) != len(admitted):
        raise CardError(
            f"{ledger}: must name each loader once, in order of admission; append: {', '.join(missing) or 'nothing'}; "
            f"named twice: {', '.join(slug for slug in set(admitted) if admitted.count(slug) > 1) or 'nothing'}"
        )
    # A source that was withdrawn keeps its line: its place in the order must not fall to another.
    return [slug for slug in admitted if slug in set(slugs)]


def _import(name: str, path: Path) -> ModuleType:
    if not name.startswith("_med_mat_loaders."):
        return importlib.import_module(name)
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise CardError(f"{path}: cannot be imported as a Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        # A half-made module must not pass for a whole one at the next import.
        del sys.modules[name]
        raise
    return module
