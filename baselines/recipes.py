"""Recipes: the experiments of the paper's tables as YAML, and the trials that each comes to.

A recipe says what is trained on what and tested on what, and what the paper measured. Which data are related or not is
computed from triplets (``related``), so a recipe lists none of it. A trial is one training and one test; trials with
equal ``key`` train the same model, so that what is done need not be done again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from med_mat.baselines.errors import BaselineError
from med_mat.baselines.related import CLASSIFICATION, ELEMENTS, Element, Member, of_subset, relations
from med_mat.baselines.sampling import PER_SUBSET
from med_mat.vocabulary import load_yaml, subsets

Arm = Literal[
    "baseline",
    "single_task",
    "multi_task",
    "combination",
    "baseline_plus",
    "all_related",
    "all_unrelated",
    "without_modality",
    "without_area",
    "without_task",
    "limited",
    "limited_with_related",
]
"""What a model is trained on before a row's target is tested.

``baseline``: nothing. ``single_task``: the target. ``multi_task``: all subsets that the recipe names. ``combination``:
the row's parts. ``baseline_plus``: as many unrelated questions as the combination has, drawn by hash.
``all_related``, ``all_unrelated``: all of them. ``without_…``: the related ones that do not share that element.
``limited``, ``limited_with_related``: so many questions of the target, alone or beside all related ones.
"""

_REGIMES = "regimes"
_WITHOUT: dict[Arm, Element] = {
    "without_modality": "modality",
    "without_area": "area",
    "without_task": "task",
}
_LIMITED: tuple[Arm, ...] = ("limited", "limited_with_related")

Number = Annotated[str, Field(pattern=r"^\d\d$")]
Percent = Annotated[float, Field(ge=0, le=100)]
Text = Annotated[str, Field(min_length=1)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LoraSettings(_Model):
    """As ``train.Lora``."""

    rank: int = Field(ge=1)
    alpha: int = Field(ge=1)
    dropout: float = Field(ge=0, lt=1)


class Regime(_Model):
    """How a model is fine-tuned.

    Attributes:
        epochs: Times that each question is seen.
        batch_size: Questions a step, over all devices.
        learning_rate: At its highest.
        lora: None trains all weights.
        beside_paper: Whether results may stand beside the paper's, which trained all weights.
    """

    epochs: float = Field(gt=0)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    lora: LoraSettings | None = None
    beside_paper: bool

    @model_validator(mode="after")
    def _lora_is_not_the_papers(self) -> Regime:
        if self.lora is not None and self.beside_paper:
            raise ValueError("the paper trained all weights: LoRA cannot stand beside its figures")
        return self


class Backbone(_Model):
    """A model.

    Attributes:
        model: Hub id or folder.
        stands_for: The paper's model, where another stands in for it; results are labelled so.
    """

    model: Text
    stands_for: Text | None = None


class Part(_Model):
    """A subset as a table names it.

    Attributes:
        words: As printed.
        subset: The subset that these words are taken for.
        used_as: The task word under which the table uses it; None for all of the subset's.
    """

    words: Text
    subset: Number
    used_as: Text | None = None

    @model_validator(mode="after")
    def _is_a_subset(self) -> Part:
        known = subsets().get(self.subset)
        if known is None:
            raise ValueError(f"subset {self.subset} is not one of the {len(subsets())} published ones")
        if self.used_as is not None and self.used_as not in known.elements:
            raise ValueError(f"subset {self.subset} is used as {self.used_as!r}, it has {', '.join(known.elements)}")
        return self


class Row(_Model):
    """A line of a table.

    Attributes:
        target: What is tested.
        parts: What is combined to reach it; empty where the arms need none.
        held: Elements that all share, as printed.
        backbone: Key of the recipe's backbones; None for all of them.
        paper: Arm to the accuracy that the paper printed, in percent.
        note: What a reader should know of the line.
    """

    target: Part
    parts: tuple[Part, ...] = ()
    held: tuple[Element, ...] = ()
    backbone: Text | None = None
    paper: Mapping[Arm, Percent] = {}
    note: Text | None = None


class Recipe(_Model):
    """A table of the paper as experiments.

    Attributes:
        title: What it shows.
        table: Which table or figure of the paper.
        backbones: Name in the paper to model.
        arms: What is trained.
        rows: What is tested.
        multi_task: Subsets that the multi-task model is trained on; all together.
        amounts: Numbers of questions of the target, for the limited arms.
        per_subset: Most training questions per subset, labels balanced.
    """

    title: Text
    table: Text
    backbones: Annotated[Mapping[str, Backbone], Field(min_length=1)]
    arms: Annotated[tuple[Arm, ...], Field(min_length=1)]
    rows: Annotated[tuple[Row, ...], Field(min_length=1)]
    multi_task: tuple[Number, ...] = ()
    amounts: tuple[Annotated[int, Field(ge=0)], ...] = ()
    per_subset: int = Field(default=PER_SUBSET, ge=1)

    @model_validator(mode="after")
    def _fits_together(self) -> Recipe:
        for row in self.rows:
            if row.backbone is not None and row.backbone not in self.backbones:
                raise ValueError(f"row {row.target.words}: no backbone {row.backbone!r}")
            if {"combination", "baseline_plus"} & set(self.arms) and not row.parts:
                raise ValueError(f"row {row.target.words}: nothing to combine")
            strange = set(row.paper) - set(self.arms)
            if strange:
                raise ValueError(f"row {row.target.words}: figures of {', '.join(sorted(strange))}, which is no arm")
        if bool(self.multi_task) != ("multi_task" in self.arms):
            raise ValueError("multi_task names subsets where it is an arm, and only there")
        if bool(self.amounts) != bool(set(_LIMITED) & set(self.arms)):
            raise ValueError("amounts stand where a limited arm does, and only there")
        return self


@dataclass(frozen=True, slots=True)
class Draw:
    """Training questions that a trial takes.

    Attributes:
        configs: Configs that they are of.
        limit: Most per subset, label-balanced (``sampling.training_ids``); None for as many as ``as_many_as`` gives,
            drawn whatever their labels (``sampling.drawn``).
        as_many_as: Configs whose label-balanced sample says how many are drawn.
    """

    configs: tuple[str, ...]
    limit: int | None
    as_many_as: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trial:
    """One training and one test.

    Attributes:
        row: Place of the row in the recipe, from 0.
        arm: What is trained on.
        backbone: Key of the recipe's backbones.
        model: What is fine-tuned.
        draws: Training questions; empty for none.
        test: Configs whose test split is asked.
        amount: Questions of the target, for the limited arms.
        left_out: Configs of the row's parts that the chosen triplets show not to be related to the target.
        paper: The paper's accuracy in percent, where it may stand beside this trial's.
        key: 16 hex digits that are equal where the same model is trained on the same questions in the same way.
    """

    row: int
    arm: Arm
    backbone: str
    model: str
    draws: tuple[Draw, ...]
    test: tuple[str, ...]
    amount: int | None
    left_out: tuple[str, ...]
    paper: float | None
    key: str


def recipe_names() -> tuple[str, ...]:
    """Names the recipes that come with the package."""
    names = [entry.name.removesuffix(".yaml") for entry in _folder().iterdir() if entry.name.endswith(".yaml")]
    return tuple(sorted(name for name in names if name != _REGIMES))


def load_recipe(name: str) -> Recipe:
    """Reads a recipe of the package.

    Raises:
        BaselineError: There is none of that name, or it is not what a recipe must be.
    """
    if name not in recipe_names():
        raise BaselineError(f"no recipe {name!r}; there are {', '.join(recipe_names())}")
    return parse_recipe(_folder().joinpath(f"{name}.yaml").read_text(encoding="utf-8"), f"{name}.yaml")


def parse_recipe(text: str, name: str) -> Recipe:
    """Reads a recipe.

    Args:
        text: YAML.
        name: What errors call it.

    Raises:
        BaselineError: It is not what a recipe must be.
    """
    try:
        return Recipe.model_validate(load_yaml(text))
    except (yaml.YAMLError, ValidationError) as error:
        raise BaselineError(f"recipe {name}: {error}") from None


def regimes() -> dict[str, Regime]:
    """Returns the ways of fine-tuning: ``full`` with the paper's hyperparameters, and ``lora``."""
    listed = load_yaml(_folder().joinpath(f"{_REGIMES}.yaml").read_text(encoding="utf-8"))
    if not isinstance(listed, dict):
        raise BaselineError(f"{_REGIMES}.yaml: expected a mapping of names to settings")
    try:
        return {name: Regime.model_validate(settings) for name, settings in listed.items()}
    except ValidationError as error:
        raise BaselineError(f"{_REGIMES}.yaml: {error}") from None


