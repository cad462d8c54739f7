"""Writes loader, card and fixture of a new source to begin from; what only a person can tell is marked as such."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import get_args

from med_mat.card import Access, Card
from med_mat.contribute.paper import BLANK, ruff
from med_mat.contribute.survey import Example, Layout, alternatives
from med_mat.errors import MedMatError
from med_mat.files import write_text
from med_mat.readers import official_split
from med_mat.vocabulary import Kind

_WIDTH = 120
_NOUNS = {
    "co": "colposcopic image",
    "ct": "CT image",
    "der": "dermoscopic image",
    "dp": "photograph",
    "end": "endoscopic image",
    "fp": "fundus photograph",
    "mic": "micrograph",
    "mri": "MRI",
    "oct": "OCT scan",
    "us": "ultrasound image",
    "xray": "radiograph",
}
_HOMES: tuple[tuple[str, str, str, Access], ...] = (
    (r"https://(?:www\.)?kaggle\.com/datasets/([\w.-]+/[\w.-]+)", "Kaggle", "kaggle", "login"),
    (r"https://(?:www\.)?kaggle\.com/(?:competitions|c)/([a-z0-9-]+)", "Kaggle", "kaggle_competition", "login"),
    (r"https://(?:www\.)?zenodo\.org/records?/(\d+)", "Zenodo", "zenodo", "open"),
    (r"https://data\.mendeley\.com/datasets/([a-z0-9]{10}/\d+)", "Mendeley Data", "mendeley", "open"),
    (r"https://(?:www\.)?physionet\.org/content/([a-z0-9-]+/[\d.]+)", "PhysioNet", "physionet", "credentialed"),
    (r"https://huggingface\.co/datasets/([\w.-]+/[\w.-]+)", "Hugging Face", "huggingface", "open"),
    (r"https://github\.com/([\w.-]+/[\w.-]+)", "GitHub", "github", "open"),
    (r"https://(?:www\.)?figshare\.com/articles/\w+/[^/]+/(\d+)", "figshare", "figshare", "open"),
)
_PLAIN = re.compile(r"[A-Za-z][\w ./()+-]*[\w)]|[A-Za-z]")
_YAML_WORDS = ("true", "false", "yes", "no", "on", "off", "null", "y", "n")
_NOTHING = re.compile(r"(normal|healthy|no|without|negative)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answers:
    """What a person says of a new source.

    Attributes:
        slug: Its name.
        title: The release's title.
        kind: Kind of label.
        modality: Modality code.
        anatomy: Anatomical area.
        task: Task.
        homepage: The release's own page; None if not known yet.
        access: What stands before the download; None takes what is usual for the page.
        clean: Raw label to clean label, where a person chose one.
    """

    slug: str
    title: str
    kind: Kind
    modality: str
    anatomy: str
    task: str
    homepage: str | None
    access: Access | None
    clean: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Scaffold:
    """Texts of the three files."""

    loader: str
    card: str
    fixture: str


@dataclass(frozen=True, slots=True)
class Target:
    """Where the files of a source go.

    Attributes:
        loader: File of the loader.
        card: File of the card.
        fixture: File of the fixture.
        ledger: The ledger.
    """

    loader: Path
    card: Path
    fixture: Path
    ledger: Path

    @property
    def files(self) -> tuple[Path, Path, Path]:
        """The three files."""
        return self.loader, self.card, self.fixture


def target(slug: str, folder: Path | None, here: Path) -> Target:
    """Chooses where the files of a source go.

    Args:
        slug: The source.
        folder: A folder for ``--loaders``; None for the checkout that ``here`` lies in.
        here: The current folder.

    Raises:
        MedMatError: If there is no checkout, or one of the files is there.
    """
    if folder is not None:
        loader, card, fixture = (folder / f"{slug}{suffix}" for suffix in (".py", ".md", ".yaml"))
        found = Target(loader, card, fixture, folder / "LEDGER")
    else:
        top = next((top for top in (here, *here.parents) if (top / "cards" / "LEDGER").is_file()), None)
        if top is None:
            raise MedMatError(
                f"{here} lies in no checkout of this project; give --into FOLDER to begin one of your own"
            )
        found = Target(
            top / "loaders" / f"{slug}.py",
            top / "cards" / f"{slug}.md",
            top / "tests" / "sources" / f"{slug}.yaml",
            top / "cards" / "LEDGER",
        )
    there = [path for path in found.files if path.exists()]
    if there:
        raise MedMatError(f"{there[0]} is there already; choose another slug, or delete it to begin anew")
    return found


def write(scaffold: Scaffold, to: Target) -> None:
    """Writes the three files, and the slug as the last line of the ledger if it is not in it."""
    for path, text in zip(to.files, (scaffold.loader, scaffold.card, scaffold.fixture), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    slug = to.loader.stem
    if to.ledger.is_file():
        before = to.ledger.read_text(encoding="utf-8")
    else:
        # A ledger must name each loader; those that were there came first.
        others = sorted(path.stem for path in to.loader.parent.glob("[!_]*.py") if path.stem != slug)
        before = "".join(f"{name}\n" for name in others)
    if slug not in before.split():
        gap = "" if not before or before.endswith("\n") else "\n"
        write_text(to.ledger, f"{before}{gap}{slug}\n")
    # Lines may be shorter where the folder has a configuration of its own.
    ruff(to.loader, "format")


def scaffold(answers: Answers, layout: Layout, cards: Iterable[Card]) -> Scaffold:
    """Makes the three files.

    Args:
        answers: What a person says.
        layout: Where pictures and labels are.
        cards: Cards of other sources, whose spelling of a label is taken.
    """
    clean = clean_labels(answers, layout, cards)
    return Scaffold(_loader(answers, layout), _card(answers, layout, clean), _fixture(answers.slug, layout, clean))


def clean_labels(answers: Answers, layout: Layout, cards: Iterable[Card]) -> dict[str, str]:
    """Proposes a clean label for each raw one: a person's, that of a source of the same kind and place, or a guess."""
    known: dict[str, str] = {}
    for card in cards:
        if (card.modality, card.anatomy, card.kind) == (answers.modality, answers.anatomy, answers.kind):
            for raw, entry in card.labels.items():
                if entry.label is not None:
                    known.setdefault(_words(raw), entry.label)
    return {raw: answers.clean.get(raw) or known.get(_words(raw)) or _guess(raw) for raw in layout.labels}


