"""Plots of a report as SVG that stands in the page: no script, no font and no file besides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

from med_mat.baselines.report.results import Curve, Line, arm_name, row_name
from med_mat.baselines.report.words import model_label

COLOURS = ("#6b7378", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a6d00")
"""Okabe and Ito's, the first a grey for what is compared with; two next to one another differ for every eye."""

_LABEL_WIDTH = 330
_PLOT_WIDTH = 760
_LINE = 17
_ROW_GAP = 12
_TOP = 74
_MOST_CHARS = 46


@dataclass(frozen=True, slots=True)
class Axis:
    """A linear axis.

    Attributes:
        low: Value at ``start``.
        high: Value at ``end``.
        start: In pixels.
        end: In pixels.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Returns the place of a value in pixels, to a tenth."""
        span = (self.high - self.low) or 1.0
        return round(self.start + (value - self.low) / span * (self.end - self.start), 1)


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Returns round values from ``low`` to ``high``, at most so many: steps of 1, 2 or 5 times a power of ten."""
    if high <= low:
        return [low]
    rough = (high - low) / max(most - 1, 1)
    power = 10 ** floor(log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first = ceil(low / step - 1e-9)
    number = floor((high - first * step) / step + 1e-9) + 1
    return [round((first + place) * step, 10) for place in range(number)]


def accuracies(lines: Sequence[Line]) -> str:
    """Draws the accuracy of each trial, row by row: macro with its interval, natural, the prior and the paper's."""
    lines = [line for line in lines if line.macro is not None]
    arms = list(dict.fromkeys(_series(line) for line in lines))
    colours = {arm: COLOURS[place % len(COLOURS)] for place, arm in enumerate(arms)}
    rows = _by_row(lines)
    several = len({model_label(line.outcome) for line in lines}) > 1
    height = _TOP + sum(max(len(row), 2) * _LINE + _ROW_GAP for row in rows) + 34
    x = Axis(0, 1, _LABEL_WIDTH, _LABEL_WIDTH + _PLOT_WIDTH)
    parts = [_legend(colours, paper=any(line.outcome.paper is not None for line in lines))]
    for value in (0, 0.25, 0.5, 0.75, 1):
        parts.append(_rule(x(value), _TOP - 8, x(value), height - 30))
        parts += [_text(x(value), place, f"{100 * value:.0f}%", "middle") for place in (_TOP - 14, height - 14)]
    top = float(_TOP)
    for row in rows:
        tall = max(len(row), 2) * _LINE
        parts += _row_label(row[0], top, tall, model_label(row[0].outcome) if several else "")
        prior = row[0].prior_macro
        if prior is not None:
            parts.append(f'<path d="M{x(prior)},{top:g}v{tall}" class="ink" stroke-width="2"/>')
        for number, line in enumerate(row):
            parts += _trial(line, x, top + (number + 0.5) * tall / len(row), colours[_series(line)])
        top += tall + _ROW_GAP
        parts.append(_rule(12, top - _ROW_GAP / 2, _LABEL_WIDTH + _PLOT_WIDTH, top - _ROW_GAP / 2))
    said = f"Accuracy of {len(lines)} trials in {len(rows)} rows; the numbers stand in the table of results."
    return _svg(_LABEL_WIDTH + _PLOT_WIDTH + 24, height, said, parts)


def loss(curve: Curve, highest: float) -> str:
    """Draws the loss of a training over its steps.

    Args:
        curve: With one point or more.
        highest: Top of the axis, the same for plots that are looked at side by side.
    """
    width, height = 270, 170
    last = curve.points[-1][0]
    x, y = Axis(0, last, 38, width - 14), Axis(0, highest, height - 32, 12)
    parts = _frame(x, y, ticks(0, last, 4), ticks(0, highest, 4), "step")
    path = " ".join(f"{x(step)},{y(value)}" for step, value in curve.points)
    parts.append(f'<polyline points="{path}" fill="none" stroke="{COLOURS[1]}" stroke-width="1.8"/>')
    if len(curve.points) < 12:
        parts += [
            f'<circle cx="{x(step)}" cy="{y(value)}" r="2.5" fill="{COLOURS[1]}"/>' for step, value in curve.points
        ]
    first, final = curve.points[0][1], curve.points[-1][1]
    return _svg(width, height, f"Loss from {first:.3g} to {final:.3g} in {last:.0f} steps", parts)


def amounts(lines: Sequence[Line]) -> str:
    """Draws macro accuracy against the number of questions of the target, a line per arm.

    Steps of the axis are the amounts tried, evenly spread.
    """
    lines = [line for line in lines if line.macro is not None and line.outcome.amount is not None]
    steps = sorted({line.outcome.amount for line in lines if line.outcome.amount is not None})
    width, height = 400, 270
    x = Axis(0, max(len(steps) - 1, 1), 60, width - 30)
    y = Axis(0, 1, height - 44, 40)
    parts = [_rule(46, y(value), width - 14, y(value)) for value in (0, 0.25, 0.5, 0.75, 1)]
    parts += [_text(42, y(value) + 4, f"{100 * value:.0f}%", "end") for value in (0, 0.25, 0.5, 0.75, 1)]
    parts += [_text(x(place), height - 26, f"{step:,}", "middle") for place, step in enumerate(steps)]
    parts.append(_text((46 + width) / 2, height - 8, "questions of the target (steps not to scale)", "middle"))
    arms = list(dict.fromkeys(line.outcome.arm for line in lines))
    left = 46.0
    for number, arm in enumerate(arms):
        colour = COLOURS[1 + number % (len(COLOURS) - 1)]
        of_arm = sorted((line for line in lines if line.outcome.arm == arm), key=lambda each: each.outcome.amount or 0)
        shift = 5 * (number - (len(arms) - 1) / 2)
        places = [(x(steps.index(line.outcome.amount or 0)) + shift, line) for line in of_arm]
        path = " ".join(f"{place},{y(line.macro.estimate)}" for place, line in places if line.macro is not None)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
        for place, line in places:
            if line.macro is not None:
                parts.append(_bar(place, y(line.macro.low), place, y(line.macro.high), colour))
                parts.append(f'<circle cx="{place}" cy="{y(line.macro.estimate)}" r="3.5" fill="{colour}"/>')
        words = arm.replace("_", " ")
        parts.append(f'<circle cx="{left + 5}" cy="16" r="4.5" fill="{colour}"/>{_text(left + 14, 20, words)}')
        left += 26 + 6.6 * len(words)
    return _svg(width, height, f"Macro accuracy with {' and '.join(map(str, steps))} questions of the target", parts)


