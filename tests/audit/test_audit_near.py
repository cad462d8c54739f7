"""Fingerprints, bands and pixel comparison: copies are found and confirmed, look-alikes are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from textures import COPIES, follow_up, jpeg, texture
from tiny import noise

from med_mat.audit.bands import MOST_IN_BUCKET, ORIENTATIONS, bands, buckets, distances, keys, transposed, upright
from med_mat.audit.confirm import _ORIENT, compare, small
from med_mat.audit.near import connect, search
from med_mat.images import fingerprints
from med_mat.images.hashes import FINGERPRINT_BYTES, WINDOWS

SEEDS = range(6)


def prints(*images: Image.Image) -> np.ndarray:
    found = [np.frombuffer(fingerprints(image), np.uint8) for image in images]
    return np.stack(found).reshape(len(images), len(WINDOWS), FINGERPRINT_BYTES)


def test_a_fingerprint_is_frozen() -> None:
    found = fingerprints(noise("fingerprint", (40, 30)))
    assert found[:32].hex() == "ec8f324f22fff0f01d58e7a0a7b4e3fca982b367990312721a056f2c894688d7"
    assert found[-32:].hex() == "08be3e54026e79ef69ed5e72fe00ee69bb4ca41e4796188bb21b1a9e387e79ec"


def test_a_picture_of_one_colour_has_no_fingerprint() -> None:
    assert fingerprints(Image.new("RGB", (60, 50), (9, 200, 30))) == b""
    assert fingerprints(Image.new("L", (1, 1))) == b""


@pytest.mark.parametrize("size", [(1, 300), (300, 1), (2, 2), (5, 900), (3000, 40)])
def test_any_size_has_fingerprints(size: tuple[int, int]) -> None:
    image = Image.frombytes("L", size, np.random.default_rng(0).integers(0, 256, size[0] * size[1], np.uint8).tobytes())
    assert len(fingerprints(image)) == len(WINDOWS) * FINGERPRINT_BYTES


def test_brightness_and_contrast_cancel_out() -> None:
    image = texture(3)
    pixels = np.asarray(image).astype(float)
    paler = Image.fromarray((80 + pixels * 0.5).astype(np.uint8))
    assert distances(prints(image)[:, 0], prints(paler)[:, 0])[0, 0] <= 6


@pytest.mark.parametrize("orientation", range(len(ORIENTATIONS)), ids=ORIENTATIONS)
def test_orientations_follow_from_one_fingerprint(orientation: int) -> None:
    image = texture(5, 200, 200)
    turned = image
    for step in _ORIENT[orientation]:
        turned = turned.transpose(step)
    # What brings `image` into the orientation of `turned` is what made it.
    table = distances(prints(turned)[:, 0], prints(image)[:, 0])[0]
    assert table.argmin() == orientation
    assert table.min() <= 2
    assert sorted(table)[1] > 60


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_keys_are_the_same_in_every_orientation(seed: int) -> None:
    bits = np.random.default_rng(seed).integers(0, 2, (1, 16, 16), np.uint8)
    bits[:, 0, 0] = 0

    def pack(values: np.ndarray) -> np.ndarray:
        return np.packbits(values.reshape(1, 256), axis=1, bitorder="little")

    odd = np.arange(16) % 2
    for one in (bits, bits.transpose(0, 2, 1)):
        for across in (0, 1):
            for down in (0, 1):
                other = one ^ (across * odd[None, None, :] ^ down * odd[None, :, None]).astype(np.uint8)
                for band in bands():
                    assert keys(pack(bits), band)[0] == keys(pack(other), band)[0]
                assert distances(pack(bits), pack(other)).min() == 0


def test_transposing_twice_is_nothing() -> None:
    packed = np.random.default_rng(1).integers(0, 256, (500, 32), np.uint8)
    assert (transposed(transposed(packed)) == packed).all()


@settings(max_examples=30)
@given(st.lists(st.integers(0, 2**62 - 1), min_size=1, max_size=60), st.integers(1, 12))
def test_equal_keys_always_meet(values: list[int], repeats: int) -> None:
    key = np.array(values * repeats, np.uint64)
    found = buckets(key)
    bucket = dict(zip(found.entries.tolist(), found.bucket.tolist(), strict=True))
    for one in range(len(values)):
        same = {bucket.get(place) for place in np.flatnonzero(key == key[one])}
        assert len(same) == 1
        assert (None in same) <= (repeats == 1 or len(key) == 1)


def test_no_bucket_is_larger_than_allowed() -> None:
    rng = np.random.default_rng(2)
    key = np.concatenate([np.full(3 * MOST_IN_BUCKET, 7, np.uint64), rng.integers(0, 2**62, 5000).astype(np.uint64)])
    found = buckets(key)
    assert np.bincount(found.bucket).max() <= MOST_IN_BUCKET
    assert found.crowded == 3 * MOST_IN_BUCKET
    assert np.bincount(found.bucket)[np.unique(found.bucket)].min() > 1


@pytest.mark.parametrize("name", COPIES)
def test_copies_are_found_and_confirmed(name: str, tmp_path: Path) -> None:
    originals = [texture(seed) for seed in SEEDS]
    copies = [COPIES[name](image) for image in originals]
    found = search(prints(*originals, *copies), connection=connect(tmp_path))
    candidates = {(one.first, one.second): one for one in found.candidates}
    wanted = {(seed, seed + len(originals)) for seed in SEEDS}
    assert wanted <= set(candidates)
    for first, second in wanted:
        one = candidates[first, second]
        agreement = compare(
            small(originals[first]),
            small(copies[second - len(originals)]),
            orientation=one.orientation,
            first_window=one.first_window,
            second_window=one.second_window,
        )
        assert agreement.same, (name, first, agreement)


def test_look_alikes_are_not_the_same() -> None:
    for seed in SEEDS:
        first, second = small(follow_up(seed, 1)), small(follow_up(seed, 2))
        agreement = compare(first, second)
        assert agreement.outline > 0.6
        assert not agreement.same
        assert compare(first, small(COPIES["recompressed"](follow_up(seed, 1)))).same


def test_unrelated_pictures_do_not_meet(tmp_path: Path) -> None:
    found = search(prints(*(texture(seed, 96, 80) for seed in range(150))), connection=connect(tmp_path))
    assert found.candidates == ()
    assert found.crowded == 0


def test_the_search_finds_what_comparing_all_finds(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    originals = rng.integers(0, 256, (300, len(WINDOWS), 32), np.uint8)
    noise = np.packbits(rng.random((300, len(WINDOWS), 256)) < 0.04, axis=-1)
    both = np.concatenate([originals, originals ^ noise])
    both[:, :, 0] &= 0xFE
    found = {
        (one.first, one.second): one.distance for one in search(both, near=40, connection=connect(tmp_path)).candidates
    }
    assert set(found) == {(number, number + 300) for number in range(300)}
    exact = distances(both[:300, 0], both[300:, 0]).min(axis=1)
    assert all(distance <= exact[first] for (first, _), distance in found.items())


def test_the_part_that_was_cut_out_is_found() -> None:
    image = texture(9, 400, 300)
    left, top, right, bottom = 20, 12, 384, 282
    agreement = compare(small(image), small(image.crop((left, top, right, bottom))))
    assert agreement.same
    assert agreement.first_part == pytest.approx((20 / 400, 12 / 300, 384 / 400, 282 / 300), abs=0.012)
    assert agreement.second_part == pytest.approx((0, 0, 1, 1), abs=0.012)


def test_one_place_that_differs_tells_two_slices_of_one_body() -> None:
    for seed in SEEDS:
        body = texture(seed, 300, 260)
        other = body.copy()
        other.paste(texture(seed + 500, 90, 80), (110, 90))
        assert compare(small(body), small(jpeg(body))).same
        assert not compare(small(body), small(other)).same


def test_a_thin_frame_does_not_tell_copies_apart() -> None:
    for seed in SEEDS:
        # Faint skin all around: what a frame shows there is more than what the picture does.
        image = Image.composite(texture(seed, 300, 260), Image.new("L", (300, 260), 200), _spot(300, 260))
        framed = image.copy()
        ImageDraw.Draw(framed).rectangle((0, 0, 299, 259), outline=0)
        assert compare(small(image), small(framed)).same


def _spot(width: int, height: int) -> Image.Image:
    spot = Image.new("L", (width, height), 0)
    ImageDraw.Draw(spot).ellipse((50, 40, width - 50, height - 40), fill=255)
    return spot


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_copies_in_any_orientation_are_brought_into_one(seed: int) -> None:
    bits = np.random.default_rng(seed).integers(0, 2, (16, 16), np.uint8)
    bits[0, 0] = 0
    odd = np.arange(16) % 2
    copies = [
        one ^ (across * odd[None, :] ^ down * odd[:, None]).astype(np.uint8)
        for one in (bits, bits.T)
        for across in (0, 1)
        for down in (0, 1)
    ]
    packed = np.packbits(np.stack(copies).reshape(8, 256), axis=1, bitorder="little")
    for band in bands():
        key, is_turned = keys(packed, band)
        brought = np.where(is_turned[:, None], transposed(packed), packed)
        upright_words = upright(np.ascontiguousarray(brought), band)
        assert len(set(key.tolist())) == 1
        if is_turned.sum() == 4:
            assert (upright_words == upright_words[0]).all()