def _words(raw: str) -> str:
    return " ".join(re.sub(r"[\s_;|-]+", " ", raw).split()).casefold()


def _guess(raw: str) -> str:
    if not re.search(r"[^\W\d_]{2}", raw):
        return f"{BLANK} {_words(raw)}".strip()
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", re.sub(r"[\s_;|]+", " ", raw)).split()
    return " ".join(word if word.isupper() and 1 < len(word) <= 5 else word.lower() for word in words)


def _q(text: str) -> str:
    """A YAML scalar of one line that may stand in a flow mapping."""
    if _PLAIN.fullmatch(text) and text.lower() not in _YAML_WORDS:
        return text
    return json.dumps(text, ensure_ascii=False)


# Loader -----------------------------------------------------------------------------------------------------


def _loader(answers: Answers, layout: Layout) -> str:
    make = {"folders": _from_folders, "table": _from_table, "masks": _from_masks, "boxes": _from_boxes}
    imports, constants, body = make[layout.labels_from](layout)
    laid = {
        "folders": "pictures in one folder per label",
        "table": f"pictures, and {layout.table} with their labels",
        "masks": "pictures, and a mask of the same name beside each",
        "boxes": f"pictures, and {layout.table} with a box per line",
    }[layout.labels_from]
    doc = f"{answers.title}: {laid}.".replace("\\", "/").replace('"', "'")
    lines = [
        f'"""{doc if len(doc) <= _WIDTH - 6 else f"{answers.slug}: {laid}."}"""',
        "",
        "from collections.abc import Iterator",
        "",
        *imports,
        *(["", *constants] if constants else []),
        "",
        "",
        "def samples(raw: RawRoot) -> Iterator[Sample]:",
        *(f"    {line}" for line in body),
    ]
    return "\n".join(lines) + "\n"


def _s(text: str) -> str:
    """A string of Python; between single quotes where that spares backslashes, as ruff has it."""
    quoted = json.dumps(text, ensure_ascii=False)
    return f"'{text}'" if '\\"' in quoted and "'" not in text and "\\" not in text else quoted


def _constant(name: str, items: Sequence[str]) -> list[str]:
    line = f"{name} = [{', '.join(map(_s, items))}]"
    return [line] if len(line) <= _WIDTH else [f"{name} = [", *(f"    {_s(item)}," for item in items), "]"]


