"""Ids and the hashes that stand in for chance must not drift: ids, splits, options of published rows hang on them.

The golden files hold values that are frozen within a major version. After a change that is meant to alter them, this
writes all of them anew:

    MED_MAT_WRITE_GOLDEN=1 python -m pytest tests -k golden
"""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import golden

from med_mat.hashing import MAX_SALT_BYTES, content_digest, rank, row_id, salted, uniform

KEYS = ["a.png", "Cyst/Cyst- (1).jpg", "é/日本.png", "a b/c%d#.PNG", "\udce9.png", ""]

# Purposes that the package uses: what they give must not change even for texts that no test thinks of.
PURPOSES = ["split", "distractor", "option", "instruction", "negative"]


def test_golden_hashes() -> None:
    found, frozen = golden(
        "hashes",
        {
            "row_id": [
                [slug, key, frame, row_id(slug, key, frame)]
                for slug in ("ct_kidney", "x")
                for key in KEYS
                for frame in (None, 0, 12)
            ],
            "uniform": [[purpose, key, uniform(purpose, key)] for purpose in PURPOSES for key in KEYS],
            "rank": [[purpose, key, rank(purpose, key, "kidney cyst")] for purpose in PURPOSES for key in KEYS],
            "salted": [
                [purpose, key, salt, salted(purpose, key, salt.encode())]
                for purpose in ("group", "key")
                for key in KEYS
                for salt in ("", "a", "s" * MAX_SALT_BYTES)
            ],
            "content_digest": [[parts, content_digest(parts)] for parts in ([], [""], ["a", "b"], ["ab"], KEYS)],
        },
    )
    assert found == frozen


@given(st.text(), st.integers(0, 10**6))
def test_an_id_is_the_slug_and_16_hex_digits_and_tells_frames_apart(key: str, frame: int) -> None:
    slug, _, digits = row_id("ct_kidney", key, frame).partition("/")
    assert slug == "ct_kidney"
    assert len(digits) == 16
    assert set(digits) <= set("0123456789abcdef")
    assert row_id("ct_kidney", key, frame) not in {
        row_id("ct_kidney", key, None),
        row_id("ct_kidney", key, frame + 1),
        row_id("kidney", key, frame),
    }


def test_an_id_can_be_computed_by_others_from_its_description() -> None:
    text = b"ct_kidney\x1fCyst/Cyst- (1).jpg\x1f3"
    assert row_id("ct_kidney", "Cyst/Cyst- (1).jpg", 3) == (
        "ct_kidney/" + hashlib.blake2b(text, digest_size=8, person=b"row").hexdigest()
    )


def test_uniform_fills_the_unit_interval_evenly() -> None:
    number, bins = 20_000, 20
    counts = [0] * bins
    for place in range(number):
        value = uniform("split", f"nih:{place:08d}")
        assert 0 <= value < 1
        counts[int(value * bins)] += 1
    expected = number / bins
    # 43.8 is the 0.1 % quantile of chi-square with 19 degrees of freedom; the hash is fixed, so is the outcome.
    assert sum((count - expected) ** 2 / expected for count in counts) < 43.8


def test_purposes_do_not_know_of_each_other() -> None:
    tests = [f"nih:{place}" for place in range(4000) if uniform("split", f"nih:{place}") < 0.1]
    low = sum(uniform("option", name) < 0.1 for name in tests)
    assert 0.06 * len(tests) < low < 0.14 * len(tests)


@given(st.text(), st.binary(min_size=1, max_size=MAX_SALT_BYTES), st.binary(min_size=1, max_size=MAX_SALT_BYTES))
def test_another_salt_gives_another_stand_in(value: str, salt: bytes, other: bytes) -> None:
    plain = salted("group", value, b"")
    assert salted("group", value, salt) != plain
    assert (salted("group", value, salt) == salted("group", value, other)) == (salt == other)
    assert salted("key", value, salt) != salted("group", value, salt)


def test_a_salt_that_the_hash_cannot_take_is_an_error() -> None:
    with pytest.raises(ValueError, match="64"):
        salted("group", "x", b"s" * (MAX_SALT_BYTES + 1))
