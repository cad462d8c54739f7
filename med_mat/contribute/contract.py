"""The contract that every source keeps: fixture → index → scan → plan → encode → ``load_dataset``.

Each function says, one sentence each, what does not hold; nothing if all does. The test suite and ``med-mat check``
call the same functions.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from med_mat.build import BuildResult
from med_mat.card import Card
from med_mat.errors import LayoutError
from med_mat.fixtures import Mutation, SourceFixture, write_mutated
from med_mat.index import Index, index_source
from med_mat.raw import RawRoot
from med_mat.registry import Source
from med_mat.trees import CopyOf, Picture, planted
from med_mat.vocabulary import catalogue

SPLITS = ("train", "validation", "test")
LEAST_OVERLAP = 0.7
"""Intersection over union from which on a box is that of a drawn lesion: masks may be saved with loss."""
TOLD = ("modality", "anatomy", "task", "published_modality", "licence", "group", "key", "raw_sha256")
"""Columns that no row leaves empty."""

Row = Mapping[str, Any]
Box = Sequence[float]


def index_tree(source: Source, location: Path, cache: Path) -> Index:
    """Indexes a raw tree as a slice of a download.

    Raises:
        LayoutError: If the loader does not take the tree for the official download.
        CardError: If the card is wrong.
    """
    with RawRoot.open(location, cache=cache) as raw:
        return index_source(source, raw, allow_missing=True)


def index_problems(fixture: SourceFixture, index: Index) -> Iterator[str]:
    """Compares what the loader found in the fixture's tree with what the fixture says."""
    found = {
        (line["key"], line["frame"]): {
            "path": line["raw_path"],
            **{name: line[name] for name in ("key", "labels", "uncertain", "split", "group", "ties", "frame")},
            "extra": {name: value for name, value in line["extra"].items() if value is not None},
        }
        for line in index.table.to_pylist()
    }
    expected = {(sample["key"], sample["frame"]): sample for sample in fixture.expected()}
    if len(expected) != len(fixture.samples):
        yield "the fixture lists a sample twice"
    for place in sorted({*found, *expected}, key=lambda place: (place[0], place[1] or 0)):
        name = place[0] if place[1] is None else f"{place[0]}, frame {place[1]}"
        if place not in found:
            yield f"sample {name} is in the fixture, and the loader does not find it"
        elif place not in expected:
            yield f"the loader finds sample {name}, which is not in the fixture"
        else:
            for field, value in expected[place].items():
                if found[place][field] != value:
                    yield f"sample {name}: {field} is {found[place][field]!r}; the fixture expects {value!r}"
    for what, number, wanted in (
        ("missing", index.missing.total, fixture.missing),
        ("left_out", sum(index.left_out.values()), fixture.left_out),
    ):
        if number != wanted:
            yield f"{what}: {number} pictures; the fixture expects {wanted}"
    odd = [(oddity.kind, oddity.path) for oddity in index.odd]
    wanted_odd = [(oddity.kind, fixture.place(oddity.path)) for oddity in fixture.odd]
    yield from (f"odd, and not in the fixture: {kind} {path}" for kind, path in odd if (kind, path) not in wanted_odd)
    yield from (
        f"not odd, as the fixture expects: {kind} {path}" for kind, path in wanted_odd if (kind, path) not in odd
    )
    if len(odd) != len(wanted_odd):
        yield f"{len(odd)} oddities; the fixture lists {len(wanted_odd)}"
    for oddity in index.undeclared:
        yield f"odd, and the card does not declare it: {oddity.kind} {oddity.path}: {oddity.detail}"


def place_problems(source: Source, tree: Path, scratch: Path) -> Iterator[str]:
    """Compares the keys of a tree with those of the same tree in an archive, and in folders of another name.

    Args:
        source: Loader and card.
        tree: The fixture's tree.
        scratch: An empty folder.
    """

    def keys(location: Path) -> list[tuple[str, int | None, tuple[str, ...]]]:
        index = index_tree(source, location, scratch / "cache")
        return [(line["key"], line["frame"], tuple(line["labels"])) for line in index.table.to_pylist()]

    packed = scratch / "archive.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(tree.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(tree))
    wrapped = scratch / "wrapped"
    shutil.copytree(tree, wrapped / "some wrapper" / "another")
    plain = keys(tree)
    if not plain:
        yield "the loader finds nothing in the fixture's tree"
    for location, how in ((packed, "in a .zip"), (wrapped, "below two more folders")):
        found = keys(location)
        if found != plain:
            differ = [key for key, *_ in found if key not in {key for key, *_ in plain}]
            shown = f", such as {differ[0]}" if differ else ""
            yield (
                f"keys change when the download lies {how}{shown}: choose the shortest tail of the path that names "
                "the picture"
            )


