from __future__ import annotations

from dataclasses import fields
from typing import get_args

import pytest

from med_mat.baselines.errors import BaselineError
from med_mat.baselines.recipes import Arm, Draw, Recipe, Trial, load_recipe, parse_recipe, recipe_names, regimes, trials
from med_mat.baselines.related import Member, corrected_members, published_members, relations
from med_mat.baselines.train import Lora, Training
from med_mat.registry import Registry
from med_mat.vocabulary import Kind

KINDS: tuple[Kind, ...] = get_args(Kind)
FULL = regimes()["full"]


@pytest.fixture(scope="module")
def published() -> tuple[Member, ...]:
    return published_members(KINDS)


@pytest.fixture(scope="module")
def corrected(sources: Registry) -> tuple[Member, ...]:
    return corrected_members([source.card for source in sources], KINDS)


def of(found: list[Trial], arm: Arm, row: int = 0) -> Trial:
    return next(trial for trial in found if trial.arm == arm and trial.row == row)


def small(**changed: object) -> str:
    recipe = {
        "title": "t",
        "table": "none",
        "backbones": "{x: {model: m}}",
        "arms": "[combination]",
        "rows": '[{target: {words: Lung, subset: "04"}, parts: [{words: a, subset: "03"}]}]',
        **changed,
    }
    return "\n".join(f"{name}: {value}" for name, value in recipe.items())


def test_there_is_a_recipe_for_every_table_of_the_paper() -> None:
    tables = {load_recipe(name).table for name in recipe_names()}
    assert tables == {"1", "2", "3", "4", "5, 6", "7, 8", "Figure 4", "limited-data study"}


def test_recipes_hold_the_papers_figures() -> None:
    # Means of the columns of the printed tables.
    def means(name: str) -> dict[str, float]:
        rows = load_recipe(name).rows
        return {arm: round(sum(row.paper[arm] for row in rows) / len(rows), 2) for arm in rows[0].paper}

    assert means("in_distribution") == {"baseline": 29.68, "single_task": 53.12, "multi_task": 79.84}
    assert means("out_of_distribution") == {"baseline": 30.5, "multi_task": 45.33}
    assert [len(load_recipe(name).rows) for name in ("compositional_pairs", "three_sources", "other_backbones")] == [
        43,
        9,
        16,
    ]


def test_a_subset_has_one_baseline_wherever_llava_is_asked() -> None:
    listed = {
        row.target.subset: row.paper["baseline"]
        for name in ("in_distribution", "out_of_distribution")
        for row in load_recipe(name).rows
    }
    for name in ("compositional_pairs", "three_sources"):
        for row in load_recipe(name).rows:
            printed = row.paper["baseline"] == listed[row.target.subset]
            assert printed or (row.note is not None and "baseline" in row.note.lower()), row


def test_every_recipe_comes_to_trials_on_published_triplets(published: tuple[Member, ...]) -> None:
    for name in recipe_names():
        recipe = load_recipe(name)
        found = trials(recipe, published, FULL)
        assert {trial.arm for trial in found} == set(recipe.arms)
        for trial in found:
            assert bool(trial.draws) == (trial.arm != "baseline" and not (trial.arm == "limited" and not trial.amount))
            # What the paper combined is related to its target, as the table uses both.
            assert trial.left_out == ()


def test_every_recipe_comes_to_trials_on_corrected_triplets(corrected: tuple[Member, ...]) -> None:
    for name in recipe_names():
        assert trials(load_recipe(name), corrected, FULL)
    # Row 63 shows MRI: of "X-ray, Bones" and "CT, Brain", X-ray no longer leads to it.
    recipe = load_recipe("compositional_pairs")
    place = next(place for place, row in enumerate(recipe.rows) if row.target.words == "X-ray, Brain")
    trial = of(trials(recipe, corrected, FULL), "combination", place)
    assert "bone_fracture_multi_region" in trial.left_out
    assert trial.test == ("brain_tumor_dataset",)


def test_multi_task_trains_once_for_all_rows_and_for_both_tables(published: tuple[Member, ...]) -> None:
    both = [*trials(load_recipe("in_distribution"), published, FULL)]
    both += trials(load_recipe("out_of_distribution"), published, FULL)
    assert len({trial.key for trial in both if trial.arm == "multi_task"}) == 1
    assert len({trial.key for trial in both if trial.arm == "single_task"}) == 25
    assert len({trial.key for trial in both if trial.arm == "baseline"}) == 1
    tested_only = {row.target.subset for row in load_recipe("out_of_distribution").rows}
    assert not tested_only & set(load_recipe("out_of_distribution").multi_task)


def test_baseline_plus_draws_as_many_unrelated_questions(published: tuple[Member, ...]) -> None:
    found = trials(load_recipe("compositional_pairs"), published, FULL)
    combination, plus = of(found, "combination"), of(found, "baseline_plus")
    assert combination.draws == (Draw(("subset_03", "subset_06"), 3000),)
    unrelated = relations(published_members(), "04").unrelated
    assert plus.draws == (Draw(unrelated, None, ("subset_03", "subset_06")),)
    assert (combination.paper, plus.paper) == (27, 25)