def trials(recipe: Recipe, members: Sequence[Member], regime: Regime, *, model: str | None = None) -> list[Trial]:
    """Works out what a recipe comes to.

    Args:
        recipe: The recipe.
        members: ``published_members`` or ``corrected_members``, of all kinds that the recipe's parts have.
        regime: How models are fine-tuned.
        model: Stands in for every backbone; then no figure of the paper stands beside it.

    Returns:
        Row by row, arm by arm. A row that is open to several backbones gives trials for each; with ``model``, rows
        that differ in the backbone alone give the same trial each, with one key.

    Raises:
        BaselineError: There are no members of a subset that is to be trained or tested.
    """
    found = []
    for place, row in enumerate(recipe.rows):
        backbones = [row.backbone] if row.backbone is not None else list(recipe.backbones)
        for backbone in backbones:
            for arm in recipe.arms:
                for amount in recipe.amounts if arm in _LIMITED else (None,):
                    found.append(_trial(recipe, place, arm, backbone, amount, members, regime, model))
    return found


def _trial(
    recipe: Recipe,
    place: int,
    arm: Arm,
    backbone: str,
    amount: int | None,
    members: Sequence[Member],
    regime: Regime,
    model: str | None,
) -> Trial:
    row, entry = recipe.rows[place], recipe.backbones[backbone]
    trained = model or entry.model
    parts, left_out = _parts(row, members)
    draws = _draws(recipe, row, arm, amount, parts, members)
    comparable = model is None and (regime.beside_paper or not draws) and entry.stands_for is None
    # Without training there is nothing that a regime could change.
    settings = regime.model_dump(exclude={"beside_paper"}) if draws else None
    content = {"model": trained, "regime": settings, "draws": [asdict(draw) for draw in draws]}
    return Trial(
        row=place,
        arm=arm,
        backbone=backbone,
        model=trained,
        draws=draws,
        test=_configs(members, row.target.subset),
        amount=amount,
        left_out=left_out if arm in ("combination", "baseline_plus") else (),
        paper=row.paper.get(arm) if comparable else None,
        key=_key(content),
    )


