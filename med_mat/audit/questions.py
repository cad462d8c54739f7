"""Questions: whether one has two right answers, and whether text alone tells the right one.

The checks know nothing of how questions are made. They read questions, options, answers and labels, and the relations
that cards declare.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.stats import norm

from med_mat.build import WORK
from med_mat.card import Card
from med_mat.errors import LayoutError, MedMatError
from med_mat.hashing import rank, row_id
from med_mat.labels import LabelSpace, label_space
from med_mat.questions.ask import SET_SEPARATOR, Question, ask_label, ask_label_set
from med_mat.questions.instructions import load_instructions
from med_mat.registry import Registry

if TYPE_CHECKING:
    from rich.console import RenderableType

CHOICES = ("choice", "choice_of_sets")
BALANCED = 4000
"""Most questions of a subset in a balanced sample."""
FEWEST = 100
"""Questions that a balanced sample has at least: of fewer nothing can be said."""
CONFIDENCE = 0.99
"""Of the interval around chance, for all subsets together: each has a wider one (Bonferroni)."""

_PER_LABEL = 400  # questions per label and source that are made from cards
_HASHED = 1 << 18
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
class Asked:
    """A question with what is known of its picture.

    Attributes:
        id: The row.
        source: Slug.
        subset: Two digits, or the slug of a source outside the published subsets.
        kind: ``choice``, ``choice_of_sets`` or ``presence``.
        question: Its text.
        options: The options.
        answer_index: Which is right.
        labels: Clean labels of the picture.
    """

    id: str
    source: str
    subset: str
    kind: str
    question: str
    options: tuple[str, ...]
    answer_index: int
    labels: tuple[str, ...]

    @property
    def answer(self) -> str:
        """The right option."""
        return self.options[self.answer_index]


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


@dataclass(frozen=True, slots=True)
class Guess:
    """How often a rule that sees no picture is right.

    Attributes:
        rule: The rule.
        right: Share of questions that it answers rightly.
        chance: What guessing gives: the mean of one in the number of options.
        low: Lower end of the interval in which chance alone stays.
        high: Upper end.
        questions: Number of questions that it was tried on.
    """

    rule: str
    right: float
    chance: float
    low: float
    high: float
    questions: int

    @property
    def tells(self) -> bool:
        """Whether the rule is better than chance."""
        return self.right > self.high


@dataclass(frozen=True)
class SubsetCheck:
    """What was found of a subset's questions.

    Attributes:
        subset: Two digits, or a slug.
        kind: ``choice``, ``choice_of_sets`` or ``presence``.
        questions: Number of questions.
        sources: Number of sources.
        labels: Number of different right answers.
        faults: Questions that are wrong in themselves.
        guesses: Rules tried on the label-balanced sample; empty if there are too few questions.
        prior: Share of all questions that the most frequent of the offered answers gets right.
        prior_macro: The same, averaged over answers.
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
            asked += _asked(pq.read_table(path, columns=_COLUMNS))
    return check(asked, registry)


def check_cards(registry: Registry, *, per_label: int = _PER_LABEL) -> QuestionCheck:
    """Checks questions made from cards alone: every subset, without a download.

    Each label of a source is asked ``per_label`` times. For sources whose pictures bear several labels, sets of one
    to three labels that can stand together are drawn by hash.

    Args:
        registry: All sources.
        per_label: Questions per label.

    Raises:
        MedMatError: If scikit-learn is not installed.
    """
    cards = [source.card for source in registry]
    asked = [question for card in cards for question in _made(card, _space(card, cards), per_label)]
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
    level = 1 - (1 - CONFIDENCE) / max(1, len(groups))
    return QuestionCheck(
        tuple(_check_group(subset, kind, groups[subset, kind], spaces, level) for subset, kind in sorted(groups))
    )


