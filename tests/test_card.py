"""Cards: every kind of mistake ends in an error that names the card, the field and what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny import LABELS, card_text, front_matter, make_card

from med_mat.card import parse_card, read_card
from med_mat.errors import CardError
from med_mat.registry import Registry


def with_label(**changes: Any) -> dict[str, Any]:
    return {**LABELS, "cyst": {**LABELS["cyst"], **changes}}


STARRED = [{"kind": "copy", "paths": ["**/a"], "why": "x"}]

# What is changed in a card that is right, and what the error says beside the card's name.
MISTAKES: dict[str, tuple[dict[str, Any], list[str]]] = {
    **{
        f"no {name}": ({name: None}, [f"field {name}", "Field required"])
        for name in front_matter()
        if name not in ("subset",)
    },
    "unknown field": ({"colour": "red"}, ["field colour", "Extra inputs are not permitted", "'red'"]),
    "unknown kind": ({"kind": "regression"}, ["field kind", "'classification', 'multilabel', 'detection'"]),
    "unknown modality": ({"modality": "pet"}, ["field modality", "'pet'", "allowed: co, ct, der"]),
    "modality as published": ({"modality": "X-ray"}, ["field modality", "'X-ray'", "xray"]),
    "unknown anatomy": ({"anatomy": "elbow"}, ["field anatomy", "'elbow'", "abdomen, bladder"]),
    "unknown task": ({"task": "guessing"}, ["field task", "'guessing'", "cancer classification"]),
    "unhashable word": ({"task": ["guessing"]}, ["field task", "guessing"]),
    "unknown access": ({"access": "free"}, ["field access", "'open'", "'free'"]),
    "unknown redistribution": ({"redistribution": "all"}, ["field redistribution", "'images', 'annotations'"]),
    "unknown path_ids": ({"path_ids": "secret"}, ["field path_ids", "'plain', 'pseudonymous' or 'private'"]),
    "unknown official_splits": ({"official_splits": True}, ["field official_splits", "'kept', 'void'", "True"]),
    "void without reason": ({"official_splits": "void"}, ["official_splits: void needs official_splits_reason"]),
    "subset as a number": ({"subset": 2}, ["field subset", "valid string", "found 2"]),
    "subset with one digit": ({"subset": "2"}, ["field subset", "pattern", "'2'"]),
    "no such subset": ({"subset": "54"}, ["subset", "'54' is not one of 01 to 53"]),
    "no subset and no questions": ({"subset": None}, ["instructions", "outside the 53 subsets"]),
    "number": ({"number": 0}, ["field number", "greater than or equal to 1"]),
    "title of two lines": ({"title": "a\nb"}, ["field title", "one line"]),
    "title with blanks": ({"title": " a"}, ["field title", "one line without blanks at its ends"]),
    "empty title": ({"title": ""}, ["field title", "one line"]),
    "citation in prose": ({"citation": "Islam et al. 2022"}, ["citation: must be a BibTeX entry"]),
    "licence without evidence": ({"licence": {"name": "CC0"}}, ["field licence.evidence", "Field required"]),
    "download without how": ({"download": {"where": "here"}}, ["field download.how", "Field required"]),
    "half a published triplet": ({"published": {"modality": "CT"}}, ["published.anatomy", "published.task"]),
    "no labels": ({"labels": {}}, ["field labels", "at least 1"]),
    "no clean label": ({"labels": {"x": {"label": None, "meaning": "none"}}}, ["labels: no raw value has a clean"]),
    "raw label that YAML takes for a number": ({"labels": {1: LABELS["cyst"]}}, ["field labels.1", "found 1"]),
    "raw label that is a truth value in YAML": ({"labels": {True: LABELS["cyst"]}}, ["field labels.", "found True"]),
    "label without meaning": ({"labels": {"x": {"label": "x"}}}, ["field labels.x.meaning", "Field required"]),
    "label with a bar": ({"labels": with_label(label="a|b")}, ["labels.cyst", "'a|b'", "without ';' and '|'"]),
    "label with two blanks": ({"labels": with_label(label="a  b")}, ["labels.cyst", "single blanks"]),
    "parent with a semicolon": ({"labels": with_label(is_a=["a;b"])}, ["labels.cyst", "'a;b'"]),
    "label related to itself": ({"labels": with_label(is_a=["kidney cyst"])}, ["labels.cyst", "related to itself"]),
    "relations of no label": (
        {"labels": with_label(label=None, overlaps=["kidney stone"])},
        ["labels.cyst", "a value that is no label has no relations"],
    ),
    "negative count": ({"labels": with_label(count=-1)}, ["field labels.cyst.count", "-1"]),
    "unknown relation": ({"labels": with_label(part_of=["x"])}, ["field labels.cyst.part_of", "not permitted"]),
    "unknown defect": (
        {"known_defects": [{"kind": "unknown_label", "why": "x"}]},
        ["field known_defects.0.kind", "'contradiction'", "'unknown_label'"],
    ),
    "defect without why": ({"known_defects": [{"kind": "copy"}]}, ["field known_defects.0.why"]),
    "unread without paths": ({"unread": [{"paths": [], "why": "x"}]}, ["field unread.0.paths", "at least 1"]),
    "pattern that is none": (
        {"unread": [{"paths": ["a", "[9-0]"], "why": "x"}], "known_defects": STARRED},
        ["field unread.0.paths.1", "'[9-0]'", "field known_defects.0.paths.0", "'**/a'"],
    ),
    "namespace with a colon": (
        {"groups": {"of": "patient", "how": "x", "namespace": "a:b"}},
        ["field groups.namespace", "pattern", "'a:b'"],
    ),
    "presence without a place": ({"presence": "Is it there?"}, ["presence: must hold {label}"]),
    "presence with another place": ({"presence": "Is {label} in the {organ}?"}, ["no other braces"]),
    "presence with two places": ({"presence": "{label} or {label}?"}, ["{label} once"]),
    "presence with a half brace": ({"presence": "Is {label} {?"}, ["no other braces"]),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told(mistake: str) -> None:
    changes, expected = MISTAKES[mistake]
    with pytest.raises(CardError) as caught:
        make_card("my_source", **changes)
    message = str(caught.value)
    for line in message.splitlines():
        assert line.startswith("card my_source, field ")
        assert len(line) < 1000
    for text in expected:
        assert text in message


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(CardError) as caught:
        make_card("my_source", kind="x", access="y", labels=with_label(count="many"))
    fields = [line.split(":")[0] for line in str(caught.value).splitlines()]
    assert fields == [f"card my_source, field {name}" for name in ("kind", "access", "labels.cyst.count")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("title: no fences\n", "must begin with YAML front matter between two lines of '---'"),
        ("prose first\n" + card_text(), "must begin with YAML front matter"),
        ("---\ntitle: one fence\n", "must begin with YAML front matter"),
        ("---\n- a\n- b\n---\nprose\n", "must be a mapping of fields, found list"),
        ("---\n---\nprose\n", "must be a mapping of fields, found NoneType"),
        ("---\ntitle: [\n---\nprose\n", "front matter is not YAML"),
        (card_text().replace("Pictures of noise.\n", "\n"), "no prose after the front matter"),
        (card_text().replace("kind: classification", "kind: classification\nkind: multilabel"), "'kind' stands twice"),
        (card_text().replace("  stone:", "  cyst:"), "'cyst' stands twice"),
    ],
)
def test_a_file_that_is_no_card(text: str, expected: str) -> None:
    with pytest.raises(CardError, match=r"^card my_source: ") as caught:
        parse_card(text, "my_source")
    assert expected in str(caught.value)


@pytest.mark.parametrize("slug", ["My_Source", "my-source", "my source", "_my", "my_", "a__b", ""])
def test_a_slug_is_snake_case(slug: str) -> None:
    with pytest.raises(CardError, match=f"card {slug}, field slug: String should match pattern"):
        parse_card(card_text(), slug)


def test_the_file_names_the_card_whatever_the_front_matter_says(tmp_path: Path) -> None:
    path = tmp_path / "real_name.md"
    path.write_text(card_text(slug="other_name"), encoding="utf-8")
    assert read_card(path).slug == "real_name"


def test_a_card_is_utf_8_with_any_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "my_source.md"
    path.write_bytes(card_text(title="Läsionen").replace("\n", "\r\n").encode())
    assert read_card(path).title == "Läsionen"
    path.write_bytes(card_text(title="Läsionen").encode("latin-1"))
    with pytest.raises(CardError, match="card my_source: must be UTF-8"):
        read_card(path)


def test_what_a_card_derives() -> None:
    card = make_card(
        "my_source",
        labels={
            "a": {"label": "cyst", "meaning": "m", "count": 3},
            "b": {"label": "stone", "meaning": "m", "count": 2},
            "c": {"label": "cyst", "meaning": "m", "count": 4},
            "d": {"label": "stone", "meaning": "m"},
            "e": {"label": None, "meaning": "unlabelled", "count": 9},
        },
    )
    assert card.clean_labels == ("cyst", "stone")
    # A label of which one raw value is uncounted has no expected number.
    assert card.counts == {"cyst": 7}
    assert card.raw_slug == "my_source"
    assert make_card("my_source", download_of="other").raw_slug == "other"
    assert card.published_triplet.model_dump() == {
        "modality": "CT",
        "anatomy": "kidney",
        "task": "disease classification",
    }


def test_a_source_outside_the_subsets_brings_its_own_questions() -> None:
    card = make_card(subset=None, instructions=["What is it?"], presence="Is {label} there?")
    assert card.instructions == ["What is it?"]
    assert card.presence == "Is {label} there?"


def test_every_card_of_the_package_is_right(sources: Registry) -> None:
    assert len(sources) >= 4
    for source in sources:
        card = source.card
        assert card.slug == source.slug
        assert card.prose


REGIONS: dict[str, Any] = {"kind": "segmentation", "subset": "44", "modality": "us", "anatomy": "thyroid"}


def test_labels_of_regions_are_those_that_say_something_was_found() -> None:
    card = make_card(**REGIONS, overlap_priority=["kidney stone", "kidney cyst"], smallest_region=0.01)
    assert card.has_regions
    assert card.region_labels == ("kidney cyst", "kidney stone", "kidney tumor")
    assert not make_card().has_regions


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"overlap_priority": ["kidney cyst"]}, "detection and segmentation only"),
        ({"drawn_on": "stored"}, "detection and segmentation only"),
        ({**REGIONS, "overlap_priority": ["cyst"]}, "overlap_priority"),
        ({**REGIONS, "overlap_priority": ["normal kidney"]}, "overlap_priority"),
        ({**REGIONS, "overlap_priority": ["kidney cyst", "kidney cyst"]}, "each once"),
        ({**REGIONS, "smallest_region": 1.5}, "smallest_region"),
        ({**REGIONS, "drawn_on": "screen"}, "drawn_on"),
        ({**REGIONS, "labels": {"normal": LABELS["normal"]}}, "of regions, found 0"),
        (
            {
                **REGIONS,
                "labels": {str(number): {"label": f"finding {number}", "meaning": "one"} for number in range(256)},
            },
            "found 256",
        ),
    ],
)
def test_mistakes_about_regions_are_told(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(CardError, match=complaint):
        make_card(**fields)
