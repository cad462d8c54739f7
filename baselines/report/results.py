"""What an experiment found, worked out from its outcomes and predictions: every table of a report as values."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from med_mat.baselines import runs
from med_mat.baselines.chance import chance_p_value
from med_mat.baselines.errors import BaselineError
from med_mat.baselines.outcomes import CLASS_PRIOR, ControlOutcome, Outcome, Outcomes, read_outcomes
from med_mat.baselines.report.answers import NONE_CHOSEN, Answers, control_answers, read_answers
from med_mat.baselines.report.words import model_label
from med_mat.baselines.statistics import (
    Interval,
    accuracy,
    macro_accuracy,
    macro_interval,
    mcnemar_p_value,
    paired_bootstrap,
    wilson,
)
from med_mat.vocabulary import vocabulary

MOST_LABELS = 12
OTHER = "other labels"
_CURVE_POINTS = 200

_PAIRS = (
    ("baseline_plus", "combination"),
    ("single_task", "multi_task"),
    ("all_unrelated", "all_related"),
    ("without_modality", "all_related"),
    ("without_area", "all_related"),
    ("without_task", "all_related"),
    ("limited", "limited_with_related"),
)
"""Arms that are compared beside each with ``baseline``: the first is what the second should do better than."""


@dataclass(frozen=True, slots=True)
class Line:
    """A trial's score.

    Attributes:
        outcome: The trial.
        questions: Number of questions with options.
        groups: Number of groups that their rows are of.
        macro: Accuracy, each label counting the same; None where no question has options.
        natural: Accuracy over all questions with Wilson's interval.
        chance_p: Probability of as many right answers by guessing.
        prior_macro: The class prior's macro accuracy; None where it was not measured on all of these questions.
        prior_natural: Its accuracy over all questions.
        overlap: Mean IoU over questions that ask for boxes; None without such.
        boxes: Number of questions that ask for boxes.
        difference: Natural accuracy less the paper's, in points; None where the paper's does not stand beside it.
    """

    outcome: Outcome
    questions: int
    groups: int
    macro: Interval | None
    natural: Interval | None
    chance_p: float | None
    prior_macro: float | None
    prior_natural: float | None
    overlap: float | None
    boxes: int
    difference: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two trials on the same questions.

    Attributes:
        first: What is compared with.
        second: What is compared.
        questions: Number of questions that both answered.
        difference: By how much the second's accuracy over all questions is higher, groups drawn.
        p_value: McNemar's exact test.
        adjusted: The same after Holm's correction for all comparisons of the experiment.
    """

    first: Outcome
    second: Outcome
    questions: int
    difference: Interval
    p_value: float
    adjusted: float


@dataclass(frozen=True, slots=True)
class ControlLine:
    """A control beside the model that a split was judged with.

    Attributes:
        task: Name of the lm-eval task.
        name: Of the control; None for the model itself.
        questions: Number of questions.
        macro: Macro accuracy.
        natural: Accuracy over all questions, with Wilson's interval.
        chance_p: Probability of as many right answers by guessing.
        behind: By how much the model that it belongs to is better on the same questions, in natural accuracy; None for
            the model itself.
        explains: Whether the verdict holds that the control explains the model; None where it was not weighed.
    """

    task: str
    name: str | None
    questions: int
    macro: float
    natural: Interval
    chance_p: float
    behind: Interval | None
    explains: bool | None


@dataclass(frozen=True, slots=True)
class SplitVerdict:
    """A split's verdict with every control beside the model.

    Attributes:
        task: Name of the lm-eval task.
        target: What its questions are called in the table.
        model: Scoring folder of the model.
        arm: What that model was trained on, in words.
        judgement: Fields of ``verdict.Judgement``.
        neighbours: As ``outcomes.Judged`` has them.
        controls: The model first, then its controls.
    """

    task: str
    target: str
    model: str
    arm: str
    judgement: dict[str, Any]
    neighbours: dict[str, float] | None
    controls: tuple[ControlLine, ...]