def _from_folders(layout: Layout) -> tuple[list[str], list[str], list[str]]:
    imports = ["from med_mat.raw import RawRoot", "from med_mat.sample import Sample"]
    constants: list[str] = []
    call = f"for image in raw.glob({_s(layout.pattern)}):"
    if len(call) > _WIDTH - 4:
        folders = alternatives(layout.labels)
        constants = [*_constant("FOLDERS", folders[1:-1].split(",")), 'PATTERN = "{" + ",".join(FOLDERS) + "}"']
        before, after = layout.pattern.split(folders)
        parts = [_s(before)] * bool(before) + ["PATTERN", _s(after)]
        call = f"for image in raw.glob({' + '.join(parts)}):"
    label = "image" + ".parent" * layout.depth + ".name"
    split = ""
    if layout.splits:
        imports.insert(1, "from med_mat.readers import official_split")
        split = f", split=official_split(image{'.parent' * (layout.depth + 1)}.name)"
    return imports, constants, [call, f"    yield Sample(image, labels=[{label}]{split})"]


def _rows(layout: Layout) -> str:
    options = "" if layout.delimiter == "," else f", delimiter={_s(layout.delimiter)}"
    options += "" if layout.encoding == "utf-8" else f", encoding={_s(layout.encoding)}"
    return f"csv_rows(raw, {_s(layout.table)}, columns=COLUMNS{options})"


def _find(layout: Layout) -> str:
    return f"images = raw.find({_s(layout.pattern)}" + (', by="stem")' if layout.by_stem else ")")


def _name(layout: Layout, cell: str) -> str:
    """The name of a picture, from a cell that may hold more of its path."""
    pathy = any("/" in one.cell or "\\" in one.cell for one in layout.examples)
    return f'{cell}.replace("\\\\", "/").rpartition("/")[2]' if pathy else cell


def _from_table(layout: Layout) -> tuple[list[str], list[str], list[str]]:
    columns = [layout.file_column, layout.label_column]
    readers = "csv_rows"
    cells = {column: f"row[{_s(column)}]" for column in (*columns, layout.group_column, layout.split_column)}
    more = []
    if layout.group_column:
        columns.append(layout.group_column)
        more.append(f"group={cells[layout.group_column]},")
    if layout.split_column:
        columns.append(layout.split_column)
        readers += ", official_split"
        more.append(f"split=official_split({cells[layout.split_column]}),")
    label = cells[layout.label_column]
    labels = f"{label}.split({_s(layout.separator)})" if layout.separator else f"[{label}]"
    image = f"images[{_name(layout, cells[layout.file_column])}]"
    return (
        [
            "from med_mat.raw import RawRoot",
            f"from med_mat.readers import {readers}",
            "from med_mat.sample import Sample",
        ],
        _constant("COLUMNS", columns),
        [
            _find(layout),
            f"for row in {_rows(layout)}:",
            *(
                [
                    "    yield Sample(",
                    *(f"        {line}" for line in (f"{image},", f"labels={labels},", *more)),
                    "    )",
                ]
                if more
                else [f"    image = {image}", f"    yield Sample(image, labels={labels})"]
            ),
        ],
    )


def _from_masks(layout: Layout) -> tuple[list[str], list[str], list[str]]:
    step = f"{layout.mask_folder}/" if layout.mask_folder else ""
    one = len(layout.labels) == 1
    lossy = ", threshold=127" if re.search(r"jpe?g", layout.masks) else ""
    region = f"BinaryMask(mask, {_s(next(iter(layout.labels)))}{lossy})" if one else "ClassMask(mask, CLASSES)"
    values = ", ".join(f"{value}: {_s(label)}" for label, value in _values(layout).items())
    return (
        [
            "from med_mat.raw import RawRoot",
            f"from med_mat.sample import {'BinaryMask' if one else 'ClassMask'}, Sample",
        ],
        []
        if one
        else [f"# {BLANK}: which value of a mask's pixels stands for which label", f"CLASSES = {{0: None, {values}}}"],
        [
            f'masks = raw.find({_s(layout.masks)}, by="stem")',
            f"for image in raw.glob({_s(layout.pattern)}):",
            f'    mask = masks[f"{step}{{image.stem}}{layout.mask_stem}"]',
            f"    yield Sample(image, regions=[{region}])",
        ],
    )


def _values(layout: Layout) -> dict[str, int]:
    """Raw label to the value of its pixels in a mask."""
    if len(layout.labels) == 1:
        return dict.fromkeys(layout.labels, 255)
    return {label: value for value, label in enumerate(layout.labels, start=1)}


