"""The smallest honest trial: ``tiny`` learns the demo's phantoms from nothing, in about a minute on two cores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from med_mat.baselines import runs
from med_mat.baselines.chance import chance_p_value
from med_mat.baselines.contest import SPOILT, Bench, Contestant, Say, Spoilt, Target, contest, trained
from med_mat.baselines.evidence import Lessons, correct_of, read_correct
from med_mat.baselines.outcomes import Outcome, Outcomes, write_outcomes
from med_mat.baselines.processes import this_process
from med_mat.baselines.questions import Data, Questions, load_questions, resolved
from med_mat.baselines.score import Scoring
from med_mat.baselines.train import Training
from med_mat.baselines.variants import ordered, within_source

if TYPE_CHECKING:
    from med_mat.card import Card
    from med_mat.registry import Registry

CONFIGS = ("brain_tumor_mri", "covid_ct")
"""The demo's sources whose labels are all offered in every question: each label keeps its letter."""

SMOKE = Training(
    "tiny",
    epochs=10.0,
    batch_size=16,
    learning_rate=1e-3,
    schedule="linear",
    warmup=0.05,
    gradient_checkpointing=False,
    log_steps=10,
    save_steps=1000,
    workers=1,
)
"""A learning rate for random weights, and epochs for few pictures."""

NAME = "smoke"
TASK = "med_mat_demo"
SIGNIFICANCE = 0.01


def smoke_questions(data: Data, cards: Mapping[str, Card], split: str) -> Questions:
    """Returns questions for one label of several, with the labels of the picture's own source in a fixed order.

    With the published options the demo could be answered without looking: of the labels of a subset, its few sources
    bear only some. Among the labels of one source, drawn equally often, nothing but the picture tells. The order is
    fixed because a random model needs far more than a minute to learn that a letter follows from the option's text;
    so this trial shows that pictures are learnt from, not that options are read.

    Args:
        data: A build of the demo.
        cards: Slug to card.
        split: ``train`` or ``test``.
    """
    return ordered(within_source(load_questions(data, CONFIGS, split, kinds=["choice"]), cards))


def build_demo(sources: Registry, folder: Path) -> Data:
    """Draws and builds the demo's sources that the trial is about, unless that is done."""
    from med_mat.build import build
    from med_mat.demo import TREES
    from med_mat.trees import write_tree

    built, state = folder / "med-mat", this_process()
    if state.is_main_process and not (built / "manifest.json").exists():
        for slug in CONFIGS:
            write_tree(TREES[slug](), folder / "raw" / slug, sources[slug].card)
        build(sources, folder / "raw", built, slugs=CONFIGS)
    state.wait_for_everyone()
    return Data(str(built))


def run_smoke(
    sources: Registry,
    out: Path,
    *,
    model: str = SMOKE.model,
    spoilt: Sequence[Spoilt] = (),
    seed: int = 0,
    max_steps: int | None = None,
    workers: int = SMOKE.workers,
    say: Say = lambda _: None,
) -> Outcomes | None:
    """Builds the demo, trains, scores, runs the controls and writes ``outcomes.json``.

    Args:
        sources: Sources of the package.
        out: The experiment's folder.
        model: What is trained.
        spoilt: Trainings to repeat on spoilt questions.
        seed: Of weights and order.
        max_steps: Stop each training after so many steps.
        workers: Processes that open and prepare pictures.
        say: Tells what is being done.

    Returns:
        What came of it; None in all processes but the first.

    Raises:
        BaselineError: As ``train`` and ``score``.
    """
    cards = {source.card.slug: source.card for source in sources}
    main = this_process().is_main_process
    bench = Bench(out.resolve(), Scoring(batch_size=32, workers=workers), say if main else lambda _: None)
    with bench.timed("building"):
        data = build_demo(sources, bench.out / "demo")
    questions = {split: smoke_questions(data, cards, split) for split in ("train", "test")}
    learnt, asked = questions["train"], questions["test"]
    training = replace(SMOKE, model=model, seed=seed, max_steps=max_steps, workers=workers)
    folder = trained(learnt, training, bench)
    contestant = Contestant(str(folder), (training, folder), {TASK: asked})
    target = Target(lambda: Lessons(learnt, learnt), {"training": runs.digest(learnt), "data": resolved(data)})
    # Options are the picture's own source's already.
    found = contest([contestant], {TASK: target}, None, spoilt, bench)
    if found is None:
        return None
    environment = runs.environment()
    scoring, run_folder = (path.relative_to(bench.out).as_posix() for path in (found.scores[0][TASK], folder))
    result = Outcomes(
        title="Smoke test: a tiny model learns drawn phantoms",
        table="none of the paper's",
        recipe=NAME,
        basis="published",
        regime=NAME,
        beside_paper=False,
        data=resolved(data),
        device=environment["device"],
        versions=environment["versions"],
        seconds={stage: round(seconds, 1) for stage, seconds in bench.seconds.items()},
        outcomes=(
            Outcome(
                row=0,
                target="Phantoms of the demo",
                subset="",
                arm="single_task",
                backbone=model,
                model=model,
                stands_for=None,
                amount=None,
                left_out=(),
                paper=None,
                trained_on=len(learnt),
                training=run_folder,
                scoring=scoring,
                tasks=(TASK,),
                parts=(),
                held=(),
            ),
        ),
        controls=found.controls,
        judged=found.judged,
        skipped=tuple(bench.skipped),
    )
    write_outcomes(bench.out, result)
    return result


def p_values(out: Path, outcomes: Outcomes) -> dict[str, float]:
    """Returns the probability of as many right answers by guessing: of the model, and of each spoilt training."""
    (outcome,) = outcomes.outcomes
    predictions = runs.read_predictions(out / outcome.scoring)
    offered = dict(zip(predictions["id"].to_pylist(), map(len, predictions["options"].to_pylist()), strict=True))
    answers = {"model": correct_of(out / outcome.scoring, TASK)}
    spoilt = {name for name, _ in SPOILT.values()}
    answers |= {each.name: read_correct(out / each.predictions) for each in outcomes.controls if each.name in spoilt}
    return {
        name: chance_p_value(list(correct.values()), [offered[each] for each in correct])
        for name, correct in answers.items()
    }


def complaints(found: Mapping[str, float]) -> list[str]:
    """Returns what is wrong: a model that does not beat guessing, or a spoilt training that does.

    Args:
        found: Of ``p_values``.
    """
    wrong = []
    for name, p_value in found.items():
        beats = p_value < SIGNIFICANCE
        if name == "model" and not beats:
            wrong.append(f"the model does not beat guessing (p = {p_value:.2g}, expected below {SIGNIFICANCE})")
        if name != "model" and beats:
            wrong.append(f"training on {name} beats guessing (p = {p_value:.2g}): something else tells the answers")
    return wrong