def mutation_problem(source: Source, fixture: SourceFixture, mutation: Mutation, scratch: Path) -> str | None:
    """Says whether a changed layout passes without complaint; None if it fails as it must.

    Args:
        source: Loader and card.
        fixture: The source's fixture.
        mutation: One of its changes.
        scratch: An empty folder.

    Raises:
        FixtureError: If the change changes nothing.
    """
    tree = scratch / "tree"
    write_mutated(fixture, mutation, tree, source.card)
    try:
        index = index_tree(source, tree, scratch / "cache")
    except LayoutError as error:
        return None if str(tree) in str(error) else f"after {mutation} the error does not name the raw root: {error}"
    return None if index.exit_code else f"after {mutation} nothing is odd: the loader must not read past such a change"


def catalogue_problems(card: Card) -> Iterator[str]:
    """Compares a card with the published table; nothing is asked of a source that it does not have."""
    row = catalogue().get(card.slug)
    if row is None:
        if card.number is not None or card.published is not None:
            yield "number, published: for sources of the published table only; leave them out"
        return
    published = card.published_triplet
    for field, found, expected in (
        ("number", card.number, row.number),
        ("kind", card.kind, row.kind),
        ("subset", card.subset, row.subset),
        ("download_of", card.raw_slug, row.download_of or row.slug),
        ("published.modality", published.modality, row.modality),
        ("published.anatomy", published.anatomy, row.anatomy),
        ("published.task", published.task, row.task),
    ):
        if found != expected:
            yield f"{field}: {found!r}; the published table has {expected!r}"


def build_problems(result: BuildResult) -> Iterator[str]:
    """Says which sources of a build failed, are odd beyond their cards, or lost a picture without a reason."""
    for source in result.sources:
        if source.failure:
            yield f"{source.slug}: {source.failure}"
        for oddity in source.undeclared:
            yield f"{source.slug}: {oddity.kind} {oddity.path}: {oddity.detail}; the card does not declare it"
    reasons = {loss.reason for source in result.sources if source.plan for loss in source.plan.losses}
    for slug, entry in result.manifest["sources"].items():
        lost = sum(number for reason, number in entry["left_out"].items() if reason in reasons)
        if entry["rows"] + lost != entry["samples"]:
            yield f"{slug}: {entry['samples']} samples are {entry['rows']} rows and {lost} losses with a reason"
    if result.exit_code and not any(source.failure or source.undeclared for source in result.sources):
        yield f"the build ends with exit code {result.exit_code}"


def row_problems(result: BuildResult, fixture: SourceFixture, card: Card) -> Iterator[str]:
    """Looks at the rows of a source as ``load_dataset`` gives them, at rest and streaming.

    Args:
        result: A build with the fixture's tree in it.
        fixture: The source's fixture.
        card: Its card.
    """
    import datasets

    from med_mat.schema import features

    rows = datasets.load_dataset(str(result.out), card.slug)
    ids: set[str] = set()
    total = 0
    for split, part in rows.items():
        if split not in SPLITS:
            yield f"{split!r} is no split; expected one of {', '.join(SPLITS)}"
        if part.features != features():
            yield f"split {split}: the columns are not those of the schema"
        for row in part:
            total += 1
            ids.add(row["id"])
            yield from (f"row {row['key']}: {problem}" for problem in _row_problems(row, card))
    if len(ids) != total:
        yield f"{total} rows bear {len(ids)} ids"
    streamed = datasets.load_dataset(str(result.out), card.slug, streaming=True)
    if {row["id"] for part in streamed.values() for row in part} != ids:
        yield "streaming gives other rows than loading"
    yield from _region_problems(result, fixture, card, (row for part in rows.values() for row in part))


def _row_problems(row: Row, card: Card) -> Iterator[str]:
    image = row["image"]
    image.load()
    if (image.width, image.height) != (row["width"], row["height"]):
        yield f"the picture is {image.width} x {image.height}, the row says {row['width']} x {row['height']}"
    if named := image.info.keys() & {"exif", "comment", "xmp", "parsed_exif"}:
        yield f"the picture still holds metadata: {', '.join(sorted(named))}"
    if row["source"] != card.slug:
        yield f"source is {row['source']!r}"
    if strange := set(row["labels"]) - set(card.clean_labels):
        yield f"labels {sorted(strange)} are not in the card"
    if not row["labels"] and not card.has_regions:
        yield "no label"
    for question in [row, *row["more_questions"]]:
        yield from _question_problems(question, card)
    for name in TOLD:
        if not row[name]:
            yield f"{name} is empty"


def _question_problems(question: Row, card: Card) -> Iterator[str]:
    text, options = question["question"], question["options"]
    if not text.endswith("?"):
        yield f"{text!r} does not end with a question mark"
    if not options:
        if question["answer_index"] != -1 or not card.has_regions:
            yield f"{text!r} has no options"
    elif not 2 <= len(options) <= 4 or len(set(options)) != len(options):
        yield f"{text!r}: options {options}; expected two to four, each once"
    elif options[question["answer_index"]] != question["answer"]:
        yield f"{text!r}: the answer {question['answer']!r} is not the option that answer_index names"


