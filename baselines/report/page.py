"""The page of a report: one HTML file that needs no other and no network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import groupby

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from med_mat.baselines.report import plots, words
from med_mat.baselines.report.results import Line, Results, arm_name, row_name
from med_mat.baselines.report.samples import SampleAnswer

_VERDICT_STYLES = {
    "sound": "good",
    "answerable without looking": "doubt",
    "answerable by source": "doubt",
    "leaking": "bad",
    "too small to tell": "small",
}
_LOW, _HIGH = (255, 255, 255), (0, 90, 150)
_LOSS, _GAIN = (200, 85, 0), (0, 105, 165)
_FULL_GAIN = 0.4  # a difference of 40 points or more has the full colour


@dataclass(frozen=True, slots=True)
class Heat:
    """A heat map.

    Attributes:
        columns: Names.
        rows: Name of each row, and a value per column; None where there is none.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float | None, ...]], ...]


def render(results: Results, samples: Sequence[SampleAnswer], files_beside: Sequence[str]) -> str:
    """Writes a report as a page. Equal results give equal bytes.

    Args:
        results: What ``gather`` gave.
        samples: Answers to look at.
        files_beside: Names of files in the same folder, to be linked.
    """
    limited = [line for line in results.lines if line.outcome.amount is not None and line.macro is not None]
    others = [line for line in results.lines if line.outcome.amount is None and line.macro is not None]
    drawn = [curve for curve in results.curves if curve.points]
    highest = max((value for curve in drawn for _, value in curve.points), default=1.0)
    by_arm = arm_heat(others)
    shown_by_arm = by_arm if len(by_arm.columns) > 1 and len(by_arm.rows) > 1 else None
    by_part = part_heat(others)
    verdicts = [one.judgement["verdict"] for one in results.verdicts]
    sections = (
        ("results", "Results", True),
        ("comparisons", "Between trials", bool(results.comparisons)),
        ("verdicts", "Is the split sound?", bool(results.verdicts or results.controls)),
        ("heat", "Generalisation", bool(shown_by_arm or by_part)),
        ("amounts", "Amount of target data", bool(limited)),
        ("curves", "Learning curves", bool(drawn)),
        ("elements", "By element and source", bool(results.elements)),
        ("confusion", "Confusion", bool(results.confusions)),
        ("samples", "Sample answers", bool(samples)),
        ("skipped", "Skipped", bool(results.outcomes.skipped)),
    )
    return (
        _environment()
        .get_template("page.html.jinja")
        .render(
            results=results,
            found=results.outcomes,
            summary=words.summary(results.outcomes),
            lines=results.lines,
            several_backbones=len({words.model_label(line.outcome) for line in results.lines}) > 1,
            left_out=[line.outcome for line in results.lines if line.outcome.left_out],
            with_paper=any(line.outcome.paper is not None for line in results.lines),
            with_boxes=any(line.boxes for line in results.lines),
            accuracies=Markup(plots.accuracies(others)) if others else None,
            limited=[Markup(plots.amounts(of_row)) for of_row in _rows(limited)],
            limited_rows=[of_row[0] for of_row in _rows(limited)],
            by_arm=shown_by_arm,
            by_part=by_part,
            sections=sections,
            rows=_rows(results.lines),
            compared=[list(pile) for _, pile in groupby(results.comparisons, lambda one: one.second.row)],
            curves=[(curve, Markup(plots.loss(curve, highest))) for curve in drawn],
            samples=samples,
            files_beside=files_beside,
            verdict_styles=_VERDICT_STYLES,
            verdict_counts=[(verdict, verdicts.count(verdict)) for verdict in _VERDICT_STYLES if verdict in verdicts],
        )
    )


def arm_heat(lines: Sequence[Line]) -> Heat:
    """Returns macro accuracy by row and arm."""
    arms = tuple(dict.fromkeys(arm_name(line.outcome) for line in lines))
    rows = []
    for of_row in _rows(lines):
        found = {arm_name(line.outcome): line.macro.estimate for line in of_row if line.macro is not None}
        rows.append((_row_words(of_row[0]), tuple(found.get(arm) for arm in arms)))
    return Heat(arms, tuple(rows))


def part_heat(lines: Sequence[Line]) -> Heat | None:
    """Returns by how much training on combinations helped, by target and part; None without combinations.

    A cell is the mean, over the rows of that target in which the part takes part, of the macro accuracy of the
    combination less that of the baseline.
    """
    gains: dict[str, dict[str, list[float]]] = {}
    for of_row in _rows(lines):
        found = {line.outcome.arm: line for line in of_row}
        before, after = found.get("baseline"), found.get("combination")
        if before is None or after is None or before.macro is None or after.macro is None:
            continue
        gain = after.macro.estimate - before.macro.estimate
        for part in after.outcome.parts:
            gains.setdefault(_row_words(after, parts=False), {}).setdefault(part, []).append(gain)
    parts = tuple(sorted({part for of_target in gains.values() for part in of_target}))
    if not parts:
        return None
    rows = tuple(
        (target, tuple(sum(found[part]) / len(found[part]) if part in found else None for part in parts))
        for target, found in gains.items()
    )
    return Heat(parts, rows)


def _rows(lines: Sequence[Line]) -> list[list[Line]]:
    rows: dict[tuple[int, str], list[Line]] = {}
    for line in lines:
        rows.setdefault((line.outcome.row, line.outcome.backbone), []).append(line)
    return list(rows.values())


def _row_words(line: Line, *, parts: bool = True) -> str:
    name = row_name(line.outcome) if parts else line.outcome.target
    return f"{name} ({words.model_label(line.outcome)})" if line.outcome.stands_for is not None else name


def _heat_style(value: float) -> str:
    return _style(_LOW, _HIGH, min(max(value, 0.0), 1.0))


def _gain_style(value: float) -> str:
    return _style(_LOW, _GAIN if value > 0 else _LOSS, min(abs(value) / _FULL_GAIN, 1.0))


def _style(low: tuple[int, int, int], high: tuple[int, int, int], share: float) -> str:
    colour = [round(start + share * (end - start)) for start, end in zip(low, high, strict=True)]
    ink = "#fff" if colour[0] * 299 + colour[1] * 587 + colour[2] * 114 < 140_000 else "#1c2224"
    return f"background:rgb({' '.join(map(str, colour))});color:{ink}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("med_mat.baselines.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: Mapping[str, Callable[..., object]] = {
        "percent": words.percent,
        "points": words.points,
        "ranged": words.ranged,
        "p_words": words.p_words,
        "p_said": words.p_said,
        "duration": words.duration,
        "backbone_name": words.backbone_name,
        "model_label": words.model_label,
        "last_part": words.last_part,
        "arm_name": arm_name,
        "row_name": row_name,
        "number": lambda value: f"{value:,}",
        "heat": _heat_style,
        "gain": _gain_style,
    }
    environment.filters.update(filters)
    # The page of a build and this one look alike.
    shared = files("med_mat.report").joinpath("templates", "page.css").read_text(encoding="utf-8")
    own = files("med_mat.baselines.report").joinpath("templates", "page.css").read_text(encoding="utf-8")
    environment.globals["style"] = Markup(shared + own)
    return environment