@dataclass(frozen=True, slots=True)
class ElementLine:
    """Answers to questions that share a word.

    Attributes:
        dimension: ``modality``, ``area``, ``task word`` or ``source``.
        value: The word.
        model: In few words.
        arm: What the models were trained on.
        questions: Number of different questions.
        answers: Number of answers: a question that several models were asked counts for each.
        groups: Number of groups of the rows.
        macro: Macro accuracy of the answers.
        natural: Accuracy of the answers; Wilson's interval with groups taken for questions.
    """

    dimension: str
    value: str
    model: str
    arm: str
    questions: int
    answers: int
    groups: int
    macro: float
    natural: Interval


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often each label was answered with each.

    Attributes:
        outcome: The trial, the strongest of its target.
        labels: The most frequent true labels, then ``OTHER`` where there are more.
        chosen: What may be chosen: ``labels``, and ``NONE_CHOSEN`` where text named no option.
        counts: A line per true label, a number per chosen one.
        other: Number of labels behind ``OTHER``.
    """

    outcome: Outcome
    labels: tuple[str, ...]
    chosen: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    other: int


@dataclass(frozen=True, slots=True)
class Curve:
    """A training's log.

    Attributes:
        training: Run folder, relative to the experiment's.
        outcomes: Trials that used the model.
        points: Step and loss, at most 200 of them.
        metrics: Its ``metrics.json``; empty where there is none.
    """

    training: str
    outcomes: tuple[Outcome, ...]
    points: tuple[tuple[float, float], ...]
    metrics: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Results:
    """All that a report shows but pictures.

    Attributes:
        outcomes: As the experiment wrote them.
        lines: One per trial.
        comparisons: Between trials of one row.
        verdicts: One per split that was judged.
        controls: Of tasks without a verdict.
        elements: By modality, area, task word and source.
        confusions: One per target and backbone.
        curves: One per training.
    """

    outcomes: Outcomes
    lines: tuple[Line, ...]
    comparisons: tuple[Comparison, ...]
    verdicts: tuple[SplitVerdict, ...]
    controls: tuple[ControlLine, ...]
    elements: tuple[ElementLine, ...]
    confusions: tuple[Confusion, ...]
    curves: tuple[Curve, ...]


def gather(folder: Path) -> Results:
    """Works out the tables of an experiment.

    Args:
        folder: That ``med-mat baselines run`` wrote, with ``outcomes.json``.

    Raises:
        BaselineError: It is no experiment, or predictions are missing.
    """
    found = read_outcomes(folder)
    lines = tuple(_line(folder, outcome, found) for outcome in found.outcomes)
    judged = {one.task for one in found.judged}
    return Results(
        outcomes=found,
        lines=lines,
        comparisons=_comparisons(folder, found.outcomes),
        verdicts=tuple(_verdicts(folder, found)),
        controls=tuple(line for task in _tasks(found) if task not in judged for line in _unjudged(folder, found, task)),
        elements=tuple(_elements(folder, found.outcomes)),
        confusions=tuple(_confusion(folder, line.outcome) for line in strongest(lines)),
        curves=tuple(_curves(folder, found.outcomes)),
    )


def row_name(outcome: Outcome) -> str:
    """Names a row: parts, an arrow and the target, or the target alone."""
    parts = " + ".join(outcome.parts)
    return f"{parts} \N{RIGHTWARDS ARROW} {outcome.target}" if parts else outcome.target


def arm_name(outcome: Outcome) -> str:
    """Names what a model was trained on, with the amount of target data where there is one."""
    words = outcome.arm.replace("_", " ")
    return words if outcome.amount is None else f"{words}, {outcome.amount:,}"


def strongest(lines: Sequence[Line]) -> list[Line]:
    """Returns the trial of the highest macro accuracy of each subset and backbone, in the order of the rows."""
    best: dict[tuple[str, str], Line] = {}
    for line in lines:
        if line.macro is None:
            continue
        key = (line.outcome.subset, line.outcome.backbone)
        rival = best.get(key)
        if rival is None or rival.macro is None or line.macro.estimate > rival.macro.estimate:
            best[key] = line
    return list(best.values())


def holm(p_values: Sequence[float]) -> list[float]:
    """Corrects p-values of several tests (Holm 1979): the smallest is multiplied by their number, and so on down.

    Returns:
        In the order given, never smaller than what came in nor above 1.
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for done, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - done) * p_values[place]))
        adjusted[place] = highest
    return adjusted


def read_curve(path: Path) -> tuple[tuple[float, float], ...]:
    """Reads steps and losses of a log; of a long one, evenly spread steps with the first and the last."""
    if not path.exists():
        return ()
    with path.open(encoding="utf-8") as lines:
        entries = [json.loads(line) for line in lines]
    points = [(float(entry["step"]), float(entry["loss"])) for entry in entries if "loss" in entry]
    if len(points) > _CURVE_POINTS:
        last = len(points) - 1
        points = [points[round(number * last / (_CURVE_POINTS - 1))] for number in range(_CURVE_POINTS)]
    return tuple(points)


