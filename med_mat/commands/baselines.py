"""``med-mat baselines``: fine-tune models on questions and score them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from med_mat.commands.options import AsJson, print_json, show

if TYPE_CHECKING:
    from med_mat.baselines.questions import Kinds

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
