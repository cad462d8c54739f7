"""Runs everything that a reviewer of a source would, part by part; what one part finds hides no other."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from med_mat.contribute import paper
from med_mat.contribute.verdict import Finding, Part, Verdict, cut
from med_mat.errors import CardError, MedMatError
from med_mat.registry import Registry, Source, registry

if TYPE_CHECKING:
    from med_mat.build import Progress
    from med_mat.card import Card
    from med_mat.fixtures import SourceFixture


T = TypeVar("T")
SMALL_LABEL_SET = 12
"""So many labels fit into a fixture."""


class _SkipError(Exception):
    """A part cannot be done since another one failed, or was not asked for."""


@dataclass(frozen=True)
class Download:
    """An official download to check a source against.

    Attributes:
        location: The raw root.
        allow_missing: It is a slice.
        workers: Number of processes.
        cache: Folder for what is unpacked and for the scan; None forgets the scan.
        progress: Told how far the scan is.
    """

    location: str
    allow_missing: bool
    workers: int
    cache: Path | None
    progress: Progress


@dataclass
class _Subject:
    """A source under check, and what its parts share.

    Attributes:
        source: Loader and card.
        sources: Gives all sources.
        scratch: An empty folder.
        download: The download to read, if any.
    """

    source: Source
    sources: Callable[[], Registry]
    scratch: Path
    download: Download | None = None
    _failed: set[str] = field(default_factory=set)

    def _shared(self, what: str, make: Callable[[], T]) -> T:
        # The part that is about it tells of the error; the others say that they wait for it.
        if what in self._failed:
            raise _SkipError(f"waits for the {what}")
        try:
            return make()
        except Exception:
            self._failed.add(what)
            raise

    @cached_property
    def card(self) -> Card:
        return self._shared("card", lambda: self.source.card)

    @cached_property
    def fixture(self) -> SourceFixture:
        from med_mat.fixtures import fixture_path, read_fixture

        return self._shared("fixture", lambda: read_fixture(fixture_path(self.source)))

    @cached_property
    def earlier(self) -> tuple[Card, ...]:
        """Cards admitted before the source that can be read."""
        found = []
        for source in self.registry:
            if source.slug == self.source.slug:
                break
            try:
                found.append(source.card)
            except CardError:
                continue
        return tuple(found)

    @cached_property
    def registry(self) -> Registry:
        return self.sources()

    @cached_property
    def tree(self) -> Path:
        from med_mat.trees import write_tree

        folder = self.scratch / "raw" / self.card.slug
        write_tree(self.fixture.contents(), folder, self.card)
        return folder


def check_source(
    source: Source, sources: Callable[[], Registry], scratch: Path, download: Download | None = None
) -> Verdict:
    """Checks a source.

    Args:
        source: Loader and card.
        sources: Gives all sources; what it raises is a finding too.
        scratch: An empty folder to write in.
        download: The official download to read as well.

    Returns:
        Nothing is raised for what is wrong with the source: each part tells what it found.
    """
    subject = _Subject(source, sources, scratch, download)
    return Verdict(source.slug, tuple(_part(subject, name, about, run) for name, about, run in _PARTS))


def _part(subject: _Subject, name: str, about: str, run: Callable[[_Subject], Iterable[Finding]]) -> Part:
    findings: list[Finding] = []
    skipped = None
    try:
        for finding in run(subject):
            findings.append(finding)
    except _SkipError as reason:
        skipped = str(reason)
    except (MedMatError, OSError) as error:
        findings += [Finding("error", line) for line in str(error).splitlines()]
    except SyntaxError as error:
        findings.append(Finding("error", f"is no Python: {error.msg}", f"{subject.source.slug}.py:{error.lineno}"))
    except Exception as error:
        # A loader or a card may raise whatever it likes; that must not hide what the other parts find.
        findings.append(Finding("error", f"stopped with {type(error).__name__}: {error}"))
    return Part(name, about, tuple(cut(findings, 40)), skipped)


def find_source(slug: str, folders: Sequence[Path]) -> Source:
    """Finds a source, also where a ledger, another card or its own is wrong.

    Raises:
        KeyError: If no loader and no card bears the name.
    """
    try:
        return registry(folders)[slug]
    except CardError:
        for source in _direct(slug, folders):
            if source.module_path.is_file() or source.card_path.is_file():
                return source
        raise
    except KeyError:
        for source in _direct(slug, folders):
            if source.card_path.is_file():
                return source
        raise


def _direct(slug: str, folders: Sequence[Path]) -> Iterator[Source]:
    for folder in folders:
        name = f"_med_mat_loaders.{abs(hash(folder)):x}.{slug}"
        yield Source(slug, folder / f"{slug}.py", folder / f"{slug}.md", name)
    loaders, cards = (Path(str(import_module(name).__file__)).parent for name in ("med_mat.loaders", "med_mat.cards"))
    yield Source(slug, loaders / f"{slug}.py", cards / f"{slug}.md", f"med_mat.loaders.{slug}")


def _card(subject: _Subject) -> Iterator[Finding]:
    if subject.source.card_path.is_file():
        yield from paper.blanks(subject.source.card_path)
    yield from paper.completeness(subject.card)


def _triplet(subject: _Subject) -> Iterator[Finding]:
    return paper.triplet(subject.card)


def _labels(subject: _Subject) -> Iterator[Finding]:
    return paper.labels(subject.card, subject.earlier)


def _questions(subject: _Subject) -> Iterator[Finding]:
    return paper.questions(subject.card)


def _rights(subject: _Subject) -> Iterator[Finding]:
    return paper.rights(subject.card)


def _ledger(subject: _Subject) -> Iterator[Finding]:
    source = subject.source
    own = source.module_name.startswith("med_mat.loaders.")
    yield from paper.ledger(source.slug, source.card_path.parent / "LEDGER", needed=own)
    if source.slug not in subject.registry:
        yield Finding("error", f"the package does not find it: expected a loader {source.module_path}")


def _loader(subject: _Subject) -> Iterator[Finding]:
    path = subject.source.module_path
    yield from paper.blanks(path)
    yield from paper.loader(path)


def _style(subject: _Subject) -> Iterator[Finding]:
    try:
        yield from paper.style(subject.source.module_path)
    except FileNotFoundError as error:
        raise _SkipError(str(error)) from error


def _fixture(subject: _Subject) -> Iterator[Finding]:
    from med_mat.contribute.contract import index_problems, index_tree
    from med_mat.fixtures import fixture_path

    yield from paper.blanks(fixture_path(subject.source))
    fixture, card = subject.fixture, subject.card
    index = index_tree(subject.source, subject.tree, subject.scratch / "cache")
    yield from (Finding("error", problem) for problem in index_problems(fixture, index))
    shown = {label for sample in fixture.samples for label in (*sample.labels, *sample.regions)}
    absent = [label for label in card.clean_labels if label not in shown]
    if absent and len(card.clean_labels) <= SMALL_LABEL_SET:
        yield Finding("warning", f"no sample bears {', '.join(map(repr, absent))}; every label should occur")


def _places(subject: _Subject) -> Iterator[Finding]:
    from med_mat.contribute.contract import place_problems

    scratch = _fresh(subject.scratch / "places")
    return (Finding("error", problem) for problem in place_problems(subject.source, subject.tree, scratch))


def _mutations(subject: _Subject) -> Iterator[Finding]:
    from med_mat.contribute.contract import mutation_problem

    card = subject.card
    for mutation in subject.fixture.mutations:
        scratch = _fresh(subject.scratch / "mutation")
        try:
            problem = mutation_problem(subject.source, subject.fixture, mutation, scratch)
        except MedMatError as error:
            problem = str(error)
        if problem is not None:
            yield Finding("error", f"{card.slug}: {problem}")


def _rows(subject: _Subject) -> Iterator[Finding]:
    import datasets

    from med_mat.build import build
    from med_mat.contribute.contract import build_problems, row_problems
    from med_mat.contribute.download import SALT

    card, fixture, tree = subject.card, subject.fixture, subject.tree
    result = build(
        subject.registry,
        tree.parent,
        subject.scratch / "built",
        slugs=[card.slug],
        salt=SALT,
        cache=subject.scratch / "cache",
    )
    yield from (Finding("error", problem) for problem in build_problems(result))
    if result.manifest["rows"]:
        before = datasets.config.HF_DATASETS_CACHE
        # A cache of an earlier check must not stand in for what this one built.
        datasets.config.HF_DATASETS_CACHE = subject.scratch / "datasets"
        datasets.disable_progress_bars()
        try:
            yield from (Finding("error", problem) for problem in row_problems(result, fixture, card))
        finally:
            datasets.config.HF_DATASETS_CACHE = before
    elif not any(source.failure for source in result.sources):
        yield Finding("error", "the fixture makes no row")


def _download(subject: _Subject) -> Iterator[Finding]:
    from med_mat.contribute.download import download_findings

    download = subject.download
    if download is None:
        raise _SkipError("give --raw to read one")
    return download_findings(
        subject.source,
        download.location,
        [*subject.earlier, subject.card],
        download.cache / "check" if download.cache else subject.scratch / "scan",
        allow_missing=download.allow_missing,
        workers=download.workers,
        cache=download.cache,
        progress=download.progress,
    )


def _fresh(folder: Path) -> Path:
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder


_PARTS: tuple[tuple[str, str, Callable[[_Subject], Iterable[Finding]]], ...] = (
    ("card", "complete, and as the published table has it", _card),
    ("triplet", "modality, anatomy, task and subset fit the kind", _triplet),
    ("labels", "spelling, relations, room for wrong options", _labels),
    ("questions", "the card's own, where it brings some", _questions),
    ("rights", "licence, access and right to pass on fit each other", _rights),
    ("ledger", "names the source once", _ledger),
    ("loader", "short, and opens nothing by itself", _loader),
    ("style", "ruff", _style),
    ("fixture", "the loader finds what the fixture says", _fixture),
    ("places", "same keys packed and in other folders", _places),
    ("mutations", "a changed layout fails loudly", _mutations),
    ("rows", "build and load_dataset", _rows),
    ("download", "the official download", _download),
)