def _check_group(
    subset: str, kind: str, asked: Sequence[Asked], spaces: Mapping[str, LabelSpace], level: float
) -> SubsetCheck:
    sample = balanced(asked)
    prior, macro = _prior(asked)
    return SubsetCheck(
        subset=subset,
        kind=kind,
        questions=len(asked),
        sources=len({one.source for one in asked}),
        labels=len({one.answer for one in asked}),
        faults=tuple(fault for one in asked for fault in faults(one, spaces[one.source])),
        guesses=tuple(_guesses(sample, level)) if len(sample) >= FEWEST else (),
        prior=prior,
        prior_macro=macro,
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
    words = f" {' '.join(_words(asked.question))} "
    labels = dict.fromkeys(label for option in asked.options for label in option.split(SET_SEPARATOR))
    for label in labels:
        if f" {' '.join(_words(label))} " in words:
            yield Fault(asked.id, f"the question names {label!r}: {asked.question}")
    true = asked.answer.split(SET_SEPARATOR)
    if set(true) != set(asked.labels):
        yield Fault(asked.id, f"the answer is {asked.answer!r}, the labels are {'; '.join(asked.labels)}")
    for option in asked.options:
        if option == asked.answer:
            continue
        for label in option.split(SET_SEPARATOR):
            if label in asked.labels or any(label in space.related.get(own, ()) for own in asked.labels):
                yield Fault(asked.id, f"{option!r} can be right beside {asked.answer!r}")
                break
    for one, other in combinations(asked.options, 2):
        if _inside(one, other) and asked.kind != "choice_of_sets":
            yield Fault(asked.id, f"one option says what the other says: {one!r}, {other!r}", doubt=True)


def _inside(one: str, other: str) -> bool:
    """Whether all words of one are words of the other: a broader and a narrower name of one thing."""
    a, b = set(_words(one)), set(_words(other))
    return (a < b or b < a) and not (_NEGATIONS & (a ^ b))


_NEGATIONS = {"no", "non", "not", "without", "normal", "healthy", "un"}


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.casefold())


# Whether text alone tells the answer ----------------------------------------------------------------------------


