"""The tables of a report as CSV, one file each, and as one page of Markdown. Same numbers as on the page."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from med_mat.baselines.report.results import Comparison, ControlLine, ElementLine, Line, Results, arm_name, row_name
from med_mat.baselines.report.words import backbone_name, model_label, p_words, percent, points, ranged, summary
from med_mat.baselines.statistics import Interval

Value = str | int | float | None
Row = dict[str, Value]

TABLES = (
    "results.csv",
    "comparisons.csv",
    "verdicts.csv",
    "controls.csv",
    "by_element.csv",
    "confusion.csv",
    "skipped.csv",
)
"""Names of the files, of which those without a line are not written."""

_NUMERIC = (
    "n",
    "groups",
    "trained on",
    "macro",
    "natural",
    "prior, macro",
    "prior, natural",
    "paper",
    "less paper",
    "p of guessing",
    "difference",
    "McNemar p",
    "Holm p",
    "answers",
    "model ahead by",
)


def csv_tables(results: Results) -> dict[str, str]:
    """Returns file name to CSV. Shares are in 0..1, the paper's figures in percent; what is not known is empty."""
    tables: tuple[list[Row], ...] = (
        [_result(line) for line in results.lines],
        [_compared(one) for one in results.comparisons],
        list(_verdicts(results)),
        [_control(one) for one in _all_controls(results)],
        [_element(one) for one in results.elements],
        list(_confusion(results)),
        [{"what": one.what, "why": one.why} for one in results.outcomes.skipped],
    )
    return {name: _csv(rows) for name, rows in zip(TABLES, tables, strict=True) if rows}


def markdown(results: Results) -> str:
    """Returns the tables as a page of Markdown."""
    found = results.outcomes
    parts = [f"# {found.title}\n", "Accuracies are in percent.\n"]
    parts.append("\n".join(f"- {name}: {value}" for name, value in summary(found)) + "\n")
    sections = (
        ("Results", [_result_words(line) for line in results.lines]),
        ("Between trials of one row", [_compared_words(one) for one in results.comparisons]),
        ("Verdicts", [_verdict_words(one.judgement, one.arm) for one in results.verdicts]),
        ("Controls", [_control_words(one) for one in _all_controls(results)]),
        ("By modality, area, task word and source", [_element_words(one) for one in results.elements]),
        ("Skipped", [{"what": one.what, "why": one.why} for one in found.skipped]),
    )
    for title, rows in sections:
        if rows:
            parts.append(f"## {title}\n\n{_markdown_table(rows)}")
    parts.append(
        "Intervals are at 95%: of natural accuracy Wilson's, of macro accuracy and of differences a bootstrap; natural "
        "accuracy\nby modality, area, task word and source takes groups for questions. Holm's correction is for all "
        "comparisons of this page.\n"
    )
    return "\n".join(parts)


def _result(line: Line) -> Row:
    outcome = line.outcome
    return {
        "row": outcome.row,
        "target": outcome.target,
        "parts": " + ".join(outcome.parts),
        "held": " + ".join(outcome.held),
        "left_out": " + ".join(outcome.left_out),
        "subset": outcome.subset,
        "backbone": outcome.backbone,
        "model": outcome.model,
        "stands_for": outcome.stands_for,
        "arm": outcome.arm,
        "amount": outcome.amount,
        "trained_on": outcome.trained_on,
        "questions": line.questions,
        "groups": line.groups,
        **_interval("macro", line.macro),
        **_interval("natural", line.natural),
        "chance_p": line.chance_p,
        "prior_macro": line.prior_macro,
        "prior_natural": line.prior_natural,
        "paper_percent": outcome.paper,
        "natural_less_paper_points": line.difference,
        "mean_iou": line.overlap,
        "boxes": line.boxes,
        "training": outcome.training,
        "scoring": outcome.scoring,
    }


def _compared(one: Comparison) -> Row:
    return {
        "row": one.second.row,
        "target": one.second.target,
        "parts": " + ".join(one.second.parts),
        "first_backbone": one.first.backbone,
        "first_arm": one.first.arm,
        "second_backbone": one.second.backbone,
        "second_arm": one.second.arm,
        "amount": one.second.amount,
        "questions": one.questions,
        **_interval("difference", one.difference),
        "mcnemar_p": one.p_value,
        "holm_p": one.adjusted,
    }


