"""Looks at a download that nobody has described yet, so that a scaffold can begin from what is there."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from med_mat.errors import LayoutError
from med_mat.index import is_picture
from med_mat.raw import RawFile, RawRoot
from med_mat.readers import official_split

LabelsFrom = Literal["folders", "table", "masks", "boxes"]
Mode = Literal["L", "RGB", "RGBA", "1", "P", "I;16"]

MOST_LABELS = 100
"""More folders or values than this are no labels, but pictures, patients or dates."""
_EXAMPLES = 2
_MOST_UNREAD = 20
_TABLE_BYTES = 64 << 20
_LABEL_NAME = re.compile(r"label|class|diagnos|^dx|finding|target|categor|grade|type|disease|lesion", re.IGNORECASE)
_GROUP_NAME = re.compile(
    r"(patient|subject|person|case|participant|lesion|slide|video|study)_?-? ?(id|no|number|name)?$", re.I
)
_NO_LABEL_NAME = re.compile(
    r"_?id$|^age|^sex|gender|lateral|side|view|^set$|split|fold|width|height|date|path|file", re.I
)
_MASK_NAME = re.compile(r"mask|annot|label|segm|_gt\b|ground|truth|contour", re.IGNORECASE)
_MASK_ENDS = ("", "_mask", "_Mask", "_seg", "_segmentation", "_Segmentation", "_gt", "_label", "_annotation")
_PHANTOM_SUFFIXES = (".bmp", ".dcm", ".dicom", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".tif", ".tiff")


@dataclass(frozen=True, slots=True)
class Example:
    """A picture to draw in the fixture.

    Attributes:
        key: Its key, as the loader makes it.
        path: Its path in the raw root, archives under their stems.
        labels: Its raw labels, or those of its regions.
        cell: What the table calls it.
        split: The folder, or the cell, that names its official split; empty for none.
        group: The cell that names its group; empty for none.
    """

    key: str
    path: str
    labels: tuple[str, ...]
    cell: str = ""
    split: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """What a loader must know of a download.

    Attributes:
        labels_from: What tells the labels.
        labels: Raw label to number of pictures; None where nobody counted.
        pattern: Pattern of the pictures.
        depth: Folders between a picture and the one that is its label, and one.
        splits: Folders that name official splits, above the labels.
        table: Name of the table.
        encoding: How the table is encoded.
        delimiter: What separates its columns.
        file_column: Column that names the picture.
        label_column: Column that names the label.
        group_column: Column that seems to name a patient or the like; empty for none.
        split_column: Column that names official splits; empty for none.
        by_stem: The table names pictures without extension.
        separator: What separates several labels of a cell; empty for one label a cell.
        masks: Pattern of the masks.
        mask_stem: What the stem of a mask has after that of its picture.
        mask_folder: Folder of the masks.
        boxes: Columns of a box: left, top, right, bottom.
        mode: Pillow mode of the pictures.
        unread: Patterns of pictures that are no samples.
        examples: Pictures for the fixture.
    """

    labels_from: LabelsFrom
    labels: Mapping[str, int | None]
    pattern: str
    depth: int = 1
    splits: tuple[str, ...] = ()
    table: str = ""
    encoding: str = "utf-8"
    delimiter: str = ","
    file_column: str = ""
    label_column: str = ""
    group_column: str = ""
    split_column: str = ""
    by_stem: bool = False
    separator: str = ""
    masks: str = ""
    mask_stem: str = ""
    mask_folder: str = ""
    boxes: tuple[str, str, str, str] = ("xmin", "ymin", "xmax", "ymax")
    mode: Mode = "RGB"
    unread: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()


def imagined(labels_from: LabelsFrom, labels: Sequence[str], *, several: bool) -> Layout:
    """A layout to begin from where there is no download to look at.

    Args:
        labels_from: What tells the labels.
        labels: Raw labels.
        several: A picture may bear several labels.
    """
    counts: dict[str, int | None] = dict.fromkeys(labels)
    if labels_from == "folders":
        pictures = [(f"{label}/picture_{number}.png", (label,)) for label in labels for number in (1, 2)]
        return Layout("folders", counts, f"{alternatives(labels)}/*.png", examples=_examples(pictures))
    names = [(f"picture_{number}.png", (label,)) for number, label in enumerate(labels, start=1)]
    if labels_from == "table":
        return Layout(
            "table",
            counts,
            "*.png",
            table="labels.csv",
            file_column="file",
            label_column="label",
            separator="|" if several else "",
            examples=_examples(names),
        )
    beside = _examples((f"images/{name}", of) for name, of in names)
    if labels_from == "masks":
        return Layout("masks", counts, "images/*.png", masks="masks/*.png", mask_folder="masks", examples=beside)
    return Layout(
        "boxes",
        counts,
        "images/*.png",
        table="boxes.csv",
        file_column="file",
        label_column="label",
        examples=beside,
    )


def survey(
    raw: RawRoot, labels_from: LabelsFrom, labels: Sequence[str], *, several: bool, column: str | None = None
) -> Layout:
    """Looks for the layout of a download.

    Args:
        raw: The raw root.
        labels_from: What tells the labels.
        labels: Raw labels that are known; all that are found if empty. For masks, what they show.
        several: A picture may bear several labels.
        column: Column of the labels; None for the one that looks most like it.

    Raises:
        LayoutError: If the download does not tell its labels in this way.
    """
    pictures = [file for file in raw.files if is_picture(file)]
    if not pictures:
        raise LayoutError(f"{raw.location}: holds no picture file; is it the right folder?")
    if labels_from == "folders":
        return _folders(raw, pictures, tuple(labels))
    if labels_from == "masks":
        return _masks(raw, pictures, tuple(labels))
    if labels_from == "boxes":
        return _boxes(raw, pictures, tuple(labels), column)
    return _table(raw, pictures, tuple(labels), several, column)


def alternatives(names: Iterable[str]) -> str:
    """Pattern for one of several names, in which no character is a wildcard."""
    plain = ["".join(f"[{char}]" if char in "*?[{}," else char for char in name) for name in names]
    return plain[0] if len(plain) == 1 else "{" + ",".join(plain) + "}"


def _examples(pictures: Iterable[tuple[str, tuple[str, ...]]]) -> tuple[Example, ...]:
    return tuple(Example(key, key, labels, cell=key.rpartition("/")[2]) for key, labels in pictures)


def _suffixes(pictures: Iterable[RawFile]) -> str:
    found = sorted({file.suffix for file in pictures})
    return f"*{found[0]}" if len(found) == 1 else "*.{" + ",".join(suffix[1:] for suffix in found) + "}"


def _mode(raw: RawRoot, picture: RawFile) -> Mode:
    """Mode that a phantom of the picture's format and colour has."""
    from PIL import Image

    if picture.suffix in (".dcm", ".dicom", ".pgm"):
        return "L"
    try:
        mode = Image.open(io.BytesIO(raw.read(picture))).mode
    except (OSError, ValueError):
        return "RGB"
    return "L" if mode in ("L", "1") else "RGB"


