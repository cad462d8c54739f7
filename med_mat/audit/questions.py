"""Questions: whether one has two right answers, and whether text alone tells the right one.

The checks know nothing of how questions are made. They read questions, options, answers and labels, and the relations
that cards declare.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from med_mat.audit.guesses import CLASSIFIER, Asked, Guess, balanced, guesses, number_of_rules, words_of
from med_mat.audit.made import made_input
from med_mat.build import WORK
from med_mat.card import Card
from med_mat.errors import LayoutError
from med_mat.labels import LabelSpace, label_space
from med_mat.plan import plan
from med_mat.questions.ask import SET_SEPARATOR, YES_NO
from med_mat.questions.label_sets import could_hold
from med_mat.registry import Registry

if TYPE_CHECKING:
    from rich.console import RenderableType

CHOICES = ("choice", "choice_of_sets")
FEWEST = 100
"""Questions that a balanced sample has at least: of fewer nothing can be said."""
CONFIDENCE = 0.99
"""Of the interval around chance, for all rules and subsets together: each has a wider one (Bonferroni)."""

_PICTURES = 1500
_COLUMNS = [
    "id",
    "kind",
    "source",
    "subset",
    "split",
    "question",
    "options",
    "answer_index",
    "labels",
    "more_questions",
]


@dataclass(frozen=True, slots=True)
class Fault:
    """A question that is wrong in itself.

    Attributes:
        id: The row.
        what: What is wrong.
        doubt: It is for a person to say whether it is wrong: words hint at it, no card says so.
    """

    id: str
    what: str
    doubt: bool = False


@dataclass(frozen=True)
class SubsetCheck:
    """What was found of a subset's questions.

    Attributes:
        subset: Two digits, or a slug.
        kind: ``choice``, ``choice_of_sets``, ``choice_of_boxes`` or ``presence``.
        questions: Number of questions.
        sources: Number of sources.
        labels: Number of different right answers.
        faults: Questions that are wrong in themselves.
        guesses: Rules tried on the label-balanced sample; empty if there are too few questions.
        prior: Share of all questions that the most frequent of the offered answers gets right.
        prior_macro: The same, averaged over answers.
        first_yes: Share of yes among the yes/no questions that stand first in their row; None if there are none.
    """

    subset: str
    kind: str
    questions: int
    sources: int
    labels: int
    faults: tuple[Fault, ...]
    guesses: tuple[Guess, ...]
    prior: float
    prior_macro: float
    first_yes: float | None = None

    @property
    def text(self) -> Guess | None:
        """How the classifier that reads question and options did; None if there were too few questions."""
        return next((guess for guess in self.guesses if guess.rule == CLASSIFIER), None)

    @property
    def guilty(self) -> bool:
        """Whether a question is wrong in itself, or a rule that sees no picture beats chance."""
        return any(not fault.doubt for fault in self.faults) or any(guess.tells for guess in self.guesses)


@dataclass(frozen=True)
class QuestionCheck:
    """What was found of all questions."""

    subsets: tuple[SubsetCheck, ...]

    @property
    def exit_code(self) -> int:
        """1 if any subset is guilty, else 0."""
        return 1 if any(subset.guilty for subset in self.subsets) else 0

    def as_dict(self) -> dict[str, Any]:
        """Returns what ``med-mat audit --questions --json`` prints."""
        return {"subsets": [asdict(subset) | {"guilty": subset.guilty} for subset in self.subsets]}


def check_build(folder: Path, registry: Registry) -> QuestionCheck:
    """Checks the questions of a build.

    Args:
        folder: The build, with its work folder.
        registry: All sources.

    Raises:
        LayoutError: If the folder has no plans.
        MedMatError: If scikit-learn is not installed.
    """
    if not (folder / WORK / "plan").is_dir():
        raise LayoutError(
            f"{folder}: expected a folder that `med-mat build` wrote, with {WORK}/plan inside; found none"
        )
    asked: list[Asked] = []
    for source in registry:
        path = folder / WORK / "plan" / f"{source.slug}.parquet"
        if path.is_file():
            asked += asked_of(pq.read_table(path, columns=_COLUMNS))
    return check(asked, registry)


def check_cards(registry: Registry, *, pictures: int = _PICTURES) -> QuestionCheck:
    """Checks questions of pictures made up from cards: every subset and kind, without a download.

    Args:
        registry: All sources.
        pictures: Pictures of each source, about; of a rare label there are more than its share.

    Raises:
        MedMatError: If scikit-learn is not installed.
    """
    cards = [source.card for source in registry]
    asked: list[Asked] = []
    for card in cards:
        (planned,) = plan([made_input(card, pictures)], cards, salt=b"made")
        asked += asked_of(planned.table)
    return check(asked, registry)


def check(asked: Sequence[Asked], registry: Registry) -> QuestionCheck:
    """Checks questions, by subset and kind.

    Args:
        asked: The questions.
        registry: All sources: what labels mean to each other stands in their cards.
    """
    cards = [source.card for source in registry]
    spaces = {card.slug: _space(card, cards) for card in cards if card.slug in {one.source for one in asked}}
    groups: dict[tuple[str, str], list[Asked]] = defaultdict(list)
    for one in asked:
        groups[one.subset, one.kind].append(one)
    level = 1 - (1 - CONFIDENCE) / max(1, sum(number_of_rules(kind) for _, kind in groups))
    return QuestionCheck(
        tuple(_check_group(subset, kind, groups[subset, kind], spaces, level) for subset, kind in sorted(groups))
    )


def _check_group(
    subset: str, kind: str, asked: Sequence[Asked], spaces: Mapping[str, LabelSpace], level: float
) -> SubsetCheck:
    sample = balanced(asked)
    prior, macro = _prior(asked)
    first = [one.answer == YES_NO[0] for one in asked if one.first]
    return SubsetCheck(
        subset=subset,
        kind=kind,
        questions=len(asked),
        sources=len({one.source for one in asked}),
        labels=len({one.answer for one in asked}),
        faults=tuple(fault for one in asked for fault in faults(one, spaces[one.source])),
        guesses=tuple(guesses(sample, level, asked)) if len(sample) >= FEWEST else (),
        prior=prior,
        prior_macro=macro,
        first_yes=float(np.mean(first)) if kind == "presence" and first else None,
    )


# What is wrong in itself ----------------------------------------------------------------------------------------


def faults(asked: Asked, space: LabelSpace) -> Iterator[Fault]:
    """What is wrong with a question: two right options, the answer in the question, an answer that is not true."""
    if not 0 <= asked.answer_index < len(asked.options):
        yield Fault(asked.id, f"answer_index {asked.answer_index} of {len(asked.options)} options")
        return
    if len({option.casefold() for option in asked.options}) != len(asked.options):
        yield Fault(asked.id, f"an option stands twice: {', '.join(asked.options)}")
    if asked.kind not in CHOICES:
        return
    words = f" {' '.join(words_of(asked.question))} "
    holds = {option: _labels(asked.kind, option, space) for option in asked.options}
    for label in dict.fromkeys(label for option in asked.options for label in holds[option]):
        if f" {' '.join(words_of(label))} " in words:
            yield Fault(asked.id, f"the question names {label!r}: {asked.question}")
    labels = set(asked.labels)
    # An option of several labels of which one is right says that one of them is; a set says that all of them are.
    if not (labels <= set(holds[asked.answer]) if asked.kind == "choice" else labels == set(holds[asked.answer])):
        yield Fault(asked.id, f"the answer is {asked.answer!r}, the labels are {'; '.join(asked.labels)}")
    likely = could_hold(asked.labels, space)
    for option in asked.options:
        if option == asked.answer:
            continue
        right = not likely.isdisjoint(holds[option]) if asked.kind == "choice" else likely.issuperset(holds[option])
        if right or labels < set(holds[option]):
            yield Fault(asked.id, f"{option!r} can be right beside {asked.answer!r}")
    for one, other in combinations(asked.options, 2):
        if _inside(one, other) and asked.kind != "choice_of_sets":
            yield Fault(asked.id, f"one option says what the other says: {one!r}, {other!r}", doubt=True)


def _labels(kind: str, option: str, space: LabelSpace) -> list[str]:
    if kind == "choice_of_sets":
        return option.split(SET_SEPARATOR)
    return [label for label, answer in space.answers.items() if answer == option] or [option]


def _inside(one: str, other: str) -> bool:
    """Whether all words of one are words of the other: a broader and a narrower name of one thing."""
    a, b = set(words_of(one)), set(words_of(other))
    return (a < b or b < a) and not (_NEGATIONS & (a ^ b))


_NEGATIONS = {"no", "non", "not", "without", "normal", "healthy", "un"}


# How frequent answers are -----------------------------------------------------------------------------------------


def _prior(asked: Sequence[Asked]) -> tuple[float, float]:
    frequency = Counter(one.answer for one in asked)
    hits: dict[str, list[bool]] = defaultdict(list)
    for one in asked:
        best = max(one.options, key=lambda option: (frequency[option], option))
        hits[one.answer].append(best == one.answer)
    every = [hit for mine in hits.values() for hit in mine]
    return float(np.mean(every)), float(np.mean([np.mean(mine) for mine in hits.values()]))


# Where questions come from --------------------------------------------------------------------------------------


def asked_of(table: pa.Table) -> Iterator[Asked]:
    """The questions with options of planned rows: the first of each row, and the others.

    Args:
        table: Columns of ``schema.PLAN``, or those of them that tell of questions.
    """
    for row in table.select(_COLUMNS).to_pylist():
        subset = row["subset"] or row["source"]
        more = row["more_questions"] or []
        primary = {name: row[name] for name in ("question", "options", "answer_index")}
        primary["kind"] = "choice" if row["kind"] == "classification" else "choice_of_sets"
        if tuple(row["options"]) == YES_NO:
            primary["kind"] = "presence"
        for number, question in enumerate((primary, *more)):
            if not question["options"]:
                continue
            yield Asked(
                id=row["id"],
                source=row["source"],
                subset=subset,
                kind=question["kind"],
                question=question["question"],
                options=tuple(question["options"]),
                answer_index=question["answer_index"],
                labels=tuple(row["labels"]),
                split=row["split"],
                first=number == 0,
            )


def _space(card: Card, cards: Iterable[Card]) -> LabelSpace:
    """The labels of a source and of those of its subset and kind that were admitted before it."""
    peers = []
    for peer in cards:
        if peer.slug == card.slug:
            break
        if card.subset is not None and (peer.subset, peer.kind) == (card.subset, card.kind):
            peers.append(peer)
    return label_space(card, peers)


def report(found: QuestionCheck) -> RenderableType:
    """What was found of the questions, as a table for the terminal."""
    from rich.table import Table

    table = Table(title="Questions by subset", title_justify="left")
    for name in ("subset", "kind"):
        table.add_column(name)
    for name in (
        "questions",
        "sources",
        "answers",
        "faults",
        "doubts",
        "prior",
        "prior, macro",
        "text alone",
        "chance up to",
    ):
        table.add_column(name, justify="right")
    table.add_column("what tells")
    for one in found.subsets:
        text = one.text
        doubts = sum(fault.doubt for fault in one.faults)
        telling = [f"{guess.rule} {guess.right:.2f}" for guess in one.guesses if guess.tells]
        table.add_row(
            one.subset,
            one.kind,
            *map(str, (one.questions, one.sources, one.labels, len(one.faults) - doubts, doubts)),
            f"{one.prior:.2f}",
            f"{one.prior_macro:.2f}",
            f"{text.right:.3f}" if text else "too few",
            f"{text.high:.3f}" if text else "",
            "; ".join([*telling, *(fault.what for fault in one.faults[:1])]),
        )
    return table