def balanced(asked: Sequence[Asked], most: int = BALANCED) -> list[Asked]:
    """A sample in which every answer of a source is right equally often.

    Sources ask about different labels, so a frequent label of one says nothing of another's: each source is balanced
    by itself. Answers that are right fewer times than a twentieth of the usual number are left out: they would leave
    nothing.

    Args:
        asked: Questions of one subset and kind.
        most: Size of the sample, about.
    """
    by_source: dict[str, dict[str, list[Asked]]] = defaultdict(lambda: defaultdict(list))
    for one in sorted(asked, key=lambda one: rank("balance", one.id, one.question)):
        by_source[one.source][one.answer].append(one)
    answers = sum(len(by_answer) for by_answer in by_source.values())
    sample: list[Asked] = []
    for by_answer in by_source.values():
        sizes = sorted(len(mine) for mine in by_answer.values())
        usual = sizes[len(sizes) // 2]
        kept = [mine for mine in by_answer.values() if len(mine) * 20 >= usual]
        number = min(min(map(len, kept)), max(2, most // answers))
        sample += [one for mine in kept for one in mine[:number]]
    return sorted(sample, key=lambda one: rank("balance", one.id, one.question))


def _guesses(sample: Sequence[Asked], level: float) -> Iterator[Guess]:
    rules = {
        "longest option": [_extreme(one, max) for one in sample],
        "shortest option": [_extreme(one, min) for one in sample],
    }
    for place in range(max(len(one.options) for one in sample)):
        rules[f"option {'ABCD'[place]}"] = [place] * len(sample)
    for rule, chosen in rules.items():
        fitting = [(one, choice) for one, choice in zip(sample, chosen, strict=True) if choice < len(one.options)]
        yield _guess(rule, [one for one, _ in fitting], [choice for _, choice in fitting], level)
    tried, chosen = read_text(sample)
    yield _guess("classifier on question and options", tried, chosen, level)


def _extreme(asked: Asked, pick: Any) -> int:
    length = pick(len(option) for option in asked.options)
    alike = [place for place, option in enumerate(asked.options) if len(option) == length]
    return alike[rank("tie", asked.id) % len(alike)]


def _guess(rule: str, asked: Sequence[Asked], chosen: Sequence[int], level: float) -> Guess:
    number = len(asked)
    right = sum(one.answer_index == choice for one, choice in zip(asked, chosen, strict=True)) / number
    chances = np.array([1 / len(one.options) for one in asked])
    chance = float(chances.mean())
    spread = float(norm.ppf((1 + level) / 2) * np.sqrt((chances * (1 - chances)).sum()) / number)
    return Guess(rule, right, chance, chance - spread, chance + spread, number)


def read_text(sample: Sequence[Asked]) -> tuple[list[Asked], list[int]]:
    """Trains a classifier on the text of a sample, and answers each question by one that has not seen it.

    It sees the question, each option's words, letters, length and place, and beside which others it stands, alone and
    in pairs. It is a logistic regression on hashed features, fitted on one half to answer the other, both ways.

    Args:
        sample: Questions of one subset and kind.

    Returns:
        The questions, and the option that it chooses for each.

    Raises:
        MedMatError: If scikit-learn is not installed.
    """
    try:
        from sklearn.feature_extraction import FeatureHasher
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise MedMatError("checking questions needs scikit-learn: pip install 'med-mat[audit]'") from error
    hasher = FeatureHasher(n_features=_HASHED, input_type="string", alternate_sign=False)
    matrix = hasher.transform(_features(one, place) for one in sample for place in range(len(one.options)))
    owner = np.repeat(np.arange(len(sample)), [len(one.options) for one in sample])
    right = np.concatenate([np.arange(len(one.options)) == one.answer_index for one in sample])
    half = np.array([rank("half", one.id) % 2 for one in sample])
    tried: list[Asked] = []
    chosen: list[int] = []
    for side in (0, 1):
        train = half[owner] != side
        if len(set(right[train].tolist())) < 2:
            continue
        model = LogisticRegression(C=0.3, solver="liblinear", random_state=0).fit(matrix[train], right[train])
        scores = model.decision_function(matrix)
        start = 0
        for number, one in enumerate(sample):
            mine = scores[start : start + len(one.options)]
            start += len(one.options)
            if half[number] == side:
                tried.append(one)
                chosen.append(int(np.argmax(mine)))
    return tried, chosen


def _features(asked: Asked, place: int) -> list[str]:
    option = asked.options[place]
    others = sorted(asked.options[:place] + asked.options[place + 1 :])
    words = _words(option)
    order = sorted({len(other) for other in asked.options}).index(len(option))
    found = [f"option {option}", f"place {place}", f"length {order}", f"words {len(words)}"]
    found += [f"word {word}" for word in words]
    found += [f"words {one} {two}" for one, two in pairwise(words)]
    found += [f"letters {option[start : start + 3]}" for start in range(len(option) - 2)]
    found += [f"asked {asked.question} {option}"]
    found += [f"beside {option}|{other}" for other in others]
    found += [f"between {option}|{one}|{two}" for one, two in combinations(others, 2)]
    common = Counter(word for other in asked.options for word in set(_words(other)))
    found += [f"shared {sum(common[word] > 1 for word in set(words))}"]
    return found


def _prior(asked: Sequence[Asked]) -> tuple[float, float]:
    frequency = Counter(one.answer for one in asked)
    hits: dict[str, list[bool]] = defaultdict(list)
    for one in asked:
        best = max(one.options, key=lambda option: (frequency[option], option))
        hits[one.answer].append(best == one.answer)
    every = [hit for mine in hits.values() for hit in mine]
    return float(np.mean(every)), float(np.mean([np.mean(mine) for mine in hits.values()]))


# Where questions come from --------------------------------------------------------------------------------------


def _asked(table: pa.Table) -> Iterator[Asked]:
    for row in table.to_pylist():
        subset = row["subset"] or row["source"]
        more = row["more_questions"] or []
        primary = {name: row[name] for name in ("question", "options", "answer_index")}
        primary["kind"] = "choice" if row["kind"] == "classification" else "choice_of_sets"
        if tuple(row["options"]) == ("yes", "no"):
            primary["kind"] = "presence"
        for question in (primary, *more):
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


def _made(card: Card, space: LabelSpace, per_label: int) -> Iterator[Asked]:
    if card.kind not in ("classification", "multilabel"):
        return
    instructions = card.instructions or load_instructions(card.subset or "").instructions
    for label in card.clean_labels:
        for number in range(per_label):
            name = row_id(card.slug, f"made {label} {number}", None)
            labels = _drawn(label, name, space) if card.kind == "multilabel" else [label]
            question: Question | None
            if card.kind == "classification":
                question = ask_label(name, label, space, instructions)
            else:
                question = ask_label_set(name, labels, space, instructions)
            if question is not None:
                yield Asked(
                    id=name,
                    source=card.slug,
                    subset=card.subset or card.slug,
                    kind=question.kind,
                    question=question.question,
                    options=question.options,
                    answer_index=question.answer_index,
                    labels=tuple(sorted(labels)),
                )


def _drawn(label: str, name: str, space: LabelSpace) -> list[str]:
    """A label with up to two others that can stand beside it."""
    if space.excludes_all(label):
        return [label]
    others = [other for other in space.own if other != label and not space.excludes_all(other)]
    others.sort(key=lambda other: (rank("beside", name, other), other))
    return [label, *others[: rank("number", name) % 3]]


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
        text = next((guess for guess in one.guesses if guess.rule.startswith("classifier")), None)
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