def _is_split(word: str) -> bool:
    try:
        official_split(word)
    except ValueError:
        return False
    return True


def _folders(raw: RawRoot, pictures: Sequence[RawFile], labels: tuple[str, ...]) -> Layout:
    for depth in (1, 2, 3):
        deep = [file for file in pictures if len(file.key.parts) > depth]
        counts = Counter(file.key.parts[-1 - depth] for file in deep)
        if labels:
            counts = Counter({label: counts[label] for label in labels if counts[label]})
        if 2 <= len(counts) <= MOST_LABELS and not all(_is_split(name) for name in counts):
            break
    else:
        raise LayoutError(
            f"{raw.location}: no folders that could be labels: expected 2 to {MOST_LABELS} folders"
            + (f" among {', '.join(labels)}" if labels else "")
            + f"; pictures lie at paths such as {pictures[0].path}"
        )
    chosen = [file for file in deep if file.key.parts[-1 - depth] in counts]
    above = {file.key.parts[-2 - depth] if len(file.key.parts) > depth + 1 else "" for file in chosen}
    splits = tuple(sorted(above)) if len(above) > 1 and all(_is_split(name) for name in above) else ()
    names = sorted(counts)
    steps = [alternatives(splits)] * bool(splits) + [alternatives(names)] + ["*"] * (depth - 1)
    kept = len(steps) + 1
    by_label: defaultdict[tuple[str, str], list[RawFile]] = defaultdict(list)
    for file in chosen:
        parts = file.key.parts
        by_label[parts[-1 - depth], parts[-2 - depth] if splits else ""].append(file)
    examples = [
        Example("/".join(file.key.parts[-kept:]), str(file.key), (label,), split=split)
        for (label, split), files in sorted(by_label.items())
        for file in _ends(files)
    ]
    return Layout(
        "folders",
        {name: counts[name] for name in names},
        "/".join([*steps, _suffixes(chosen)]),
        depth=depth,
        splits=splits,
        mode=_mode(raw, chosen[0]),
        unread=_unread(pictures, chosen),
        examples=_drawable(examples),
    )


