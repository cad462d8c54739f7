"""What a split is good for, judged from a model's answers and those of controls that cannot see the finding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from med_mat.baselines.chance import chance_p_value
from med_mat.baselines.errors import BaselineError
from med_mat.baselines.statistics import (
    Interval,
    accuracy,
    macro_accuracy,
    macro_interval,
    paired_bootstrap,
    permutation_p_value,
    wilson,
)

Verdict = Literal["sound", "answerable without looking", "answerable by source", "leaking", "too small to tell"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Where the lines are drawn.

    Attributes:
        margin: A control this close below the model, in macro accuracy, explains it.
        half_width: Widest half of the 95% interval, groups taken for questions, with which a split tells anything.
        significance: A p-value below this counts.
    """

    margin: float = 0.05
    half_width: float = 0.10
    significance: float = 0.01


@dataclass(frozen=True, slots=True)
class Evidence:
    """Answers to the questions of one split; every list has one entry per question, in the same order.

    Attributes:
        name: Name of the split, such as ``med_mat_subset_02``.
        labels: True labels.
        offered: Numbers of options.
        groups: Groups of the rows.
        model: Whether the model is right.
        blind: Control without a picture to whether it is right: class prior, no picture, blank picture.
        by_source: Control by file facts to whether it is right.
        near: Whether training holds a picture within the threshold; None where that was not looked for.
    """

    name: str
    labels: Sequence[str]
    offered: Sequence[int]
    groups: Sequence[str]
    model: Sequence[bool]
    blind: Mapping[str, Sequence[bool]]
    by_source: Mapping[str, Sequence[bool]]
    near: Sequence[bool] | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """A control beside the model.

    Attributes:
        macro: Its macro accuracy.
        natural: Its accuracy over all questions.
        chance_p: Probability of as many right answers by guessing.
        behind: By how much the model's accuracy over all questions is higher, groups drawn.
        explains: Whether it beats guessing and is within the margin of the model.
    """

    macro: float
    natural: float
    chance_p: float
    behind: Interval
    explains: bool


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and the numbers that it rests on.

    Attributes:
        name: Name of the split.
        verdict: The gravest finding; ``sound`` if none.
        findings: All findings, the gravest first; empty for a sound split.
        reasons: One sentence per finding, with its numbers.
        questions: Number of questions.
        groups: Number of groups.
        macro: The model's macro accuracy, the headline.
        natural: The model's accuracy over all questions, with Wilson's interval.
        chance_p: Probability of as many right answers by guessing.
        controls: Control to how it compares.
        near: Number of questions with a neighbour in training; None where that was not looked for.
        near_accuracy: Accuracy on these; None where there are none.
        far_accuracy: Accuracy on the others; None where there are none.
        near_p: Test of near against far within labels; None where that was not looked for.
    """

    name: str
    verdict: Verdict
    findings: tuple[Verdict, ...]
    reasons: tuple[str, ...]
    questions: int
    groups: int
    macro: Interval
    natural: Interval
    chance_p: float
    controls: Mapping[str, Compared] = field(default_factory=dict)
    near: int | None = None
    near_accuracy: float | None = None
    far_accuracy: float | None = None
    near_p: float | None = None


def judge(evidence: Evidence, limits: Limits | None = None) -> Judgement:
    """Judges a split.

    A split is too small to tell where the interval, with groups taken for questions, is wider than the limit, or where
    the model does not beat guessing, since then no control can be told from it. Then, from the gravest: leaking where
    questions with a neighbour in training are answered right significantly more often than others of the same label;
    answerable without looking, or by source, where such a control beats guessing and comes within the margin of the
    model.

    Args:
        evidence: Answers of the model and of the controls.
        limits: Where the lines are drawn; the defaults if None.

    Raises:
        BaselineError: No questions, no control of a sort, or not one entry for each question.
    """
    limits = limits or Limits()
    _checked(evidence)
    macro = macro_interval(evidence.labels, evidence.model, evidence.name)
    natural = wilson(sum(map(bool, evidence.model)), len(evidence.model))
    chance_p = chance_p_value(evidence.model, evidence.offered)
    controls = {
        name: _compared(evidence, name, answers, macro.estimate, limits)
        for name, answers in {**evidence.blind, **evidence.by_source}.items()
    }
    groups = len(set(evidence.groups))
    spread = wilson(round(natural.estimate * groups), groups)
    half = (spread.high - spread.low) / 2
    found: list[tuple[Verdict, str]] = []
    if half > limits.half_width:
        found.append(
            (
                "too small to tell",
                f"{groups} groups leave {100 * half:.1f} points on either side of {100 * natural.estimate:.1f}%",
            )
        )
    if chance_p >= limits.significance:
        found.append(
            (
                "too small to tell",
                f"the model does not beat guessing (p = {chance_p:.2g}), so no control can be compared",
            )
        )
    near, inside, outside, near_p = _neighbours(evidence)
    if near_p is not None and near_p < limits.significance:
        found.append(
            (
                "leaking",
                f"{near} questions with a neighbour in training are answered right {_percent(inside)}, the others "
                f"{_percent(outside)} (p = {near_p:.2g} within labels)",
            )
        )
    sorts: dict[Verdict, Mapping[str, Sequence[bool]]] = {
        "answerable without looking": evidence.blind,
        "answerable by source": evidence.by_source,
    }
    for verdict, names in sorts.items():
        best = max(names, key=lambda name: (controls[name].explains, controls[name].macro, name))
        if controls[best].explains:
            reason = f"{best} reaches {100 * controls[best].macro:.1f}%, the model {100 * macro.estimate:.1f}% (macro)"
            found.append((verdict, reason))
    return Judgement(
        name=evidence.name,
        verdict=found[0][0] if found else "sound",
        findings=tuple(dict.fromkeys(verdict for verdict, _ in found)),
        reasons=tuple(reason for _, reason in found),
        questions=len(evidence.model),
        groups=groups,
        macro=macro,
        natural=natural,
        chance_p=chance_p,
        controls=controls,
        near=near,
        near_accuracy=inside,
        far_accuracy=outside,
        near_p=near_p,
    )


def _checked(evidence: Evidence) -> None:
    if not evidence.model or not evidence.blind or not evidence.by_source:
        raise BaselineError(
            f"{evidence.name}: {len(evidence.model)} answers, {len(evidence.blind)} controls without a picture and "
            f"{len(evidence.by_source)} by file facts: a verdict needs one of each or more"
        )
    twice = set(evidence.blind) & set(evidence.by_source)
    if twice:
        raise BaselineError(f"{evidence.name}: {', '.join(sorted(twice))} stands among both sorts of controls")
    columns: dict[str, Sequence[object]] = {
        "labels": evidence.labels,
        "offered": evidence.offered,
        "groups": evidence.groups,
        **evidence.blind,
        **evidence.by_source,
    }
    if evidence.near is not None:
        columns["near"] = evidence.near
    wrong = [name for name, values in columns.items() if len(values) != len(evidence.model)]
    if wrong:
        raise BaselineError(
            f"{evidence.name}: {', '.join(wrong)} do not have one entry for each of {len(evidence.model)} questions"
        )


def _compared(evidence: Evidence, name: str, answers: Sequence[bool], of_model: float, limits: Limits) -> Compared:
    macro = macro_accuracy(evidence.labels, answers)
    chance_p = chance_p_value(answers, evidence.offered)
    behind = paired_bootstrap(answers, evidence.model, f"{evidence.name} {name}", groups=evidence.groups)
    explains = chance_p < limits.significance and macro >= of_model - limits.margin
    return Compared(macro, accuracy(answers), chance_p, behind, explains)


def _neighbours(evidence: Evidence) -> tuple[int | None, float | None, float | None, float | None]:
    if evidence.near is None:
        return None, None, None, None
    inside = [right for right, near in zip(evidence.model, evidence.near, strict=True) if near]
    outside = [right for right, near in zip(evidence.model, evidence.near, strict=True) if not near]
    return (
        len(inside),
        accuracy(inside) if inside else None,
        accuracy(outside) if outside else None,
        permutation_p_value(evidence.model, evidence.near, evidence.labels),
    )


def _percent(share: float | None) -> str:
    return "never asked" if share is None else f"{100 * share:.1f}%"
