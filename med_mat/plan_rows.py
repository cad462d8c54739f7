"""Rows of a plan: what is asked of each picture, and the columns beside it."""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from med_mat.card import Card
from med_mat.columns import Lines, taken
from med_mat.configs import SPLITS
from med_mat.errors import CardError
from med_mat.hashing import rank, salted, uniform
from med_mat.labels import LabelSpace
from med_mat.questions.ask import YES_NO, Question, ask_label, ask_label_set, ask_presence, presence_labels
from med_mat.questions.instructions import load_instructions
from med_mat.questions.label_sets import LabelSet, SetOffers, set_offers
from med_mat.sample import Split
from med_mat.schema import PLAN, REGION_PLAN
from med_mat.splits import TEST_SHARE
from med_mat.vocabulary import subsets

if TYPE_CHECKING:
    from med_mat.region_rows import RegionTable
    from med_mat.regions import Box

_ROWS_AT_ONCE = 10_000
_FROM_INDEX = ("raw_path", "frame", "extra")
_FROM_SCAN = ("raw_sha256", "pixel_hash", "perceptual_hash", "width", "height")


@dataclass(frozen=True)
class Rows:
    """The rows of a source.

    Attributes:
        table: Columns of ``schema.PLAN`` or ``schema.REGION_PLAN``, sorted by split, shard and id.
        sizes: Bytes of each row's picture and mask as they are published.
        aside: Split to the number of its shards that hold disputed rows: the last ones.
    """

    table: pa.Table
    sizes: Lines
    aside: Mapping[Split, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Pictures:
    """Pictures of a source that may become rows, as columns.

    Attributes:
        ids: Row ids.
        found: Lines in the index.
        seen: Lines in the scan, where also their regions are.
        labels: All clean labels of each picture.
        uncertain: Labels that can neither be asked of it nor be counted as lacking.
    """

    ids: Sequence[str]
    found: Lines
    seen: Lines
    labels: Sequence[tuple[str, ...]]
    uncertain: Sequence[tuple[str, ...]]


class _Picture(NamedTuple):
    """What the questions of one picture depend on."""

    id: str
    raw_path: str
    labels: tuple[str, ...]
    uncertain: tuple[str, ...]
    place: int


@dataclass(frozen=True)
class _Blocks:
    """What is offered together: row id to the label sets of its side, and row id and label to boxes."""

    sets: Mapping[str, SetOffers] = field(default_factory=dict)
    boxes: Mapping[tuple[str, str], Sequence[Box]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Texts:
    """What is asked of the pictures of a source."""

    instructions: Sequence[str]
    presence: str | None
    count: str | None = None
    box: str | None = None


def public_keys(card: Card, index: pa.Table, lines: Lines, salt: bytes) -> list[str]:
    """Returns the keys of some lines of an index as they are published."""
    keys: list[str] = taken(index["key"], lines).to_pylist()
    if card.path_ids == "private":
        return [salted("key", f"{card.slug}:{key}", salt) for key in keys]
    return keys


def rows_of(
    card: Card,
    index: pa.Table,
    scan: pa.Table,
    space: LabelSpace,
    pictures: Pictures,
    by_split: Mapping[Split, list[int]],
    salt: bytes,
    regions: RegionTable | None,
    shard_bytes: int,
) -> Rows:
    """Returns the rows of a source.

    Args:
        card: The source's card.
        index: Columns of ``schema.INDEX``.
        scan: Columns of ``schema.SCAN``.
        space: The source's labels, and which may stand beside one another.
        pictures: What may become a row.
        by_split: Split to the pictures that go there, in the order in which splits stand in the table.
        salt: The maintainer's secret.
        regions: Regions of the pictures; None for a source without.
        shard_bytes: Aim for the size of a shard.

    Raises:
        CardError: If the labels of a picture allow no question.
    """
    schema = PLAN if regions is None else REGION_PLAN
    texts = _texts(card)
    parts = []
    every = [np.zeros(0, np.int64)]
    blocks = _blocks(card, space, index, pictures, regions, texts)
    for split, chosen in by_split.items():
        places = np.array(sorted(chosen, key=pictures.ids.__getitem__), np.int64)
        sizes = _sizes(scan, regions, pictures.seen[places])
        every.append(sizes)
        shards = _shards(sizes, shard_bytes)
        asked = _asked(card, space, pictures, places, texts, balanced=regions is not None)
        # Over the whole split: a picture's questions hang on no other of its batch.
        there = Counter(label for pairs in asked.values() for label, present in pairs if present)
        for start in range(0, len(places), _ROWS_AT_ONCE):
            some = places[start : start + _ROWS_AT_ONCE]
            columns: dict[str, Any] = {
                "split": [split] * len(some),
                "shard": shards[start : start + len(some)],
                **_constants(card, len(some)),
                **_copied(index, scan, pictures, some, regions),
                **_named(card, index, pictures, some, salt),
                **_questions(card, space, texts, pictures, some, index, asked, there, regions, blocks),
            }
            arrays = [_as(columns[field.name], field.type) for field in schema]
            parts.append(pa.Table.from_arrays(arrays, schema=schema))
    table = pa.concat_tables(parts).combine_chunks() if parts else schema.empty_table()
    return Rows(table, np.concatenate(every))


def set_aside(rows: Rows, disputed: Collection[str], shard_bytes: int) -> Rows:
    """Puts some rows of a source into shards of their own, after the others of their split.

    Args:
        rows: The rows of a source.
        disputed: Ids of those to set aside.
        shard_bytes: Aim for the size of a shard.
    """
    table, place = rows.table, rows.table.schema.get_field_index("shard")
    apart = pc.is_in(table["id"], value_set=pa.array(sorted(disputed), pa.string())).to_numpy()
    parts, sizes = [], []
    aside: dict[Split, int] = {}

    def add(chosen: npt.NDArray[np.bool_], first: int) -> int:
        """Adds rows in shards from a number on; returns the number after the last."""
        size = rows.sizes[chosen]
        shards = np.array(_shards(size, shard_bytes), np.int32) + first
        # A filter keeps chunks apart, where taking lines would join more text than one array can hold.
        part = table.filter(pa.array(chosen))
        parts.append(part.set_column(place, table.schema.field(place), pa.array(shards, pa.int32())))
        sizes.append(size)
        return int(shards[-1]) + 1 if len(shards) else first

    for split in SPLITS:
        here = pc.equal(table["split"], split).to_numpy()
        settled = add(here & ~apart, 0)
        end = add(here & apart, settled)
        if end > settled:
            aside[split] = end - settled
    return Rows(pa.concat_tables(parts).combine_chunks(), np.concatenate(sizes), aside)


def _as(values: Any, kind: pa.DataType) -> pa.Array:
    return values if isinstance(values, pa.Array) else pa.array(values, kind)


def _sizes(scan: pa.Table, regions: RegionTable | None, seen: Lines) -> Lines:
    sizes = taken(scan["published_bytes"], seen)
    if regions is not None:
        sizes = pc.add(sizes, regions.mask_bytes.take(pa.array(seen)))
    found: Lines = sizes.to_numpy(zero_copy_only=False).astype(np.int64)
    return found


def _shards(sizes: Lines, shard_bytes: int) -> list[int]:
    """Numbers of the shards that pictures of these sizes go to, in their order."""
    shards = []
    shard, total = 0, 0
    for number, size in enumerate(sizes.tolist()):
        if number and total + size > shard_bytes:
            shard, total = shard + 1, 0
        total += size
        shards.append(shard)
    return shards


def _asked(
    card: Card, space: LabelSpace, pictures: Pictures, places: Lines, texts: _Texts, *, balanced: bool
) -> dict[str, list[tuple[str, bool]]]:
    # Of one label each picture is asked by its choice, unless the choice is among several labels at once.
    if texts.presence is None or (card.kind == "classification" and not space.merged):
        return {}
    ids = [pictures.ids[place] for place in places.tolist()]
    return presence_labels(
        dict(zip(ids, (pictures.labels[place] for place in places.tolist()), strict=True)),
        space,
        dict(zip(ids, (pictures.uncertain[place] for place in places.tolist()), strict=True)),
        balanced=balanced or card.kind == "classification",
    )


def _blocks(
    card: Card, space: LabelSpace, index: pa.Table, pictures: Pictures, regions: RegionTable | None, texts: _Texts
) -> _Blocks:
    """Blocks of label sets and of boxes, each of pictures of one side.

    Who knows what is right of a block's other pictures knows what is wrong here, so no block holds training and test.
    The side is the one to which a picture goes by itself, and dropped pictures count too: so the questions of a source
    do not depend on which others are there.
    """
    sides = dict(zip(pictures.ids, _sides(card, index, pictures), strict=True))
    if card.kind == "multilabel":
        counts: dict[str, Counter[LabelSet]] = {}
        for side, labels in zip(sides.values(), pictures.labels, strict=True):
            counts.setdefault(side, Counter())[tuple(sorted(labels))] += 1
        offers = {side: set_offers(some, space) for side, some in counts.items()}
        return _Blocks(sets={name: offers[side] for name, side in sides.items()})
    if regions is None or texts.box is None:
        return _Blocks()
    from med_mat.questions.ask_regions import box_offers

    boxes: dict[str, dict[str, dict[str, Sequence[Box]]]] = {}
    for (name, side), place in zip(sides.items(), pictures.seen.tolist(), strict=True):
        for label, one in regions.found(place).items():
            boxes.setdefault(side, {}).setdefault(label, {})[name] = one.boxes
    return _Blocks(boxes={pair: block for some in boxes.values() for pair, block in box_offers(some).items()})


def _sides(card: Card, index: pa.Table, pictures: Pictures) -> Iterator[str]:
    """Split to which each picture goes where no other picture pulls it elsewhere."""
    official, groups = (taken(index[name], pictures.found).to_pylist() for name in ("split", "group"))
    for name, split, group in zip(pictures.ids, official, groups, strict=True):
        if card.official_splits == "kept":
            yield split or "train"
        else:
            yield "test" if uniform("split", group or name) < TEST_SHARE else "train"


def _copied(
    index: pa.Table, scan: pa.Table, pictures: Pictures, some: Lines, regions: RegionTable | None
) -> dict[str, Any]:
    """Columns that stand in index and scan already."""
    seen = pictures.seen[some]
    columns: dict[str, Any] = {
        **{name: taken(index[name], pictures.found[some]) for name in _FROM_INDEX},
        **{name: taken(scan[name], seen) for name in _FROM_SCAN},
        "labels": [pictures.labels[place] for place in some.tolist()],
    }
    if regions is None:
        return {**columns, "objects": [[]] * len(some), "mask_labels": [[]] * len(some)}
    return {**columns, **regions.columns(seen)}


def _named(card: Card, index: pa.Table, pictures: Pictures, some: Lines, salt: bytes) -> dict[str, Any]:
    ids = [pictures.ids[place] for place in some.tolist()]
    groups = taken(index["group"], pictures.found[some]).to_pylist()
    return {
        "id": ids,
        "group": [salted("group", group or name, salt) for group, name in zip(groups, ids, strict=True)],
        "key": public_keys(card, index, pictures.found[some], salt),
    }


def _questions(
    card: Card,
    space: LabelSpace,
    texts: _Texts,
    pictures: Pictures,
    some: Lines,
    index: pa.Table,
    asked: Mapping[str, Sequence[tuple[str, bool]]],
    there: Mapping[str, int],
    regions: RegionTable | None,
    blocks: _Blocks,
) -> dict[str, Any]:
    presence = cache(lambda label, present: ask_presence(label, present, texts.presence or ""))
    paths = taken(index["raw_path"], pictures.found[some]).to_pylist()
    primaries: list[Question] = []
    others: list[list[Question]] = []
    for place, path in zip(some.tolist(), paths, strict=True):
        picture = _Picture(
            pictures.ids[place], path, pictures.labels[place], pictures.uncertain[place], int(pictures.seen[place])
        )
        more = [presence(label, present) for label, present in asked.get(picture.id, ())]
        if regions is None:
            primary = _primary(card, picture, space, blocks.sets.get(picture.id), texts.instructions, more)
        else:
            more = [*_ask_regions(picture, regions, texts, blocks.boxes), *more]
            primary = more[0] if more else _lacking(picture, space, texts, there)
        primaries.append(primary)
        others.append([question for question in more if question is not primary])
    columns = _question_columns(primaries)
    del columns["kind"]  # that of the card stands in its place
    kind = PLAN.field("more_questions").type
    listed = list(chain.from_iterable(others))
    entries = _question_columns(listed)
    columns["more_questions"] = pa.ListArray.from_arrays(
        pa.array(accumulate(map(len, others), initial=0), pa.int32()),
        pa.StructArray.from_arrays(
            [_as(entries[field.name], field.type) for field in kind.value_type], fields=list(kind.value_type)
        ),
        type=kind,
    )
    return columns


def _question_columns(questions: Sequence[Question]) -> dict[str, Any]:
    return {
        "kind": [question.kind for question in questions],
        "question": [question.question for question in questions],
        "options": [question.options for question in questions],
        "answer": [question.answer for question in questions],
        "answer_index": [question.answer_index for question in questions],
    }


def _ask_regions(
    picture: _Picture, regions: RegionTable, texts: _Texts, boxes: Mapping[tuple[str, str], Sequence[Box]]
) -> list[Question]:
    """Asks where each label is, that of most area first, then how many there are and which box holds it."""
    from med_mat.questions.ask_regions import ask_box, ask_count, ask_where

    found = regions.found(picture.place)
    questions = [ask_where(picture.id, label, one.boxes, texts.instructions) for label, one in found.items()]
    if texts.count is not None:
        # Parts too small for a box leave in doubt how many there are.
        questions += [ask_count(label, len(one.boxes), texts.count) for label, one in found.items() if not one.specks]
    if texts.box is not None:
        offered = ((label, boxes.get((picture.id, label))) for label in found)
        questions += [ask_box(picture.id, label, one, texts.box) for label, one in offered if one is not None]
    return questions


def _lacking(picture: _Picture, space: LabelSpace, texts: _Texts, there: Mapping[str, int]) -> Question:
    """Asks a picture without regions for a label that it lacks, where balance left it no other question.

    Frequent labels are asked for more often, so that no label is met in questions with the answer no above all.
    """
    lacks = [
        label
        for label in space.own
        if not space.excludes_all(label)
        and space.related[label].isdisjoint((*picture.labels, *picture.uncertain))
        and label not in picture.labels
        and label not in picture.uncertain
    ]
    if not lacks or texts.presence is None:
        raise CardError(
            f"{picture.id.split('/')[0]}: {picture.raw_path} has no region, and its source has no label "
            "to ask it for; give the card a label, or its subset a yes/no question"
        )
    ends = list(accumulate(there.get(label, 0) for label in lacks))
    place = uniform("lacking", picture.id) * (ends[-1] or len(lacks))
    label = lacks[bisect(ends, place)] if ends[-1] else lacks[int(place)]
    return ask_presence(label, False, texts.presence)


def _one_of(name: str, more: Sequence[Question]) -> Question:
    """One of some yes/no questions: as often one with the answer yes as with no, where there are both."""
    wanted = YES_NO[rank("lacking", name) % 2]
    fitting = [question for question in more if question.answer == wanted] or more
    return fitting[rank("lacking", name, "which") % len(fitting)]


def _constants(card: Card, rows: int) -> dict[str, list[Any]]:
    published = card.published_triplet
    constants: dict[str, Any] = {
        "kind": card.kind,
        "source": card.slug,
        "subset": card.subset,
        "modality": card.modality,
        "anatomy": card.anatomy,
        "task": card.task,
        "task_elements": list(subsets()[card.subset].elements) if card.subset else [],
        "published_modality": published.modality,
        "published_anatomy": published.anatomy,
        "published_task": published.task,
        "licence": card.licence.spdx or card.licence.name,
    }
    return {name: [value] * rows for name, value in constants.items()}


def _texts(card: Card) -> _Texts:
    if card.instructions or card.subset is None:
        return _Texts(card.instructions, card.presence)
    texts = load_instructions(card.subset)
    return _Texts(texts.instructions, texts.presence, texts.count, texts.box)


def _primary(
    card: Card,
    picture: _Picture,
    space: LabelSpace,
    sets: SetOffers | None,
    instructions: Sequence[str],
    more: Sequence[Question],
) -> Question:
    labels = picture.labels
    if sets is None:
        if len(labels) != 1:
            raise CardError(
                f"{card.slug}: kind classification means one label a picture, {picture.raw_path} has "
                f"{len(labels)}: {', '.join(labels)}; kind: multilabel allows several"
            )
        return ask_label(picture.id, labels[0], space, instructions)
    question = ask_label_set(picture.id, labels, sets, instructions, picture.uncertain)
    if question is not None:
        return question
    # No other label set of the source is surely wrong of the picture: it is asked yes or no.
    if more:
        return _one_of(picture.id, more)
    raise CardError(
        f"{card.slug}: {picture.raw_path} with labels {', '.join(labels)} leaves no wrong option, and "
        "its subset has no yes/no question; give the card more labels or a presence question"
    )