def _from_boxes(layout: Layout) -> tuple[list[str], list[str], list[str]]:
    stem = "stem" if layout.by_stem else "name"
    return (
        [
            "from med_mat.raw import RawRoot",
            "from med_mat.readers import csv_rows",
            "from med_mat.sample import Region, Sample",
        ],
        _constant("COLUMNS", [layout.file_column, layout.label_column, *layout.boxes]),
        [
            "boxes: dict[str, list[Region]] = {}",
            f"for row in {_rows(layout)}:",
            "    name, label, *sides = (row[column] for column in COLUMNS)",
            f"    # {BLANK}: if the last row and column lie inside the box, med_mat.regions.edges(..., inclusive=True)",
            "    xmin, ymin, xmax, ymax = map(float, sides)",
            "    boxes.setdefault(name, []).append(Region(label, (xmin, ymin, xmax, ymax)))",
            f"for image in raw.glob({_s(layout.pattern)}):",
            f"    yield Sample(image, regions=boxes.get(image.{stem}, []))",
        ],
    )


# Card -------------------------------------------------------------------------------------------------------


def _card(answers: Answers, layout: Layout, clean: Mapping[str, str]) -> str:
    where, place, access = _home(answers.homepage)
    noun = f"{_NOUNS[answers.modality]} of the {answers.anatomy}"
    if answers.modality == "mic" or answers.anatomy == "fundus":
        noun = _NOUNS[answers.modality]
    unknown = f"open  # {BLANK}: {', '.join(get_args(Access))}"
    regions = answers.kind in ("detection", "segmentation")
    question = f"Where does this {noun} show {{label}}?" if regions else f"What does this {noun} show?"
    lines = [
        "---",
        f"title: {_q(answers.title)}",
        f"kind: {answers.kind}",
        f"modality: {answers.modality}",
        f"anatomy: {answers.anatomy}",
        f"task: {_q(answers.task)}",
        f"homepage: {answers.homepage or json.dumps(f'{BLANK}: address of the page of the release')}",
        "download:",
        f"  where: {where or json.dumps(f'{BLANK}: who offers the download')}",
        f'  how: "{BLANK}: what a person does to get it, in one or two sentences"',
        *(
            [f"  places: [{place}]"]
            if place
            else [f'  # {BLANK}: places for `med-mat download`, such as [{{platform: zenodo, id: "1234567"}}]']
        ),
        f"access: {answers.access or access or unknown}",
        "licence:",
        f'  name: "{BLANK}: the licence in words, and whose it is"',
        f"  # {BLANK}: spdx: CC-BY-4.0, if it has an SPDX id; url: of its text or of the terms",
        f'  evidence: "{BLANK}: who states it, where, and when it was read"',
        f"redistribution: none  # {BLANK}: images, annotations or none, see docs/licences.md",
        "citation: |",
        f"  @misc{{{answers.slug},",
        f"    title = {{{answers.title}}},",
        f"    note  = {{{BLANK}: the BibTeX entry that the authors ask for}}",
        "  }",
        "labels:",
        *(_label(raw, clean[raw], count) for raw, count in layout.labels.items()),
        _groups(layout),
        *(
            [f"official_splits: kept  # {BLANK}: kept, or void with official_splits_reason"]
            if layout.splits or layout.split_column
            else ["official_splits: none"]
        ),
        *(["unread:"] if layout.unread else []),
        *(
            f'  - {{paths: [{json.dumps(one, ensure_ascii=False)}], why: "{BLANK}: what these pictures are"}}'
            for one in layout.unread
        ),
        f"path_ids: plain  # {BLANK}: plain, pseudonymous or private: do names of files tell of people?",
        "instructions:",
        f"  - {json.dumps(question)}",
        f"  # {BLANK}: five more, different in clinical content, as in docs/questions.md",
        f'presence: "Does this {noun} show {{label}}?"',
        "evidence:",
        f'  - {{fact: layout and counts, where: "{BLANK}: the download itself, when, or a listing of it"}}',
        "---",
        f"# {answers.title}",
        "",
        f"{BLANK}: where the pictures come from, what ties some of them together (patients, videos, augmented copies),",
        "and what beside the finding could give the label away.",
    ]
    return "\n".join(lines) + "\n"


def _groups(layout: Layout) -> str:
    if layout.group_column:
        told = f"column {layout.group_column} of {layout.table}"
        return f"groups: {{of: patient, how: {_q(told)}}}  # {BLANK}: is this what the column tells?"
    return (
        f"# {BLANK}: groups: {{of: patient, how: ...}}, with group=... in the loader, where anything tells; else delete"
    )


def _home(homepage: str | None) -> tuple[str | None, str | None, Access | None]:
    for pattern, where, platform, access in _HOMES:
        match = re.match(pattern, homepage or "")
        if match is not None:
            return where, f"{{platform: {platform}, id: {_q(match[1])}}}", access
    return None, None, None


