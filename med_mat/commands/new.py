"""``med-mat new``: loader, card and fixture of a source to begin from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from med_mat.commands.options import Cache, Loaders

if TYPE_CHECKING:
    from med_mat.card import Card
    from med_mat.contribute.survey import Layout
    from med_mat.registry import Source

_FROM = {
    "classification": ("folders", "table"),
    "multilabel": ("table",),
    "detection": ("boxes",),
    "segmentation": ("masks",),
}
_ASKED_ONE_BY_ONE = 12


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(new)


def new(
    slug: Annotated[str, typer.Argument(help="Name of the source: lower-case words joined by _.")],
    raw: Annotated[
        str | None, typer.Option(help="The official download: its folders, tables, names and counts are taken from it.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="The release's own title.")] = None,
    kind: Annotated[
        str | None, typer.Option(help="classification (one label a picture), multilabel, detection or segmentation.")
    ] = None,
    modality: Annotated[str | None, typer.Option(help="Modality code, such as ct.")] = None,
    anatomy: Annotated[str | None, typer.Option(help="Anatomical area, such as kidney.")] = None,
    task: Annotated[str | None, typer.Option(help="Task, such as 'disease classification'.")] = None,
    labels_from: Annotated[
        str | None, typer.Option(help="What tells the labels: folders, table, masks or boxes.")
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(help="Column of the labels in the table of --raw; a guess if left out.")
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(metavar="RAW[=CLEAN]", help="A label as the release writes it, and as rows shall; repeat."),
    ] = None,
    homepage: Annotated[str | None, typer.Option(help="Address of the release's own page.")] = None,
    access: Annotated[
        str | None,
        typer.Option(
            help="What stands before the download: open, login, request-form, competition-rules, credentialed."
        ),
    ] = None,
    into: Annotated[
        Path | None, typer.Option(help="Folder for --loaders; this checkout's own folders if left out.")
    ] = None,
    ask: Annotated[bool, typer.Option("--ask/--no-ask", help="Ask for what no option gives.")] = True,
    loaders: Loaders = None,
    cache: Cache = None,
) -> None:
    """Begin a new source: writes loader, card and fixture, and its line in the ledger.

    What only a person can tell is marked FILL IN; `med-mat check` lists it.
    """
    from typing import cast, get_args

    from med_mat.card import Access
    from med_mat.contribute.scaffold import Answers, clean_labels, scaffold, target, write
    from med_mat.contribute.survey import LabelsFrom, imagined, survey
    from med_mat.errors import MedMatError
    from med_mat.raw import RawRoot
    from med_mat.registry import registry
    from med_mat.vocabulary import Kind, vocabulary

    _check_slug(slug)
    to = target(slug, into, Path.cwd())
    folders = dict.fromkeys([*(loaders or ()), *([into] if into is not None and into.is_dir() else [])])
    sources = registry(folders)
    if slug in sources:
        raise MedMatError(f"{slug} is a source already, {sources[slug].module_path}; choose another slug")
    cards = _readable(sources)
    words = vocabulary()
    title = title or _asked("Title of the release", "--title", ask, default=slug.replace("_", " "))
    kind = _word("--kind", kind, get_args(Kind), ask)
    modality = _word("--modality", modality, words.modalities, ask)
    anatomy = _word("--anatomy", anatomy, words.anatomies, ask)
    task = _word("--task", task, [name for name in words.tasks if _fits(name, kind)], ask)
    labels_from = _word("--labels-from", labels_from, _FROM[kind], ask)
    if access is not None:
        access = _word("--access", access, get_args(Access), ask)
    way = cast(LabelsFrom, labels_from)
    given = dict(text.partition("=")[::2] for text in label or ())
    if raw is None and not given:
        told = _asked("Labels as the release writes them, with commas between", "--label", ask)
        given = dict.fromkeys((name.strip() for name in told.split(",") if name.strip()), "")
    several = kind == "multilabel"
    if raw is not None:
        with RawRoot.open(raw, cache=cache) as root:
            layout = survey(root, way, list(given), several=several, column=label_column)
    else:
        layout = imagined(way, list(given), several=several)
    chosen = {name: clean for name, clean in given.items() if clean}
    answers = Answers(
        slug, title, cast(Kind, kind), modality, anatomy, task, homepage, cast(Access | None, access), chosen
    )
    if ask and not label and len(layout.labels) <= _ASKED_ONE_BY_ONE:
        proposed = clean_labels(answers, layout, cards)
        chosen |= {
            name: typer.prompt(f"Clean label for {name!r}, plain words", default=guess)
            for name, guess in proposed.items()
        }
    write(scaffold(answers, layout, cards), to)
    for told in _guessed(layout) if raw is not None else ():
        typer.echo(told)
    for path in (*to.files, to.ledger):
        typer.echo(path)
    where = f" --loaders {into}" if into else ""
    typer.echo(f"Next: med-mat check {slug}{where}{f' --raw {raw}' if raw else ''}")


def _readable(sources: Iterable[Source]) -> list[Card]:
    """Cards of the other sources; one that is unfinished is no reason to stop."""
    from med_mat.errors import CardError

    cards = []
    for source in sources:
        try:
            cards.append(source.card)
        except CardError:
            continue
    return cards


def _check_slug(slug: str) -> None:
    import re

    from med_mat.errors import MedMatError

    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", slug):
        raise MedMatError(f"{slug!r}: a slug is lower-case words and numbers joined by single _, such as ct_kidney")


def _fits(task: str, kind: str) -> bool:
    ends = {"segmentation": ("segmentation",), "detection": ("detection",)}
    if kind in ends:
        return task.endswith(ends[kind])
    return not task.endswith(("segmentation", "detection"))


def _asked(what: str, option: str, ask: bool, default: str | None = None) -> str:
    """An answer, or what is proposed where nobody may be asked."""
    from med_mat.errors import MedMatError

    if not ask:
        if default is None:
            raise MedMatError(f"{option} is needed with --no-ask")
        return default
    answer: str = typer.prompt(what, default=default)
    return answer.strip()


def _word(option: str, given: str | None, allowed: Iterable[str], ask: bool) -> str:
    """One of some words: as given, or asked for."""
    import difflib

    from med_mat.errors import MedMatError

    names = list(allowed)
    if given is None:
        if len(names) == 1:
            return names[0]
        what = option.removeprefix("--").replace("-", " ").capitalize()
        if ask:
            typer.echo(f"{what}: {', '.join(names)}")
        given = _asked(what, option, ask)
        while given not in names:
            near = difflib.get_close_matches(given, names, n=1)
            given = _asked(f"{given!r} is none of these; {what}", option, ask, default=near[0] if near else None)
    if given not in names:
        near = difflib.get_close_matches(given, names, n=3)
        hint = f"did you mean {', '.join(near)}? " if near else ""
        raise MedMatError(f"{option} {given!r}: {hint}allowed: {', '.join(names)}")
    return given


def _guessed(layout: Layout) -> Iterable[str]:
    """Says what was taken from a download, for a person to contradict."""
    yield f"Labels: {', '.join(f'{label} ({count})' for label, count in layout.labels.items())}"
    if layout.table:
        yield f"Taken from {layout.table}: pictures by {layout.file_column!r}, labels by {layout.label_column!r}"
    if layout.group_column:
        yield f"Groups by {layout.group_column!r}"
    if layout.split_column:
        yield f"Official splits by {layout.split_column!r}"
    if layout.splits:
        yield f"Official splits by folders: {', '.join(layout.splits)}"
    if layout.unread:
        yield f"Not read: {', '.join(layout.unread)}"
