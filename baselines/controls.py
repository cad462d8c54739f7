"""Controls that need no model: the class prior, file facts alone, and the nearest training picture in pixels.

Each answers a table of test questions with the places of the options that it chooses, so that it is scored like a
model.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from med_mat.baselines.errors import BaselineError
from med_mat.baselines.questions import Questions, open_dataset, open_picture
from med_mat.hashing import rank

THUMBNAIL = 32
"""Side of the grey pictures in which neighbours are looked for, in pixels."""

_TREES = 100
_LEAST_IN_LEAF = 3
_AT_ONCE = 256

Chosen = npt.NDArray[np.int8]
Thumbnails = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a file tells without its pixels.

    Attributes:
        source: Slug of the source.
        width: In pixels.
        height: In pixels.
        mode: Pillow's mode, such as ``L``.
        format: Pillow's name of the format, such as ``PNG``.
        size: Length of the encoded picture in bytes.
    """

    source: str
    width: int
    height: int
    mode: str
    format: str
    size: int


def right(questions: Questions, chosen: Chosen) -> list[bool]:
    """Tells which questions are answered right.

    Args:
        questions: N questions.
        chosen: N places among the options.

    Raises:
        BaselineError: There are not as many.
    """
    answers = questions.table["answer_index"].to_pylist()
    _as_many(len(answers), len(chosen))
    return [int(place) == answer for place, answer in zip(chosen, answers, strict=True)]


def class_prior(train: Questions, test: Questions) -> Chosen:
    """Chooses the offered label that is most frequent in training, within the subset.

    Options of equal frequency are parted by hash, so that no letter is preferred.

    Raises:
        BaselineError: A question has no options.
    """
    counts: dict[str | None, Counter[str]] = {}
    for row in _choices(train):
        counts.setdefault(row["subset"], Counter())[row["label"]] += 1
    return _best(test, [counts.get(row["subset"], Counter()) for row in _choices(test)])


def file_facts(questions: Questions) -> list[FileFacts]:
    """Reads the facts of each question's file; headers only, no pixel is decoded.

    Raises:
        BaselineError: A question has no picture of the dataset.
    """
    found: dict[str, FileFacts] = {}
    sources, pictures = (questions.table[name].to_pylist() for name in ("source", "picture"))
    for source, picture in zip(sources, pictures, strict=True):
        if picture not in found:
            data = _stored(questions, picture)
            with Image.open(io.BytesIO(data)) as image:
                found[picture] = FileFacts(source, image.width, image.height, image.mode, str(image.format), len(data))
    return [found[picture] for picture in pictures]


def by_file_facts(
    train: Questions, test: Questions, train_facts: Sequence[FileFacts], test_facts: Sequence[FileFacts]
) -> Chosen:
    """Answers from file facts alone: a random forest per subset, learnt on the training questions.

    Args:
        train: Questions to learn from.
        test: Questions to answer.
        train_facts: One for each training question.
        test_facts: One for each test question.

    Returns:
        The offered label that the forest holds most likely. Labels it never saw have no chance; where that is all
        of them, the choice is by hash.

    Raises:
        BaselineError: Not one for each, or a question has no options.
    """
    from sklearn.ensemble import RandomForestClassifier

    _as_many(len(train), len(train_facts))
    _as_many(len(test), len(test_facts))
    learnt, asked = list(_choices(train)), list(_choices(test))
    codes = {name: _codes(train_facts, name) for name in ("source", "mode", "format")}
    likely: list[dict[str, float]] = [{} for _ in asked]
    for subset in dict.fromkeys(row["subset"] for row in asked):
        from_places = [place for place, row in enumerate(learnt) if row["subset"] == subset]
        to_places = [place for place, row in enumerate(asked) if row["subset"] == subset]
        if not from_places:
            continue
        # Rows are put in one order: a forest's draws follow their places.
        from_places.sort(key=lambda place: learnt[place]["id"])
        forest = RandomForestClassifier(
            _TREES, min_samples_leaf=_LEAST_IN_LEAF, n_jobs=1, random_state=rank("forest", str(subset)) % 2**32
        )
        forest.fit(
            _numbers([train_facts[place] for place in from_places], codes),
            [learnt[place]["label"] for place in from_places],
        )
        chances = forest.predict_proba(_numbers([test_facts[place] for place in to_places], codes))
        for place, row in zip(to_places, chances, strict=True):
            likely[place] = dict(zip(forest.classes_.tolist(), row.tolist(), strict=True))
    return _best(test, likely)


def thumbnails(questions: Questions) -> Thumbnails:
    """Opens and shrinks each question's picture; a picture that stands twice in a row of questions is opened once.

    Returns:
        uint8 of shape (N, ``THUMBNAIL`` squared), grey.

    Raises:
        BaselineError: A question has no picture.
    """
    result = np.empty((len(questions), THUMBNAIL * THUMBNAIL), np.uint8)
    before: str | None = None
    for place, picture in enumerate(questions.table["picture"].to_pylist()):
        if picture is None:
            raise BaselineError(f"{questions.table['id'][place].as_py()} has no picture to look for neighbours of")
        if place and picture == before:
            result[place] = result[place - 1]
            continue
        result[place] = thumbnail(open_picture(questions.data, picture))
        before = picture
    return result


