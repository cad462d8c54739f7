"""Whether a question's text alone tells which option is right: rules that see no picture, and how often they are right.

They know nothing of how questions are made.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from med_mat.errors import MedMatError
from med_mat.hashing import rank
from med_mat.questions.ask import SET_SEPARATOR
from med_mat.regions import parse_boxes

BALANCED = 4000
"""Most questions of a subset in a balanced sample."""

CLASSIFIER = "classifier on question and options"

_Thing = TypeVar("_Thing")
_Numbers = npt.NDArray[np.float64]
_HASHED = 1 << 18
_THRESHOLDS = 24


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with what is known of its picture.

    Attributes:
        id: The row.
        source: Slug.
        subset: Two digits, or the slug of a source outside the published subsets.
        kind: ``choice``, ``choice_of_sets``, ``choice_of_boxes`` or ``presence``.
        question: Its text.
        options: The options.
        answer_index: Which is right.
        labels: Clean labels of the picture.
        split: Its split.
        first: Whether it stands first in its row.
    """

    id: str
    source: str
    subset: str
    kind: str
    question: str
    options: tuple[str, ...]
    answer_index: int
    labels: tuple[str, ...]
    split: str = "train"
    first: bool = True

    @property
    def answer(self) -> str:
        """The right option."""
        return self.options[self.answer_index]


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
        deviation: How far ``right`` is above chance, in standard deviations of guessing.
    """

    rule: str
    right: float
    chance: float
    low: float
    high: float
    questions: int
    deviation: float

    @property
    def tells(self) -> bool:
        """Whether the rule is better than chance."""
        return self.right > self.high


def balanced(asked: Sequence[Asked], most: int = BALANCED) -> list[Asked]:
    """A sample in which every answer of a source is right equally often.

    Sources ask about different labels, so a frequent label of one says nothing of another's: each source is balanced
    by itself, and so is each split, since models are trained on one and asked on another. Answers that are too rare
    are left out, and with them the questions that offer them; how rare, is chosen such that most questions stay. Yes
    and no are balanced over all labels of a source. Boxes are all different, and are not balanced: the sample is a part
    by hash.

    Args:
        asked: Questions of one subset and kind.
        most: Size of the sample, about.
    """
    ordered = sorted(asked, key=lambda one: rank("balance", one.id, one.question))
    if ordered and ordered[0].kind == "choice_of_boxes":
        return ordered[:most]
    by_source: dict[tuple[str, str], list[Asked]] = defaultdict(list)
    for one in ordered:
        by_source[one.source, one.split].append(one)
    answered: dict[str, set[str]] = defaultdict(set)
    for one in ordered:
        answered[one.source].add(one.answer)
    kept = [_frequent(mine, answered[source]) for (source, _), mine in by_source.items()]
    answers = sum(len({one.answer for one in mine}) for mine in kept)
    sample: list[Asked] = []
    for mine in kept:
        number = min(min(Counter(one.answer for one in mine).values(), default=0), max(2, most // max(1, answers)))
        taken: Counter[str] = Counter()
        for one in mine:
            taken[one.answer] += 1
            if taken[one.answer] <= number:
                sample.append(one)
    return sorted(sample, key=lambda one: rank("balance", one.id, one.question))


def _frequent(asked: Sequence[Asked], answered: set[str]) -> list[Asked]:
    """The questions that offer only answers frequent enough, for the threshold that leaves the largest sample.

    An option that is right of no picture of the source stays: that it is never right is what may tell.
    """
    kinds = Counter((frozenset(one.options), one.answer) for one in asked)
    counts = sorted(set(_answers(kinds).values()))
    tried = counts[:: max(1, len(counts) // _THRESHOLDS)]
    best: tuple[int, set[str]] = (0, set())
    for least in tried:
        left = dict(kinds)
        while left:
            number = _answers(left)
            kept = {answer for answer, count in number.items() if count >= least}
            closed = {kind: count for kind, count in left.items() if kind[0] & answered <= kept}
            if len(closed) == len(left):
                break
            left = closed
        number = _answers(left)
        size = min(number.values(), default=0) * len(number)
        if size > best[0]:
            best = (size, set(number))
    return [one for one in asked if best[1].issuperset(answered.intersection(one.options))]


def _answers(kinds: dict[tuple[frozenset[str], str], int]) -> Counter[str]:
    found: Counter[str] = Counter()
    for (_, answer), count in kinds.items():
        found[answer] += count
    return found


def guesses(sample: Sequence[Asked], level: float, every: Sequence[Asked]) -> Iterator[Guess]:
    """Tries every rule on a sample.

    Args:
        sample: Questions of one subset and kind, at least one.
        level: Of the interval around chance, two-sided.
        every: All questions that the sample was taken from, in which can be counted how often an option is offered.

    Raises:
        MedMatError: If scikit-learn is not installed.
    """
    rules: dict[str, list[int]] = {}
    for name, score in _scores(sample, every).items():
        for wording, sign in (("most", 1), ("least", -1)):
            rules[f"{wording} {name}"] = [_first(one, [sign * value for value in score(one)]) for one in sample]
    for place in range(max(len(one.options) for one in sample)):
        rules[f"option {'ABCD'[place]}"] = [place] * len(sample)
    for rule, chosen in rules.items():
        fitting = [(one, choice) for one, choice in zip(sample, chosen, strict=True) if choice < len(one.options)]
        yield _guess(rule, [one for one, _ in fitting], [choice for _, choice in fitting], level)
    tried, chosen = read_text(sample)
    if tried:
        yield _guess(CLASSIFIER, tried, chosen, level)


def number_of_rules(kind: str) -> int:
    """How many rules are tried on questions of a kind, at most."""
    return {"presence": 2, "choice_of_boxes": 10}.get(kind, 10) + 5


_Score = Callable[[Asked], Sequence[float]]


def _scores(sample: Sequence[Asked], every: Sequence[Asked]) -> dict[str, _Score]:
    """What can be read off an option: each, and its opposite, is a rule."""
    kind = sample[0].kind
    offered = Counter((one.source, one.split, option) for one in every for option in one.options)
    if kind == "presence":
        return {"often offered": lambda one: [offered[one.source, one.split, option] for option in one.options]}
    if kind == "choice_of_boxes":
        boxes = {option: _box(option) for one in sample for option in one.options}
        usual = np.mean([boxes[one.answer] for one in sample], axis=0)
        return {
            "large": lambda one: [_area(boxes[option]) for option in one.options],
            "central": lambda one: [-float(np.abs(_middle(boxes[option]) - 0.5).sum()) for option in one.options],
            "usual": lambda one: [-float(np.abs(boxes[option] - usual).sum()) for option in one.options],
            "like the others": lambda one: _likeness([boxes[option] for option in one.options], _nearness),
            "long as text": lambda one: [len(option) for option in one.options],
        }
    words = Counter(word for one in sample for option in one.options for word in set(words_of(option)))
    return {
        "long": lambda one: [len(option) for option in one.options],
        "labels": lambda one: [option.count(SET_SEPARATOR) for option in one.options],
        "like the others": lambda one: _likeness([_parts(option) for option in one.options], _shared),
        "often offered": lambda one: [offered[one.source, one.split, option] for option in one.options],
        "frequent in words": lambda one: [
            float(np.mean([words[word] for word in words_of(option)] or [0])) for option in one.options
        ],
    }


def _first(asked: Asked, scores: Sequence[float]) -> int:
    best = max(scores)
    alike = [place for place, score in enumerate(scores) if score == best]
    return alike[rank("tie", asked.id) % len(alike)]


def _likeness(things: Sequence[_Thing], alike: Callable[[_Thing, _Thing], float]) -> list[float]:
    return [
        sum(alike(thing, other) for number, other in enumerate(things) if number != place)
        for place, thing in enumerate(things)
    ]


def _shared(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / max(1, len(one | other))


def _parts(option: str) -> frozenset[str]:
    """Labels of a set; words of a single label."""
    labels = option.split(SET_SEPARATOR)
    return frozenset(labels) if len(labels) > 1 else frozenset([option, *words_of(option)])


def _box(option: str) -> _Numbers:
    (box,) = parse_boxes(option, "unit")
    return np.array(box if box is not None else (0.0, 0.0, 0.0, 0.0))


def _area(box: _Numbers) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))


def _middle(box: _Numbers) -> _Numbers:
    return np.asarray((box[:2] + box[2:]) / 2)


def _nearness(one: _Numbers, other: _Numbers) -> float:
    return -float(np.abs(one - other).sum())


def words_of(text: str) -> list[str]:
    """Returns the words of a text, without case or marks."""
    return re.findall(r"[^\W_]+", text.casefold())


def _guess(rule: str, asked: Sequence[Asked], chosen: Sequence[int], level: float) -> Guess:
    number = len(asked)
    right = sum(one.answer_index == choice for one, choice in zip(asked, chosen, strict=True)) / number
    chances = np.array([1 / len(one.options) for one in asked])
    chance = float(chances.mean())
    one_deviation = float(np.sqrt((chances * (1 - chances)).sum()) / number)
    spread = float(norm.ppf((1 + level) / 2)) * one_deviation
    return Guess(rule, right, chance, chance - spread, chance + spread, number, (right - chance) / one_deviation)


def read_text(sample: Sequence[Asked]) -> tuple[list[Asked], list[int]]:
    """Trains a classifier on the text of a sample, and answers each question by one that has not seen it.

    It sees the question, each option's words, letters, length and place, and beside which others it stands, alone and
    in pairs; of a box its coordinates and its rank by size and place. It is a logistic regression on hashed features,
    fitted on one half to answer the other, both ways.

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
    features = _box_features if sample[0].kind == "choice_of_boxes" else _features
    hasher = FeatureHasher(n_features=_HASHED, input_type="string", alternate_sign=False)
    matrix = hasher.transform(features(one, place) for one in sample for place in range(len(one.options)))
    owner = np.repeat(np.arange(len(sample)), [len(one.options) for one in sample])
    right = np.concatenate([np.arange(len(one.options)) == one.answer_index for one in sample])
    half = np.array(list(_halves(sample)))
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
                chosen.append(_first(one, mine.tolist()))
    return tried, chosen