def _ends(files: Sequence[RawFile]) -> list[RawFile]:
    """The first file and the last."""
    return list(dict.fromkeys((files[0], files[-1])))[:_EXAMPLES]


def _drawable(examples: Iterable[Example]) -> tuple[Example, ...]:
    return tuple(one for one in examples if one.key.lower().endswith(_PHANTOM_SUFFIXES))


@dataclass(frozen=True, slots=True)
class _Sheet:
    file: RawFile
    encoding: str
    delimiter: str
    columns: tuple[str, ...]
    rows: list[dict[str, str]]


def _sheets(raw: RawRoot) -> list[_Sheet]:
    found = []
    for file in raw.files:
        if file.suffix not in (".csv", ".tsv", ".txt") or file.size > _TABLE_BYTES:
            continue
        data = raw.read(file)
        try:
            text, encoding = data.decode("utf-8-sig"), "utf-8"
        except UnicodeDecodeError:
            text, encoding = data.decode("latin-1"), "latin-1"
        head = text.partition("\n")[0]
        delimiter = max(",;\t", key=head.count)
        if not head.count(delimiter):
            continue
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
        columns = tuple(name for name in reader.fieldnames or () if name)
        rows = [{name: row.get(name) or "" for name in columns} for row in reader]
        if rows:
            found.append(_Sheet(file, encoding, delimiter, columns, rows))
    return found


def _named(
    raw: RawRoot, pictures: Sequence[RawFile], fits: Callable[[_Sheet], bool]
) -> tuple[_Sheet, str, bool, dict[str, RawFile]]:
    """The table that names most pictures, its column that does, whether without extension, and who is who."""
    names = {file.name.casefold(): file for file in pictures}
    stems = {file.name.rpartition(".")[0].casefold(): file for file in pictures}
    best: tuple[int, _Sheet, str, bool, dict[str, RawFile]] | None = None
    for sheet in _sheets(raw):
        if not fits(sheet):
            continue
        for column in sheet.columns:
            cells = {row[column] for row in sheet.rows}
            for by_stem, known in ((False, names), (True, stems)):
                who = {cell: known[_last(cell)] for cell in cells if _last(cell) in known}
                if who and (best is None or len(who) > best[0]):
                    best = (len(who), sheet, column, by_stem, who)
    if best is None:
        raise LayoutError(
            f"{raw.location}: no .csv, .tsv or .txt table has a column that names the pictures, such as "
            f"{pictures[0].name}; tables there: {', '.join(str(sheet.file.path) for sheet in _sheets(raw)) or 'none'}"
        )
    return best[1:]


