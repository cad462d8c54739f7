from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from med_mat.baselines.errors import BaselineError
from med_mat.baselines.related import (
    ELEMENTS,
    Member,
    corrected_members,
    of_subset,
    published_members,
    relations,
)
from med_mat.card import Card
from med_mat.registry import Registry

TARGETS = st.sampled_from([member.subset for member in published_members()])


@pytest.fixture(scope="module")
def all_cards(sources: Registry) -> list[Card]:
    return [source.card for source in sources]


@given(TARGETS)
def test_every_subset_is_related_unrelated_or_excluded(subset: str) -> None:
    members = published_members()
    found = relations(members, subset)
    parts = [*found.related, *found.unrelated, *found.excluded]
    assert sorted(parts) == sorted(member.config for member in members)
    assert set(found.target) <= set(found.excluded)
    for element in ELEMENTS:
        assert set(found.without(element)) <= set(found.related)
        assert all(element in found.shared[config] for config in set(found.related) - set(found.without(element)))


@given(TARGETS, TARGETS)
def test_being_related_is_mutual(one: str, other: str) -> None:
    members = published_members()
    here, there = relations(members, one), relations(members, other)
    assert (f"subset_{other}" in here.related) == (f"subset_{one}" in there.related)
    assert (f"subset_{other}" in here.unrelated) == (f"subset_{one}" in there.unrelated)


def test_lung_cancer_on_ct_as_published() -> None:
    found = relations(published_members(), "04")
    assert found.shared["subset_03"] == {"modality", "area"}
    assert found.shared["subset_06"] == {"modality", "task"}
    assert found.shared["subset_28"] == {"area"}
    assert "subset_13" in found.unrelated
    assert found.excluded == ("subset_04",)
    assert not set(found.without("modality")) & {"subset_02", "subset_03", "subset_05", "subset_06"}


def test_an_equal_combination_is_excluded() -> None:
    # Two published subsets are colour photographs of the fundus with grades.
    assert {"subset_16", "subset_17", "subset_34"} == set(relations(published_members(), "17").excluded)


def test_correction_moves_the_brain_tumours_from_x_ray_to_mri(all_cards: list[Card]) -> None:
    # Row 63, the only source of subset 32, is published as X-ray and shows MRI.
    published = relations(published_members(), "22")
    corrected = relations(corrected_members(all_cards), "22")
    assert published.shared["subset_32"] == {"area"}
    assert corrected.shared["brain_tumor_dataset"] == {"modality", "area"}
    fractures = relations(corrected_members(all_cards), "26")
    assert "subset_32" in relations(published_members(), "26").related
    assert "brain_tumor_dataset" in fractures.unrelated


def test_a_target_of_several_true_triplets_excludes_all_of_them(all_cards: list[Card]) -> None:
    # A source of the CT subset 03 holds chest X-rays, so X-rays of lungs with COVID-19 are its own combination.
    found = relations(corrected_members(all_cards), "03")
    assert "covid19_ct_scan_images" in found.target
    assert "covidgr" in found.excluded
    assert "subset_28" in relations(published_members(), "03").related


def test_corrected_members_are_sources_of_classification_with_a_subset(all_cards: list[Card]) -> None:
    members = corrected_members(all_cards)
    assert {member.kind for member in members} == {"classification", "multilabel"}
    assert set(of_subset(members, "02")) == {"ct_kidney"}
    detections = corrected_members(all_cards, ["detection"])
    assert detections
    assert {member.subset for member in detections} <= {"49", "50"}


def test_an_unknown_target_is_an_error() -> None:
    only = Member("subset_02", "02", "ct", "kidney", frozenset({"Diseases"}), "classification")
    with pytest.raises(BaselineError, match="no data of subset '38' to be the target; there are those of 02"):
        relations([only], "38")