def thumbnail(image: Image.Image) -> Thumbnails:
    """Shrinks a picture.

    Returns:
        uint8 of shape (``THUMBNAIL`` squared,), grey.
    """
    small = image.convert("L").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    return np.asarray(small, np.uint8).reshape(-1)


def nearest_neighbour(train: Questions, test: Questions, train_pixels: Thumbnails, test_pixels: Thumbnails) -> Chosen:
    """Answers with the label of the nearest training picture of the subset among those with an offered label.

    Args:
        train: M questions to look in.
        test: N questions to answer.
        train_pixels: Shape (M, pixels), of ``thumbnails``.
        test_pixels: Shape (N, pixels), of ``thumbnails``.

    Returns:
        Where no training picture bears an offered label, the choice is by hash.

    Raises:
        BaselineError: Not one picture for each question, or a question has no options.
    """
    _as_many(len(train), len(train_pixels))
    _as_many(len(test), len(test_pixels))
    learnt, asked = list(_choices(train)), list(_choices(test))
    near: list[dict[str, float]] = [{} for _ in asked]
    # Subset by subset, so that memory follows the largest of them and not all training pictures.
    for subset in dict.fromkeys(row["subset"] for row in asked):
        there = [place for place, row in enumerate(learnt) if row["subset"] == subset]
        here = [place for place, row in enumerate(asked) if row["subset"] == subset]
        by_label: dict[str, list[int]] = {}
        for number, place in enumerate(there):
            by_label.setdefault(learnt[place]["label"], []).append(number)
        for start, distances in _distances(test_pixels[here], train_pixels[there]):
            for place, line in zip(here[start:], distances, strict=False):
                offered = [option for option in asked[place]["options"] if option in by_label]
                near[place] = {option: -float(line[by_label[option]].min()) for option in offered}
    return _best(test, near)


def _distances(of: Thumbnails, to: Thumbnails) -> Iterator[tuple[int, npt.NDArray[np.float64]]]:
    """Yields blocks of squared distances; exact, since sums of squares of bytes are whole numbers below 2**53."""
    there = to.astype(np.float64)
    lengths = (there * there).sum(axis=1)
    for start in range(0, len(of), _AT_ONCE):
        here = of[start : start + _AT_ONCE].astype(np.float64)
        yield start, (here * here).sum(axis=1)[:, None] + lengths - 2 * (here @ there.T)


def _best(test: Questions, scores: Sequence[Counter[str] | dict[str, float]]) -> Chosen:
    chosen = np.empty(len(test), np.int8)
    for place, (row, score) in enumerate(zip(_choices(test), scores, strict=True)):
        ranked = [
            (score.get(option, -np.inf), rank("tie", row["id"], option), -number)
            for number, option in enumerate(row["options"])
        ]
        chosen[place] = ranked.index(max(ranked))
    return chosen


def _choices(questions: Questions) -> Iterator[dict[str, Any]]:
    columns = questions.table.select(["id", "subset", "label", "options"])
    for row in columns.to_pylist():
        if not row["options"]:
            raise BaselineError(f"{row['id']} has no options: controls answer choices only")
        yield row


def _stored(questions: Questions, picture: str | None) -> bytes:
    parts = (picture or "").split("/")
    if len(parts) != 3 or not parts[2].isdigit():
        raise BaselineError(f"picture {picture!r} is no file: expected <config>/<split>/<number>")
    config, split, number = parts
    stored = open_dataset(questions.data, config, split)[int(number)]["image"]
    if stored is None or stored["bytes"] is None:
        raise BaselineError(f"{questions.data.location}: picture {picture!r} has no pixels")
    data: bytes = stored["bytes"]
    return data


def _codes(facts: Sequence[FileFacts], name: str) -> dict[str, int]:
    return {value: number for number, value in enumerate(sorted({getattr(fact, name) for fact in facts}))}


def _numbers(facts: Sequence[FileFacts], codes: dict[str, dict[str, int]]) -> npt.NDArray[np.float64]:
    """One line per file: a column per known source, mode and format, then width, height and size."""
    lines = np.zeros((len(facts), sum(map(len, codes.values())) + 3))
    for line, fact in zip(lines, facts, strict=True):
        start = 0
        for name, known in codes.items():
            place = known.get(getattr(fact, name))
            if place is not None:
                line[start + place] = 1
            start += len(known)
        line[start:] = fact.width, fact.height, fact.size
    return lines


def _as_many(questions: int, values: int) -> None:
    if questions != values:
        raise BaselineError(f"{values} values for {questions} questions: expected one for each")