def test_figure_4_leaves_out_what_shares_an_element(published: tuple[Member, ...]) -> None:
    found = trials(load_recipe("all_related"), published, FULL)
    place = next(p for p, row in enumerate(load_recipe("all_related").rows) if row.target.subset == "04")
    related, without = of(found, "all_related", place).draws[0], of(found, "without_modality", place).draws[0]
    assert set(related.configs) - set(without.configs) == {"subset_02", "subset_03", "subset_05", "subset_06"}
    assert "subset_04" not in related.configs


def test_limited_data_starts_from_none(published: tuple[Member, ...]) -> None:
    found = [trial for trial in trials(load_recipe("limited_data"), published, FULL) if trial.row == 0]
    alone = [trial for trial in found if trial.arm == "limited"]
    assert [trial.amount for trial in alone] == [0, 100, 300, 1000, 3000]
    assert [sum(draw.limit or 0 for draw in trial.draws) for trial in alone] == [0, 100, 300, 1000, 3000]
    beside = [trial for trial in found if trial.arm == "limited_with_related"]
    assert [len(trial.draws) for trial in beside] == [1, 2, 2, 2, 2]


def test_only_the_papers_own_way_stands_beside_its_figures(published: tuple[Member, ...]) -> None:
    pairs = load_recipe("compositional_pairs")
    lora = trials(pairs, published, regimes()["lora"])
    assert {trial.paper for trial in lora if trial.arm != "baseline"} == {None}
    assert of(lora, "baseline").paper == 25  # nothing is trained there
    assert {trial.paper for trial in trials(pairs, published, FULL, model="tiny")} == {None}
    stand_in = trials(load_recipe("detection_to_classification"), published, FULL)
    assert {trial.paper for trial in stand_in} == {None}


def test_keys_follow_model_regime_and_questions(published: tuple[Member, ...]) -> None:
    recipe = load_recipe("other_backbones")
    full = [trial.key for trial in trials(recipe, published, FULL) if trial.arm == "combination"]
    assert len(full) == 16
    assert len(set(full)) == 12  # two pairs are each trained for two targets
    lora = {trial.key for trial in trials(recipe, published, regimes()["lora"]) if trial.arm == "combination"}
    assert not lora & set(full)
    tiny = {trial.key for trial in trials(recipe, published, FULL, model="tiny") if trial.arm == "combination"}
    assert len(tiny) == 6


def test_the_order_of_parts_makes_no_other_training(published: tuple[Member, ...]) -> None:
    keys = []
    for parts in (("03", "06"), ("06", "03")):
        listed = ", ".join(f'{{words: a, subset: "{subset}"}}' for subset in parts)
        rows = f'[{{target: {{words: Lung, subset: "04"}}, parts: [{listed}]}}]'
        keys += [trial.key for trial in trials(parse_recipe(small(rows=rows), "mine.yaml"), published, FULL)]
    assert len(keys) == 2
    assert len(set(keys)) == 1


def test_regimes_are_settings_of_a_training() -> None:
    known, of_lora = {field.name for field in fields(Training)}, {field.name for field in fields(Lora)}
    for regime in regimes().values():
        settings = regime.model_dump(exclude={"beside_paper"})
        assert set(settings) <= known
        assert set(settings["lora"] or ()) <= of_lora
    assert (FULL.epochs, FULL.batch_size, FULL.learning_rate, FULL.lora) == (5, 32, 5e-6, None)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"arms": "[guess]"}, "arms.0"),
        ({"extra": "1"}, "extra"),
        ({"rows": '[{target: {words: Lung, subset: "04"}}]'}, "nothing to combine"),
        ({"rows": '[{target: {words: Lung, subset: "77"}}]'}, "subset 77 is not one of the 53"),
        ({"rows": '[{target: {words: L, subset: "04", used_as: Level}}]', "arms": "[baseline]"}, "it has Cancer"),
        ({"rows": '[{target: {words: L, subset: "04"}, paper: {baseline: 120}}]', "arms": "[baseline]"}, "less than"),
        ({"rows": '[{target: {words: L, subset: "04"}, paper: {limited: 1}}]', "arms": "[baseline]"}, "is no arm"),
        ({"rows": '[{target: {words: L, subset: "04"}, backbone: y}]', "arms": "[baseline]"}, "no backbone 'y'"),
        ({"multi_task": '["02"]'}, "multi_task names subsets where it is an arm"),
        ({"arms": "[limited]"}, "amounts stand where a limited arm does"),
        ({"title": "[unclosed"}, "recipe mine.yaml"),
    ],
)
def test_a_recipe_that_does_not_fit_is_an_error(changed: dict[str, object], message: str) -> None:
    with pytest.raises(BaselineError, match=message):
        parse_recipe(small(**changed), "mine.yaml")


def test_a_recipe_of_ones_own() -> None:
    recipe = parse_recipe(small(), "mine.yaml")
    assert isinstance(recipe, Recipe)
    with pytest.raises(BaselineError, match="no data of subset 04"):
        trials(recipe, [], FULL)
    with pytest.raises(BaselineError, match="no recipe 'mine'; there are all_related"):
        load_recipe("mine")
