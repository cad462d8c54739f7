"""Experiments: the trials of a recipe trained, scored, checked by controls and judged, in one folder.

What is done is not done again. A model lies in ``models/<digest>``, where the digest follows from its settings, its
data and its questions, so recipes that share a folder share models; a scoring folder answers for every task in it that
the same model is asked again.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import pyarrow as pa
import pyarrow.compute as pc

from med_mat.baselines import outcomes as named
from med_mat.baselines import runs
from med_mat.baselines.errors import BaselineError
from med_mat.baselines.evidence import (
    Lessons,
    correct_of,
    judged,
    key_of,
    macro_of,
    model_control,
    model_free_controls,
)
from med_mat.baselines.models import TINY
from med_mat.baselines.outcomes import ControlOutcome, Judged, Outcome, Outcomes, Skipped, write_outcomes
from med_mat.baselines.processes import this_process
from med_mat.baselines.questions import QUESTION, Data, Questions, config_names, load_questions, resolved, split_names
from med_mat.baselines.recipes import Arm, Draw, Recipe, Regime, Row, Trial, regimes, trials
from med_mat.baselines.related import Basis, Member, corrected_members, published_members
from med_mat.baselines.sampling import chosen, drawn, training_ids
from med_mat.baselines.score import Scoring, score
from med_mat.baselines.statistics import accuracy, macro_accuracy
from med_mat.baselines.tasks import BOXES_SUFFIX, PREFIX
from med_mat.baselines.tiny import save_tiny
from med_mat.baselines.train import Lora, Training, train
from med_mat.baselines.variants import (
    joined,
    permuted_pictures,
    shuffled_answers,
    with_blank_pictures,
    within_source,
    without_pictures,
)
from med_mat.vocabulary import Kind

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


@dataclass(frozen=True, slots=True)
class Experiment:
    """What is run of a recipe, on what, and how.

    Attributes:
        data: The dataset.
        model: Stands in for every backbone of the recipe; None for the recipe's own.
        regime: Name of a way of fine-tuning, as in ``recipes.regimes``.
        basis: Whose triplets say what is related: the published ones or the cards'.
        rows: Places of the recipe's rows, from 0; empty for all.
        arms: Of the recipe's; empty for all.
        spoilt: Trainings to repeat on spoilt questions, with the strongest model of each target.
        seed: Of weights and order.
        max_steps: Stop each training after so many steps; None for the regime's epochs.
        device_batch_size: Training questions at once on a device; None for all of its share.
        batch_size: Test questions at once on a device.
        limit: Most test questions of a task, by hash; None for all.
        workers: Processes that open and prepare pictures.
    """

    data: Data
    model: str | None = None
    regime: str = "full"
    basis: Basis = "published"
    rows: tuple[int, ...] = ()
    arms: tuple[Arm, ...] = ()
    spoilt: tuple[Spoilt, ...] = ()
    seed: int = 0
    max_steps: int | None = None
    device_batch_size: int | None = None
    batch_size: int = 8
    limit: int | None = None
    workers: int = 4


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


def run(
    recipe: Recipe,
    name: str,
    experiment: Experiment,
    cards: Mapping[str, Card],
    out: Path,
    say: Say = lambda _: None,
) -> Outcomes | None:
    """Runs a recipe and writes ``outcomes.json``. Under ``accelerate launch`` every process calls this.

    Args:
        recipe: The recipe.
        name: What it is called.
        experiment: What is run of it.
        cards: Slug to card: for corrected triplets, and for distractors of a picture's own source.
        out: The experiment's folder. Experiments may share it, one after the other.
        say: Tells what is being done.

    Returns:
        What came of it; None in all processes but the first.

    Raises:
        BaselineError: No such row, arm or regime; a model that does not load; or data that hold none of the targets.
    """
    regime = _regime(experiment.regime)
    members = members_of(experiment.basis, cards.values())
    wanted = _selected(recipe, experiment, members, regime)
    data = resolved(experiment.data)
    # Of a dataset on the Hub one commit, whatever is pushed meanwhile.
    supply = _Supply(
        Data(experiment.data.location, data["revision"]), {member.config: member.subset for member in members}
    )
    scoring = Scoring(batch_size=experiment.batch_size, workers=experiment.workers)
    bench = Bench(out.resolve(), scoring, say if this_process().is_main_process else lambda _: None)
    targets: dict[str, Target] = {}
    entered: list[tuple[Trial, Contestant]] = []
    for trial in wanted:
        contestant = _contestant(trial, recipe, regime, experiment, supply, bench, targets)
        if contestant is not None:
            entered.append((trial, contestant))
    if not entered:
        raise BaselineError(
            f"{experiment.data.location} holds none of what is asked of recipe {name}: "
            + "; ".join(f"{each.what}: {each.why}" for each in bench.skipped)
        )
    entered = _with_untrained(entered, experiment.seed, bench)
    found = contest([contestant for _, contestant in entered], targets, cards, experiment.spoilt, bench)
    if found is None:
        return None
    environment = runs.environment()
    result = Outcomes(
        title=recipe.title,
        table=recipe.table,
        recipe=name,
        basis=experiment.basis,
        regime=experiment.regime,
        beside_paper=regime.beside_paper and experiment.model is None,
        data=data,
        device=environment["device"],
        versions=environment["versions"],
        seconds={stage: round(seconds, 1) for stage, seconds in bench.seconds.items()},
        outcomes=tuple(
            _outcome(trial, recipe, contestant, scores, bench.out)
            for (trial, contestant), scores in zip(entered, found.scores, strict=True)
        ),
        controls=found.controls,
        judged=found.judged,
        skipped=tuple(bench.skipped),
    )
    write_outcomes(bench.out, result)
    return result


def members_of(basis: Basis, cards: Iterable[Card]) -> tuple[Member, ...]:
    """Returns the members of a basis, of all kinds."""
    kinds: tuple[Kind, ...] = get_args(Kind)
    return published_members(kinds) if basis == "published" else corrected_members(cards, kinds)


def accuracies(out: Path, outcomes: Outcomes) -> list[tuple[float | None, float | None]]:
    """Returns accuracy over all questions and macro accuracy of each outcome; None where no question has options."""
    found: list[tuple[float | None, float | None]] = []
    for outcome in outcomes.outcomes:
        table = runs.read_predictions(out / outcome.scoring).select(["model_task", "label", "correct"])
        mine = pc.and_(
            pc.is_in(table["model_task"], pa.array(outcome.tasks, pa.string())), pc.is_valid(table["correct"])
        )
        labels, correct = (table.filter(mine)[name].to_pylist() for name in ("label", "correct"))
        found.append((accuracy(correct), macro_accuracy(labels, correct)) if correct else (None, None))
    return found


# Models ------------------------------------------------------------------------------------------------------------


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


# Scores, controls, verdicts -----------------------------------------------------------------------------------------


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


# From a recipe to contestants ---------------------------------------------------------------------------------------


class _Supply:
    """The questions of a dataset, each sample loaded once."""

    def __init__(self, data: Data, subsets: Mapping[str, str]) -> None:
        self.data = data
        self._subsets = subsets
        self._known = set(config_names(data))
        self._loaded: dict[tuple[object, ...], Questions | None] = {}

    def absent(self, config: str, split: str) -> str | None:
        """Tells why a config cannot be had; None if it can."""
        if config not in self._known:
            return "the dataset has no such config"
        if split not in split_names(self.data, config):
            return f"it has no {split} split"
        return None

    def questions(self, configs: Sequence[str], split: str, bench: Bench) -> Questions | None:
        """Loads the configs that are there, and notes the others."""
        parts = [part for config in configs if (part := self._of_config(config, split, bench)) is not None]
        return joined(*parts) if parts else None

    def tests(self, configs: Sequence[str], bench: Bench) -> Questions | None:
        """Loads test questions."""
        key = ("tests", *configs)
        if key not in self._loaded:
            self._loaded[key] = self.questions(configs, "test", bench)
        return self._loaded[key]

    def sample(self, configs: Sequence[str], limit: int, bench: Bench) -> Questions | None:
        """Takes the label-balanced sample of each subset; equal samples are taken once."""
        parts = []
        for subset in dict.fromkeys(self._subsets[config] for config in configs):
            members = tuple(config for config in configs if self._subsets[config] == subset)
            key = ("sample", members, limit)
            if key not in self._loaded:
                every = self.questions(members, "train", bench)
                self._loaded[key] = None if every is None else chosen(every, training_ids(every, limit))
            found = self._loaded[key]
            if found is not None:
                parts.append(found)
        return joined(*parts) if parts else None

    def drawn(self, configs: Sequence[str], number: int, name: str, bench: Bench) -> Questions | None:
        """Draws as ``sampling.drawn`` does from all configs together, one config at a time."""
        parts = []
        for config in configs:
            every = self._of_config(config, "train", bench)
            if every is not None:
                # What is drawn from all is, of each config, drawn from that config alone.
                parts.append(drawn(every, min(number, len(every)), name))
        if not parts:
            return None
        pool = joined(*parts)
        if len(pool) < number:
            bench.skip(name, f"{number} unrelated questions were to be drawn, {len(pool)} are there; all were taken")
        return drawn(pool, min(number, len(pool)), name)

    def _of_config(self, config: str, split: str, bench: Bench) -> Questions | None:
        why = self.absent(config, split)
        if why is None:
            try:
                return load_questions(self.data, [config], split)
            except BaselineError as error:
                # The config and its split are there: it has no question on a row with pixels.
                why = str(error)
        bench.skip(f"{config} ({split})", why)
        return None


def _regime(name: str) -> Regime:
    known = regimes()
    if name not in known:
        raise BaselineError(f"no regime {name!r}; there are {', '.join(known)}")
    return known[name]


def _selected(recipe: Recipe, experiment: Experiment, members: tuple[Member, ...], regime: Regime) -> list[Trial]:
    strange = [row for row in experiment.rows if not 0 <= row < len(recipe.rows)]
    if strange:
        raise BaselineError(f"no row {strange[0]}: {recipe.title} has rows 0 to {len(recipe.rows) - 1}")
    others = [arm for arm in experiment.arms if arm not in recipe.arms]
    if others:
        raise BaselineError(f"no arm {others[0]}: {recipe.title} has {', '.join(recipe.arms)}")
    every = trials(recipe, members, regime, model=experiment.model)
    return [
        trial
        for trial in every
        if (not experiment.rows or trial.row in experiment.rows)
        and (not experiment.arms or trial.arm in experiment.arms)
    ]


def _contestant(
    trial: Trial,
    recipe: Recipe,
    regime: Regime,
    experiment: Experiment,
    supply: _Supply,
    bench: Bench,
    targets: dict[str, Target],
) -> Contestant | None:
    """Trains the model of a trial; None where the data hold no test, or nothing to train on."""
    with bench.timed("loading"):
        asked = _asked(trial, recipe, experiment, supply, bench)
        learnt = [_drawn(draw, recipe, supply, bench) for draw in trial.draws] if asked else []
    if not asked:
        return None
    what = f"row {trial.row} ({recipe.rows[trial.row].target.words}), {trial.arm}"
    parts = [part for part in learnt if part is not None]
    if trial.draws and not parts:
        bench.skip(what, "the dataset has none of its training questions")
        return None
    for task in asked:
        targets.setdefault(task, _target(trial, recipe, supply, bench))
    if not parts:
        return Contestant(trial.model, None, asked)
    training = _training(trial.model, regime, experiment)
    folder = trained(joined(*parts), training, bench)
    return Contestant(str(folder), (training, folder), asked)


def _asked(trial: Trial, recipe: Recipe, experiment: Experiment, supply: _Supply, bench: Bench) -> dict[str, Questions]:
    every = supply.tests(trial.test, bench)
    row = recipe.rows[trial.row]
    if every is None:
        bench.skip(f"row {trial.row} ({row.target.words})", "the dataset has no test question of its target")
        return {}
    name = PREFIX + (trial.test[0] if len(trial.test) == 1 else f"subset_{row.target.subset}")
    with_options = pc.greater(pc.list_value_length(every.table["options"]), 0)
    parts = {name: with_options, name + BOXES_SUFFIX: pc.invert(with_options)}
    tables = {task: every.with_table(every.table.filter(mask)) for task, mask in parts.items()}
    asked = {task: questions for task, questions in tables.items() if len(questions)}
    if experiment.limit is None:
        return asked
    return {task: drawn(each, min(experiment.limit, len(each)), "test") for task, each in asked.items()}


def _drawn(draw: Draw, recipe: Recipe, supply: _Supply, bench: Bench) -> Questions | None:
    if draw.limit is not None:
        return supply.sample(draw.configs, draw.limit, bench)
    measure = supply.sample(draw.as_many_as, recipe.per_subset, bench)
    if measure is None:
        return None
    return supply.drawn(draw.configs, len(measure), "as many as " + ", ".join(draw.as_many_as), bench)


def _target(trial: Trial, recipe: Recipe, supply: _Supply, bench: Bench) -> Target:
    def lessons() -> Lessons:
        every = supply.questions(trial.test, "train", bench)
        sample = supply.sample(trial.test, recipe.per_subset, bench)
        if every is None or sample is None:
            # A target without training rows: controls guess.
            nothing = Questions(QUESTION.empty_table(), supply.data)
            return Lessons(nothing, nothing)
        return Lessons(*(_choices(questions) for questions in (every, sample)))

    origin = {"data": resolved(supply.data), "configs": trial.test, "per_subset": recipe.per_subset}
    return Target(lessons, origin)


def _choices(questions: Questions) -> Questions:
    return questions.with_table(questions.table.filter(pc.greater(pc.list_value_length(questions.table["options"]), 0)))


def _training(model: str, regime: Regime, experiment: Experiment) -> Training:
    return Training(
        model,
        epochs=regime.epochs,
        max_steps=experiment.max_steps,
        batch_size=regime.batch_size,
        device_batch_size=experiment.device_batch_size,
        learning_rate=regime.learning_rate,
        lora=None if regime.lora is None else Lora(**regime.lora.model_dump()),
        workers=experiment.workers,
        seed=experiment.seed,
    )


def _with_untrained(
    entered: Sequence[tuple[Trial, Contestant]], seed: int, bench: Bench
) -> list[tuple[Trial, Contestant]]:
    """Puts a folder in the place of the name ``tiny`` where nothing is trained: its weights must be made."""
    plain = [each for _, each in entered if each.training is None and each.model == TINY]
    if not plain:
        return list(entered)
    asked = {task: questions for each in plain for task, questions in each.asked.items()}
    folder = untrained_tiny([asked[task] for task in sorted(asked)], seed, bench)
    return [(trial, replace(each, model=str(folder)) if each in plain else each) for trial, each in entered]


def _outcome(trial: Trial, recipe: Recipe, contestant: Contestant, scores: Mapping[str, Path], out: Path) -> Outcome:
    row: Row = recipe.rows[trial.row]
    folders = {path.relative_to(out).as_posix() for path in scores.values()}
    training = contestant.training
    trained_on = 0 if training is None else int(runs.read_json(training[1] / runs.RUN_FILE)["settings"]["questions"])
    return Outcome(
        row=trial.row,
        target=row.target.words,
        subset=row.target.subset,
        arm=trial.arm,
        backbone=trial.backbone,
        model=trial.model,
        stands_for=recipe.backbones[trial.backbone].stands_for,
        amount=trial.amount,
        left_out=trial.left_out,
        paper=trial.paper,
        trained_on=trained_on,
        training=None if training is None else training[1].relative_to(out).as_posix(),
        scoring=folders.pop(),
        tasks=tuple(scores),
        parts=tuple(part.words for part in row.parts),
        held=row.held,
    )


def _done(folder: Path) -> bool:
    return (folder / runs.RUN_FILE).exists() and runs.read_json(folder / runs.RUN_FILE)["status"] == "done"


def _free_memory() -> None:
    import torch

    if torch.cuda.is_available():
        # Trainers refer to themselves: without this a second model of full size finds no room.
        gc.collect()
        torch.cuda.empty_cache()
