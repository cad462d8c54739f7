"""Every recipe on the whole catalogue, built from fixtures: two steps, scored, checked, judged, reported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from source_fixture import SLUGS, load_fixture
from typer.testing import CliRunner

from med_mat.baselines import outcomes as named
from med_mat.baselines import runs
from med_mat.baselines.errors import BaselineError
from med_mat.baselines.experiment import Experiment, run
from med_mat.baselines.outcomes import Outcomes, read_outcomes, write_outcomes
from med_mat.baselines.questions import Data
from med_mat.baselines.recipes import Recipe, load_recipe, parse_recipe, recipe_names
from med_mat.baselines.report import write_report
from med_mat.build import build
from med_mat.card import Card
from med_mat.cli import app
from med_mat.errors import MedMatError
from med_mat.registry import Registry
from med_mat.trees import write_tree

ROWS = {"compositional_pairs": (4,), "detection_to_classification": (2,), "three_sources": (4,)}
ALWAYS = {named.CLASS_PRIOR, named.FILE_FACTS, named.NEAREST_NEIGHBOUR}
OF_A_MODEL = {named.NO_PICTURE, named.BLANK_PICTURE, named.WITHIN_SOURCE}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def catalogue(sources: Registry, tmp_path_factory: pytest.TempPathFactory) -> Data:
    folder = tmp_path_factory.mktemp("catalogue")
    for slug in SLUGS:
        write_tree(load_fixture(slug).contents(), folder / "raw" / slug, sources[slug].card)
    build(sources, folder / "raw", folder / "med-mat", salt=b"test", cache=folder / "cache")
    return Data(str(folder / "med-mat"))


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all: recipes share what they can."""
    return tmp_path_factory.mktemp("experiments")


def quick(data: Data, **changed: Any) -> Experiment:
    plain = Experiment(data, model="tiny", rows=(0,), max_steps=2, batch_size=32, limit=6, workers=0)
    return replace(plain, **changed)


def done(recipe: Recipe, name: str, experiment: Experiment, cards: dict[str, Card], out: Path) -> Outcomes:
    found = run(recipe, name, experiment, cards, out)
    assert found is not None
    assert read_outcomes(out) == found
    return found


def folders(out: Path) -> set[Path]:
    """The run folders of an experiment."""
    return {path.parent for path in out.glob(f"*/*/{runs.RUN_FILE}")}


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_trains_scores_and_fills_its_report(
    name: str, catalogue: Data, cards: dict[str, Card], out: Path
) -> None:
    recipe = load_recipe(name)
    rows = ROWS.get(name, (0,))
    found = done(recipe, name, quick(catalogue, rows=rows), cards, out)
    assert {outcome.arm for outcome in found.outcomes} == set(recipe.arms)
    assert {outcome.row for outcome in found.outcomes} == set(rows)
    assert not found.beside_paper
    for outcome in found.outcomes:
        untrained = outcome.arm == "baseline" or (outcome.arm == "limited" and outcome.amount == 0)
        assert (outcome.training is None) == untrained == (outcome.trained_on == 0)
        if outcome.training is not None:
            assert runs.read_json(out / outcome.training / runs.METRICS_FILE)["steps"] == 2
            assert len(runs.read_questions(out / outcome.training / runs.QUESTIONS_FILE)) == outcome.trained_on
        scored = runs.read_predictions(out / outcome.scoring)
        assert set(outcome.tasks) <= set(scored["model_task"].to_pylist())
        subsets = {row["subset"] for row in scored.to_pylist() if row["model_task"] in outcome.tasks}
        assert subsets == {outcome.subset}
    tasks = {task for outcome in found.outcomes for task in outcome.tasks}
    for task in tasks:
        about = {each.name: each for each in found.controls if each.task == task}
        assert set(about) >= ALWAYS | OF_A_MODEL
        asked = [row["id"] for row in runs.read_predictions(out / found.outcomes[0].scoring).to_pylist()]
        answered = pq.read_table(out / about[named.CLASS_PRIOR].predictions)["id"].to_pylist()
        assert set(answered) <= set(asked)
    assert {each.task for each in found.judged} == tasks
    models = {outcome.scoring for outcome in found.outcomes if outcome.training is not None}
    assert {each.model for each in found.judged} <= models
    page = write_report(out).read_text(encoding="utf-8")
    assert recipe.title in page
    for outcome in found.outcomes:
        assert outcome.target in page


