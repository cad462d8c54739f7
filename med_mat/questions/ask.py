"""Questions of a picture: which is asked, with which options, in which order. Chance is a hash of the row's id."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from med_mat.errors import CardError
from med_mat.hashing import rank, ranks, shuffled, uniform
from med_mat.labels import MOST_DISTRACTORS, LabelSpace
from med_mat.questions.label_sets import SetOffers

MAX_OPTIONS = MOST_DISTRACTORS + 1
SET_SEPARATOR = "; "
LETTERS = "ABCD"
LETTER_INSTRUCTION = "Answer with the option's letter from the given choices directly."
BOX_INSTRUCTION = (
    "Answer with one box [xmin, ymin, xmax, ymax] for each region, from top to bottom, as shares of the image's width "
    "and height from 0 to 1."
)
NUMBER_INSTRUCTION = "Answer with a whole number."
YES_NO = ("yes", "no")


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its options and the right one.

    Attributes:
        kind: ``choice`` (one label of several), ``choice_of_sets`` (one set of labels of several), ``presence``,
            ``where`` (all boxes of a label), ``count`` (how many) or ``choice_of_boxes`` (one box of several).
        question: The question, without options.
        options: Two to four; none for ``where`` and ``count``.
        answer: The right option, or what is right where there are none: boxes as
            ``med_mat.regions.format_boxes(..., "unit")`` spells them with a blank between, or a number.
        answer_index: Its place among the options, from 0; -1 without options.
    """

    kind: str
    question: str
    options: tuple[str, ...]
    answer: str
    answer_index: int

    def as_row(self) -> dict[str, object]:
        """Returns an entry of a row's ``more_questions``."""
        return {
            "kind": self.kind,
            "question": self.question,
            "options": self.options,
            "answer": self.answer,
            "answer_index": self.answer_index,
        }


def choice_prompt(question: str, options: Sequence[str]) -> str:
    """Returns the choice form: question, one ``A: …`` line per option, the letter instruction.

    Raises:
        ValueError: If there are more options than letters.
    """
    if len(options) > len(LETTERS):
        raise ValueError(f"at most {len(LETTERS)} options, found {len(options)}")
    lines = [f"{letter}: {option}" for letter, option in zip(LETTERS, options, strict=False)]
    return "\n".join([question, *lines, LETTER_INSTRUCTION])


def open_prompt(question: str, *, count: bool = False) -> str:
    """Returns the form of a question without options: question, and how boxes or a number are to be written."""
    return f"{question}\n{NUMBER_INSTRUCTION if count else BOX_INSTRUCTION}"


def ask_label(row_id: str, label: str, space: LabelSpace, instructions: Sequence[str]) -> Question:
    """Asks for the one label of a picture. None of the wrong options can be right too.

    They are labels of the source itself, offered in sets of which each label is right equally often, so that the
    options do not tell the answer. Where relations leave no such sets, what can be right together is one option
    (``LabelSpace.answers``). Only where nothing of the source is surely wrong beside the label do they come from the
    other sources of the subset. All questions of a source have the same number of options.

    Raises:
        CardError: If no other label of the subset is wrong beside this one.
    """
    if space.offers.size:
        answer = space.answers[label]
        return _choice(
            "choice", row_id, answer, space.offers.choose(answer, uniform("distractor", row_id)), instructions
        )
    number = space.distractors[1]
    rivals = shuffled("distractor", row_id, space.distractors_of(label))
    if not rivals:
        raise CardError(
            f"{row_id.split('/')[0]}: no label can stand beside {label!r} as a wrong option; its subset has "
            f"{', '.join(map(repr, space.labels))}. Loosen the relations declared in the cards"
        )
    return _choice("choice", row_id, label, space.apart(rivals, number), instructions)


