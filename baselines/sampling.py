"""Which training questions an experiment gets. Chance is a hash of ids, so the same rows give the same sample."""

from __future__ import annotations

import pyarrow as pa

from med_mat.baselines.errors import BaselineError
from med_mat.baselines.questions import Questions
from med_mat.baselines.variants import balanced
from med_mat.hashing import rank

PER_SUBSET = 3000
"""Most training samples of a subset, labels balanced; a subset with fewer is tested only (Med-MAT paper, protocol)."""


def training_ids(questions: Questions, limit: int = PER_SUBSET, *, by: str = "subset") -> dict[str, tuple[str, ...]]:
    """Chooses the questions that each subset is trained on.

    A smaller limit chooses from what a larger one does, so studies of the amount of data compare nested samples.

    Args:
        questions: Training questions, of any subsets.
        limit: Most per subset.
        by: Column that parts them, ``subset`` or ``source``.

    Returns:
        Subset to ids of questions, both in order. Questions whose row has no subset are left out.

    Raises:
        BaselineError: ``limit`` is below 1, or a question is not of the training split.
    """
    _of_training(questions)
    chosen = balanced(questions, limit, by=by).table
    found: dict[str, list[str]] = {}
    for name, part in zip(chosen["id"].to_pylist(), chosen[by].to_pylist(), strict=True):
        if part is not None:
            found.setdefault(part, []).append(name)
    return {part: tuple(found[part]) for part in sorted(found)}


def trainable(questions: Questions, least: int = PER_SUBSET) -> tuple[str, ...]:
    """Names the subsets with enough training questions; the others are for out-of-distribution tests only."""
    _of_training(questions)
    counts: dict[str, int] = {}
    for subset in questions.table["subset"].to_pylist():
        if subset is not None:
            counts[subset] = counts.get(subset, 0) + 1
    return tuple(sorted(subset for subset, count in counts.items() if count >= least))


def chosen(questions: Questions, ids: dict[str, tuple[str, ...]]) -> Questions:
    """Takes the questions of these ids, subset by subset.

    Raises:
        BaselineError: An id is not among the questions.
    """
    wanted = [name for part in ids.values() for name in part]
    places = {name: place for place, name in enumerate(questions.table["id"].to_pylist())}
    absent = [name for name in wanted if name not in places]
    if absent:
        raise BaselineError(
            f"{questions.data.location}: {len(absent)} of {len(wanted)} chosen questions are not there, the first is "
            f"{absent[0]!r}. The ids were chosen from another dataset or revision; choose them again"
        )
    return questions.with_table(questions.table.take(pa.array([places[name] for name in wanted], pa.int64())))


def drawn(questions: Questions, number: int, name: str) -> Questions:
    """Draws questions whatever their labels, as Baseline+ draws as much unrelated data as there is related data.

    Args:
        questions: What to draw from.
        number: How many.
        name: What the draw is for; another name gives another draw.

    Returns:
        In the order of their hashes.

    Raises:
        BaselineError: There are fewer.
    """
    ids = questions.table["id"].to_pylist()
    if not 0 <= number <= len(ids):
        raise BaselineError(f"{number} questions to draw for {name!r}, {len(ids)} are there: expected as many or more")
    order = sorted(range(len(ids)), key=lambda place: (rank("drawn", name, ids[place]), ids[place]))
    return questions.with_table(questions.table.take(pa.array(order[:number], pa.int64())))


def _of_training(questions: Questions) -> None:
    others = set(questions.table["split"].to_pylist()) - {"train"}
    if others:
        raise BaselineError(f"training questions hold rows of the split {', '.join(sorted(others))}: expected train")