def _halves(sample: Sequence[Asked]) -> Iterator[int]:
    """Halves that are balanced alike: else what is right more often in one is right less often in the other.

    Questions that offer the same boxes or label sets stand on one side, as they do in the splits: who knows which of
    them is right of another picture can rule it out.
    """
    met: Counter[tuple[str, str, str]] = Counter()
    for one in sample:
        if one.kind in ("choice_of_boxes", "choice_of_sets"):
            yield rank("half", *sorted(one.options)) % 2
            continue
        answer = (one.source, one.split, one.answer)
        met[answer] += 1
        yield (met[answer] + rank("half", *answer)) % 2


def _features(asked: Asked, place: int) -> list[str]:
    option = asked.options[place]
    others = sorted(asked.options[:place] + asked.options[place + 1 :])
    words = words_of(option)
    order = sorted({len(other) for other in asked.options}).index(len(option))
    labels = option.split(SET_SEPARATOR)
    found = [f"option {option}", f"place {place}", f"length {order}", f"words {len(words)}", f"labels {len(labels)}"]
    found += [f"label {label}" for label in labels]
    found += [f"labels {one}|{two}" for one, two in combinations(labels, 2)]
    found += [f"word {word}" for word in words]
    found += [f"words {one} {two}" for one, two in pairwise(words)]
    found += [f"letters {option[start : start + 3]}" for start in range(len(option) - 2)]
    found += [f"asked {asked.question} {option}"]
    found += [f"beside {option}|{other}" for other in others]
    found += [f"between {option}|{one}|{two}" for one, two in combinations(others, 2)]
    common = Counter(word for other in asked.options for word in set(words_of(other)))
    found += [f"shared {sum(common[word] > 1 for word in set(words))}"]
    return found


def _box_features(asked: Asked, place: int) -> list[str]:
    boxes = [_box(option) for option in asked.options]
    box = boxes[place]
    middle = _middle(box)
    found = [f"place {place}", f"asked {asked.question} {int(middle[0] * 8)} {int(middle[1] * 8)}"]
    found += [f"at {axis} {int(middle[axis] * 20)}" for axis in (0, 1)]
    found += [f"side {axis} {int((box[axis + 2] - box[axis]) * 20)}" for axis in (0, 1)]
    found += [f"edge {number} {value < 0.01 or value > 0.99}" for number, value in enumerate(box)]
    for name, values in (
        ("area", [_area(one) for one in boxes]),
        ("center", [float(np.abs(_middle(one) - 0.5).sum()) for one in boxes]),
        ("like", _likeness(boxes, _nearness)),
    ):
        found.append(f"{name} {len(boxes)} {sorted(values).index(values[place])}")
    return found
