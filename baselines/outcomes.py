"""What an experiment came to: which models answered which questions, beside what, and what is missing.

``outcomes.json`` lies at the top of an experiment's folder; all paths in it are relative to that folder.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from med_mat.baselines import runs
from med_mat.baselines.errors import BaselineError

OUTCOMES_FILE = "outcomes.json"

CLASS_PRIOR = "class prior"
NO_PICTURE = "no picture"
BLANK_PICTURE = "blank picture"
FILE_FACTS = "file facts"
NEAREST_NEIGHBOUR = "nearest neighbour"
SHUFFLED_ANSWERS = "shuffled answers"
PERMUTED_PICTURES = "permuted pictures"
WITHIN_SOURCE = "within source"

CONTROLS = (
    CLASS_PRIOR,
    NO_PICTURE,
    BLANK_PICTURE,
    FILE_FACTS,
    NEAREST_NEIGHBOUR,
    SHUFFLED_ANSWERS,
    PERMUTED_PICTURES,
    WITHIN_SOURCE,
)
"""Names of controls, in the order of a report."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One model on one target.

    Attributes:
        row: Place of the row in the recipe, from 0.
        target: The target as the table prints it.
        subset: Number of the target's subset, two digits; empty for what is no subset.
        arm: What was trained on, a value of ``recipes.Arm``.
        backbone: Key of the recipe's backbones.
        model: What was fine-tuned, as ``load_model`` takes it.
        stands_for: The paper's model, where another stands in for it.
        amount: Questions of the target, for the limited arms.
        left_out: Configs of the row's parts that the chosen triplets show not to be related to the target.
        paper: The paper's accuracy in percent, where it may stand beside this one.
        trained_on: Number of training questions; 0 for none.
        training: Run folder, ``models/<digest>``; None where nothing was trained.
        scoring: Scoring folder, ``scores/<digest>``.
        tasks: Values of ``model_task`` in its ``predictions.parquet`` that belong to this target; the folder may hold
            tasks of other targets too.
        parts: The row's parts as the table prints them.
        held: Elements that all share, as printed.
    """

    row: int
    target: str
    subset: str
    arm: str
    backbone: str
    model: str
    stands_for: str | None
    amount: int | None
    left_out: tuple[str, ...]
    paper: float | None
    trained_on: int
    training: str | None
    scoring: str
    tasks: tuple[str, ...]
    parts: tuple[str, ...]
    held: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ControlOutcome:
    """Answers of a control to the questions of a task.

    Attributes:
        name: One of ``CONTROLS``.
        task: The task whose questions were asked, as in an outcome's ``tasks``.
        model: Scoring folder of the model that was asked in another way, or whose training was repeated on spoilt
            questions; None for controls without a model.
        predictions: Parquet with the columns ``id`` and ``correct``, one line per question. ``within source`` may
            lack questions: those of sources that have no two labels to choose from.
    """

    name: str
    task: str
    model: str | None
    predictions: str


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict on a task.

    Attributes:
        task: The task.
        model: Scoring folder of the strongest trained model, whose answers were judged.
        neighbours: What was within the threshold of a training picture: number of training pictures looked at
            (``pictures``) and the ``threshold``; None where pictures were not compared.
        judgement: ``verdict.Judgement`` as a mapping.
    """

    task: str
    model: str
    neighbours: dict[str, float] | None
    judgement: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Skipped:
    """What the data at hand did not allow.

    Attributes:
        what: A row, a config, a control.
        why: One sentence.
    """

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Outcomes:
    """An experiment.

    Attributes:
        title: The recipe's.
        table: Which table or figure of the paper.
        recipe: Its name.
        basis: ``published`` or ``corrected`` triplets.
        regime: Name of the way of fine-tuning.
        beside_paper: Whether figures of the paper may stand beside these.
        data: Which bytes: ``location``, ``revision``, ``manifest_sha256``.
        device: What computed.
        versions: Package to version.
        seconds: Stage to the time that it took in the last run; what was done before takes none.
        outcomes: Row by row, arm by arm, as the recipe has them.
        controls: Task by task.
        judged: Task by task.
        skipped: In the order met.
    """

    title: str
    table: str
    recipe: str
    basis: str
    regime: str
    beside_paper: bool
    data: dict[str, str | None]
    device: str
    versions: dict[str, str]
    seconds: dict[str, float]
    outcomes: tuple[Outcome, ...]
    controls: tuple[ControlOutcome, ...]
    judged: tuple[Judged, ...]
    skipped: tuple[Skipped, ...]


def write_outcomes(folder: Path, outcomes: Outcomes) -> None:
    """Writes ``outcomes.json`` at once: a reader sees the old file or the new."""
    runs.write_json(folder / OUTCOMES_FILE, asdict(outcomes))


def read_outcomes(folder: Path) -> Outcomes:
    """Reads ``outcomes.json``.

    Raises:
        BaselineError: There is none, or it has other fields.
    """
    path = folder / OUTCOMES_FILE
    if not path.exists():
        raise BaselineError(f"{folder} has no {OUTCOMES_FILE}: expected a folder that `med-mat baselines run` wrote")
    value = runs.read_json(path)
    try:
        listed = {
            "outcomes": tuple(Outcome(**_tuples(each)) for each in value["outcomes"]),
            "controls": tuple(ControlOutcome(**each) for each in value["controls"]),
            "judged": tuple(Judged(**each) for each in value["judged"]),
            "skipped": tuple(Skipped(**each) for each in value["skipped"]),
        }
        return Outcomes(**{**value, **listed})
    except (KeyError, TypeError) as error:
        raise BaselineError(
            f"{path}: {error}. Expected the fields of this version; run `med-mat baselines run` again with it"
        ) from None


def _tuples(value: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(each) if isinstance(each, list) else each for name, each in value.items()}
