"""VOC files and COCO documents."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from med_mat.errors import ImageError
from med_mat.regions import coco_pictures, decode_coco_runs, voc_annotation
from med_mat.sample import Region

VOC = """<annotation><folder>VOC</folder><filename> a.jpg </filename>
<size><width>64</width><height>32</height><depth>3</depth></size>
<object><name>polyp</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>4</xmax><ymax>2</ymax></bndbox>
  <part><name>stalk</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part></object>
<object><name>BE</name><bndbox><ymin>3.5</ymin><xmin>2</xmin><xmax>60</xmax><ymax>30</ymax></bndbox></object>
</annotation>"""


def test_voc() -> None:
    found = voc_annotation(VOC.encode(), first=1, inclusive=True)
    assert found.filename == "a.jpg"
    assert found.size == (64, 32)
    assert found.regions == (Region("polyp", (0, 0, 4, 2)), Region("BE", (1, 2.5, 60, 30)))
    assert voc_annotation(VOC.encode(), first=0, inclusive=False).regions[0].box == (1, 1, 4, 2)


def test_voc_in_other_encodings_and_without_objects() -> None:
    text = '<?xml version="1.0" encoding="utf-16"?>' + VOC.replace("polyp", "Pólyp & co").replace("&", "&amp;")
    assert voc_annotation(text.encode("utf-16"), first=1, inclusive=True).regions[0].label == "Pólyp & co"
    empty = voc_annotation(b"<annotation/>", first=1, inclusive=True)
    assert (empty.filename, empty.size, empty.regions) == ("", None, ())
    assert voc_annotation(VOC.replace(">64<", ">0<").encode(), first=1, inclusive=True).size is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_voc_with_entities_is_refused(encoding: str) -> None:
    bomb = '<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + VOC.replace("polyp", "&b;")
    with pytest.raises(ImageError, match="document type declaration"):
        voc_annotation(bomb.encode(encoding), first=1, inclusive=True)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "expected XML"),
        (b"<annotation>", "expected XML"),
        (b"<html/>", "expected <annotation>, found <html>"),
        (b'<?xml version="1.0" encoding="none-such"?><annotation/>', "expected XML"),
        (VOC.replace("<name>polyp</name>", "").encode(), "has no name"),
        (VOC.replace("<xmax>4</xmax>", "").encode(), "has no bndbox/xmax"),
        (VOC.replace("<xmax>4<", "<xmax>four<").encode(), "'four', expected a number"),
    ],
)
def test_damaged_voc(data: bytes, told: str) -> None:
    with pytest.raises(ImageError, match=told):
        voc_annotation(data, first=1, inclusive=True)


@given(st.binary(max_size=60), st.integers(0, len(VOC)))
def test_any_bytes_are_read_or_an_image_error(junk: bytes, at: int) -> None:
    for data in (junk, VOC.encode()[:at] + junk + VOC.encode()[at:]):
        try:
            found = voc_annotation(data, first=1, inclusive=True)
        except ImageError:
            continue
        assert len(found.regions) in (0, 2)


COCO: dict[str, Any] = {
    "categories": [{"id": 7, "name": "lung"}, {"id": 3, "name": "heart"}],
    "images": [
        {"id": 20, "file_name": "b.png", "width": 8, "height": 6},
        {"id": 10, "file_name": "a.png", "width": 4, "height": 3},
    ],
    "annotations": [
        {"id": 1, "image_id": 20, "category_id": 7, "bbox": [0, 0, 4, 2], "segmentation": [[0, 0, 4, 0, 4, 2, 0, 2]]},
        {"id": 2, "image_id": 20, "category_id": 3, "bbox": [5.5, 1, 2, 2]},
        {
            "id": 3,
            "image_id": 20,
            "category_id": 7,
            "bbox": [6, 0, 2, 6],
            "segmentation": {"size": [6, 8], "counts": [36, 12]},
        },
    ],
}


def test_coco() -> None:
    first, second = coco_pictures(COCO)
    assert (first.file_name, first.width, first.height) == ("b.png", 8, 6)
    assert [label for label, _ in first.annotations] == ["lung", "heart", "lung"]
    regions = first.regions()
    assert [region.label for region in regions.boxes] == ["lung", "heart", "lung"]
    assert regions.boxes[1].box == (5.5, 1, 7.5, 3)
    expected = np.zeros((6, 8), dtype=np.bool_)
    expected[:2, :4] = expected[:, 6:] = True
    assert list(regions.masks) == ["lung"]
    assert np.array_equal(regions.masks["lung"], expected)
    assert len(regions.objects()) == 3
    assert second.annotations == ()
    assert second.regions().objects() == []


def test_coco_runs_of_the_document_are_the_same() -> None:
    runs = COCO["annotations"][2]["segmentation"]
    assert decode_coco_runs(runs, 8, 6)[:, 6:].all()


@pytest.mark.parametrize(
    ("table", "row", "change", "told"),
    [
        ("annotations", 0, {"image_id": 99}, "picture 99 or category 7"),
        ("annotations", 0, {"category_id": 99}, "picture 20 or category 99"),
        ("annotations", 0, {"bbox": [1, 2, 3]}, "expected x, y, width, height"),
        ("annotations", 0, {"bbox": None}, "expected x, y, width, height"),
        ("annotations", 0, {"segmentation": "text"}, "expected a list of rings or run lengths"),
        ("annotations", 0, {"segmentation": [[0, 0, 4]]}, "pairs x, y"),
        ("annotations", 0, {"segmentation": []}, "the mask would be incomplete"),
        ("images", 0, {"width": 0}, "no pixels"),
        ("images", 0, {"height": None}, "expected file_name, width and height"),
        ("images", 0, {"id": 10}, "an id of images lacks or occurs twice"),
        ("categories", 0, {"id": None}, "an id of categories lacks or occurs twice"),
    ],
)
def test_damaged_coco(table: str, row: int, change: dict[str, Any], told: str) -> None:
    document = copy.deepcopy(COCO)
    document[table][row].update(change)
    with pytest.raises(ImageError, match=told):
        [picture.regions() for picture in coco_pictures(document)]


def test_coco_without_a_table() -> None:
    with pytest.raises(ImageError, match="expected a list of images"):
        list(coco_pictures({"categories": [], "annotations": []}))
