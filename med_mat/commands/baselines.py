"""``med-mat baselines``: fine-tune models on questions and score them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import typer

from med_mat.commands.options import CORES, AsJson, Loaders, open_registry, print_json, show

if TYPE_CHECKING:
    from med_mat.baselines.contest import Say, Spoilt
    from med_mat.baselines.experiment import Experiment
    from med_mat.baselines.outcomes import Outcomes
    from med_mat.baselines.questions import Kinds
    from med_mat.baselines.recipes import Arm, Recipe

Model = Annotated[
    str,
    typer.Option(help="Hub id, folder, run folder, `config:` and one of these for random weights, or `tiny`."),
]
DataLocation = Annotated[str, typer.Option("--data", help="Folder of a build, or dataset on the Hub.")]
Revision = Annotated[str | None, typer.Option(help="Commit, tag or branch of the dataset on the Hub.")]
KindNames = Annotated[
    list[str] | None,
    typer.Option("--kind", help="`all`, or a kind of question such as presence; may be repeated. Default: primary."),
]
_MOST_WORKERS = min(4, CORES)
Workers = Annotated[int, typer.Option(min=0, help="Processes that open and prepare pictures.")]

app = typer.Typer(
    help="Fine-tune and score models. Needs med-mat[baselines].", no_args_is_help=True, pretty_exceptions_enable=False
)


def register(root: typer.Typer) -> None:
    """Adds ``med-mat baselines``."""
    root.add_typer(app, name="baselines")


@app.command()
def train(
    model: Model,
    data: DataLocation,
    config: Annotated[list[str], typer.Option(help="Config to train on, such as subset_02; may be repeated.")],
    out: Annotated[Path, typer.Option(help="Run folder. A run that was stopped goes on; one that is done stays.")],
    split: Annotated[str, typer.Option(help="Split of the dataset.")] = "train",
    kind: KindNames = None,
    per_subset: Annotated[
        int | None, typer.Option(min=1, help="At most so many questions of a subset, labels balanced, by hash.")
    ] = 3000,
    revision: Revision = None,
    model_revision: Annotated[str | None, typer.Option(help="Commit, tag or branch of the model.")] = None,
    epochs: Annotated[float, typer.Option(help="Times that each question is seen.")] = 5.0,
    max_steps: Annotated[int | None, typer.Option(min=1, help="Stop after so many steps.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Questions a step, over all devices.")] = 32,
    device_batch_size: Annotated[int | None, typer.Option(min=1, help="Questions at once on a device.")] = None,
    learning_rate: Annotated[float, typer.Option(help="At its highest.")] = 5e-6,
    lora: Annotated[int | None, typer.Option(min=1, help="Rank of LoRA; all weights are trained without.")] = None,
    freeze_vision: Annotated[bool, typer.Option("--freeze-vision", help="Leave the vision tower as it is.")] = False,
    no_checkpointing: Annotated[
        bool, typer.Option("--no-checkpointing", help="Hold all activations: faster, and needs more memory.")
    ] = False,
    option_orders: Annotated[int, typer.Option(min=1, help="Orders of options that each question is put in.")] = 1,
    save_steps: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 200,
    workers: Workers = 4,
    seed: Annotated[int, typer.Option(help="Of weights and order.")] = 0,
) -> None:
    """Fine-tune a model on questions. For several GPUs: see baselines/README.md."""
    _need_extra()
    from med_mat.baselines.questions import Data, load_questions
    from med_mat.baselines.train import Lora, Training
    from med_mat.baselines.train import train as run
    from med_mat.baselines.variants import balanced

    questions = load_questions(Data(data, revision), config, split, kinds=_kinds(kind))
    if per_subset is not None:
        questions = balanced(questions, per_subset)
    training = Training(
        model,
        model_revision=model_revision,
        epochs=epochs,
        max_steps=max_steps,
        batch_size=batch_size,
        device_batch_size=device_batch_size,
        learning_rate=learning_rate,
        lora=None if lora is None else Lora(rank=lora, alpha=2 * lora),
        freeze_vision=freeze_vision,
        gradient_checkpointing=not no_checkpointing,
        option_orders=option_orders,
        save_steps=save_steps,
        workers=workers,
        seed=seed,
    )
    run(questions, training, out)
    show(
        f"{out}: trained on {len(questions)} questions; {out / 'model'} is what `baselines score --model {out}` scores."
    )


@app.command(context_settings={"allow_extra_args": True})
def score(
    context: typer.Context,
    model: Model,
    data: DataLocation,
    tasks: Annotated[
        str, typer.Option(help="med_mat for all subsets, med_mat_subset_02, med_mat_ct_kidney, …; commas.")
    ],
    out: Annotated[Path, typer.Option(help="Scoring folder. A run that is done stays.")],
    split: Annotated[str, typer.Option(help="Split of the dataset.")] = "test",
    kind: KindNames = None,
    revision: Revision = None,
    model_revision: Annotated[str | None, typer.Option(help="Commit, tag or branch of the model.")] = None,
    generate: Annotated[
        bool, typer.Option("--generate", help="Look for a letter in generated text, as the paper did.")
    ] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Questions at once on a device.")] = 8,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many questions of each task.")] = None,
    workers: Workers = 4,
    as_json: AsJson = False,
) -> None:
    """Score a model with lm-eval. What stands behind `--` goes to lm-eval as it is."""
    _need_extra()
    from med_mat.baselines.questions import Data
    from med_mat.baselines.runs import METRICS_FILE, read_json
    from med_mat.baselines.score import Scoring
    from med_mat.baselines.score import score as run
    from med_mat.baselines.tasks import tasks_of

    asked = tasks_of(Data(data, revision), tasks.split(","), split=split, kinds=_kinds(kind))
    scoring = Scoring(
        method="generation" if generate else "letters",
        batch_size=batch_size,
        workers=workers,
        model_revision=model_revision,
        limit=limit,
    )
    run(model, asked, out, scoring, context.args)
    if as_json:
        print_json(read_json(out / METRICS_FILE))
    else:
        show(f"{out / 'predictions.parquet'}: one line per question. {out / METRICS_FILE}: scores.")


@app.command()
def run(
    recipe: Annotated[str, typer.Argument(help="Recipe of the package, a YAML file of your own, or `smoke`.")],
    out: Annotated[Path, typer.Option(help="Folder of the experiment. What is done in it is not done again.")],
    data: Annotated[
        str | None, typer.Option("--data", help="Folder of a build, or dataset on the Hub. `smoke` draws its own.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Stands in for every model of the recipe. Default: the recipe's own.")
    ] = None,
    regime: Annotated[
        Literal["full", "lora"], typer.Option(help="All weights, as the paper did, or LoRA, which fits on one GPU.")
    ] = "full",
    basis: Annotated[
        Literal["published", "corrected"], typer.Option(help="Whose triplets say which data are related.")
    ] = "published",
    row: Annotated[list[int] | None, typer.Option(min=0, help="Row of the recipe, from 0; may be repeated.")] = None,
    arm: Annotated[list[str] | None, typer.Option(help="Arm of the recipe; may be repeated. Default: all.")] = None,
    controls: Annotated[
        str | None,
        typer.Option(
            help="`shuffled`, `permuted` or both with a comma: repeats the training of each target's best model on "
            "spoilt questions. Each doubles the training. The other controls always run."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of weights and order.")] = 0,
    max_steps: Annotated[int | None, typer.Option(min=1, help="Stop each training after so many steps.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Most test questions of a task, by hash.")] = None,
    device_batch_size: Annotated[
        int | None, typer.Option(min=1, help="Training questions at once on a device. Less needs less memory.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Test questions at once on a device.")] = 8,
    workers: Workers = _MOST_WORKERS,
    revision: Revision = None,
    loaders: Loaders = None,
) -> None:
    """Train, score, check and judge a recipe, and write its report. For several GPUs: see baselines/README.md."""
    _need_extra()
    from med_mat.baselines.experiment import Experiment
    from med_mat.baselines.processes import this_process
    from med_mat.baselines.questions import Data

    spoilt, say = _spoilt(controls), show if this_process().is_main_process else lambda _: None
    if recipe == "smoke":
        _only_of_recipes(data=data, row=row, arm=arm, revision=revision, limit=limit)
        _smoke(out, model or "tiny", spoilt, seed, max_steps, workers, say)
        return
    if data is None:
        raise typer.BadParameter(
            "name a build or a dataset on the Hub; only `smoke` draws its own", param_hint="--data"
        )
    experiment = Experiment(
        Data(data, revision),
        model=model,
        regime=regime,
        basis=basis,
        rows=tuple(row or ()),
        arms=_arms(arm),
        spoilt=spoilt,
        seed=seed,
        max_steps=max_steps,
        device_batch_size=device_batch_size,
        batch_size=batch_size,
        limit=limit,
        workers=workers,
    )
    _recipe(recipe, experiment, loaders, out, say)


@app.command()
def report(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="FOLDER...", help="Folder that `baselines run` wrote; several get a report each."),
    ],
    all_pictures: Annotated[
        bool,
        typer.Option("--all-pictures", help="Show pictures that may not be passed on: for a page that stays with you."),
    ] = False,
    loaders: Loaders = None,
) -> None:
    """Write the report of experiments anew: a page, CSV and Markdown in FOLDER/report."""
    from med_mat.baselines.report import write_report

    for folder in folders:
        show(f"{write_report(folder, all_pictures=all_pictures, loaders=loaders or ())}: open it in a browser.")


def _recipe(name: str, experiment: Experiment, loaders: list[Path] | None, out: Path, say: Say) -> None:
    from med_mat.baselines import experiment as experiments

    cards = {source.card.slug: source.card for source in open_registry(loaders)}
    found = experiments.run(_found_recipe(name), _recipe_name(name), experiment, cards, out, say)
    if found is not None:
        _summarised(out, found, loaders)


def _smoke(
    out: Path, model: str, spoilt: tuple[Spoilt, ...], seed: int, max_steps: int | None, workers: int, say: Say
) -> None:
    from med_mat.baselines.smoke import complaints, p_values, run_smoke

    found = run_smoke(
        open_registry(None), out, model=model, spoilt=spoilt, seed=seed, max_steps=max_steps, workers=workers, say=say
    )
    if found is None:
        return
    _summarised(out, found, None)
    chances = p_values(out, found)
    for name, p_value in chances.items():
        show(f"{name}: as many right answers by guessing have p = {p_value:.2g}")
    wrong = complaints(chances)
    for line in wrong:
        show(line)
    if wrong:
        raise typer.Exit(1)


def _summarised(out: Path, found: Outcomes, loaders: list[Path] | None) -> None:
    from rich.table import Table

    from med_mat.baselines.experiment import accuracies
    from med_mat.baselines.report import write_report

    table = Table("row", "target", "arm", "trained on", "accuracy", "macro", title=f"{found.title} ({found.table})")
    for outcome, (natural, macro) in zip(found.outcomes, accuracies(out, found), strict=True):
        arm = outcome.arm if outcome.amount is None else f"{outcome.arm} {outcome.amount}"
        shown = ["-" if value is None else f"{100 * value:.1f}%" for value in (natural, macro)]
        table.add_row(str(outcome.row), outcome.target, arm, str(outcome.trained_on), *shown)
    show(table)
    for each in found.judged:
        reasons = "; ".join(each.judgement["reasons"])
        show(f"{each.task}: {each.judgement['verdict']}" + (f" ({reasons})" if reasons else ""))
    if found.skipped:
        show(f"{len(found.skipped)} things were left out; {out / 'outcomes.json'} lists them")
    show(f"{write_report(out, loaders=loaders or ())}: open it in a browser.")


def _found_recipe(name: str) -> Recipe:
    from med_mat.baselines.recipes import load_recipe, parse_recipe

    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        from med_mat.errors import MedMatError

        try:
            return parse_recipe(path.read_text(encoding="utf-8"), name)
        except OSError as error:
            raise MedMatError(f"recipe {name}: {error.strerror}. Expected a YAML file, or a recipe's name") from None
    return load_recipe(name)


def _recipe_name(name: str) -> str:
    return Path(name).stem if Path(name).suffix in (".yaml", ".yml") else name


def _arms(names: list[str] | None) -> tuple[Arm, ...]:
    from med_mat.baselines.recipes import Arm

    known: dict[str, Arm] = {arm: arm for arm in get_args(Arm)}
    strange = [name for name in names or () if name not in known]
    if strange:
        raise typer.BadParameter(f"{strange[0]!r}: expected one of {', '.join(known)}", param_hint="--arm")
    return tuple(known[name] for name in names or ())


def _spoilt(names: str | None) -> tuple[Spoilt, ...]:
    from med_mat.baselines.contest import SPOILT

    asked = names.split(",") if names else []
    known: dict[str, Spoilt] = {name: name for name in SPOILT}
    strange = [name for name in asked if name not in known]
    if strange:
        raise typer.BadParameter(f"{strange[0]!r}: expected {' or '.join(known)}", param_hint="--controls")
    return tuple(known[name] for name in asked)


def _only_of_recipes(**options: object) -> None:
    given = [f"--{name}" for name, value in options.items() if value]
    if given:
        raise typer.BadParameter("smoke has one row and draws its own data", param_hint=", ".join(given))


def _kinds(names: list[str] | None) -> Kinds:
    if not names:
        return "primary"
    return "all" if names == ["all"] else names


def _need_extra() -> None:
    from importlib.util import find_spec

    from med_mat.errors import MedMatError

    missing = [
        name for name in ("torch", "transformers", "trl", "peft", "accelerate", "lm_eval") if find_spec(name) is None
    ]
    if missing:
        raise MedMatError(f"baselines need {', '.join(missing)}: install med-mat[baselines]")
