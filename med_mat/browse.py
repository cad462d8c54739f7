"""Rows of a build or of a published dataset, one at a time, on a page that Gradio serves on this machine."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from med_mat.errors import DependencyError
from med_mat.images import pixels
from med_mat.report.dataset import ALL, Choice, Dataset
from med_mat.report.pictures import edges, fitted, small_mask
from med_mat.sheets import PALETTE

if TYPE_CHECKING:
    from gradio import Blocks

_ASKED = ("question", "options", "answer", "answer_index", "more_questions")
_SHOWN = ("image", "mask", "mask_labels", "objects", "labels", "extra", *_ASKED)
_SIDE = 1280  # pixels
_INSIDE, _LINE = 0.35, 0.003  # strength of a mask's tint; width of a frame as a share of the longer side
_COLOURS = tuple(f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in PALETTE)


def regions(row: Mapping[str, Any], size: tuple[int, int]) -> list[tuple[npt.NDArray[np.float32], str]]:
    """Masks and boxes of a row as layers that Gradio lays over the picture.

    Args:
        row: A row as it is stored.
        size: Width and height in pixels of the picture as it is shown.

    Returns:
        A layer for each label, shape (height, width), from 0 (the picture) to 1 (the label's colour): borders of masks
        and frames of boxes are 1, the inside of a mask lets the picture through.
    """
    layers: dict[str, npt.NDArray[np.float32]] = {}
    stored = row["mask"]
    if stored is not None:
        mask = small_mask(Image.open(io.BytesIO(stored["bytes"])), size)
        borders = edges(mask)
        for value in np.unique(mask[mask > 0]).tolist():
            layers[row["mask_labels"][value - 1]] = np.where(mask == value, np.where(borders, 1, _INSIDE), 0).astype(
                "f4"
            )
    line = max(round(max(size) * _LINE), 1)
    for entry in row["objects"]:
        layer = layers.setdefault(entry["label"], np.zeros((size[1], size[0]), np.float32))
        left, top, right, bottom = (round(side * size[place % 2]) for place, side in enumerate(entry["bbox"]))
        inside = np.s_[top + line : max(bottom - line, 0), left + line : max(right - line, 0)]
        held = layer[inside].copy()
        layer[top : max(bottom, top + 1), left : max(right, left + 1)] = 1
        layer[inside] = held
    return [(layer, label) for label, layer in layers.items()]


def picture(row: Mapping[str, Any]) -> Image.Image | None:
    """The picture of a row in colours (mode ``RGB``), no side over 1280 pixels; None if the dataset does not hold it.

    Raises:
        ImageError: If it does not decode.
    """
    stored = row["image"]
    if stored is None or stored["bytes"] is None:
        return None
    image = pixels(stored["bytes"]).convert("RGB")
    return image.resize(fitted(*image.size, _SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)


def facts(row: Mapping[str, Any]) -> list[list[str]]:
    """Name and value of what a row says beside labels, regions and questions; nothing that is empty."""
    plain = {name: value for name, value in row.items() if name not in _SHOWN} | (row["extra"] or {})
    texts = {name: ", ".join(value) if isinstance(value, list) else value for name, value in plain.items()}
    return [[name, str(value)] for name, value in texts.items() if value is not None and value != ""]


def more_questions(row: Mapping[str, Any]) -> list[list[str]]:
    """Kind, question, options and answer of all questions of a row but the primary one."""
    return [[one["kind"], one["question"], " | ".join(one["options"]), one["answer"]] for one in row["more_questions"]]


def _lettered(options: Sequence[str]) -> str:
    return "\n".join(f"{chr(ord('A') + place)}: {option}" for place, option in enumerate(options))


def page(dataset: Dataset) -> Blocks:
    """Makes the page; its ``launch`` serves it. Nothing is reported to anybody.

    Its functions can be called by ``gradio_client`` too: ``/choose`` with a config; ``/show`` with config, label,
    split and the number of the row, from 1.

    Raises:
        DependencyError: If Gradio is not installed.
    """
    try:
        import gradio
    except ImportError as error:
        raise DependencyError("med-mat browse needs Gradio: pip install 'med-mat[browse]'") from error

    def narrowed(config: str) -> tuple[Any, Any, int]:
        labels, splits = dataset.labels(config), dataset.splits(config)
        return (
            gradio.Dropdown(choices=[ALL, *labels], value=ALL),
            gradio.Dropdown(choices=[ALL, *splits], value=ALL),
            1,
        )

    def show(config: str, label: str, split: str, number: float) -> Sequence[Any]:
        choice = Choice(config, label, split)
        total = dataset.find(choice).total
        if not total:
            return ("No row fits.", gradio.AnnotatedImage(value=None, label="no row"), "", "", "", "", [], [])
        place = min(max(int(number or 1), 1), total)
        row = dataset.row(choice, place - 1)
        image = picture(row)
        drawn = [] if image is None else regions(row, image.size)
        colours = {
            name: _COLOURS[place % len(_COLOURS)] for place, name in enumerate(dict.fromkeys(n for _, n in drawn))
        }
        return (
            f"Row {place:,} of {total:,}"
            + ("" if dataset.rights[row["source"]] == "images" else ". **Its picture may not be passed on.**"),
            gradio.AnnotatedImage(
                value=None if image is None else (image, drawn),
                color_map=colours,
                label="picture" if image is not None else "no pixels: the dataset does not hold this picture",
            ),
            ", ".join(row["labels"]) or "none",
            row["question"],
            gradio.Textbox(value=_lettered(row["options"]), visible=bool(row["options"])),
            row["answer"],
            more_questions(row),
            facts(row),
        )

    def step(by: int) -> Any:
        def stepped(config: str, label: str, split: str, number: float) -> int:
            total = dataset.find(Choice(config, label, split)).total
            return min(max(int(number or 1) + by, 1), max(total, 1))

        return stepped

    first = next(iter(dataset.configs))
    blocks: Blocks = gradio.Blocks(title=f"Med-MAT: {dataset.name}", analytics_enabled=False, fill_width=True)
    with blocks:
        with gradio.Row(equal_height=True):
            config = gradio.Dropdown(list(dataset.configs), value=first, label="Source or subset", filterable=True)
            label = gradio.Dropdown([ALL, *dataset.labels(first)], value=ALL, label="Label", filterable=True)
            split = gradio.Dropdown([ALL, *dataset.splits(first)], value=ALL, label="Split")
            number = gradio.Number(1, label="Row (press Enter)", precision=0, minimum=1)
            with gradio.Column(scale=0, min_width=120):
                forth = gradio.Button("Next", variant="primary", size="sm")
                back = gradio.Button("Previous", size="sm")
        status = gradio.Markdown()
        with gradio.Row():
            with gradio.Column(scale=3):
                image = gradio.AnnotatedImage(label="picture", format="png", height=560)
                labels = gradio.Textbox(label="Labels", interactive=False)
            with gradio.Column(scale=2):
                question = gradio.Textbox(label="Question", interactive=False, lines=2)
                options = gradio.Textbox(label="Options", interactive=False, lines=4)
                answer = gradio.Textbox(label="Answer", interactive=False)
                told = gradio.Dataframe(headers=["what", "value"], label="Facts", interactive=False, wrap=True)
        asked = gradio.Dataframe(
            headers=["kind", "question", "options", "answer"], label="More questions", interactive=False, wrap=True
        )
        choice = [config, label, split, number]
        shown: dict[str, Any] = {
            "fn": show,
            "inputs": choice,
            "outputs": [status, image, labels, question, options, answer, asked, told],
            "show_progress": "minimal",
        }
        blocks.load(**shown, api_name="show")
        shown["api_visibility"] = "private"
        config.input(narrowed, config, [label, split, number], api_name="choose").then(**shown)
        for narrowing in (label, split):
            narrowing.input(lambda: 1, None, number, api_visibility="private").then(**shown)
        for button, by in ((back, -1), (forth, 1)):
            button.click(step(by), choice, number, api_visibility="private").then(**shown)
        number.submit(**shown)
    return blocks
