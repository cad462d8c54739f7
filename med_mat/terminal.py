"""What the commands print."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.markdown import Markdown
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from med_mat.build import BuildResult
from med_mat.card import Card
from med_mat.errors import visible
from med_mat.index import Index, Oddity, Tally
from med_mat.questions.ask import LETTERS
from med_mat.rows import prompt

SHOWN_ODDITIES = 20


class BuildProgress:
    """A progress bar with rate and time left for each stage of a build."""

    def __init__(self, console: Console) -> None:
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=console,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> BuildProgress:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def start(self, stage: str, total: int) -> None:
        """Opens a bar."""
        self._task = self._bars.add_task(stage, total=total, rate="")

    def advance(self, number: int) -> None:
        """Moves the bar."""
        if self._task is None:
            return
        self._bars.advance(self._task, number)
        speed = self._bars.tasks[self._task].speed
        self._bars.update(self._task, rate=f"{speed:,.0f}/s" if speed else "")


def index_report(index: Index, *, allow_missing: bool) -> RenderableType:
    """Shows an index: samples by split and label, groups, what was left out, and everything odd."""
    parts: list[RenderableType] = [
        Text(
            f"{index.slug}: {index.found.total} samples in {index.files} picture files, {index.groups} groups",
            style="bold",
        ),
        _tally_table("samples", index.found),
    ]
    if index.missing.total:
        state = "counted, since a slice is allowed" if allow_missing else "odd"
        parts += [
            Text(f"{index.missing.total} pictures are named by a label file and not there ({state})"),
            _tally_table("missing", index.missing),
        ]
    if index.left_out:
        parts.append(_pairs("left out", "number", sorted(index.left_out.items())))
    parts.append(_odd(index.odd))
    return Group(*parts)


def _tally_table(title: str, tally: Tally) -> Table:
    splits = sorted(tally.by_split)
    table = Table(title=title, title_justify="left")
    table.add_column("label")
    for split in splits:
        table.add_column(split, justify="right")
    table.add_column("all", justify="right")
    for label in sorted(tally.by_label):
        numbers = [str(tally.by_split_and_label[split][label]) for split in splits]
        table.add_row(label, *numbers, str(tally.by_label[label]))
    table.add_section()
    table.add_row("pictures", *[str(tally.by_split[split]) for split in splits], str(tally.total))
    return table


def _pairs(first: str, second: str, pairs: Iterable[tuple[str, object]]) -> Table:
    table = Table(first, second)
    for name, value in pairs:
        table.add_row(visible(name), str(value))
    return table


def _odd(odd: Sequence[Oddity]) -> RenderableType:
    undeclared = [oddity for oddity in odd if not oddity.declared]
    declared = len(odd) - len(undeclared)
    if not odd:
        return Text("Nothing odd.", style="green")
    lines: list[RenderableType] = []
    if declared:
        lines.append(Text(f"{declared} oddities that the card declares."))
    if undeclared:
        table = Table(title=f"{len(undeclared)} undeclared oddities", title_justify="left", title_style="red")
        for column in ("kind", "path", "detail"):
            table.add_column(column, overflow="fold")
        for oddity in undeclared[:SHOWN_ODDITIES]:
            table.add_row(oddity.kind, visible(oddity.path, lines=False), visible(oddity.detail))
        lines.append(table)
        if len(undeclared) > SHOWN_ODDITIES:
            lines.append(Text(f"… and {len(undeclared) - SHOWN_ODDITIES} more; --json lists all."))
    return Group(*lines)


def sources_table(rows: Sequence[dict[str, Any]]) -> RenderableType:
    """Shows sources as a table with a line of totals."""
    table = Table()
    for column in ("no", "source", "status", "subset", "modality, anatomy, task", "licence; may be passed on"):
        table.add_column(column, no_wrap=column in ("source", "status"))
    for row in rows:
        table.add_row(
            str(row["number"] or ""),
            row["slug"],
            Text(row["status"], style="green" if row["status"] == "ready" else "yellow"),
            row["subset"] or "",
            f"{row['modality']}, {row['anatomy']}, {row['task']}",
            f"{row['licence']}; {row['redistribution']}",
        )
    ready = sum(row["status"] == "ready" for row in rows)
    return Group(table, Text(f"{ready} of {len(rows)} sources are ready."))


def card_page(card: Card) -> RenderableType:
    """Shows a card."""
    published = card.published_triplet
    facts = Table(show_header=False, box=None)
    for name, value in (
        ("title", card.title),
        ("catalogue row", card.number or "outside the catalogue"),
        ("subset", card.subset or "none"),
        ("triplet", f"{card.modality} / {card.anatomy} / {card.task}"),
        ("published as", f"{published.modality} / {published.anatomy} / {published.task}"),
        ("kind", card.kind),
        ("homepage", card.homepage),
        ("download", card.download.how),
        ("licence", card.licence.name + (f" ({card.licence.spdx})" if card.licence.spdx else "")),
        ("may be passed on", card.redistribution),
        ("groups", f"{card.groups.of}: {card.groups.how}" if card.groups else "none"),
        ("official splits", card.official_splits),
        ("errata", "; ".join(card.errata) or "none"),
    ):
        facts.add_row(Text(str(name), style="bold"), str(value))
    labels = Table("raw label", "label", "meaning", "pictures")
    for raw, entry in card.labels.items():
        labels.add_row(raw, entry.label or "(no label)", entry.meaning, "" if entry.count is None else str(entry.count))
    return Group(facts, Text(), labels, Text(), Markdown(card.prose), Text(), Text(card.citation))


def build_report(result: BuildResult) -> RenderableType:
    """Shows what a build holds, source by source, and everything that is not in it."""
    table = Table(title=str(result.out), title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("source", no_wrap=True)
    for column in ("rows", "train", "val", "test", "missing", "left out", "shards", "odd"):
        table.add_column(column, justify="right", min_width=4)
    for source in result.sources:
        if source.failure:
            table.add_row(source.slug, Text("failed", style="red"))
            continue
        entry = result.manifest["sources"][source.slug]
        table.add_row(
            source.slug,
            str(entry["rows"]),
            *[str(entry["splits"].get(split, 0)) for split in ("train", "validation", "test")],
            str(entry["missing"]),
            str(sum(entry["left_out"].values())),
            f"{source.written}/{source.shards}",
            Text(str(len(source.undeclared)), style="red" if source.undeclared else "green"),
        )
    parts: list[RenderableType] = [
        table,
        Text(f"{result.manifest['rows']} rows, {len(result.configs)} configs. Shards: newly written / all."),
    ]
    entries = result.manifest["sources"].values()
    disputed = sum(sum(entry["disputed"]["splits"].values()) for entry in entries)
    if disputed:
        parts.append(
            Text(f"{disputed} rows show a picture that two sources answer differently; no config that merges has them.")
        )
    withdrawn = sum(len(entry["withdrawn"]) for entry in entries)
    if withdrawn:
        parts.append(Text(f"{withdrawn} published rows are left out: they overlap what is published in another split."))
    for source in result.sources:
        if source.failure:
            parts.append(Text(f"{source.slug} failed: {visible(source.failure)}", style="red"))
        elif source.undeclared:
            parts += [Text(source.slug, style="bold"), _odd(source.undeclared)]
    return Group(*parts)


def row_page(row: Mapping[str, Any]) -> RenderableType:
    """Shows a row: its question as a model sees it, the answer, and where the picture is from."""
    facts = Table(show_header=False, box=None)
    for name, value in (
        ("id", row["id"]),
        ("image", f"{row['width']} x {row['height']}"),
        ("triplet", f"{row['modality']}, {row['anatomy']}, {row['task']}"),
        ("prompt", prompt(row)),
        ("answer", f"{LETTERS[row['answer_index']]}: {row['answer']}"),
        ("labels", "; ".join(row["labels"])),
        ("more questions", str(len(row["more_questions"]))),
    ):
        facts.add_row(Text(name, style="bold"), Text(value))
    return facts