def test_corrected_triplets_test_the_sources_of_a_subset(catalogue: Data, cards: dict[str, Card], out: Path) -> None:
    recipe = load_recipe("in_distribution")
    found = done(
        recipe, "in_distribution", quick(catalogue, basis="corrected", rows=(1,), arms=("single_task",)), cards, out
    )
    (outcome,) = found.outcomes
    scored = [
        row for row in runs.read_predictions(out / outcome.scoring).to_pylist() if row["model_task"] in outcome.tasks
    ]
    assert {row["subset"] for row in scored} == {"03"}
    assert all(row["picture"].startswith(f"{row['source']}/test/") for row in scored)


MINE = """
title: mine
table: none
backbones: {tiny: {model: tiny}}
arms: [single_task, combination]
rows:
  - {target: {words: Kidney, subset: "02"}, parts: [{words: COVID, subset: "03"}]}
"""


@pytest.fixture(scope="module")
def one_source(sources: Registry, tmp_path_factory: pytest.TempPathFactory) -> Data:
    folder = tmp_path_factory.mktemp("one")
    write_tree(load_fixture("ct_kidney").contents(), folder / "raw" / "ct_kidney", sources["ct_kidney"].card)
    build(sources, folder / "raw", folder / "med-mat", slugs=["ct_kidney"])
    return Data(str(folder / "med-mat"))


