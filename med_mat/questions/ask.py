"""Questions of a picture: which is asked, with which options, in which order. Chance is a hash of the row's id."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from med_mat.errors import CardError
from med_mat.hashing import rank
from med_mat.labels import MOST_DISTRACTORS, LabelSpace

MAX_OPTIONS = MOST_DISTRACTORS + 1
SET_SEPARATOR = "; "
LETTERS = "ABCD"
LETTER_INSTRUCTION = "Answer with the option's letter from the given choices directly."
YES_NO = ("yes", "no")


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its options and the right one.

    Attributes:
        kind: ``choice`` (one label of several), ``choice_of_sets`` (one set of labels of several) or ``presence``.
        question: The question, without options.
        options: Two to four.
        answer: The right option.
        answer_index: Its place among the options, from 0.
    """

    kind: str
    question: str
    options: tuple[str, ...]
    answer: str
    answer_index: int


def choice_prompt(question: str, options: Sequence[str]) -> str:
    """Returns the choice form: question, one ``A: …`` line per option, the letter instruction.

    Raises:
        ValueError: If there are more options than letters.
    """
    if len(options) > len(LETTERS):
        raise ValueError(f"at most {len(LETTERS)} options, found {len(options)}")
    lines = [f"{letter}: {option}" for letter, option in zip(LETTERS, options, strict=False)]
    return "\n".join([question, *lines, LETTER_INSTRUCTION])


def ask_label(row_id: str, label: str, space: LabelSpace, instructions: Sequence[str]) -> Question:
    """Asks for the one label of a picture. Distractors come from the subset, and none can be right too.

    All questions of a source have the same number of options.

    Raises:
        CardError: If no other label of the subset is wrong beside this one.
    """
    pool, number = space.distractors
    rivals = _shuffled("distractor", row_id, space.rivals(label, pool))
    if not rivals:
        raise CardError(
            f"{row_id.split('/')[0]}: no label can stand beside {label!r} as a wrong option; its subset has "
            f"{', '.join(map(repr, space.labels))}. Loosen the relations declared in the cards"
        )
    return _choice("choice", row_id, label, space.apart(rivals, number), instructions)


def ask_label_set(
    row_id: str,
    labels: Sequence[str],
    space: LabelSpace,
    instructions: Sequence[str],
    uncertain: Collection[str] = (),
) -> Question | None:
    """Asks for all labels of a picture. Options are label sets, none part of another.

    Distractors are sets of the same size, disjoint from the truth and from one another, made of labels that the
    source itself annotates: the absence of another source's label says nothing. So neither size nor overlap tells
    which option is right.

    Args:
        row_id: The row.
        labels: Its labels.
        space: The source's label space.
        instructions: The subset's questions.
        uncertain: Labels that the release neither affirms nor denies of the picture: neither they nor what can be true
            beside them are wrong options.

    Returns:
        None where the source has too few labels that are wrong beside the truth to fill one such set.
    """
    truth = sorted(labels)
    doubtful = _doubtful(uncertain, space)
    wrong_labels = [
        label
        for label in space.own
        if label not in doubtful and all(label != true and label not in space.related[true] for true in truth)
    ]
    # A label of no finding stands alone or not at all.
    exclusive = {label for label in space.own if space.excludes_all(label)}
    pool = [label for label in wrong_labels if len(truth) == 1 or label not in exclusive]
    wrong = _wrong_sets(_shuffled("distractor", row_id, pool), len(truth), space)
    if not wrong:
        return None
    return _choice("choice_of_sets", row_id, SET_SEPARATOR.join(truth), wrong, instructions)


def ask_presence(label: str, present: bool, template: str) -> Question:
    """Asks whether a label is there. The options keep their order: there is nothing to learn from it."""
    answer = YES_NO[0] if present else YES_NO[1]
    return Question("presence", template.format(label=label), YES_NO, answer, YES_NO.index(answer))


def presence_labels(
    rows: Mapping[str, Sequence[str]],
    space: LabelSpace,
    uncertain: Mapping[str, Collection[str]] | None = None,
) -> dict[str, list[tuple[str, bool]]]:
    """Chooses about which labels each row is asked yes or no.

    Every label of a row is asked; as many rows that certainly lack the label are asked too (or all that there are),
    so that the class frequency of a label tells nothing about the answer.

    Args:
        rows: Row id to its labels; the rows of one source and split.
        space: The source's label space.
        uncertain: Row id to the labels that the release neither affirms nor denies of it: neither they nor what can be
            true beside them count as lacking.

    Returns:
        Row id to (label, present), in the card's order of labels.
    """
    asked: dict[str, list[tuple[str, bool]]] = {row: [] for row in rows}
    doubtful = {row: _doubtful(labels, space) for row, labels in (uncertain or {}).items() if labels}
    for label in space.own:
        if space.excludes_all(label):
            continue
        related = space.related[label]
        positive = [row for row, labels in rows.items() if label in labels]
        negative = [
            row
            for row, labels in rows.items()
            if label not in labels and related.isdisjoint(labels) and label not in doubtful.get(row, ())
        ]
        negative.sort(key=lambda row: (rank("negative", row, label), row))
        for row in positive:
            asked[row].append((label, True))
        for row in negative[: len(positive)]:
            asked[row].append((label, False))
    return asked


def _doubtful(uncertain: Iterable[str], space: LabelSpace) -> set[str]:
    # Where a label may be true, so may all that can be true beside it: its broader labels above all.
    return {label for one in uncertain for label in (one, *space.related[one])}


def _choice(kind: str, row_id: str, answer: str, wrong: Sequence[str], instructions: Sequence[str]) -> Question:
    options = tuple(_shuffled("option", row_id, [answer, *wrong]))
    instruction = instructions[rank("instruction", row_id) % len(instructions)]
    return Question(kind, instruction, options, answer, options.index(answer))


def _wrong_sets(names: Iterable[str], size: int, space: LabelSpace) -> list[str]:
    # Labels that could both be right never stand in two options: each would show that the other is wrong.
    sets: list[list[str]] = []
    filling: list[str] = []
    for name in names:
        if any(not space.related[name].isdisjoint(other) for other in sets):
            continue
        filling.append(name)
        if len(filling) == size:
            sets.append(filling)
            filling = []
    return [SET_SEPARATOR.join(sorted(labels)) for labels in sets[: MAX_OPTIONS - 1]]


def _shuffled(purpose: str, row_id: str, names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: (rank(purpose, row_id, name), name))
