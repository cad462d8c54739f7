"""Functions from questions to questions: fewer, put otherwise, or spoilt on purpose. Chance is a hash of ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from med_mat.baselines.errors import BaselineError
from med_mat.baselines.questions import BLANK, QUESTION, Questions
from med_mat.hashing import rank
from med_mat.labels import LabelSpace, label_space

if TYPE_CHECKING:
    from med_mat.card import Card


def balanced(questions: Questions, limit: int, *, by: str = "subset") -> Questions:
    """Takes at most so many questions of each subset, labels in turn.

    Labels that have fewer questions than their share give all; the others fill the rest evenly. Which questions are
    taken, and their order, follow from the hashes of their ids alone.

    Args:
        questions: Any.
        limit: Most questions per value of ``by``.
        by: Column, ``subset`` or ``source``.

    Raises:
        BaselineError: ``limit`` is below 1.
    """
    if limit < 1:
        raise BaselineError(f"at most {limit} questions per {by}: expected 1 or more")
    table = questions.table
    ids, values = table["id"].to_pylist(), table[by].to_pylist()
    hashes = [rank("balanced", name) for name in ids]
    piles: dict[Any, dict[Any, list[int]]] = {}
    for place in sorted(range(len(ids)), key=lambda place: (hashes[place], ids[place])):
        label = table["label"][place].as_py()
        piles.setdefault(values[place], {}).setdefault(label, []).append(place)
    taken = [place for pile in piles.values() for place in _in_turn(pile, limit)]
    taken.sort(key=lambda place: (hashes[place], ids[place]))
    return questions.with_table(table.take(pa.array(taken, pa.int64())))


def reordered(questions: Questions, copies: int) -> Questions:
    """Repeats questions with their options in other orders.

    A small model learns from them that the letter follows from the option's text. Copies follow one another, the
    first as it was; ids gain ``~<copy>`` from the second on. Yes and no keep their order.

    Args:
        questions: Any.
        copies: How often each question stands in the result, from 1.
    """
    tables = [questions.table]
    rows = questions.table.to_pylist()
    for copy in range(1, copies):
        turned = [_turned(row, copy) for row in rows]
        tables.append(pa.Table.from_pylist(turned, schema=QUESTION))
    return questions.with_table(pa.concat_tables(tables))


def ordered(questions: Questions) -> Questions:
    """Puts options in alphabetical order, so that of labels that are always offered together each keeps its letter."""
    rows = []
    for row in questions.table.to_pylist():
        if row["options"]:
            options = sorted(row["options"])
            row = {**row, "options": options, "answer_index": options.index(row["answer"])}
        rows.append(row)
    return questions.with_table(pa.Table.from_pylist(rows, schema=QUESTION))


def joined(*parts: Questions) -> Questions:
    """Puts questions of one dataset behind one another.

    Raises:
        BaselineError: They are of several datasets, or there are none.
    """
    if len({part.data for part in parts}) != 1:
        raise BaselineError(f"questions of {len({part.data for part in parts})} datasets: expected those of one")
    table = pa.concat_tables([part.table for part in parts])
    return Questions(table, parts[0].data, sum(part.without_pixels for part in parts))


def within_source(questions: Questions, cards: Mapping[str, Card]) -> Questions:
    """Offers the labels of a question's own source alone.

    As published, distractors are labels of the whole subset. Where a picture's looks tell its source, or the source
    has few of the subset's labels, the right option can be told without reading the picture; among labels of one
    source it cannot.

    Args:
        questions: Any. Those that do not ask for one label of several stay as they are.
        cards: Slug to card, for what each source's labels are and which of them can be true together.

    Returns:
        The questions in their order, options by hash, equally many for all of a source. Those of sources with no two
        labels that exclude one another are left out.

    Raises:
        BaselineError: There is no card for a source, or it does not know an answer.
    """
    spaces: dict[str, LabelSpace] = {}
    rows = []
    for row in questions.table.to_pylist():
        if row["kind"] == "choice":
            if row["source"] not in cards:
                raise BaselineError(f"{row['id']}: no card of {row['source']!r}; name its folder with --loaders")
            if row["source"] not in spaces:
                spaces[row["source"]] = label_space(cards[row["source"]], ())
            narrowed = _narrowed(row, spaces[row["source"]])
            if narrowed is None:
                continue
            row = narrowed
        rows.append(row)
    return questions.with_table(pa.Table.from_pylist(rows, schema=QUESTION))


def without_pictures(questions: Questions) -> Questions:
    """Asks the same without a picture."""
    return _with_pictures(questions, [None] * len(questions))


def with_blank_pictures(questions: Questions) -> Questions:
    """Asks the same with a grey picture."""
    return _with_pictures(questions, [BLANK] * len(questions))


def permuted_pictures(questions: Questions) -> Questions:
    """Gives each question the picture of another question of its source, so that pictures tell nothing but the source.

    Questions of one picture get one picture.
    """
    pictures: dict[str, set[str | None]] = {}
    for source, picture in zip(*(questions.table[name].to_pylist() for name in ("source", "picture")), strict=True):
        pictures.setdefault(source, set()).add(picture)
    swapped: dict[tuple[str, str | None], str | None] = {}
    for source, some in pictures.items():
        order = sorted(some, key=lambda name: (rank("permuted", source, str(name)), str(name)))
        swapped |= {(source, one): other for one, other in zip(order, [*order[1:], order[0]], strict=True)}
    pairs = zip(questions.table["source"].to_pylist(), questions.table["picture"].to_pylist(), strict=True)
    return _with_pictures(questions, [swapped[pair] for pair in pairs])


def shuffled_answers(questions: Questions) -> Questions:
    """Takes any option for the answer, so that nothing can be learnt.

    Raises:
        BaselineError: A question has no options.
    """
    rows = []
    for row in questions.table.to_pylist():
        if not row["options"]:
            raise BaselineError(f"{row['id']} has no options: its answer cannot be another one of them")
        place = rank("shuffled", row["id"]) % len(row["options"])
        answer = row["options"][place]
        rows.append({**row, "answer": answer, "answer_index": place, "label": answer, "labels": [answer]})
    return questions.with_table(pa.Table.from_pylist(rows, schema=QUESTION))


def _with_pictures(questions: Questions, pictures: list[str | None]) -> Questions:
    place = questions.table.column_names.index("picture")
    return questions.with_table(questions.table.set_column(place, "picture", pa.array(pictures, pa.string())))


def _in_turn(piles: dict[Any, list[int]], limit: int) -> Iterable[int]:
    taken: list[int] = []
    depth = 0
    while len(taken) < limit and any(len(pile) > depth for pile in piles.values()):
        layer = [pile[depth] for pile in piles.values() if len(pile) > depth]
        taken += layer[: limit - len(taken)]
        depth += 1
    return taken


def _narrowed(row: dict[str, Any], space: LabelSpace) -> dict[str, Any] | None:
    answer = row["answer"]
    if space.merged and answer in space.answers.values():
        return row  # what can be true together is one option already
    if answer not in space.own:
        raise BaselineError(f"{row['id']}: {answer!r} is no label of the card of {row['source']!r}")
    labels, number = space.distractors
    rivals = sorted(space.rivals(answer, labels), key=lambda label: (rank("within", row["id"], label), label))
    wrong = space.apart(rivals, number)
    if not wrong:
        return None
    options = sorted([answer, *wrong], key=lambda label: (rank("within_order", row["id"], label), label))
    return {**row, "options": options, "answer_index": options.index(answer)}


def _turned(row: dict[str, Any], copy: int) -> dict[str, Any]:
    options = list(row["options"])
    if row["kind"] == "presence" or len(options) < 2:
        return {**row, "id": f"{row['id']}~{copy}"}
    options.sort(key=lambda option: (rank("reordered", row["id"], str(copy), option), option))
    return {**row, "id": f"{row['id']}~{copy}", "options": options, "answer_index": options.index(row["answer"])}
