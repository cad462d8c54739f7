"""What ``med-mat download`` shows: terms, plan, progress, outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from med_mat.card import Card
from med_mat.download.outcome import Outcome
from med_mat.download.pages import NEEDS, SHORT_NEEDS
from med_mat.errors import visible

_STATES = {"complete": "green", "todo": "yellow", "failed": "red"}
_MANY = 8
_WIDEST = 60
_SHORT = {need: short for platform, short in SHORT_NEEDS.items() if (need := NEEDS.get(platform))}
RIGHTS = {"images": "pictures and labels", "annotations": "labels only", "none": "nothing"}


def terms(card: Card) -> RenderableType:
    """The terms of a source, as a person should see them before they are accepted."""
    lines = [
        Text(f"{card.title} ({card.slug})", style="bold"),
        Text(f"licence: {card.licence.name}"),
        Text(f"read it: {card.licence.url or card.homepage}"),
        Text(f"access: {card.access}; may be passed on: {RIGHTS[card.redistribution]}"),
        Text(f"evidence: {card.licence.evidence}", style="dim"),
    ]
    if card.access in ("request-form", "competition-rules", "credentialed"):
        lines.append(Text("The owner has you sign or accept an agreement; accepting here does not stand in for it."))
    return Group(*lines)


def plan_table(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """A plan as a table, with what is known of the sum of sizes below it; one source alone with all its places."""
    if len(rows) == 1:
        return _one(rows[0])
    table = Table(box=SIMPLE_HEAD)
    table.add_column("nr", justify="right")
    table.add_column("source", no_wrap=True)
    table.add_column("from", overflow="fold", min_width=12, max_width=24)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("terms", no_wrap=True, overflow="ellipsis", max_width=24)
    table.add_column("access", overflow="fold")
    table.add_column("needs", overflow="fold")
    if any(row["files"] is not None for row in rows):
        table.add_column("here", overflow="fold")
    for row in rows:
        places = [part[0]["platform"] for part in row["parts"]]
        others = sum(len(part) - 1 for part in row["parts"])
        by_hand = [] if row["automatic"] else ["you"]
        cells = [
            str(row["number"] or ""),
            row["slug"],
            ", ".join(dict.fromkeys(places)).replace("_", " ") + (f" (+{others})" if others else "") or "no card yet",
            _size(row),
            visible(row["licence"]),
            row["access"],
            ", ".join([*(_SHORT.get(need, need) for need in row["credentials"]), *by_hand]),
        ]
        table.add_row(*cells, *([_here(row)] if row["files"] is not None else []))
    known = [row["size_bytes"] for row in {row["raw_slug"]: row for row in rows}.values() if row["size_bytes"]]
    automatic = sum(bool(row["automatic"]) for row in rows)
    return Group(
        table,
        Text(
            f"{len(rows)} sources: {automatic} are fetched by this command, {len(rows) - automatic} need a person. "
            f"The {len(known)} downloads whose size is known, at least in part (≥), make {_bytes(sum(known))} together."
        ),
        Text(
            "(+n): so many other places offer the same. `med-mat download SLUG --plan` shows places and terms in full.",
            style="dim",
        ),
    )


def outcomes(results: Sequence[Outcome]) -> RenderableType:
    """What became of each source, and what is left to do."""
    parts: list[RenderableType] = []
    for result in results:
        parts.append(Text(f"{result.slug}: {_summary(result)}", style=_STATES[result.state]))
        if result.error is not None:
            parts.append(Text(f"  {visible(result.error)}"))
        parts += [Text(f"  {number}. {visible(step)}") for number, step in enumerate(result.todo, start=1)]
        if result.alternatives:
            parts.append(Text("  The card knows other places; take one with --from NUMBER:"))
            parts += [Text(f"    {number}: {visible(text)}") for number, text in sorted(result.alternatives.items())]
        if result.state == "complete":
            parts.append(Text(f"  next: med-mat index {result.slug} --raw {result.folder}", style="dim"))
    return Group(*parts)


class _Amount(DownloadColumn):
    """Bytes of a file, or files of a source."""

    def render(self, task: Task) -> Text:
        if task.fields["counts_files"]:
            return Text(f"{int(task.completed):,} of {int(task.total or 0):,} files")
        return super().render(task)


class _Speed(TransferSpeedColumn):
    def render(self, task: Task) -> Text:
        return Text() if task.fields["counts_files"] else super().render(task)


class Bars:
    """A progress bar for each file that is on its way, and one for a source of several files."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            _Amount(),
            _Speed(),
            TimeRemainingColumn(),
            console=console,
        )
        self._tasks: dict[tuple[str, str], TaskID] = {}
        self._sources: dict[str, TaskID] = {}

    def __enter__(self) -> Bars:
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, slug: str, files: int) -> None:
        """Opens the bar of a source."""
        # Not before: terms are asked for without a bar in the way.
        self._progress.start()
        if files > 1:
            self._sources[slug] = self._progress.add_task(slug, total=files, counts_files=True)

    def file(self, slug: str, name: str, size: int | None) -> _Bar:
        """Opens the bar of a file."""
        shown = visible(f"{slug}: {name}", lines=False)[-_WIDEST:]
        task = self._progress.add_task(shown, total=size, counts_files=False)
        self._tasks[slug, name] = task
        return _Bar(self._progress, task)

    def done(self, slug: str, name: str) -> None:
        """Removes the bar: of a release of twenty thousand files, nobody wants to see those that are here."""
        self._progress.remove_task(self._tasks.pop((slug, name)))
        if slug in self._sources:
            self._progress.advance(self._sources[slug])