def _region_problems(result: BuildResult, fixture: SourceFixture, card: Card, rows: Iterable[Row]) -> Iterator[str]:
    if not card.has_regions:
        if any(fixture.regions.values()):
            yield f"the fixture expects regions; kind {card.kind} has none"
        return
    plan = next(source.plan for source in result.sources if source.slug == card.slug)
    if plan is None:
        yield "the build has no rows of it"
        return
    raw_paths = dict(zip(plan.table["id"].to_pylist(), plan.table["raw_path"].to_pylist(), strict=True))
    # Of several frames of one file the first stands for the file.
    expected = {sample["path"]: sample for sample in reversed(fixture.expected())}
    shown = 0
    for row in rows:
        sample = expected[raw_paths[row["id"]]]
        wanted = fixture.regions[sample["key"], sample["frame"]]
        drawn = _planted(fixture, sample["path"], card)
        shown += sum(label in wanted for label, _ in drawn)
        problems = [*_object_problems(row, wanted, sample["labels"], drawn), *_mask_problems(row, card)]
        yield from (f"row {sample['key']}: {problem}" for problem in problems)
    if not shown:
        yield "no region in the whole fixture"


def _object_problems(
    row: Row, wanted: Sequence[str], labels: Sequence[str], drawn: Sequence[tuple[str | None, Box]]
) -> Iterator[str]:
    if {found["label"] for found in row["objects"]} != set(wanted):
        yield f"objects of {sorted({found['label'] for found in row['objects']})}; the fixture expects {wanted}"
    if set(row["labels"]) != {*wanted, *labels}:
        yield f"labels {row['labels']}; the fixture expects {sorted({*wanted, *labels})}"
    for found in row["objects"]:
        xmin, ymin, xmax, ymax = found["bbox"]
        if not (0 <= xmin < xmax <= 1 and 0 <= ymin < ymax <= 1):
            yield f"box {found['bbox']} is no box within the picture"
        if not any(_within(found["bbox"], box) for _, box in drawn):
            yield f"box {found['bbox']} of {found['label']!r} is where nothing is drawn"
    for label, box in drawn:
        if label not in wanted:
            continue
        parts = [found["bbox"] for found in row["objects"] if found["label"] == label and _within(found["bbox"], box)]
        if not parts:
            yield f"no box where {label!r} is drawn, at {_short(box)}"
        elif _overlap(_around(parts), box) <= LEAST_OVERLAP:
            yield f"{label!r} is drawn at {_short(box)}, its box is {_short(_around(parts))}"


def _mask_problems(row: Row, card: Card) -> Iterator[str]:
    from med_mat.regions import parse_boxes

    mask = row["mask"]
    if mask is None:
        if row["mask_labels"]:
            yield "mask_labels without a mask"
    elif mask.mode != "L" or mask.size != row["image"].size:
        yield f"the mask is {mask.mode} of {mask.size}; expected L of {row['image'].size}"
    elif row["mask_labels"] != list(card.region_labels) or mask.getextrema()[1] > len(card.region_labels):
        yield "the mask's values are not those of the card's labels"
    if not row["objects"]:
        if row["options"] != ["yes", "no"]:
            yield f"a picture without regions is asked yes or no; found options {row['options']}"
        return
    boxes = parse_boxes(row["answer"], "unit")
    if not boxes or None in boxes or (row["options"], row["answer_index"]) != ([], -1):
        yield f"the answer {row['answer']!r} is no list of boxes"


def _planted(fixture: SourceFixture, path: str, card: Card) -> list[tuple[str | None, Box]]:
    """Clean label and box of every lesion that is drawn on a file, in shares of the picture."""
    tree = fixture.contents()
    content = tree.get(path)
    if isinstance(content, CopyOf):
        path, content = content.path, tree.get(content.path)
    if not isinstance(content, Picture):
        return []
    return [
        (card.labels[label].label, tuple(side / content.size[place % 2] for place, side in enumerate(lesion.box)))
        for label, lesions in planted(path, content, card).lesions.items()
        for lesion in lesions
    ]


def _within(box: Box, outer: Box) -> bool:
    """Whether the middle of a box lies in another."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return outer[0] <= x <= outer[2] and outer[1] <= y <= outer[3]


def _around(boxes: Sequence[Box]) -> Box:
    xmin, ymin, xmax, ymax = zip(*boxes, strict=True)
    return min(xmin), min(ymin), max(xmax), max(ymax)


def _overlap(one: Box, two: Box) -> float:
    width, height = min(one[2], two[2]) - max(one[0], two[0]), min(one[3], two[3]) - max(one[1], two[1])
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, two)]
    return max(width, 0) * max(height, 0) / (sum(areas) - max(width, 0) * max(height, 0))


def _short(box: Box) -> str:
    return ", ".join(f"{side:.2f}" for side in box)