def confusion_counts(answers: Answers) -> tuple[tuple[str, ...], tuple[str, ...], tuple[tuple[int, ...], ...], int]:
    """Counts true against chosen labels; beyond ``MOST_LABELS`` labels the rarer ones are one.

    Returns:
        True labels, chosen labels, a line of counts per true label, and the number of labels that were put together.
    """
    frequent = Counter(answers.labels)
    offered = set(answers.labels) | (set(answers.chosen) - {NONE_CHOSEN})
    order = sorted(offered, key=lambda label: (-frequent[label], label))
    kept = order if len(order) <= MOST_LABELS else order[: MOST_LABELS - 1]
    other = len(order) - len(kept)
    labels = tuple([*kept, OTHER] if other else kept)
    chosen = (*labels, NONE_CHOSEN) if NONE_CHOSEN in answers.chosen else labels
    place = {label: number for number, label in enumerate(chosen)}
    counts = [[0] * len(chosen) for _ in labels]
    for true, answer in zip(answers.labels, answers.chosen, strict=True):
        line = place.get(true, len(labels) - 1)
        counts[line][place.get(answer, len(labels) - 1)] += 1
    return labels, chosen, tuple(map(tuple, counts)), other


def _line(folder: Path, outcome: Outcome, found: Outcomes) -> Line:
    answers = read_answers(folder, outcome.scoring, outcome.tasks)
    overlap = sum(answers.overlaps) / len(answers.overlaps) if answers.overlaps else None
    if not answers.ids:
        return Line(outcome, 0, 0, None, None, None, None, None, overlap, len(answers.overlaps), None)
    natural = wilson(sum(answers.correct), len(answers.ids))
    prior = _prior(folder, answers, outcome.tasks, found.controls)
    return Line(
        outcome=outcome,
        questions=len(answers.ids),
        groups=len(set(answers.groups)),
        macro=macro_interval(answers.labels, answers.correct, " ".join((outcome.scoring, *outcome.tasks))),
        natural=natural,
        chance_p=chance_p_value(answers.correct, answers.offered),
        prior_macro=None if prior is None else macro_accuracy(answers.labels, prior),
        prior_natural=None if prior is None else accuracy(prior),
        overlap=overlap,
        boxes=len(answers.overlaps),
        difference=None if outcome.paper is None else 100 * natural.estimate - outcome.paper,
    )


def _prior(
    folder: Path, answers: Answers, tasks: Sequence[str], controls: Sequence[ControlOutcome]
) -> list[bool] | None:
    """What the class prior answers to the same questions; None where it was not asked all of them."""
    right: dict[str, bool] = {}
    for control in controls:
        if control.name == CLASS_PRIOR and control.task in tasks:
            right |= control_answers(folder, control)
    return [right[name] for name in answers.ids] if right.keys() >= set(answers.ids) else None


def _comparisons(folder: Path, outcomes: Sequence[Outcome]) -> tuple[Comparison, ...]:
    raw = []
    done = set()
    for first, second in _pairs(outcomes):
        key = (first.scoring, second.scoring, first.tasks)
        # Rows that share both models are one test: to count it twice would correct for it twice.
        if first.scoring == second.scoring or key in done:
            continue
        done.add(key)
        one, other = (read_answers(folder, each.scoring, each.tasks) for each in (first, second))
        there = dict(zip(other.ids, other.correct, strict=True))
        shared = [place for place, name in enumerate(one.ids) if name in there]
        if not shared:
            continue
        before, after = [one.correct[place] for place in shared], [there[one.ids[place]] for place in shared]
        groups = [one.groups[place] for place in shared]
        difference = paired_bootstrap(before, after, f"{first.scoring} {second.scoring}", groups=groups)
        raw.append((first, second, len(shared), difference, mcnemar_p_value(before, after)))
    corrected = holm([p_value for *_, p_value in raw])
    return tuple(Comparison(*each, adjusted) for each, adjusted in zip(raw, corrected, strict=True))


def _pairs(outcomes: Sequence[Outcome]) -> Iterator[tuple[Outcome, Outcome]]:
    """Yields what is compared: arms of one row and backbone, then backbones of one row and arm."""
    for place, second in enumerate(outcomes):
        for number, first in enumerate(outcomes):
            if (first.row, first.tasks) != (second.row, second.tasks):
                continue
            same_amount = first.amount == second.amount
            if first.backbone == second.backbone:
                with_baseline = first.arm == "baseline" and second.arm != "baseline"
                if with_baseline or ((first.arm, second.arm) in _PAIRS and same_amount):
                    yield first, second
            elif number < place and first.arm == second.arm and same_amount:
                yield first, second


def _verdicts(folder: Path, found: Outcomes) -> Iterator[SplitVerdict]:
    for one in found.judged:
        weighed = {name: bool(values["explains"]) for name, values in one.judgement["controls"].items()}
        controls = tuple(_control_lines(folder, found, one.task, one.model, weighed))
        targets = dict.fromkeys(outcome.target for outcome in found.outcomes if one.task in outcome.tasks)
        yield SplitVerdict(
            task=one.task,
            target="; ".join(targets),
            model=one.model,
            arm=_model_name(found, one.model),
            judgement=one.judgement,
            neighbours=one.neighbours,
            controls=controls,
        )