class Lines:
    """A line for each file that has come, for logs."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def begin(self, slug: str, files: int) -> None:
        """Tells how many files there will be."""
        self._console.print(f"{slug}: {files:,} files to fetch")

    def file(self, slug: str, name: str, size: int | None) -> Lines:
        """Tells nothing: the file may come or not."""
        del slug, name, size
        return self

    def done(self, slug: str, name: str) -> None:
        """Tells of the file."""
        self._console.print(visible(f"{slug}: {name} is here", lines=False))

    def total(self, size: int | None) -> None:
        """Takes no notice."""

    def at(self, position: int) -> None:
        """Takes no notice."""


class _Bar:
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def total(self, size: int | None) -> None:
        self._progress.update(self._task, total=size)

    def at(self, position: int) -> None:
        self._progress.update(self._task, completed=position)


def _one(row: Mapping[str, Any]) -> RenderableType:
    lines: list[RenderableType] = [
        Text(f"{row['title']} ({row['slug']})", style="bold"),
        Text(f"licence: {visible(row['licence'])}  {row['licence_url'] or ''}"),
        Text(f"access: {row['access']}; may be passed on: {RIGHTS[row['redistribution']]}"),
        Text(f"size: {visible(row['size'] or 'not known')}; put into: {row['raw_slug']}/  {_here(row)}"),
        Text(visible(row["how"])),
    ]
    number = 0
    for index, part in enumerate(row["parts"], start=1):
        for place in part:
            number += 1
            role = f"part {index}" if place is part[0] else "  or"
            names = place["files"]
            shown = ", ".join(names[:_MANY]) + (f" and {len(names) - _MANY} more" if len(names) > _MANY else "")
            lines.append(Text(f"{number}: {role}: {place['platform']} {place['address']}"))
            facts = [shown, place["credentials"] and f"needs: {place['credentials']}", place["note"]]
            lines += [Text(f"      {visible(fact)}", style="dim") for fact in facts if fact]
            lines += [Text(f"      - {visible(step)}") for step in place["steps"]]
    return Group(*lines)


def _here(row: Mapping[str, Any]) -> str:
    if row["files"] is None:
        return ""
    terms_text = "" if row["accepted"] else "terms not accepted"
    return ", ".join(filter(None, [f"{len(row['files'])} files" if row["files"] else "", terms_text]))


def _summary(result: Outcome) -> str:
    counts = [f"{len(result.fetched)} files fetched", f"{len(result.present)} there already"]
    return {"complete": "complete", "todo": "needs you", "failed": "failed"}[result.state] + f" ({', '.join(counts)})"


def _size(row: Mapping[str, Any]) -> str:
    if not row["size_bytes"]:
        return "?"
    return ("≥ " if row["size_partly_known"] else "") + _bytes(row["size_bytes"])


def _bytes(number: int) -> str:
    for power, unit in ((12, "TB"), (9, "GB"), (6, "MB")):
        if number >= 10**power:
            return f"{number / 10**power:,.1f} {unit}"
    return f"{number / 1000:,.1f} kB"
