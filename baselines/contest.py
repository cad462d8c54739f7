"""A contest: models trained and scored once, the controls of each task, and a verdict by the strongest model.

What is done is not done again. A model lies in ``models/<digest>``, where the digest follows from its settings, its
data and its questions; a scoring folder answers for every task in it that the same model is asked again.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from med_mat.baselines import outcomes as named
from med_mat.baselines import runs
from med_mat.baselines.evidence import (
    Lessons,
    correct_of,
    judged,
    key_of,
    macro_of,
    model_control,
    model_free_controls,
)
from med_mat.baselines.outcomes import ControlOutcome, Judged, Skipped
from med_mat.baselines.processes import this_process
from med_mat.baselines.questions import Questions, resolved
from med_mat.baselines.score import Scoring, score
from med_mat.baselines.tasks import BOXES_SUFFIX
from med_mat.baselines.tiny import save_tiny
from med_mat.baselines.train import Training, train
from med_mat.baselines.variants import (
    permuted_pictures,
    shuffled_answers,
    with_blank_pictures,
    within_source,
    without_pictures,
)

if TYPE_CHECKING:
    from med_mat.card import Card

Spoilt = Literal["shuffled", "permuted"]
Say = Callable[[str], None]

MODELS_FOLDER = "models"
SCORES_FOLDER = "scores"
UNTRAINED_FOLDER = "untrained"

SPOILT: Mapping[Spoilt, tuple[str, Callable[[Questions], Questions]]] = {
    "shuffled": (named.SHUFFLED_ANSWERS, shuffled_answers),
    "permuted": (named.PERMUTED_PICTURES, permuted_pictures),
}
"""Ways to spoil training questions: the control that each makes, and how."""


@dataclass(frozen=True)
class Bench:
    """Where and how models are trained and scored.

    Attributes:
        out: The experiment's folder, absolute.
        scoring: Settings of scoring.
        say: Tells what is being done.
        seconds: Stage to time spent.
        skipped: What the data did not allow.
    """

    out: Path
    scoring: Scoring
    say: Say
    seconds: dict[str, float] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Adds the time that the block takes to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start

    def skip(self, what: str, why: str) -> None:
        """Notes what could not be done, once."""
        entry = Skipped(what, why)
        if entry not in self.skipped:
            self.skipped.append(entry)
            self.say(f"left out: {what}: {why}")


@dataclass(frozen=True, slots=True)
class Contestant:
    """A model and what it is asked.

    Attributes:
        model: As ``load_model`` takes it.
        training: Settings that it was trained with, and its run folder; None if nothing was trained.
        asked: Task to questions.
    """

    model: str
    training: tuple[Training, Path] | None
    asked: Mapping[str, Questions]


@dataclass(frozen=True, slots=True)
class Target:
    """What is known of a task beside its questions.

    Attributes:
        lessons: Loads what controls learn from.
        origin: What ``lessons`` follows from, as plain values.
    """

    lessons: Callable[[], Lessons]
    origin: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Contest:
    """How contestants did.

    Attributes:
        scores: For each contestant, task to scoring folder.
        controls: Task by task.
        judged: Task by task.
    """

    scores: tuple[Mapping[str, Path], ...]
    controls: tuple[ControlOutcome, ...]
    judged: tuple[Judged, ...]


def trained(questions: Questions, training: Training, bench: Bench) -> Path:
    """Trains a model in its folder, unless that is done.

    Returns:
        The run folder, ``models/<digest>``.

    Raises:
        BaselineError: As ``train``.
    """
    settings = {name: value for name, value in asdict(training).items() if name != "workers"}
    key = key_of({**settings, "data": resolved(questions.data), "questions": runs.digest(questions)})
    folder = bench.out / MODELS_FOLDER / key
    if not _done(folder):
        bench.say(f"training on {len(questions)} questions: {folder}")
    with bench.timed("training"):
        train(questions, training, folder)
        _free_memory()
    return folder


def untrained_tiny(questions: Sequence[Questions], seed: int, bench: Bench) -> Path:
    """Makes a random tiny model whose tokeniser knows the words of these questions, unless that is done."""
    tables = [each.table.select(["question", "options", "answer"]) for each in questions]
    rows = pa.concat_tables(tables).to_pylist()
    folder = bench.out / UNTRAINED_FOLDER / key_of({"seed": seed, "rows": rows})
    state = this_process()
    if state.is_main_process and not (folder / "processor_config.json").exists():
        save_tiny(folder, rows, seed)
    state.wait_for_everyone()
    return folder


def contest(
    contestants: Sequence[Contestant],
    targets: Mapping[str, Target],
    cards: Mapping[str, Card] | None,
    spoilt: Sequence[Spoilt],
    bench: Bench,
) -> Contest | None:
    """Scores contestants, runs the controls of each task and judges it by the strongest trained contestant.

    Args:
        contestants: Models and what they are asked.
        targets: Task to what controls learn from.
        cards: Slug to card, to ask with distractors of the picture's own source too; None leaves that out.
        spoilt: Trainings to repeat on spoilt questions.
        bench: Where and how.

    Returns:
        None in all processes but the first.

    Raises:
        BaselineError: As ``score`` and ``train``.
    """
    answered = _scored_by_model([(each.model, each.asked) for each in contestants], bench)
    scores = tuple({task: answered[each.model][task] for task in each.asked} for each in contestants)
    best = _strongest(contestants, scores)
    asked = {task: questions for each in contestants for task, questions in each.asked.items()}
    variants: list[tuple[str, dict[str, Questions]]] = []
    names: dict[str, dict[str, str]] = {task: {} for task in best}
    for task, place in best.items():
        ways = _ways(asked[task], cards, task, bench)
        names[task] = {control: f"{task}_{control.replace(' ', '_')}" for control in ways}
        variants.append((contestants[place].model, {names[task][control]: way for control, way in ways.items()}))
    otherwise = _scored_by_model(variants, bench)
    spoiled = {way: _spoilt(way, contestants, best, asked, bench) for way in spoilt}
    if not this_process().is_main_process:
        return None
    controls: list[ControlOutcome] = []
    verdicts: list[Judged] = []
    with bench.timed("controls"):
        for task, questions in asked.items():
            if _without_options(task):
                bench.skip(f"verdict on {task}", "its questions ask for boxes, which controls do not answer")
                continue
            bench.say(f"controls of {task}")
            target = targets[task]
            origin = {"task": task, "questions": runs.digest(questions), **target.origin}
            paths = model_free_controls(bench.out, key_of(origin), questions, target.lessons)
            about: dict[str, tuple[Path | None, Path]] = {control: (None, path) for control, path in paths.items()}
            if task in best:
                place = best[task]
                scoring = scores[place][task]
                for control, variant in names[task].items():
                    answers = otherwise[contestants[place].model][variant]
                    about[control] = (scoring, model_control(bench.out, control, task, answers, variant))
                for way, answers_of in spoiled.items():
                    control = SPOILT[way][0]
                    about[control] = (scoring, model_control(bench.out, control, task, answers_of[task], task))
                training = contestants[place].training
                if training is not None:
                    given = {control: path for control, (_, path) in about.items()}
                    verdicts.append(judged(bench.out, task, questions, scoring, training[1], given))
            else:
                bench.skip(f"verdict on {task}", "no trained model was asked")
            controls += [
                ControlOutcome(
                    control, task, _relative(about[control][0], bench), _relative(about[control][1], bench) or ""
                )
                for control in named.CONTROLS
                if control in about
            ]
    return Contest(scores, tuple(controls), tuple(verdicts))


def _scored_by_model(wanted: Sequence[tuple[str, Mapping[str, Questions]]], bench: Bench) -> dict[str, dict[str, Path]]:
    """Scores each model once, on all that it is asked: loading one of full size takes minutes."""
    by_model: dict[str, dict[str, Questions]] = {}
    for model, asked in wanted:
        by_model.setdefault(model, {}).update(asked)
    return {model: _scored(model, asked, bench) for model, asked in by_model.items()}


def _scored(model: str, asked: Mapping[str, Questions], bench: Bench) -> dict[str, Path]:
    folder = bench.out / SCORES_FOLDER
    digests = {task: runs.digest(questions) for task, questions in asked.items()}
    found: dict[str, Path] = {}
    for path in sorted(folder.glob(f"*/{runs.RUN_FILE}")):
        before = runs.read_json(path)
        settings = before["settings"]
        if before["status"] != "done" or settings["model"] != model or settings["method"] != bench.scoring.method:
            continue
        known = {
            task
            for task, digest in digests.items()
            if settings["tasks"].get(task) == digest and settings["data"][task] == resolved(asked[task].data)
        }
        # A target's choices and boxes are looked up in one folder.
        for task in known:
            whole = {other for other in asked if _target_of(other) == _target_of(task)}
            if whole <= known:
                found.setdefault(task, path.parent)
    missing = {task: questions for task, questions in asked.items() if task not in found}
    # Every process must have looked before one of them writes.
    this_process().wait_for_everyone()
    if missing:
        of = {"model": model, "method": bench.scoring.method, "tasks": {task: digests[task] for task in missing}}
        of["data"] = {task: resolved(questions.data) for task, questions in missing.items()}
        place = folder / key_of(of)
        bench.say(f"scoring {len(missing)} tasks, {sum(map(len, missing.values()))} questions: {place}")
        with bench.timed("scoring"):
            score(model, missing, place, bench.scoring)
            _free_memory()
        found |= dict.fromkeys(missing, place)
    return found


def _strongest(contestants: Sequence[Contestant], scores: Sequence[Mapping[str, Path]]) -> dict[str, int]:
    """Returns task to the place of the trained contestant with the highest macro accuracy, of equals the first."""
    best: dict[str, tuple[float, int]] = {}
    for place, (contestant, folders) in enumerate(zip(contestants, scores, strict=True)):
        for task, questions in contestant.asked.items():
            if contestant.training is None or _without_options(task):
                continue
            macro = macro_of(questions, correct_of(folders[task], task))
            if task not in best or macro > best[task][0]:
                best[task] = macro, place
    return {task: place for task, (_, place) in best.items()}


def _ways(questions: Questions, cards: Mapping[str, Card] | None, task: str, bench: Bench) -> dict[str, Questions]:
    """Returns the other ways in which a trained model is asked the questions of a task."""
    ways = {named.NO_PICTURE: without_pictures(questions), named.BLANK_PICTURE: with_blank_pictures(questions)}
    if cards is not None:
        narrowed = within_source(questions, cards)
        if len(narrowed):
            ways[named.WITHIN_SOURCE] = narrowed
        else:
            bench.skip(f"{named.WITHIN_SOURCE} of {task}", "no source has two labels that exclude one another")
    return ways


def _spoilt(
    way: Spoilt,
    contestants: Sequence[Contestant],
    best: Mapping[str, int],
    asked: Mapping[str, Questions],
    bench: Bench,
) -> dict[str, Path]:
    """Repeats the training of the strongest models on spoilt questions; returns task to scoring folder."""
    wanted = []
    for task, place in best.items():
        training = contestants[place].training
        if training is not None:
            settings, folder = training
            learnt = runs.read_questions(folder / runs.QUESTIONS_FILE)
            if way == "shuffled":
                # Boxes have no other answer to be given.
                learnt = learnt.with_table(
                    learnt.table.filter(pc.greater(pc.list_value_length(learnt.table["options"]), 0))
                )
            wanted.append((str(trained(SPOILT[way][1](learnt), settings, bench)), {task: asked[task]}))
    found = _scored_by_model(wanted, bench)
    return {task: found[model][task] for model, tasks in wanted for task in tasks}


def _relative(path: Path | None, bench: Bench) -> str | None:
    return None if path is None else path.relative_to(bench.out).as_posix()


def _target_of(task: str) -> str:
    return task.removesuffix(BOXES_SUFFIX)


def _without_options(task: str) -> bool:
    return task.endswith(BOXES_SUFFIX)


def _done(folder: Path) -> bool:
    return (folder / runs.RUN_FILE).exists() and runs.read_json(folder / runs.RUN_FILE)["status"] == "done"


def _free_memory() -> None:
    import torch

    if torch.cuda.is_available():
        # Trainers refer to themselves: without this a second model of full size finds no room.
        gc.collect()
        torch.cuda.empty_cache()