def _last(cell: str) -> str:
    return cell.replace("\\", "/").rpartition("/")[2].strip().casefold()


def _separator(cells: Iterable[str]) -> str:
    every = list(cells)
    return next((mark for mark in ("|", ";", ",") if any(mark in cell for cell in every)), "|")


def _table(
    raw: RawRoot, pictures: Sequence[RawFile], labels: tuple[str, ...], several: bool, column: str | None
) -> Layout:
    sheet, file_column, by_stem, who = _named(raw, pictures, lambda _: True)
    column = _label_column(raw, sheet, file_column, column)
    others = [name for name in sheet.columns if name not in (file_column, column)]
    group = next((name for name in others if _GROUP_NAME.match(name.strip())), "")
    split = next((name for name in others if _splits_in(sheet, name)), "")
    separator = _separator(row[column] for row in sheet.rows) if several else ""
    counts: Counter[str] = Counter()
    examples: dict[str, list[Example]] = {}
    for row in sheet.rows:
        told = tuple(dict.fromkeys(row[column].split(separator) if separator else (row[column],)))
        counts.update(told)
        file = who.get(row[file_column])
        if file is not None and len(examples.setdefault(told[0], [])) < _EXAMPLES:
            examples[told[0]].append(
                Example(
                    file.name,
                    str(file.key),
                    told,
                    cell=row[file_column],
                    split=row[split] if split else "",
                    group=row[group] if group else "",
                )
            )
    named = list(who.values())
    return replace(
        _layout_of(
            "table", sheet, file_column, column, named, {label: counts[label] for label in labels or sorted(counts)}
        ),
        group_column=group,
        split_column=split,
        by_stem=by_stem,
        separator=separator,
        mode=_mode(raw, named[0]),
        unread=_unread(pictures, named),
        examples=_drawable(one for some in examples.values() for one in some),
    )


def _layout_of(
    labels_from: LabelsFrom,
    sheet: _Sheet,
    file_column: str,
    label_column: str,
    named: Sequence[RawFile],
    labels: Mapping[str, int | None],
) -> Layout:
    """What layouts that a table tells have in common."""
    return Layout(
        labels_from,
        labels,
        _suffixes(named),
        table=sheet.file.name,
        encoding=sheet.encoding,
        delimiter=sheet.delimiter,
        file_column=file_column,
        label_column=label_column,
    )


def _splits_in(sheet: _Sheet, name: str) -> bool:
    values = {row[name] for row in sheet.rows}
    return len(values) > 1 and all(_is_split(value) for value in values)


def _label_column(raw: RawRoot, sheet: _Sheet, file_column: str, wanted: str | None) -> str:
    if wanted is not None:
        if wanted not in sheet.columns:
            raise LayoutError(
                f"{raw.location}: {sheet.file.path} has no column {wanted!r}; its columns: {', '.join(sheet.columns)}"
            )
        return wanted
    values = {name: {row[name] for row in sheet.rows} for name in sheet.columns if name != file_column}
    few = [name for name, found in values.items() if 2 <= len(found) <= MOST_LABELS and not _splits_in(sheet, name)]
    if not few:
        raise LayoutError(
            f"{raw.location}: {sheet.file.path} has no column with 2 to {MOST_LABELS} values that could be labels; its "
            f"columns: {', '.join(sheet.columns)}"
        )
    plain = [name for name in few if not _NO_LABEL_NAME.search(name.strip()) and not _GROUP_NAME.match(name.strip())]
    named = [name for name in plain if _LABEL_NAME.search(name)]
    return (named or plain or few)[0]