def ask_label_set(
    row_id: str,
    labels: Sequence[str],
    offers: SetOffers,
    instructions: Sequence[str],
    uncertain: Collection[str] = (),
) -> Question | None:
    """Asks for all labels of a picture. Options are label sets that pictures of the source bear, none part of another.

    They stand in blocks that are shown alike whichever of their sets is right, so neither size nor overlap nor what
    usually goes together tells which it is.

    Args:
        row_id: The row.
        labels: Its labels.
        offers: Which label sets of the source are offered together.
        instructions: The subset's questions.
        uncertain: Labels that the release neither affirms nor denies of the picture: neither they nor what can be true
            beside them make an option wrong.

    Returns:
        None where no other set of the source is surely wrong.
    """
    wrong = offers.wrong(row_id, labels, uncertain)
    if not wrong:
        return None
    texts = [SET_SEPARATOR.join(chosen) for chosen in wrong]
    return _choice("choice_of_sets", row_id, SET_SEPARATOR.join(sorted(labels)), texts, instructions)


def ask_presence(label: str, present: bool, template: str) -> Question:
    """Asks whether a label is there. The options keep their order: there is nothing to learn from it."""
    answer = YES_NO[0] if present else YES_NO[1]
    return Question("presence", template.format(label=label), YES_NO, answer, YES_NO.index(answer))


def presence_labels(
    rows: Mapping[str, Sequence[str]],
    space: LabelSpace,
    uncertain: Mapping[str, Collection[str]] | None = None,
    *,
    balanced: bool = False,
) -> dict[str, list[tuple[str, bool]]]:
    """Chooses about which labels each row is asked yes or no.

    Every label of a row is asked; as many rows that certainly lack the label are asked too (or all that there are),
    so that the class frequency of a label tells nothing about the answer.

    Args:
        rows: Row id to its labels; the rows of one source and split.
        space: The source's label space.
        uncertain: Row id to the labels that the release neither affirms nor denies of it: neither they nor what can be
            true beside them count as lacking.
        balanced: Ask no more rows that have a label than lack it: of a label that none lacks, no row is asked.

    Returns:
        Row id to (label, present), in the card's order of labels.
    """
    names = sorted(rows)
    asked: dict[str, list[tuple[str, bool]]] = {row: [] for row in rows}
    # Rows with the same labels are alike: what is true of one is looked up for all.
    said = uncertain or {}
    kinds: dict[tuple[tuple[str, ...], tuple[str, ...]], int] = {}
    kind_of = np.fromiter(
        (kinds.setdefault((tuple(rows[row]), tuple(said.get(row, ()))), len(kinds)) for row in names), np.int64
    )
    kind_labels = [(labels, _doubtful(doubts, space)) for labels, doubts in kinds]
    for label in space.own:
        if space.excludes_all(label):
            continue
        related = space.related[label]
        has = np.array([label in labels for labels, _ in kind_labels], bool)
        lacks = np.array(
            [
                label not in labels and related.isdisjoint(labels) and label not in doubts
                for labels, doubts in kind_labels
            ],
            bool,
        )
        positive, negative = np.flatnonzero(has[kind_of]), np.flatnonzero(lacks[kind_of])
        number = len(positive)
        if balanced and len(negative) < number:
            number = len(negative)
            positive = _lowest("positive", names, positive, label, number)
        negative = _lowest("negative", names, negative, label, number)
        for place in positive.tolist():
            asked[names[place]].append((label, True))
        for place in negative.tolist():
            asked[names[place]].append((label, False))
    return asked


def _lowest(
    purpose: str, names: Sequence[str], places: npt.NDArray[np.int64], label: str, number: int
) -> npt.NDArray[np.int64]:
    """Those places, of sorted names, whose names rank lowest for the label."""
    if len(places) <= number:
        return places
    order = np.argsort(ranks(purpose, (names[place] for place in places.tolist()), label), kind="stable")
    return places[order[:number]]


def _doubtful(uncertain: Iterable[str], space: LabelSpace) -> set[str]:
    # Where a label may be true, so may all that can be true beside it: its broader labels above all.
    return {label for one in uncertain for label in (one, *space.related[one])}


def _choice(kind: str, row_id: str, answer: str, wrong: Sequence[str], instructions: Sequence[str]) -> Question:
    options = tuple(shuffled("option", row_id, [answer, *wrong]))
    instruction = instructions[rank("instruction", row_id) % len(instructions)]
    return Question(kind, instruction, options, answer, options.index(answer))