def _label(raw: str, label: str, count: int | None) -> str:
    meaning = json.dumps(f"{BLANK}: what {label} means, clinically", ensure_ascii=False)
    counted = "" if count is None else f", count: {count}"
    nothing = ", no_finding: true" if _NOTHING.match(label) else ""
    return f"  {_q(raw)}: {{label: {_q(label)}, meaning: {meaning}{counted}{nothing}}}"


# Fixture ----------------------------------------------------------------------------------------------------


def _fixture(slug: str, layout: Layout, clean: Mapping[str, str]) -> str:
    wrappers = {one.path.removesuffix(one.key).rstrip("/") for one in layout.examples}
    wrapper = next(iter(wrappers)) if len(wrappers) == 1 else None
    regions = layout.labels_from in ("masks", "boxes")
    lines = ["cite:", f'  - "{BLANK}: where the paths below are quoted from"']
    if wrapper:
        lines.append(f"wrapper: {_q(wrapper)}")
    lines.append("tree:")
    if layout.table:
        lines += _written(layout, _table(layout, wrapper))
    for one in layout.examples:
        lines += _drawn(layout, one, _at(one, wrapper))
    lines.append("samples:")
    for one in layout.examples:
        told = [clean[label] for label in one.labels]
        labels = ", ".join(_q(label) for label in sorted(set(told)))
        path = "" if wrapper is not None else f", path: {_q(one.path)}"
        split = f", split: {official_split(one.split)}" if one.split else ""
        split += f", group: {_q(f'{slug}:{one.group}')}" if one.group else ""
        lines.append(f"  - {{key: {_q(one.key)}{path}, {'regions' if regions else 'labels'}: [{labels}]{split}}}")
    return "\n".join([*lines, "mutations:", *_mutations(layout)]) + "\n"


def _written(layout: Layout, table: Sequence[str]) -> list[str]:
    if layout.encoding == "utf-8" and not any(line.startswith(" ") for line in table):
        return [f"  {_q(layout.table)}: |", *(f"    {line}" for line in table)]
    text = json.dumps("".join(f"{line}\n" for line in table), ensure_ascii=False)
    return [f"  {_q(layout.table)}: {{text: {text}, encoding: {layout.encoding}}}"]


def _at(one: Example, wrapper: str | None) -> str:
    return one.path if wrapper is None else f"$/{one.key}"


def _drawn(layout: Layout, one: Example, path: str) -> Iterator[str]:
    labels = ", ".join(_q(label) for label in one.labels)
    yield f"  {_q(path)}: {{picture: [{labels}], mode: {layout.mode}}}"
    if layout.labels_from == "masks":
        folder = PurePosixPath(path).parent
        if layout.mask_folder:
            folder = (folder if "/" not in layout.pattern else folder.parent) / layout.mask_folder
        suffix = re.sub(r".*\*(\.\{)?\.?([a-z]+).*", r".\2", layout.masks)
        mask = folder / f"{PurePosixPath(path).stem}{layout.mask_stem}{suffix}"
        yield f"  {_q(str(mask))}: {{mask: {{{_q(one.labels[0])}: {_values(layout)[one.labels[0]]}}}, of: {_q(path)}}}"


def _table(layout: Layout, wrapper: str | None) -> list[str]:
    """Rows of the examples; other columns of the release stay out, since they may tell of people."""
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=layout.delimiter, lineterminator="\n")
    boxes = layout.labels_from == "boxes"
    more = [name for name in (layout.group_column, layout.split_column) if name]
    writer.writerow([layout.file_column, layout.label_column, *(layout.boxes if boxes else ()), *more])
    for one in layout.examples:
        ties = [one.group] * bool(layout.group_column) + [one.split] * bool(layout.split_column)
        for label in one.labels if boxes else [layout.separator.join(one.labels)]:
            sides = [f"<<{side}|{_at(one, wrapper)}|{label}>>" for side in ("xmin", "ymin", "xmax", "ymax")]
            writer.writerow([one.cell, label, *(sides if boxes else ()), *ties])
    return stream.getvalue().splitlines()


def _mutations(layout: Layout) -> list[str]:
    first = next(iter(layout.labels))
    if layout.labels_from == "folders":
        return [f"  - rename: [{_q(f'{first}/')}, {_q(f'{first} of another release/')}]"]
    if layout.labels_from == "masks":
        if layout.mask_folder:
            return [f"  - rename: [{_q(f'{layout.mask_folder}/')}, {_q(f'{layout.mask_folder} of another release/')}]"]
        return [f"  - rename: [{_q(layout.mask_stem)}, _other]"]
    return [
        f"  - edit: [{_q(layout.table)}, {_q(layout.label_column)}, another column]",
        f"  - remove: {_q(layout.table)}",
    ]
