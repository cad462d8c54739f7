"""COCO: one JSON document of boxes, polygons and run lengths for many pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from med_mat.errors import ImageError
from med_mat.images.guard import check_size
from med_mat.regions.boxes import to_xyxy
from med_mat.regions.components import Mask
from med_mat.regions.model import Regions, united
from med_mat.regions.polygons import polygon_mask, ring_of_numbers
from med_mat.regions.runs import decode_coco_runs
from med_mat.sample import Region


@dataclass(frozen=True, slots=True)
class CocoPicture:
    """A picture of a COCO document with its annotations, whose masks are not drawn yet.

    Attributes:
        file_name: As the document gives it.
        width: In pixels.
        height: In pixels.
        annotations: Label and annotation, in the order of the document.
    """

    file_name: str
    width: int
    height: int
    annotations: tuple[tuple[str, Mapping[str, Any]], ...]

    def regions(self) -> Regions:
        """Draw the masks.

        Returns:
            A box per annotation (``bbox``, which is xywh), and a mask per label that has segmentations.

        Raises:
            ImageError: An annotation without a box, with a segmentation that is none, or a label of which some
                annotations on this picture have a segmentation and some have none.
        """
        boxes, parts = [], []
        without: set[str] = set()
        for label, annotation in self.annotations:
            bbox = annotation.get("bbox")
            if not isinstance(bbox, list) or not _is_numbers(bbox) or len(bbox) != 4:
                raise ImageError(f"{self.file_name}: bbox of {label!r} is {bbox}, expected x, y, width, height")
            boxes.append(Region(label, to_xyxy((bbox[0], bbox[1], bbox[2], bbox[3]), "xywh")))
            segmentation = annotation.get("segmentation")
            if segmentation:
                parts.append((label, self._mask(label, segmentation)))
            else:
                without.add(label)
        masks = united(parts)
        incomplete = sorted(without & set(masks))
        if incomplete:
            raise ImageError(
                f"{self.file_name}: of the annotations of {incomplete} some have a segmentation and some have none, so "
                "the mask would be incomplete"
            )
        return Regions(self.width, self.height, masks, tuple(boxes))

    def _mask(self, label: str, segmentation: Any) -> Mask:
        if isinstance(segmentation, Mapping):
            return decode_coco_runs(segmentation, self.width, self.height)
        if isinstance(segmentation, list) and all(map(_is_numbers, segmentation)):
            rings = [ring_of_numbers(ring) for ring in segmentation]
            return polygon_mask(rings, self.width, self.height, points="edges")
        raise ImageError(f"{self.file_name}: segmentation of {label!r}: expected a list of rings or run lengths")


def coco_pictures(document: Mapping[str, Any]) -> Iterator[CocoPicture]:
    """The pictures of a COCO document, those without annotations too.

    Args:
        document: The parsed JSON (``images``, ``annotations``, ``categories``; https://cocodataset.org, "Data format").

    Yields:
        In the order of ``images``.

    Raises:
        ImageError: A table lacks, an id occurs twice, or an annotation names a picture or category that is not there.
    """
    names = {number: str(row.get("name", "")) for number, row in _by_id(document, "categories").items()}
    if "" in names.values():
        raise ImageError("a COCO document: a category has no name")
    images = _by_id(document, "images")
    found: dict[Any, list[tuple[str, Mapping[str, Any]]]] = {number: [] for number in images}
    for annotation in _rows(document, "annotations"):
        image, category = _id(annotation, "image_id"), _id(annotation, "category_id")
        if image not in found or category not in names:
            raise ImageError(
                f"COCO annotation {annotation.get('id')}: picture {image} or category {category} is not in the document"
            )
        found[image].append((names[category], annotation))
    for number, row in images.items():
        name, width, height = row.get("file_name"), row.get("width"), row.get("height")
        if not isinstance(name, str) or not isinstance(width, int) or not isinstance(height, int):
            raise ImageError(f"COCO picture {number}: expected file_name, width and height, found {dict(row)}")
        check_size(width, height)
        yield CocoPicture(name, width, height, tuple(found[number]))


def _rows(document: Mapping[str, Any], table: str) -> Sequence[Mapping[str, Any]]:
    if not isinstance(document, Mapping):
        raise ImageError(f"a COCO document: expected an object, found a {type(document).__name__}")
    rows = document.get(table)
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise ImageError(f"a COCO document: expected a list of {table}, found {sorted(map(str, document))}")
    return rows


def _by_id(document: Mapping[str, Any], table: str) -> dict[Any, Mapping[str, Any]]:
    rows = _rows(document, table)
    by_id = {_id(row, "id"): row for row in rows if row.get("id") is not None}
    if len(by_id) != len(rows):
        raise ImageError(f"a COCO document: an id of {table} lacks or occurs twice")
    return by_id


def _id(row: Mapping[str, Any], name: str) -> int | str:
    value = row.get(name)
    if not isinstance(value, int | str):
        raise ImageError(f"a COCO document: {name} of {dict(row)} is {value!r}, expected a number or a text")
    return value


def _is_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(type(number) in (int, float) for number in value)