def _draws(
    recipe: Recipe, row: Row, arm: Arm, amount: int | None, parts: tuple[str, ...], members: Sequence[Member]
) -> tuple[Draw, ...]:
    seen = relations([member for member in members if member.kind in CLASSIFICATION], row.target.subset)
    target = _configs(members, row.target.subset)
    wanted: tuple[Draw, ...]
    if arm == "baseline":
        wanted = ()
    elif arm == "single_task":
        wanted = (Draw(target, recipe.per_subset),)
    elif arm == "multi_task":
        configs = tuple(config for subset in recipe.multi_task for config in _configs(members, subset))
        wanted = (Draw(configs, recipe.per_subset),)
    elif arm == "combination":
        wanted = (Draw(parts, recipe.per_subset),)
    elif arm == "baseline_plus":
        wanted = (Draw(seen.unrelated, None, parts),) if parts else ()
    elif arm == "all_related":
        wanted = (Draw(seen.related, recipe.per_subset),)
    elif arm == "all_unrelated":
        wanted = (Draw(seen.unrelated, recipe.per_subset),)
    elif arm in _WITHOUT:
        wanted = (Draw(seen.without(_WITHOUT[arm]), recipe.per_subset),)
    else:
        own = (Draw(target, amount),) if amount else ()
        wanted = own if arm == "limited" else (*own, Draw(seen.related, recipe.per_subset))
    return tuple(draw for draw in wanted if draw.configs)


def _parts(row: Row, members: Sequence[Member]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the configs of a row's parts: those related to the target as the row uses both, and the others."""
    target = _as_used(row.target, members)
    kept: list[str] = []
    left_out: list[str] = []
    for part in row.parts:
        for member in _as_used(part, members):
            common = [member.shared(other) for other in target]
            own = any(len(each) == len(ELEMENTS) for each in common)
            (kept if any(common) and not own else left_out).append(member.config)
    # Sorted: the same parts in another order are the same training.
    return tuple(sorted(set(kept))), tuple(sorted(set(left_out)))


def _as_used(part: Part, members: Sequence[Member]) -> list[Member]:
    _configs(members, part.subset)
    found = [member for member in members if member.subset == part.subset]
    if part.used_as is None:
        return found
    return [replace(member, elements=frozenset({part.used_as})) for member in found]


def _configs(members: Sequence[Member], subset: str) -> tuple[str, ...]:
    found = of_subset(members, subset)
    if not found:
        raise BaselineError(f"no data of subset {subset}: of the kinds that were asked for, no member is of it")
    return found


def _key(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _folder() -> Any:
    return files("med_mat.baselines").joinpath("recipes")