def _series(line: Line) -> str:
    return arm_name(line.outcome)


def _by_row(lines: Sequence[Line]) -> list[list[Line]]:
    rows: dict[tuple[int, str], list[Line]] = {}
    for line in lines:
        rows.setdefault((line.outcome.row, line.outcome.backbone), []).append(line)
    return list(rows.values())


def _row_label(line: Line, top: float, tall: float, model: str) -> list[str]:
    outcome, middle = line.outcome, top + tall / 2
    target = f"\N{RIGHTWARDS ARROW} {outcome.target}" if outcome.parts else outcome.target
    above = " + ".join(outcome.parts)
    if model:
        stand_in = outcome.stands_for
        target = f"{target}, {model if stand_in is None else f'for {stand_in}'}"
    if not above:
        return [_text(_LABEL_WIDTH - 14, middle + 4, _short(target), "end", title=row_name(outcome))]
    return [
        _text(_LABEL_WIDTH - 14, middle - 4, _short(above), "end", "faint", row_name(outcome)),
        _text(_LABEL_WIDTH - 14, middle + 12, _short(target), "end"),
    ]


def _trial(line: Line, x: Axis, y: float, colour: str) -> list[str]:
    if line.macro is None or line.natural is None:
        return []
    said = (
        f"{arm_name(line.outcome)}: macro {100 * line.macro.estimate:.1f}% "
        f"({100 * line.macro.low:.1f} to {100 * line.macro.high:.1f}), natural {100 * line.natural.estimate:.1f}%, "
        f"{line.questions} questions"
    )
    parts = [_bar(x(line.macro.low), y, x(line.macro.high), y, colour)]
    parts.append(
        f'<circle cx="{x(line.natural.estimate)}" cy="{y}" r="4.5" fill="none" stroke="{colour}" stroke-width="1.5"/>'
    )
    parts.append(
        f'<circle cx="{x(line.macro.estimate)}" cy="{y}" r="4.5" fill="{colour}"><title>{escape(said)}</title></circle>'
    )
    if line.outcome.paper is not None:
        parts.append(_diamond(x(line.outcome.paper / 100), y))
    return parts


def _legend(colours: dict[str, str], *, paper: bool) -> str:
    parts, left, top = [], 12.0, 16.0
    for arm, colour in colours.items():
        parts.append(f'<circle cx="{left + 5}" cy="{top - 4}" r="4.5" fill="{colour}"/>{_text(left + 14, top, arm)}')
        left += 30 + 6.8 * len(arm)
    left, top = 12.0, 34.0
    entries = [
        (f'<path d="M{{0}},{top - 4}h14" stroke="{COLOURS[0]}" stroke-width="2"/>', "macro, 95% interval"),
        (f'<circle cx="{{1}}" cy="{top - 4}" r="4.5" fill="none" stroke="{COLOURS[0]}"/>', "natural"),
        (f'<path d="M{{1}},{top - 11}v14" class="ink" stroke-width="2"/>', "class prior, macro"),
    ]
    for shape, words in entries:
        parts.append(shape.format(left, left + 7) + _text(left + 20, top, words))
        left += 38 + 6.8 * len(words)
    if paper:
        parts.append(_diamond(left + 7, top - 4) + _text(left + 20, top, "the paper, natural"))
    return "".join(parts)


def _diamond(x: float, y: float) -> str:
    return f'<path d="M{x},{y - 6}l6,6l-6,6l-6,-6z" class="ink" fill="none" stroke-width="1.5"/>'


def _frame(x: Axis, y: Axis, steps: Sequence[float], levels: Sequence[float], words: str) -> list[str]:
    parts = [_rule(x.start, y(level), x.end, y(level)) for level in levels]
    parts += [_text(x.start - 5, y(level) + 4, f"{level:g}", "end") for level in levels]
    parts += [_text(x(step), y.start + 15, f"{step:g}", "middle") for step in steps]
    parts.append(_text(x.end, y.start + 29, words, "end", "faint"))
    return parts


def _bar(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<path d="M{x1},{y1}L{x2},{y2}" stroke="{colour}" stroke-width="2" opacity=".65"/>'


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<path d="M{x1},{y1}L{x2},{y2}" class="rule"/>'


def _text(x: float, y: float, words: str, anchor: str = "start", style: str = "", title: str = "") -> str:
    told = f"<title>{escape(title)}</title>" if title else ""
    styled = f' class="{style}"' if style else ""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{styled}>{told}{escape(words)}</text>'


def _short(words: str) -> str:
    return words if len(words) <= _MOST_CHARS else f"{words[: _MOST_CHARS - 1]}\N{HORIZONTAL ELLIPSIS}"


def _svg(width: float, height: float, said: str, parts: Sequence[str]) -> str:
    return (
        f'<svg role="img" aria-label="{escape(said)}" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}">{"".join(parts)}</svg>'
    )
