"""Experiments: the trials of a recipe trained, scored, checked by controls and judged, in one folder.

Recipes that share a folder share models, see ``contest``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import pyarrow as pa
import pyarrow.compute as pc

from med_mat.baselines import runs
from med_mat.baselines.contest import Bench, Contestant, Say, Spoilt, Target, contest, trained, untrained_tiny
from med_mat.baselines.errors import BaselineError
from med_mat.baselines.evidence import (
    Lessons,
)
from med_mat.baselines.models import TINY
from med_mat.baselines.outcomes import Outcome, Outcomes, write_outcomes
from med_mat.baselines.processes import this_process
from med_mat.baselines.questions import QUESTION, Data, Questions, config_names, load_questions, resolved, split_names
from med_mat.baselines.recipes import Arm, Draw, Recipe, Regime, Row, Trial, regimes, trials
from med_mat.baselines.related import Basis, Member, corrected_members, published_members
from med_mat.baselines.sampling import chosen, drawn, training_ids
from med_mat.baselines.score import Scoring
from med_mat.baselines.statistics import accuracy, macro_accuracy
from med_mat.baselines.tasks import BOXES_SUFFIX, PREFIX
from med_mat.baselines.train import Lora, Training
from med_mat.baselines.variants import (
    joined,
)
from med_mat.vocabulary import Kind

if TYPE_CHECKING:
    from med_mat.card import Card


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
        beside_paper=regime.beside_paper and experiment.model is None and experiment.max_steps is None,
        data=data,
        device=environment["device"],
        versions=environment["versions"],
        seconds={stage: round(seconds, 1) for stage, seconds in bench.seconds.items()},
        outcomes=tuple(
            _outcome(trial, recipe, experiment, contestant, scores, bench.out)
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


def _outcome(
    trial: Trial,
    recipe: Recipe,
    experiment: Experiment,
    contestant: Contestant,
    scores: Mapping[str, Path],
    out: Path,
) -> Outcome:
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
        # A training that was cut short is not the paper's.
        paper=trial.paper if training is None or experiment.max_steps is None else None,
        trained_on=trained_on,
        training=None if training is None else training[1].relative_to(out).as_posix(),
        scoring=folders.pop(),
        tasks=tuple(scores),
        parts=tuple(part.words for part in row.parts),
        held=row.held,
    )
