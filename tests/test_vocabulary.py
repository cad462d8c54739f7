"""The controlled words, the 53 subsets and the 109 rows agree with the published table."""

from __future__ import annotations

import re
from typing import get_args

import pytest
import yaml
from tiny import make_card

from med_mat.card import Access, Card
from med_mat.errors import CardError
from med_mat.vocabulary import Kind, Redistribution, catalogue, load_yaml, subsets, vocabulary

# Number: modality, area, title, elements, kind and rows of the catalogue, as the paper's appendix prints them.
SUBSETS = {
    "01": ("Co", "Cervix", "Cervical Picture Quality Evaluation", "Quality", "classification", [1]),
    "02": ("CT", "Kidney", "Kidney Diseases Classification", "Diseases", "classification", [2]),
    "03": ("CT", "Lung", "COVID-19 Classification", "COVID; State", "classification", [3, 4, 6]),
    "04": ("CT", "Lung", "Lung Cancer Classification", "Cancer", "classification", [5]),
    "05": ("CT", "Brain", "Brain Hemorrhage Classification", "State", "classification", [7]),
    "06": ("CT", "Brain", "Brain Cancer Classification", "Cancer", "classification", [8]),
    "07": ("Der", "Skin", "Melanoma Type Classification", "Cancer", "classification", [10]),
    "08": (
        "Der",
        "Skin",
        "Skin Diseases Classification",
        "Diseases",
        "classification",
        [9, 11, 12, 13, 14, 15, 64, 71, 72, 74],
    ),
    "09": ("DP", "Mouth", "Teeth Condition Classification", "State", "classification", [16]),
    "10": ("DP", "Mouth", "Oral Cancer Classification", "Cancer", "classification", [17]),
    "11": ("End", "Intestine", "Intestine Cleanliness Level", "Level", "classification", [18]),
    "12": ("End", "Bladder", "Cancer Degree Classification", "Level", "classification", [19]),
    "13": ("End", "Intestine", "Intestine Diseases Classification", "Diseases", "classification", [20]),
    "14": (
        "FP",
        "Fundus",
        "Eye Diseases Classification",
        "Diseases",
        "classification",
        [21, 22, 23, 26, 27, 28, 31, 32, 75],
    ),
    "15": ("FP", "Fundus", "Multiple-labels Eye Diseases Classification", "Diseases", "multilabel", [24, 25, 68]),
    "16": ("FP", "Fundus", "Blindness Level", "Level", "classification", [29]),
    "17": ("FP", "Fundus", "Retinal Images Quality Evaluation", "Quality; Level", "classification", [30]),
    "18": (
        "Mic",
        "Cell",
        "Cell Type Classification",
        "Cell Identification",
        "classification",
        [33, 36, 37, 38, 39, 40, 41, 43, 65, 70, 83],
    ),
    "19": ("Mic", "Cell", "Prostate Cancer Degree Classification", "Level", "classification", [34]),
    "20": ("Mic", "Cell", "Multiple-labels Blood Cell Classification", "Cell Identification", "multilabel", [35]),
    "21": ("Mic", "Cell", "Cancer Classification", "Cancer", "classification", [42, 67]),
    "22": ("MRI", "Brain", "Head Diseases Classification", "Diseases", "classification", [44, 45]),
    "23": ("OCT", "Retina", "Retina Diseases Classification", "Diseases", "classification", [46, 47]),
    "24": ("US", "Breast", "Breast Cancer Classification", "Cancer", "classification", [48]),
    "25": ("X-ray", "Bones", "Degree Classification of Knee", "Level", "classification", [49, 53]),
    "26": ("X-ray", "Bones", "Fractured Classification", "State", "classification", [50, 51]),
    "27": ("X-ray", "Bones", "Vertebrae Diseases Classification", "Diseases", "classification", [52]),
    "28": (
        "X-ray",
        "Lung",
        "COVID-19 and Pneumonia Classification",
        "COVID; State; Diseases",
        "classification",
        [54, 55, 56, 57, 60, 62, 81],
    ),
    "29": ("X-ray", "Breast", "Breast Diseases Classification", "Diseases", "classification", [58, 78]),
    "30": ("X-ray", "Lung", "Tuberculosis Classification", "Diseases", "classification", [59, 79]),
    "31": (
        "X-ray",
        "Chest",
        "Multiple-labels Chest Classification",
        "Diseases",
        "multilabel",
        [61, 73, 76, 77, 80, 85, 87],
    ),
    "32": ("X-ray", "Brain", "Tumor Classification", "Cancer", "classification", [63]),
    "33": ("Mic", "Cell", "Multi-labels Diseases", "Diseases", "multilabel", [84]),
    "34": ("FP", "Fundus", "Level Identification", "Level", "classification", [66]),
    "35": ("X-ray", "Bones", "Level Identification", "Level", "classification", [69]),
    "36": ("X-ray", "Bones", "Spinal lesion Classification", "Diseases", "multilabel", [86]),
    "37": ("X-ray", "Breast", "Multi-labels Diseases", "Diseases", "multilabel", [82]),
    "38": ("Der", "Skin", "Lesion Det/Seg", "Cancer Det", "segmentation", [88, 89, 90, 91]),
    "39": ("End", "Intestine", "PolyP Det/Seg", "Diseases Det", "segmentation", [92, 93]),
    "40": ("End", "Intestine", "Surgical Procedures Det/Seg", "Surgical Det", "segmentation", [94]),
    "41": ("End", "Intestine", "Multi-labels Det/Seg", "Diseases Det", "segmentation", [95]),
    "42": ("Mic", "Cell", "Cancer Cell Det/Seg", "Cancer Det", "segmentation", [96]),
    "43": ("US", "Chest", "Cancer Det/Seg", "Cancer Det", "segmentation", [97]),
    "44": ("US", "Thyroid", "Thyroid Nodule Region Det/Seg", "Nodule Det", "segmentation", [98]),
    "45": ("MRI", "Intestine", "Multi-labels Det/Seg", "Diseases Det", "segmentation", [103]),
    "46": ("MRI", "Liver", "Liver Det/Seg", "Liver Det", "segmentation", [104, 105]),
    "47": ("X-ray", "Lung", "Lung Det/Seg", "Lung Det", "segmentation", [99]),
    "48": ("X-ray", "Lung", "Pneumothorax Det/Seg", "Diseases Det", "segmentation", [106]),
    "49": ("X-ray", "Bones", "Spinal Anomaly Det", "Spinal Error Det", "detection", [100]),
    "50": ("X-ray", "Chest", "Multi-labels Det", "Diseases Det", "detection", [101, 102]),
    "51": ("FP", "Fundus", "Vessel Seg", "Vessel Seg", "segmentation", [107]),
    "52": ("FP", "Fundus", "Optic Disc and Cup Seg", "Optic Disc Seg", "segmentation", [108]),
    "53": ("FP", "Fundus", "Optic Disc Seg", "Optic Disc Seg", "segmentation", [109]),
}