def _verdicts(results: Results) -> Iterator[Row]:
    for one in results.verdicts:
        judged = one.judgement
        yield {
            "task": one.task,
            "verdict": judged["verdict"],
            "findings": "; ".join(judged["findings"]),
            "reasons": "; ".join(judged["reasons"]),
            "model": one.arm,
            "scoring": one.model,
            "questions": judged["questions"],
            "groups": judged["groups"],
            **_interval("macro", Interval(**judged["macro"])),
            **_interval("natural", Interval(**judged["natural"])),
            "chance_p": judged["chance_p"],
            "near": judged["near"],
            "near_accuracy": judged["near_accuracy"],
            "far_accuracy": judged["far_accuracy"],
            "near_p": judged["near_p"],
        }


def _all_controls(results: Results) -> list[ControlLine]:
    return [*(line for verdict in results.verdicts for line in verdict.controls), *results.controls]


def _control(one: ControlLine) -> Row:
    return {
        "task": one.task,
        "control": one.name or "the model",
        "questions": one.questions,
        "macro": one.macro,
        **_interval("natural", one.natural),
        "chance_p": one.chance_p,
        **_interval("model_ahead_by", one.behind),
        "explains": None if one.explains is None else str(one.explains).lower(),
    }


def _element(one: ElementLine) -> Row:
    return {
        "dimension": one.dimension,
        "value": one.value,
        "model": one.model,
        "arm": one.arm,
        "questions": one.questions,
        "answers": one.answers,
        "groups": one.groups,
        "macro": one.macro,
        **_interval("natural", one.natural),
    }


def _confusion(results: Results) -> Iterator[Row]:
    for one in results.confusions:
        for label, counts in zip(one.labels, one.counts, strict=True):
            for chosen, count in zip(one.chosen, counts, strict=True):
                yield {
                    "subset": one.outcome.subset,
                    "target": one.outcome.target,
                    "backbone": one.outcome.backbone,
                    "arm": arm_name(one.outcome),
                    "label": label,
                    "chosen": chosen,
                    "questions": count,
                }


def _interval(name: str, value: Interval | None) -> Row:
    if value is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: value.estimate, f"{name}_low": value.low, f"{name}_high": value.high}


def _csv(rows: Sequence[Row]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return stream.getvalue()


def _cell(value: Value) -> Value:
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _result_words(line: Line) -> dict[str, str]:
    outcome = line.outcome
    return {
        "row": row_name(outcome),
        "model": backbone_name(outcome),
        "trained": arm_name(outcome),
        "trained on": f"{outcome.trained_on:,}",
        "n": f"{line.questions:,}",
        "macro": ranged(line.macro),
        "natural": ranged(line.natural),
        "prior, macro": percent(line.prior_macro),
        "prior, natural": percent(line.prior_natural),
        "paper": "" if outcome.paper is None else f"{outcome.paper:g}",
        "less paper": points(None if line.difference is None else line.difference / 100),
        "p of guessing": p_words(line.chance_p),
    }


def _compared_words(one: Comparison) -> dict[str, str]:
    same = one.first.backbone == one.second.backbone
    names = [arm_name(each) if same else f"{arm_name(each)} ({model_label(each)})" for each in (one.second, one.first)]
    return {
        "row": row_name(one.second),
        "model": model_label(one.second) if same else "",
        "compared": " against ".join(names),
        "n": f"{one.questions:,}",
        "difference": ranged(one.difference, signed=True),
        "McNemar p": p_words(one.p_value),
        "Holm p": p_words(one.adjusted),
    }


def _verdict_words(judged: Mapping[str, Any], arm: str) -> dict[str, str]:
    return {
        "task": judged["name"],
        "verdict": judged["verdict"],
        "why": "; ".join(judged["reasons"]),
        "model": arm,
        "n": f"{judged['questions']:,}",
        "groups": f"{judged['groups']:,}",
    }


def _control_words(one: ControlLine) -> dict[str, str]:
    return {
        "task": one.task,
        "control": one.name or "the model",
        "n": f"{one.questions:,}",
        "macro": percent(one.macro),
        "natural": ranged(one.natural),
        "p of guessing": p_words(one.chance_p),
        "model ahead by": ranged(one.behind, signed=True),
    }


def _element_words(one: ElementLine) -> dict[str, str]:
    return {
        "by": one.dimension,
        "value": one.value,
        "model": one.model,
        "trained": one.arm,
        "n": f"{one.questions:,}",
        "answers": f"{one.answers:,}",
        "groups": f"{one.groups:,}",
        "macro": percent(one.macro),
        "natural": ranged(one.natural),
    }


def _markdown_table(rows: Sequence[Mapping[str, str]]) -> str:
    head = [name for name in rows[0] if any(row[name] for row in rows)]
    lines = [head, ["---:" if name in _NUMERIC else "---" for name in head]]
    lines += [[" ".join(row[name].replace("|", "\\|").split()) for name in head] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