def _unjudged(folder: Path, found: Outcomes, task: str) -> Iterator[ControlLine]:
    if any(control.task == task for control in found.controls):
        asked = [outcome for outcome in found.outcomes if task in outcome.tasks]
        yield from _control_lines(folder, found, task, asked[-1].scoring, {})


def _tasks(found: Outcomes) -> list[str]:
    return list(dict.fromkeys(task for outcome in found.outcomes for task in outcome.tasks))


def _model_name(found: Outcomes, scoring: str) -> str:
    trials = [outcome for outcome in found.outcomes if outcome.scoring == scoring]
    return f"{model_label(trials[0])}, {arm_name(trials[0])}" if trials else scoring


def _control_lines(
    folder: Path, found: Outcomes, task: str, model: str, weighed: dict[str, bool]
) -> Iterator[ControlLine]:
    answers = read_answers(folder, model, (task,))
    own = dict(zip(answers.ids, answers.correct, strict=True))
    yield _control_line(task, None, answers, own, None)
    for control in found.controls:
        if control.task != task:
            continue
        right, name, beside = control_answers(folder, control), control.name, answers
        if control.model not in (None, model):
            # A control of another model says nothing of this one, so it stands beside its own.
            name = f"{name} ({_model_name(found, control.model)})"
            beside = read_answers(folder, control.model, (task,))
        yield _control_line(task, name, beside, right, weighed.get(name))


def _control_line(
    task: str, name: str | None, answers: Answers, right: dict[str, bool], explains: bool | None
) -> ControlLine:
    places = [place for place, one in enumerate(answers.ids) if one in right]
    if not places:
        raise BaselineError(
            f"{task}: {name or 'the model'} has answered none of the questions. Run the recipe again with a fresh --out"
        )
    correct = [right[answers.ids[place]] for place in places]
    model = [answers.correct[place] for place in places]
    behind = None
    if name is not None:
        groups = [answers.groups[place] for place in places]
        behind = paired_bootstrap(correct, model, f"{task} {name}", groups=groups)
    return ControlLine(
        task=task,
        name=name,
        questions=len(places),
        macro=macro_accuracy([answers.labels[place] for place in places], correct),
        natural=wilson(sum(correct), len(correct)),
        chance_p=chance_p_value(correct, [answers.offered[place] for place in places]),
        behind=behind,
        explains=explains,
    )


def _elements(folder: Path, outcomes: Sequence[Outcome]) -> Iterator[ElementLine]:
    names = vocabulary().modalities
    for model, arm in dict.fromkeys((model_label(outcome), arm_name(outcome)) for outcome in outcomes):
        piles: dict[tuple[str, str], list[tuple[str, str, str, bool]]] = {}
        asked = [each for each in outcomes if (model_label(each), arm_name(each)) == (model, arm)]
        # Rows that share a model and a target share its answers.
        for scoring, tasks in dict.fromkeys((outcome.scoring, outcome.tasks) for outcome in asked):
            answers = read_answers(folder, scoring, tasks)
            for place, name in enumerate(answers.ids):
                entry = (name, answers.labels[place], answers.groups[place], answers.correct[place])
                code = answers.modalities[place]
                keys = [
                    ("modality", names.get(code, code)),
                    ("area", answers.areas[place]),
                    *(("task word", word) for word in answers.words[place]),
                    ("source", answers.sources[place]),
                ]
                for key in keys:
                    piles.setdefault(key, []).append(entry)
        for (dimension, value), pile in piles.items():
            ids, labels, groups, correct = map(list, zip(*pile, strict=True))
            share, number = accuracy(correct), len(set(groups))
            spread = wilson(round(share * number), number)
            yield ElementLine(
                dimension=dimension,
                value=value,
                model=model,
                arm=arm,
                questions=len(set(ids)),
                answers=len(ids),
                groups=number,
                macro=macro_accuracy(labels, correct),
                natural=Interval(share, spread.low, spread.high),
            )


def _confusion(folder: Path, outcome: Outcome) -> Confusion:
    return Confusion(outcome, *confusion_counts(read_answers(folder, outcome.scoring, outcome.tasks)))


def _curves(folder: Path, outcomes: Sequence[Outcome]) -> Iterator[Curve]:
    for training in dict.fromkeys(outcome.training for outcome in outcomes if outcome.training is not None):
        metrics = folder / training / runs.METRICS_FILE
        yield Curve(
            training=training,
            outcomes=tuple(outcome for outcome in outcomes if outcome.training == training),
            points=read_curve(folder / training / runs.LOG_FILE),
            metrics=runs.read_json(metrics) if metrics.exists() else {},
        )