# Rows whose own kind differs from that of their subset's row in the published table.
KIND_OF_ITS_OWN = {85: "classification", 102: "segmentation"}

CODE_OF = {
    "Co": "co",
    "CT": "ct",
    "Der": "der",
    "DP": "dp",
    "End": "end",
    "FP": "fp",
    "Mic": "mic",
    "MRI": "mri",
    "OCT": "oct",
    "US": "us",
    "X-ray": "xray",
    "X-Ray": "xray",
    "Ultrasound": "us",
}


def test_the_53_subsets_are_the_published_ones() -> None:
    assert {
        subset.number: (subset.modality, subset.area, subset.title, "; ".join(subset.elements), subset.kind)
        for subset in subsets().values()
    } == {number: (CODE_OF[fact[0]], *fact[1:5]) for number, fact in SUBSETS.items()}
    assert list(subsets()) == [f"{number:02d}" for number in range(1, 54)]


def test_each_row_of_the_catalogue_stands_in_its_subset() -> None:
    rows_of: dict[str, list[int]] = {}
    for row in catalogue().values():
        rows_of.setdefault(row.subset, []).append(row.number)
        assert CODE_OF[row.modality] == subsets()[row.subset].modality, row.slug
        assert row.kind == KIND_OF_ITS_OWN.get(row.number, subsets()[row.subset].kind), row.slug
    assert rows_of == {number: fact[5] for number, fact in SUBSETS.items()}


def test_109_rows_in_their_order() -> None:
    rows = catalogue()
    assert [row.number for row in rows.values()] == list(range(1, 110))
    assert all(slug == row.slug and re.fullmatch("[a-z0-9]+(_[a-z0-9]+)*", slug) for slug, row in rows.items())
    readers = [row for row in rows.values() if row.download_of]
    for row in readers:
        assert not rows[row.download_of].download_of, row.slug
    assert {row.access for row in rows.values()} == set(get_args(Access))
    assert {row.redistribution for row in rows.values()} == set(get_args(Redistribution))
    assert {row.kind for row in rows.values()} == set(get_args(Kind))


def test_eleven_modality_codes() -> None:
    assert set(vocabulary().modalities) == set(CODE_OF.values())
    assert len(vocabulary().modalities) == 11
    assert {subset.modality for subset in subsets().values()} == set(vocabulary().modalities)


@pytest.mark.parametrize("field", ["modalities", "anatomies", "tasks"])
def test_a_card_may_use_every_word_of_the_vocabulary_and_no_other(field: str) -> None:
    name = {"modalities": "modality", "anatomies": "anatomy", "tasks": "task"}[field]
    words = getattr(vocabulary(), field)
    for word in words:
        assert getattr(_card(name, word), name) == word
    with pytest.raises(CardError, match=re.escape(", ".join(words))):
        _card(name, "telepathy")


def _card(name: str, word: str) -> Card:
    return make_card(**{name: word})


def test_yaml_with_a_key_twice_is_an_error() -> None:
    with pytest.raises(yaml.YAMLError, match="'b' stands twice"):
        load_yaml("a: 1\nb: 2\nc: {b: 3}\nb: 4\n")
    assert load_yaml("a: {b: 1}\nb: {a: 1}\n") == {"a": {"b": 1}, "b": {"a": 1}}
