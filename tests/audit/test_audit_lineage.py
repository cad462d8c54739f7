"""What is known of sources that share pictures stands in cards, with where it is from, and follows through others."""

from __future__ import annotations

from itertools import combinations

import pytest
from tiny import make_card

from med_mat.audit.lineage import Relation, outside, relations
from med_mat.card import Card
from med_mat.registry import registry

ISIC = (
    "isbi_2016",
    "isbi_2016_task_3b",
    "isic_2016_task_1",
    "isic_2017_task_1",
    "isic_2017_task_3",
    "isic_2018_task_3",
    "isic_2019",
    "skin_cancer_isic",
)
"""Challenges of several years and a mixture, which draw on one archive."""

COLLECTED = (
    "chest_xray_pd",
    "coronahack_chest_xray",
    "covid19_ct_scan_images",
    "covid19_radiography",
    "covidx_cxr_4",
)
"""Mixtures with the COVID-19 films that one public collection took from articles and websites."""

CHILDREN = ("coronahack_chest_xray", "covid19_ct_scan_images", "covid19_radiography")
"""Mixtures with the films of children from Guangzhou."""

OF_THE_NIH = (
    "chest_xray_pd",
    "chestx_det",
    "chestx_det_seg",
    "covidx_cxr_4",
    "nih_chest_xray_sample",
    "rsna_pneumonia_2018",
    "siim_acr_pneumothorax",
)
"""Sets that were drawn from the 112120 films of the NIH, directly or by way of another."""

PAIRS = (
    # One archive that two rows of the table read.
    ("busi", "busi_seg"),
    ("chestx_det", "chestx_det_seg"),
    ("nlm_montgomery", "nlm_montgomery_seg"),
    ("sicapv2", "sicapv2_seg"),
    ("vindr_pcxr", "vindr_pcxr_det"),
    ("vindr_spinexr", "vindr_spinexr_det"),
    # One dataset under two names or in two versions.
    ("chaoyang", "hsa_nrl"),
    ("duke_liver_v1", "duke_liver_v2"),
    ("toxofundus_processed", "toxofundus_raw_6class"),
    # Mixtures, parts, and augmented copies.
    ("aod", "odir_5k"),
    ("bone_fracture_multi_region", "fracture_detection_xray"),
    ("kvasir", "kvasir_seg"),
    ("mured", "rfmid_2"),
    ("oct2017_kermany", "retinal_oct_c8"),
    ("brain_tumor_dataset", "brain_tumor_mri"),
    ("tuberculosis_chest_xray", "nlm_montgomery"),
    ("tuberculosis_chest_xray", "nlm_montgomery_seg"),
    ("tuberculosis_chest_xray", "rsna_pneumonia_2018"),
    ("tuberculosis_chest_xray", "shenzhen_chest_xray"),
    *(("pediatric_pneumonia", other) for other in CHILDREN),
    *(("chestxray14_nihcc", other) for other in OF_THE_NIH),
    *combinations(ISIC, 2),
    *combinations(COLLECTED, 2),
    *combinations(CHILDREN, 2),
    *combinations(OF_THE_NIH, 2),
)


@pytest.fixture(scope="module")
def cards() -> list[Card]:
    return [source.card for source in registry()]


def test_every_overlap_that_is_known_is_declared(cards: list[Card]) -> None:
    declared = {frozenset(pair) for pair in relations(cards)}
    assert [pair for pair in PAIRS if frozenset(pair) not in declared] == []


def test_sources_that_share_nothing_are_not_related(cards: list[Card]) -> None:
    declared = {frozenset(pair) for pair in relations(cards)}
    assert frozenset(("isic_2020", "isic_2019")) not in declared
    assert frozenset(("shenzhen_chest_xray", "nlm_montgomery")) not in declared
    assert frozenset(("pediatric_pneumonia", "chestxray14_nihcc")) not in declared


def test_every_relation_names_its_evidence(cards: list[Card]) -> None:
    facts = {card.slug: " ".join(line.fact for line in card.evidence) for card in cards}
    bare = [
        (card.slug, other)
        for card in cards
        for other in (*card.lineage.contains, *card.lineage.drawn_from)
        if other not in facts[card.slug].replace(",", " ").replace(";", " ").split()
        and card.slug not in facts.get(other, "").replace(",", " ").replace(";", " ").split()
    ]
    assert bare == []


def test_a_collection_that_is_no_source_joins_sources(cards: list[Card]) -> None:
    # A name that only one card bears is a slip of the pen, or says nothing.
    assert {name: slugs for name, slugs in outside(cards).items() if len(slugs) < 2} == {}


def made(**lineages: dict[str, list[str]]) -> list[Card]:
    return [make_card(slug, lineage=lineage) for slug, lineage in lineages.items()]


def test_a_card_that_names_the_other_says_how() -> None:
    found = relations(made(whole={"contains": ["part"]}, part={}, copy={"drawn_from": ["part"]}))
    assert found == {
        ("whole", "part"): Relation("whole holds pictures of part", direct=True),
        ("part", "copy"): Relation("copy was drawn from part", direct=True),
        ("whole", "copy"): Relation("copy was drawn from whole by way of others", direct=False),
    }


def test_parts_of_one_collection_may_meet_and_wholes_of_one_part_need_not() -> None:
    parts = made(one={"drawn_from": ["pool"]}, other={"drawn_from": ["pool"]}, alone={})
    assert relations(parts) == {("one", "other"): Relation("both were drawn from pool", direct=False)}
    assert relations(made(mixture={"drawn_from": ["one", "other"]}, one={}, other={})).keys() == {
        ("mixture", "one"),
        ("mixture", "other"),
    }


def test_sources_of_one_download_are_one() -> None:
    cards = [
        make_card("films"),
        make_card("outlines", download_of="films"),
        make_card("mixture", lineage={"drawn_from": ["films"]}),
    ]
    assert relations(cards) == {
        ("films", "outlines"): Relation("one download", direct=True),
        ("films", "mixture"): Relation("mixture was drawn from films", direct=True),
        ("outlines", "mixture"): Relation("mixture was drawn from films", direct=True),
    }


def test_a_namespace_that_is_shared_is_a_relation() -> None:
    groups = {"of": "patient", "namespace": "people", "how": "the table"}
    own = {"of": "patient", "how": "the table"}
    cards = [make_card("one", groups=groups), make_card("other", groups=groups), make_card("people", groups=own)]
    assert {pair: relation.why for pair, relation in relations(cards).items()} == dict.fromkeys(
        [("one", "other"), ("one", "people"), ("other", "people")], "one namespace of groups, people"
    )
    assert relations([make_card("one", groups=own), make_card("other", groups=own)]) == {}


def test_a_circle_of_cards_ends() -> None:
    found = relations(made(a={"drawn_from": ["b"]}, b={"drawn_from": ["c"]}, c={"drawn_from": ["a"]}))
    assert len(found) == 3
