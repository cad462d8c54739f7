"""From the annotations of an index to what a row holds: objects, mask, and what is found of each label."""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from med_mat.errors import ImageError
from med_mat.regions.boxes import Box
from med_mat.regions.components import Mask, components
from med_mat.regions.labelmap import LabelMap, fit_mask
from med_mat.regions.model import Object, Regions, united
from med_mat.regions.pixels import binary_mask, class_masks, colour_masks
from med_mat.regions.polygons import polygon_mask
from med_mat.regions.runs import KAGGLE_COLUMNS, KAGGLE_ROWS, SIIM_ACR, RunDialect, decode_runs
from med_mat.regions.stored import stored_values, undo_orientation
from med_mat.sample import Region

_DIALECTS: dict[str, RunDialect] = {
    "kaggle_columns": KAGGLE_COLUMNS,
    "kaggle_rows": KAGGLE_ROWS,
    "siim_acr": SIIM_ACR,
}


@dataclass(frozen=True, slots=True)
class Rules:
    """What a source's card says of all its regions.

    Attributes:
        labels: Clean labels that a region can bear; value i of a mask is the i-th of them.
        priority: Which label gets a pixel of several; see :func:`med_mat.regions.label_map`.
        smallest: Least share of the picture that a component of a mask covers to get a box; None for the package's
            own limit.
        drawn_on: The picture as it is ``displayed`` or ``stored``, for pictures that their EXIF data turns.
        always_masked: A picture without any region has an empty mask, since the source draws all regions.
    """

    labels: tuple[str, ...]
    priority: tuple[str, ...] = ()
    smallest: float | None = None
    drawn_on: Literal["displayed", "stored"] | None = None
    always_masked: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """The regions of one picture.

    Attributes:
        objects: As a row holds them.
        mask: The row's mask, shape (height, width); None without one.
        areas: Label to the share of the picture that its mask covers, or its boxes together without one; over 0, in
            the order of the rules' labels.
        specks: Label to the number of its mask's components that are too small for a box; over 0.
    """

    objects: list[Object]
    mask: LabelMap | None
    areas: Mapping[str, float]
    specks: Mapping[str, int]


def draw(
    annotations: str,
    size: tuple[int, int],
    rules: Rules,
    read: Callable[[str], bytes],
    *,
    orientation: int = 1,
) -> Drawn:
    """Draws the regions of one picture.

    Args:
        annotations: As ``med_mat.annotations.to_json`` writes them.
        size: Width and height in pixels of the picture as it is published.
        rules: What the card says.
        read: Gives the bytes of a mask's file by its path.
        orientation: What EXIF says of the raw picture, 1 to 8; 1 is upright.

    Raises:
        ImageError: A mask does not decode, has a value that is not expected or other proportions than the picture; a
            box, outline or run leaves it; masks overlap where the card does not say which wins; the picture is turned
            and the card does not say which way its regions were drawn. The message names the file.
    """
    turned = orientation != 1 and annotations != "[]"
    if turned and rules.drawn_on is None:
        raise ImageError(
            f"EXIF data turns the picture (orientation {orientation}), and the card does not say whether its regions "
            "were drawn on the displayed picture or on the stored one (drawn_on)"
        )
    stored = turned and rules.drawn_on == "stored"
    drawn_size = (size[1], size[0]) if stored and orientation >= 5 else size
    boxes: list[Region] = []
    outlined: list[Region] = []
    parts: list[tuple[str, Mask]] = []
    for entry in json.loads(annotations):
        if entry["form"] == "box":
            xmin, ymin, xmax, ymax = entry["box"]
            boxes.append(Region(entry["label"], (xmin, ymin, xmax, ymax)))
            continue
        for label, mask in _masks(entry, drawn_size, read):
            parts.append((label, fit_mask(mask, *drawn_size)))
            if entry["form"] == "outline" and mask.any():
                outlined.append(Region(label, _tight(mask)))
    # An outline is drawn around one object: where two touch, the union of masks would make them one.
    boxed = {box.label for box in boxes}
    boxes += [outline for outline in outlined if outline.label not in boxed]
    masks = united(parts)
    if stored:
        masks = {label: undo_orientation(mask, orientation) for label, mask in masks.items()}
        boxes = [Region(box.label, _turned(box.box, drawn_size, orientation)) for box in boxes]
    regions = Regions(*size, masks, tuple(boxes))
    objects = list(
        {(found["label"], tuple(found["bbox"])): found for found in regions.objects(rules.smallest)}.values()
    )
    whole = regions.label_map(rules.labels, priority=rules.priority)
    if whole is None and not boxes and rules.always_masked:
        whole = np.zeros((size[1], size[0]), np.uint8)
    return Drawn(objects, whole, _areas(masks, objects, rules.labels), _specks(masks, objects, boxes))