def test_what_is_done_is_not_done_again(one_source: Data, cards: dict[str, Card], tmp_path: Path) -> None:
    recipe = load_recipe("in_distribution")
    first = done(recipe, "in_distribution", quick(one_source, arms=("single_task",)), cards, tmp_path)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/*/*") if path.is_file()}
    again = done(recipe, "in_distribution", quick(one_source, arms=("single_task",), workers=1), cards, tmp_path)
    assert again.outcomes == first.outcomes
    assert again.judged == first.judged
    kept = {path: path.stat().st_mtime_ns for path in written}
    of_models = [path for path in written if path.parts[-3] in ("models", "scores")]
    assert len(of_models) >= 10
    assert all(kept[path] == written[path] for path in of_models)
    # One more arm is one more scoring; the trained model is not asked again.
    more = done(recipe, "in_distribution", quick(one_source, arms=("baseline", "single_task")), cards, tmp_path)
    assert more.outcomes[1] == first.outcomes[0]
    before = {path.parent for path in written if path.name == runs.RUN_FILE}
    assert folders(tmp_path) - before == {tmp_path / more.outcomes[0].scoring}


def test_spoilt_trainings_are_controls_of_the_strongest_model(
    one_source: Data, cards: dict[str, Card], tmp_path: Path
) -> None:
    experiment = quick(one_source, arms=("single_task",), spoilt=("shuffled", "permuted"))
    found = done(load_recipe("in_distribution"), "in_distribution", experiment, cards, tmp_path)
    (outcome,) = found.outcomes
    spoilt = [each for each in found.controls if each.name in (named.SHUFFLED_ANSWERS, named.PERMUTED_PICTURES)]
    assert [each.model for each in spoilt] == [outcome.scoring] * 2
    assert len(list(tmp_path.glob("models/*"))) == 3
    learnt = runs.read_questions(tmp_path / str(outcome.training) / runs.QUESTIONS_FILE).table
    pictures = []
    for path in tmp_path.glob("models/*"):
        if path != tmp_path / str(outcome.training):
            table = runs.read_questions(path / runs.QUESTIONS_FILE).table
            assert table["id"].to_pylist() == learnt["id"].to_pylist()
            pictures.append(table["picture"].to_pylist() == learnt["picture"].to_pylist())
    assert sorted(pictures) == [False, True]


def test_what_a_small_build_lacks_is_named(one_source: Data, cards: dict[str, Card], tmp_path: Path) -> None:
    recipe = parse_recipe(MINE, "mine.yaml")
    said: list[str] = []
    found = run(recipe, "mine", quick(one_source, model=None), cards, tmp_path, said.append)
    assert found is not None
    assert [outcome.arm for outcome in found.outcomes] == ["single_task"]
    left_out = {each.what: each.why for each in found.skipped}
    assert left_out["subset_03 (train)"] == "the dataset has no such config"
    assert left_out["row 0 (Kidney), combination"] == "the dataset has none of its training questions"
    assert any("combination" in line for line in said)
    with pytest.raises(BaselineError, match=r"holds none of what is asked of recipe out_of_distribution: subset_01 \("):
        run(load_recipe("out_of_distribution"), "out_of_distribution", quick(one_source), cards, tmp_path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"rows": (1,)}, "no row 1: mine has rows 0 to 0"),
        ({"arms": ("multi_task",)}, "no arm multi_task: mine has single_task, combination"),
        ({"regime": "half"}, "no regime 'half'; there are full, lora"),
    ],
)
def test_what_a_recipe_does_not_have(
    changed: dict[str, object], message: str, one_source: Data, cards: dict[str, Card], tmp_path: Path
) -> None:
    with pytest.raises(BaselineError, match=message):
        run(parse_recipe(MINE, "mine.yaml"), "mine", quick(one_source, **changed), cards, tmp_path)


def test_the_command_runs_a_recipe_of_ones_own(one_source: Data, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(MINE, encoding="utf-8")
    asked = ["--data", one_source.location, "--out", tmp_path / "out", "--row", 0, "--arm", "single_task"]
    asked += ["--regime", "lora", "--seed", 3, "--max-steps", 2, "--limit", 2, "--workers", 0, "--batch-size", 4]
    done = CliRunner().invoke(app, list(map(str, ["baselines", "run", tmp_path / "mine.yaml", *asked])))
    assert done.exit_code == 0, done.output
    found = read_outcomes(tmp_path / "out")
    assert (found.recipe, found.regime, found.basis, found.beside_paper) == ("mine", "lora", "published", False)
    (outcome,) = found.outcomes
    settings = runs.read_json(tmp_path / "out" / str(outcome.training) / runs.RUN_FILE)["settings"]
    assert (settings["seed"], settings["max_steps"], settings["lora"]["rank"]) == (3, 2, 16)
    assert runs.read_predictions(tmp_path / "out" / outcome.scoring).num_rows == 2
    assert (tmp_path / "out" / "report" / "index.html").exists()
    assert "Kidney" in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["in_distribution"], "only `smoke` draws its own"),
        (["smoke", "--data", "x"], "smoke has one row"),
        (["in_distribution", "--data", "x", "--arm", "guess"], "'guess': expected one of baseline"),
        (["in_distribution", "--data", "x", "--controls", "none"], "'none': expected shuffled or permuted"),
    ],
)
def test_options_that_do_not_fit(arguments: list[str], message: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["baselines", "run", *arguments, "--out", str(tmp_path)])
    assert done.exit_code == 2
    assert message in " ".join(done.output.replace("│", " ").split())


def test_recipes_that_are_not_there(one_source: Data, tmp_path: Path) -> None:
    for name, message in (("kidneys", "no recipe 'kidneys'; there are"), ("kidneys.yaml", "Expected a YAML file")):
        done = CliRunner().invoke(
            app, ["baselines", "run", name, "--data", one_source.location, "--out", str(tmp_path)]
        )
        assert isinstance(done.exception, MedMatError)
        assert message in str(done.exception)


def test_outcomes_of_another_version_are_an_error(tmp_path: Path, out: Path) -> None:
    with pytest.raises(BaselineError, match=r"has no outcomes\.json"):
        read_outcomes(tmp_path)
    found = read_outcomes(out)
    write_outcomes(tmp_path, found)
    assert read_outcomes(tmp_path) == found
    plain = runs.read_json(tmp_path / "outcomes.json")
    runs.write_json(tmp_path / "outcomes.json", {**plain, "mood": "good"})
    with pytest.raises(BaselineError, match="mood"):
        read_outcomes(tmp_path)
