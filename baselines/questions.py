"""Tables of questions without pixels, and the pictures that they point to.

Training, scoring and controls share these tables. They hold text only, so a table of a million questions fits into
memory; a picture is opened where it is needed, from the dataset's memory-mapped files.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from med_mat.baselines.errors import BaselineError
from med_mat.schema import ROW, features

if TYPE_CHECKING:
    from datasets import Dataset

Kinds = Literal["primary", "all"] | Sequence[str]
Files = dict[str, dict[str, list[str]]]

BLANK = "blank"
"""A picture of one grey, for asking a model that is shown nothing."""

_BLANK_SIZE = (336, 336)
_PIXELS = ("image", "mask")
# As many as a recipe draws from: to open one again for each picture takes longer than to read it.
_OPENED_DATASETS = 128
_KEPT = (
    "source",
    "subset",
    "modality",
    "anatomy",
    "task",
    "task_elements",
    "group",
    "labels",
    "objects",
    "width",
    "height",
)

QUESTION = pa.schema(
    [
        ("id", pa.string()),
        ("row_id", pa.string()),
        ("kind", pa.string()),
        *(ROW.field(name) for name in ("question", "options", "answer", "answer_index")),
        ("label", pa.string()),
        *(ROW.field(name) for name in _KEPT),
        ("split", pa.string()),
        ("picture", pa.string()),
    ]
)
"""Columns of a table of questions."""


@dataclass(frozen=True, slots=True)
class Data:
    """A built or published dataset.

    Attributes:
        location: Folder of a build, or dataset on the Hub.
        revision: Commit, tag or branch on the Hub; None for a folder, or for the newest.
    """

    location: str
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class Questions:
    """Questions and where their pictures come from.

    Attributes:
        table: In the columns of ``QUESTION``.
        data: What ``picture`` points into.
        without_pixels: Number of questions left out because their rows have no pixels.
    """

    table: pa.Table
    data: Data
    without_pixels: int = 0

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def with_table(self, table: pa.Table) -> Questions:
        """Returns the same questions with another table, cast to ``QUESTION``.

        Raises:
            BaselineError: A column is missing, or holds what its type cannot.
        """
        try:
            table = table.select(QUESTION.names).cast(QUESTION)
        except (KeyError, pa.ArrowInvalid, ValueError) as error:
            raise BaselineError(
                f"table of questions: {error}; expected the columns {', '.join(QUESTION.names)}"
            ) from None
        return Questions(table, self.data, self.without_pixels)


def resolved(data: Data) -> dict[str, str | None]:
    """Tells which bytes a dataset is, for the record of a run.

    Returns:
        ``location``, ``revision`` (on the Hub: the commit) and ``manifest_sha256`` (of a folder's ``manifest.json``).
    """
    folder = Path(data.location)
    if folder.is_dir():
        manifest = folder / "manifest.json"
        digest = hashlib.sha256(manifest.read_bytes()).hexdigest() if manifest.exists() else None
        return {"location": str(folder.resolve()), "revision": None, "manifest_sha256": digest}
    from huggingface_hub import HfApi

    commit = HfApi().dataset_info(data.location, revision=data.revision).sha
    return {"location": data.location, "revision": commit, "manifest_sha256": None}


def config_names(data: Data) -> list[str]:
    """Lists the configs of a dataset.

    Raises:
        BaselineError: There is no dataset there.
    """
    if (files := built_files(data)) is not None:
        return list(files)
    from datasets import get_dataset_config_names

    try:
        return list(get_dataset_config_names(data.location, revision=data.revision))
    except FileNotFoundError as error:
        raise _no_dataset(data, error) from None


def split_names(data: Data, config: str) -> list[str]:
    """Lists the splits of a config.

    Raises:
        BaselineError: There is no dataset there.
    """
    if (files := built_files(data)) is not None:
        return list(files.get(config, {}))
    from datasets import get_dataset_split_names

    try:
        return list(get_dataset_split_names(data.location, config, revision=data.revision))
    except FileNotFoundError as error:
        raise _no_dataset(data, error) from None


def built_files(data: Data) -> Files | None:
    """Reads which files make up the configs of a build; None for what is no folder that a build wrote.

    ``datasets`` looks for the files of all 260 configs whenever one is opened, which takes it longer than to read a
    small config; so a build's own list is read once.

    Returns:
        Config to split to patterns of files, in the order of the dataset's README.
    """
    folder = Path(data.location)
    if not (folder / "manifest.json").exists() or not (folder / "README.md").exists():
        return None
    return _listed_files(str(folder), (folder / "README.md").stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _listed_files(folder: str, _: int) -> Files:
    from huggingface_hub import DatasetCard

    listed: Files = {}
    for config in DatasetCard.load(Path(folder) / "README.md").data.to_dict().get("configs", []):
        splits = listed.setdefault(config["config_name"], {})
        for part in config["data_files"]:
            paths = [part["path"]] if isinstance(part["path"], str) else part["path"]
            splits[part["split"]] = [str(Path(folder) / path) for path in paths]
    return listed


def load_questions(data: Data, configs: Sequence[str], split: str, *, kinds: Kinds = "primary") -> Questions:
    """Reads the questions of one or more configs.

    A row that several configs hold is taken once, from the first.

    Args:
        data: The dataset.
        configs: Names of configs, such as ``subset_02``.
        split: ``train``, ``validation`` or ``test``.
        kinds: ``primary`` for the first question of each row, ``all``, or names of kinds.

    Raises:
        BaselineError: No such config or split, or no question of these kinds on a row that has pixels.
    """
    parts, absent = [], 0
    for config in configs:
        rows = open_dataset(data, config, split)
        sighted, blind = _without_pixels(rows, f"{config}/{split}")
        absent += blind
        parts.append(_asked(sighted, kinds, split))
    table = pa.concat_tables(parts) if parts else QUESTION.empty_table()
    first = (
        table.append_column("place", pa.array(range(table.num_rows), pa.int64()))
        .group_by("id")
        .aggregate([("place", "min")])
    )
    table = table.take(first["place_min"].sort())
    if not table.num_rows:
        raise BaselineError(
            f"{data.location}: no question of kind {kinds!r} in {', '.join(configs)} ({split}) is on a row with "
            f"pixels; {absent} rows have none. Attach the pictures first, or choose other configs or kinds"
        )
    return Questions(table, data, absent)


def open_picture(data: Data, reference: str) -> Image.Image:
    """Opens a picture that a table of questions points to.

    Args:
        data: The dataset.
        reference: Value of ``picture``.

    Returns:
        Mode ``RGB``.

    Raises:
        BaselineError: There is no such picture.
    """
    if reference == BLANK:
        return Image.new("RGB", _BLANK_SIZE, (128, 128, 128))
    try:
        config, split, number = reference.split("/")
        stored = open_dataset(data, config, split)[int(number)]["image"]
    except (ValueError, IndexError):
        raise BaselineError(
            f"{data.location} has no picture {reference!r}: expected <config>/<split>/<number>"
        ) from None
    if stored is None or stored["bytes"] is None:
        raise BaselineError(f"{data.location}: picture {reference!r} has no pixels")
    with Image.open(io.BytesIO(stored["bytes"])) as image:
        return image.convert("RGB")


@lru_cache(maxsize=_OPENED_DATASETS)
def open_dataset(data: Data, config: str, split: str) -> Dataset:
    """Opens a split, pictures as stored bytes; a process opens each only once.

    Raises:
        BaselineError: No such dataset, config or split.
    """
    from datasets import Image as Stored
    from datasets import load_dataset

    files = built_files(data)
    try:
        rows: Dataset
        if files is None:
            rows = load_dataset(data.location, config, split=split, revision=data.revision)
        else:
            rows = load_dataset("parquet", data_files={split: _files_of(data, files, config, split)}, split=split)
    except FileNotFoundError as error:
        raise _no_dataset(data, error) from None
    except ValueError as error:
        raise BaselineError(f"{data.location}: config {config!r}, split {split!r}: {error}") from None
    for name in _PIXELS:
        rows = rows.cast_column(name, Stored(decode=False))
    return rows


def _files_of(data: Data, files: Files, config: str, split: str) -> list[str]:
    if split not in files.get(config, {}):
        known = ", ".join(files.get(config, files))
        raise BaselineError(f"{data.location}: no config {config!r} with a split {split!r}; there are {known}")
    return files[config][split]


def _no_dataset(data: Data, error: Exception) -> BaselineError:
    return BaselineError(
        f"{data.location} is no dataset: {error}. Expected a folder that `med-mat build` made, or a name"
    )


def _without_pixels(rows: Dataset, place: str) -> tuple[pa.Table, int]:
    """Takes a split without its pixels; rows that have none go."""
    arrow = rows.with_format("arrow")
    image = arrow.data.column("image")
    seen = pc.and_(pc.is_valid(image), pc.is_valid(pc.struct_field(image, "bytes")))
    if arrow._indices is not None:
        raise BaselineError(f"{place}: expected a split as it was loaded")
    table = arrow.remove_columns(list(_PIXELS))[:]
    pictures = pa.array([f"{place}/{number}" for number in range(table.num_rows)], pa.string())
    table = table.append_column("picture", pictures).filter(seen)
    return table, rows.num_rows - table.num_rows


def _asked(table: pa.Table, kinds: Kinds, split: str) -> pa.Table:
    """Gives each question a line, in the columns of ``QUESTION``."""
    from datasets import Dataset, Features, Value

    from med_mat.rows import explode

    if kinds == "primary":
        empty = pa.array([[]] * table.num_rows, ROW.field("more_questions").type)
        table = table.set_column(table.column_names.index("more_questions"), "more_questions", empty)
    nothing = pa.nulls(table.num_rows, ROW.field("image").type)
    for name in _PIXELS:
        table = table.append_column(name, nothing)
    schema = Features({**features(), "picture": Value("string")}).arrow_schema
    rows = Dataset(table.select(schema.names).cast(schema))
    exploded = explode(rows).remove_columns(list(_PIXELS)).with_format("arrow")[:]
    label = pc.if_else(pc.greater(pc.list_value_length(exploded["options"]), 0), exploded["answer"], None)
    columns = {
        **{name: exploded[name] for name in exploded.column_names},
        "id": exploded["question_id"],
        "row_id": exploded["id"],
        "kind": exploded["question_kind"],
        "label": label,
        "split": pa.array([split] * exploded.num_rows, pa.string()),
    }
    asked = pa.table([columns[name] for name in QUESTION.names], names=QUESTION.names).cast(QUESTION)
    if kinds in ("primary", "all"):
        return asked
    return asked.filter(pc.is_in(asked["kind"], pa.array(list(kinds), pa.string())))