def mask_png(mask: LabelMap) -> bytes:
    """A mask as a row holds it: PNG, 8 bits gray. Equal masks give equal bytes."""
    stream = io.BytesIO()
    Image.fromarray(mask).save(stream, "PNG", compress_level=6)
    return stream.getvalue()


def mask_hash(mask: LabelMap) -> str:
    """32 hex digits of a mask's size and values, whatever encodes it."""
    digest = hashlib.blake2b(f"{mask.shape[1]}x{mask.shape[0]} ".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(mask).tobytes())
    return digest.hexdigest()


def _masks(entry: Mapping[str, Any], size: tuple[int, int], read: Callable[[str], bytes]) -> Iterator[tuple[str, Mask]]:
    match entry["form"]:
        case "outline":
            yield entry["label"], polygon_mask(entry["rings"], *size, points=entry["points"])
        case "runs":
            runs = decode_runs(entry["runs"], entry["width"], entry["height"], _DIALECTS[entry["dialect"]])
            yield entry["label"], runs
        case "binary" | "classes":
            try:
                yield from _of_file(entry, read(entry["path"]))
            except ImageError as error:
                raise ImageError(f"{entry['path']}: {error}") from error
        case form:
            raise ValueError(f"a region of form {form!r}")


def _of_file(entry: Mapping[str, Any], data: bytes) -> Iterator[tuple[str, Mask]]:
    values = stored_values(data, frame=entry["frame"], indices=entry.get("indices", False))
    if entry["form"] == "binary":
        yield entry["label"], binary_mask(values, threshold=entry["threshold"], inverted=entry["inverted"])
        return
    lenient = entry["unnamed"] == "background"
    if any(isinstance(value, list) for value, _ in entry["classes"]):
        colours = {(red, green, blue): label for (red, green, blue), label in entry["classes"]}
        yield from colour_masks(_colours(values), colours, lenient=lenient).items()
    else:
        yield from class_masks(_plane(values), dict(entry["classes"]), lenient=lenient).items()


def _plane(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Gray values of a label map that was saved with three equal channels."""
    if values.ndim == 3 and (values == values[..., :1]).all():
        return values[..., 0]
    return values


def _colours(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Colours of a mask that was saved gray since no colour but gray occurs in it."""
    if values.ndim == 2 and values.dtype == np.uint8:
        return np.repeat(values[..., None], 3, axis=2)
    return values


def _tight(mask: Mask) -> Box:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def _turned(box: Box, size: tuple[int, int], orientation: int) -> Box:
    """A box of the stored picture of that size, on the upright one."""
    xmin, ymin, xmax, ymax = box
    width, height = size
    if orientation in (2, 3, 7, 8):
        xmin, xmax = width - xmax, width - xmin
    if orientation in (3, 4, 6, 7):
        ymin, ymax = height - ymax, height - ymin
    return (ymin, xmin, ymax, xmax) if orientation >= 5 else (xmin, ymin, xmax, ymax)


def _specks(masks: Mapping[str, Mask], objects: Sequence[Object], boxes: Sequence[Region]) -> dict[str, int]:
    kept = Counter(found["label"] for found in objects)
    boxed = {box.label for box in boxes}
    specks = {label: len(components(mask)) - kept[label] for label, mask in masks.items() if label not in boxed}
    return {label: number for label, number in specks.items() if number}


def _areas(masks: Mapping[str, Mask], objects: Sequence[Object], labels: Sequence[str]) -> dict[str, float]:
    areas = {label: float(np.count_nonzero(mask) / mask.size) for label, mask in masks.items() if mask.any()}
    for label in {found["label"] for found in objects}.difference(areas):
        boxes = [found["bbox"] for found in objects if found["label"] == label]
        areas[label] = _union(boxes)
    return {label: areas[label] for label in labels if label in areas}


def _union(boxes: Sequence[Sequence[float]]) -> float:
    """Share of the picture under any of the boxes."""
    xs = np.unique([side for box in boxes for side in (box[0], box[2])])
    ys = np.unique([side for box in boxes for side in (box[1], box[3])])
    covered = np.zeros((len(ys), len(xs)), np.bool_)
    for xmin, ymin, xmax, ymax in boxes:
        covered[np.searchsorted(ys, ymin) : np.searchsorted(ys, ymax)][
            :, np.searchsorted(xs, xmin) : np.searchsorted(xs, xmax)
        ] = True
    cells = np.append(np.diff(ys), 0.0)[:, None] * np.append(np.diff(xs), 0.0)[None, :]
    return float(cells[covered].sum())
