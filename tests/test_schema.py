"""The row contract is frozen within a major version; facts beside a picture are brought into its words."""

from __future__ import annotations

import datasets
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import golden

from med_mat.sample import EXTRA_FIELDS
from med_mat.schema import AGE_CAP, EXTRA, PLAN, ROW, SCHEMA_VERSION, clean_extra, features


def _text(schema: pa.Schema) -> list[str]:
    return [f"{field.name}: {field.type}" for field in schema]


def test_golden_schema() -> None:
    found, frozen = golden(
        "schema",
        {
            "version": SCHEMA_VERSION,
            "row": _text(ROW),
        },
    )
    assert found == frozen


def test_features_are_the_row_with_pictures_that_decode() -> None:
    assert list(features()) == ROW.names
    assert features()["image"] == features()["mask"] == datasets.Image()
    # Arrow types agree, so that a shard's bytes are read as what was written.
    assert features().arrow_schema.remove_metadata() == ROW


def test_a_plan_is_the_row_without_pixels() -> None:
    assert set(PLAN.names) - set(ROW.names) == {"split", "shard", "raw_path"}
    assert set(ROW.names) - set(PLAN.names) == {"image", "mask"}
    assert all(PLAN.field(name).type == ROW.field(name).type for name in ROW.names if name in PLAN.names)


def test_extra_has_the_fields_that_a_sample_may_have() -> None:
    assert tuple(field.name for field in EXTRA) == EXTRA_FIELDS


@pytest.mark.parametrize(
    ("name", "raw", "clean"),
    [
        ("age", "60", 60),
        ("age", "060Y", 60),
        ("age", " 7 y", 7),
        ("age", "0", 0),
        ("age", "000", 0),
        ("age", "1.5", 1.5),
        ("age", "013M", 1.08),
        ("age", "52w", 1.0),
        ("age", "365D", 1.0),
        ("age", "89", 89),
        ("age", "89.5", AGE_CAP),
        ("age", "90", AGE_CAP),
        ("age", "120", AGE_CAP),
        ("sex", "Female", "F"),
        ("sex", "m", "M"),
        ("laterality", "left", "L"),
        ("laterality", "R", "R"),
        ("view", " PA ", "PA"),
        ("site", "Lower Back", "lower back"),
    ],
)
def test_what_is_understood(name: str, raw: str, clean: object) -> None:
    facts, odd = clean_extra({name: raw})
    assert odd == []
    assert facts.pop(name) == clean  # type: ignore[misc] # any of the five
    assert set(facts.values()) == {None}


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("age", "121"),
        ("age", "411Y"),
        ("age", "-3"),
        ("age", "sixty"),
        ("age", "60 years"),
        ("sex", "X"),
        ("laterality", "both"),
        ("height", "180"),
        ("patient_name", "Jane Roe"),
    ],
)
def test_what_is_not_understood_is_null_and_told(name: str, raw: str) -> None:
    facts, odd = clean_extra({name: raw, "view": "PA"})
    assert [name in sentence and repr(raw) in sentence for sentence in odd] == [True]
    assert {key: value for key, value in facts.items() if value is not None} == {"view": "PA"}


@pytest.mark.parametrize("name", EXTRA_FIELDS)
@pytest.mark.parametrize("raw", ["", "  ", "unknown", "N/A", "NaN", "None"])
def test_what_says_nothing_is_null_and_not_odd(name: str, raw: str) -> None:
    facts, odd = clean_extra({name: raw})
    assert odd == []
    assert set(facts.values()) == {None}


@given(st.dictionaries(st.sampled_from([*EXTRA_FIELDS, "name"]), st.text()))
def test_any_text_fits_the_schema(extra: dict[str, str]) -> None:
    facts, odd = clean_extra(extra)
    assert pa.array([facts], EXTRA).to_pylist()[0].keys() == set(EXTRA_FIELDS)
    assert facts["age"] is None or 0 <= facts["age"] <= AGE_CAP
    assert facts["sex"] in {None, "F", "M"}
    assert facts["laterality"] in {None, "L", "R"}
    assert len(odd) <= len(extra)