def _unread(pictures: Iterable[RawFile], read: Iterable[RawFile]) -> tuple[str, ...]:
    """Patterns of the folders that hold pictures of which none is read."""
    known = {file.key.parent for file in read}
    others = sorted({file.key.parent.name for file in pictures if file.key.parent not in known} - {""})
    clash = {folder.name for folder in known}
    return tuple(f"{alternatives([name])}/*" for name in others if name not in clash)[:_MOST_UNREAD]


def _masks(raw: RawRoot, pictures: Sequence[RawFile], labels: tuple[str, ...]) -> Layout:
    folders: defaultdict[str, dict[str, RawFile]] = defaultdict(dict)
    for file in pictures:
        folders[file.key.parts[-2] if len(file.key.parts) > 1 else ""][file.key.stem] = file
    pairs = [
        (len(shared), image, mask, end)
        for image in folders
        for mask in folders
        for end in _MASK_ENDS
        if (image != mask or end) and not _MASK_NAME.search(image)
        if (shared := {stem for stem in folders[image] if stem + end in folders[mask]})
    ]
    if not pairs:
        raise LayoutError(
            f"{raw.location}: no two folders whose pictures and masks bear the same names; folders: "
            f"{', '.join(sorted(folders)[:20])}"
        )
    _, image, mask, end = max(pairs, key=lambda pair: (pair[0], bool(_MASK_NAME.search(pair[2])), pair[1:]))
    both = [stem for stem in sorted(folders[image]) if stem + end in folders[mask]]
    images = [folders[image][stem] for stem in both]
    masks = [folders[mask][stem + end] for stem in both]
    shown = labels or ("lesion",)
    step = f"{alternatives([image])}/" if image else ""
    mask_step = f"{alternatives([mask])}/" if mask else ""
    return Layout(
        "masks",
        {label: len(both) for label in shown},
        step + _suffixes(images),
        masks=mask_step + _suffixes(masks),
        mask_folder=mask,
        mask_stem=end,
        mode=_mode(raw, images[0]),
        unread=_unread(pictures, [*images, *masks]),
        examples=_drawable(
            Example(f"{image}/{file.name}" if image else file.name, str(file.key), (shown[0],))
            for file in _ends(images)
        ),
    )


_SIDES = (
    ("xmin", "x_min", "x1", "left"),
    ("ymin", "y_min", "y1", "top"),
    ("xmax", "x_max", "x2", "right"),
    ("ymax", "y_max", "y2", "bottom"),
)


def _sides(sheet: _Sheet) -> tuple[str, str, str, str] | None:
    found = [next((column for column in sheet.columns if column.strip().casefold() in names), None) for names in _SIDES]
    left, top, right, bottom = found
    if left is None or top is None or right is None or bottom is None:
        return None
    return left, top, right, bottom


def _boxes(raw: RawRoot, pictures: Sequence[RawFile], labels: tuple[str, ...], column: str | None) -> Layout:
    sheet, file_column, by_stem, who = _named(raw, pictures, lambda sheet: _sides(sheet) is not None)
    sides = _sides(sheet)
    if sides is None:
        raise LayoutError(f"{raw.location}: {sheet.file.path} has no columns of boxes")
    column = _label_column(raw, sheet, file_column, column)
    by_picture: defaultdict[str, set[str]] = defaultdict(set)
    for row in sheet.rows:
        by_picture[row[file_column]].add(row[column])
    counts = Counter(label for found in by_picture.values() for label in found)
    examples: dict[str, Example] = {}
    for cell, found in sorted(by_picture.items()):
        for label in found:
            if cell in who:
                examples.setdefault(label, Example(who[cell].name, str(who[cell].key), (label,), cell=cell))
    named = list(who.values())
    distinct = {one.key: one for one in examples.values()}
    return replace(
        _layout_of(
            "boxes", sheet, file_column, column, named, {label: counts[label] for label in labels or sorted(counts)}
        ),
        by_stem=by_stem,
        boxes=sides,
        mode=_mode(raw, named[0]),
        examples=_drawable(distinct.values()),
    )
