from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Callable
from itertools import combinations
from typing import cast

import imagehash
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from med_mat.errors import MedMatError
from med_mat.phantoms import (
    MODES,
    STYLES,
    Mode,
    PhantomError,
    Style,
    encode,
    phantom,
    phantom_multi,
    phantom_regions,
)

Vector = npt.NDArray[np.float64]
seeds = st.text(max_size=12)
styles = st.sampled_from(STYLES)
labels = st.integers(0, 39)
sides = st.integers(24, 90)


def multiset(image: Image.Image) -> bytes:
    """The pixels of a picture in order of value: equal for pictures that differ in arrangement alone."""
    pixels = np.asarray(image)
    flat = pixels.reshape(pixels.shape[0] * pixels.shape[1], -1)
    return flat[np.lexsort(flat.T)].tobytes()


# The same on every machine --------------------------------------------------------------------------------------

DIGESTS: dict[Style, str] = {
    "xray": "a27a73062b172d5a",
    "ct": "7ddd4021bbefe4f0",
    "mri": "c610c1481b0275fa",
    "fundus": "5099ebbeefff0362",
    "dermoscopy": "5651a1b7c02b3e64",
    "histology": "8e738e0305bf630b",
    "ultrasound": "f0418235705a7d84",
    "endoscopy": "540e22689c57d3bc",
    "oct": "664504d629f8bb86",
    "photo": "b9bcbc3dafa4a243",
}


@pytest.mark.parametrize("style", STYLES)
def test_pixels_are_the_ones_on_record(style: Style) -> None:
    digest = hashlib.sha256()
    for label in range(40):
        digest.update(phantom(label, 40, f"pin {label}", (96, 80), "I;16", style).tobytes())
    digest.update(phantom_multi([3, 1, 2], 8, "pin", (80, 96), "I;16", style).tobytes())
    assert digest.hexdigest()[:16] == DIGESTS[style]


def test_global_random_state_is_neither_read_nor_moved() -> None:
    np.random.seed(1)
    untouched = np.random.random()
    np.random.seed(2)
    first = phantom(0, 4, "s").tobytes()
    np.random.seed(1)
    second = phantom(0, 4, "s").tobytes()
    assert first == second
    assert np.random.random() == untouched


# What the label decides, and what it does not -------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(labels, labels, seeds, styles, st.sampled_from(MODES), sides, sides)
def test_labels_rearrange_the_same_pixels(
    one: int, other: int, seed: str, style: Style, mode: Mode, width: int, height: int
) -> None:
    size = (width, height)
    first, second = (phantom(label, 40, seed, size, mode, style) for label in (one, other))
    assert multiset(first) == multiset(second)
    assert (first.tobytes() == second.tobytes()) == (one == other)


@settings(max_examples=30, deadline=None)
@given(st.data(), st.integers(2, 6), seeds, styles)
def test_label_sets_of_one_size_rearrange_the_same_pixels(
    data: st.DataObject, count: int, seed: str, style: Style
) -> None:
    sets = [data.draw(st.lists(labels, min_size=count, max_size=count)) for _ in range(2)]
    pictures = [phantom_multi(drawn, 40, seed, (72, 60), "RGB", style) for drawn in sets]
    assert multiset(pictures[0]) == multiset(pictures[1])


def test_all_forty_labels_look_different() -> None:
    pictures = [np.asarray(phantom(label, 40, "s", (96, 96))).astype(int) for label in range(40)]
    apart = [np.abs(one - other).mean() for one, other in combinations(pictures, 2)]
    assert min(apart) > 1.0


@pytest.mark.parametrize("style", STYLES)
def test_seeds_give_different_pictures_in_different_places(style: Style) -> None:
    drawn = [phantom_regions([2], 8, f"{number}", (96, 96), "L", style) for number in range(30)]
    assert len({item.image.tobytes() for item in drawn}) == 30
    assert len({item.box for item in drawn}) > 20
    means = [np.asarray(item.image).mean() for item in drawn]
    assert np.std(means) > 1


def test_styles_differ() -> None:
    assert len({phantom(0, 2, "s", style=style).tobytes() for style in STYLES}) == len(STYLES)


# Regions --------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.lists(labels, max_size=9), seeds, styles, st.integers(36, 90), st.integers(36, 90))
def test_lesions_lie_apart_within_the_picture(
    drawn: list[int], seed: str, style: Style, width: int, height: int
) -> None:
    made = phantom_regions(drawn, 40, seed, (width, height), "L", style)
    assert [lesion.label for lesion in made.lesions] == drawn
    covered = np.zeros((height, width), int)
    for lesion in made.lesions:
        mask = np.asarray(lesion.mask)
        assert lesion.mask.size == made.image.size
        assert set(np.unique(mask)) == {0, 255}
        rows, columns = np.nonzero(mask)
        assert lesion.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        covered += mask > 0
    assert covered.max(initial=0) <= 1
    assert np.array_equal(np.asarray(made.mask), covered * 255)
    assert made.box == made.mask.getbbox()


@settings(max_examples=40, deadline=None)
@given(labels, seeds)
def test_the_smallest_picture_still_shows_every_lesion(label: int, seed: str) -> None:
    mask = np.asarray(phantom_regions([label], 40, seed, (12, 12)).mask)
    assert np.count_nonzero(mask) >= 8


def test_shapes_cover_equal_areas() -> None:
    areas = [np.count_nonzero(np.asarray(phantom_regions([label], 8, "s", (400, 400)).mask)) for label in range(8)]
    assert max(areas) / min(areas) < 1.01


@pytest.mark.parametrize("style", STYLES)
def test_lesion_is_drawn_where_its_mask_is(style: Style) -> None:
    for label in range(8):
        made = phantom_regions([label], 8, f"{label}", (128, 128), "L", style)
        other = phantom_regions([(label + 1) % 8], 8, f"{label}", (128, 128), "L", style)
        change = np.abs(np.asarray(made.image).astype(int) - np.asarray(other.image))
        either = (np.asarray(made.mask) > 0) | (np.asarray(other.mask) > 0)
        assert change[either].mean() > 4 * change[~either].mean()


def test_no_label_is_plain_background() -> None:
    plain = phantom_regions([], 5, "s", (128, 128))
    assert (plain.lesions, plain.box, plain.mask.getextrema()) == ((), None, (0, 0))
    marked = phantom_regions([1], 5, "s", (128, 128))
    change = np.abs(np.asarray(plain.image).astype(int) - np.asarray(marked.image))
    assert change[np.asarray(marked.mask) > 0].mean() > 30
    assert plain.image.tobytes() == phantom_multi([], 5, "s", (128, 128)).tobytes()


def test_one_label_alone_is_the_single_phantom() -> None:
    assert phantom(3, 5, "s").tobytes() == phantom_multi([3], 5, "s").tobytes()


# Modes and arguments --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_mode_and_size_are_as_asked(mode: Mode) -> None:
    picture = phantom(1, 3, "s", (70, 41), mode, "fundus")
    assert (picture.mode, picture.size) == (mode, (70, 41))


def test_modes_show_one_picture() -> None:
    made = {mode: phantom(1, 3, "s", (96, 96), mode, "endoscopy") for mode in MODES}
    assert np.array_equal(np.asarray(made["I;16"]) >> 8, np.asarray(made["L"]))
    assert made["P"].convert("RGB").tobytes() == made["RGB"].tobytes()
    assert made["RGBA"].convert("RGB").tobytes() == made["RGB"].tobytes()
    assert made["RGBA"].getchannel("A").getextrema() == (255, 255)
    white = np.asarray(made["1"])
    assert white.mean() == pytest.approx(0.4, abs=1e-3)
    assert np.asarray(made["L"])[white].min() >= np.asarray(made["L"])[~white].max()


@pytest.mark.parametrize("style", STYLES)
def test_grey_styles_are_grey_and_the_others_are_not(style: Style) -> None:
    red, _, blue = phantom(0, 2, "s", mode="RGB", style=style).split()
    assert (red.tobytes() == blue.tobytes()) == (style in ("xray", "ct", "mri", "ultrasound", "oct"))


@pytest.mark.parametrize(
    ("call", "found"),
    [
        (lambda: phantom(3, 3, "s"), "label 3: expected an index from 0 to 2"),
        (lambda: phantom(-1, 3, "s"), "label -1"),
        (lambda: phantom(0, 41, "s"), "41 labels.*1 to 40"),
        (lambda: phantom(0, 0, "s"), "0 labels"),
        (lambda: phantom(0, 2, "s", (64, 11)), "64 x 11 pixels.*at least 12"),
        (lambda: phantom_multi([0, 1], 2, "s", (23, 64)), "2 lesions need at least 24"),
        (lambda: phantom(0, 2, "s", mode=cast(Mode, "CMYK")), "mode 'CMYK'.*I;16"),
        (lambda: phantom(0, 2, "s", style=cast(Style, "pet")), "style 'pet'.*xray"),
    ],
)
def test_wrong_arguments_are_named(call: Callable[[], Image.Image], found: str) -> None:
    with pytest.raises(PhantomError, match=found) as caught:
        call()
    assert isinstance(caught.value, MedMatError)


# A small model learns the label from structure and not from colour ----------------------------------------------

TRAINING, HELD_OUT = 40, 25


def orientations(image: Image.Image) -> Vector:
    """Histograms of gradient directions, over the whole picture and over quarters, sixteenths, sixty-fourths."""
    grey = np.asarray(image.convert("L").resize((64, 64))).astype(float)
    down, right = np.gradient(grey)
    strength = np.hypot(right, down)
    direction = np.minimum((np.arctan2(down, right) % math.pi / math.pi * 8).astype(int), 7)
    found = []
    for parts in (1, 2, 4, 8):
        step = 64 // parts
        for row in range(0, 64, step):
            for column in range(0, 64, step):
                place = (slice(row, row + step), slice(column, column + step))
                found.append(np.bincount(direction[place].ravel(), strength[place].ravel(), 8))
    together = np.concatenate(found)
    roots: Vector = np.sqrt(together / together.sum())
    return roots


def colours(image: Image.Image) -> Vector:
    """Everything that a picture's colours tell regardless of place: coarse histograms, mean, spread."""
    pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    bins = [np.bincount(pixels[:, channel] >> 3, minlength=32) / len(pixels) for channel in range(3)]
    return np.concatenate([*bins, pixels.mean(0), pixels.std(0)])


def correct(features: Callable[[Image.Image], Vector], of: int, size: tuple[int, int], mode: Mode, style: Style) -> int:
    """Held-out pictures that kernel ridge regression on training pictures of other seeds names rightly."""

    def table(part: str, count: int) -> Vector:
        return np.array(
            [
                features(phantom(label, of, f"{part} {label} {number}", size, mode, style))
                for label in range(of)
                for number in range(count)
            ]
        )

    training, held_out = table("training", TRAINING), table("held out", HELD_OUT)
    mean, spread = training.mean(0), training.std(0) + 1e-9
    training, held_out = (training - mean) / spread, (held_out - mean) / spread
    target = np.repeat(np.eye(of), TRAINING, axis=0) - 1 / of
    ridge = 0.3 * training.shape[1] * np.eye(len(training))
    weights = np.linalg.solve(training @ training.T + ridge, target)
    guesses = (held_out @ training.T @ weights).argmax(1)
    return int((guesses == np.repeat(np.arange(of), HELD_OUT)).sum())


def chance_of_at_least(hits: int, trials: int, probability: float) -> float:
    return sum(
        math.comb(trials, count) * probability**count * (1 - probability) ** (trials - count)
        for count in range(hits, trials + 1)
    )


LEARNT: list[tuple[int, tuple[int, int], Mode, Style]] = [
    (4, (64, 64), "L", "xray"),
    (4, (128, 96), "RGB", "histology"),
    (8, (96, 96), "L", "ct"),
    (8, (64, 64), "RGB", "endoscopy"),
    (8, (64, 64), "P", "dermoscopy"),
    (8, (96, 96), "1", "ultrasound"),
]


@pytest.mark.parametrize(("of", "size", "mode", "style"), LEARNT)
def test_structure_tells_the_label(of: int, size: tuple[int, int], mode: Mode, style: Style) -> None:
    hits, trials = correct(orientations, of, size, mode, style), of * HELD_OUT
    assert chance_of_at_least(hits, trials, 1 / of) < 0.01
    assert hits > trials / 2


@pytest.mark.parametrize(("of", "size", "mode", "style"), LEARNT)
def test_colour_and_brightness_do_not(of: int, size: tuple[int, int], mode: Mode, style: Style) -> None:
    hits, trials = correct(colours, of, size, mode, style), of * HELD_OUT
    assert chance_of_at_least(hits, trials, 1 / of) > 0.01


# Files ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "mode", "format"),
    [
        *((f"a.{extension}", mode, "TIFF") for extension in ("tif", "tiff") for mode in MODES),
        *(("a.png", mode, "PNG") for mode in MODES),
        *(("a.bmp", mode, "BMP") for mode in ("1", "L", "P", "RGB")),
        *(("a.gif", mode, "GIF") for mode in ("L", "P")),
        *(("a.pgm", mode, "PPM") for mode in ("L", "I;16")),
    ],
)
def test_lossless_files_hold_the_pixels(name: str, mode: Mode, format: str) -> None:
    picture = phantom(1, 3, "s", (61, 47), mode, "photo")
    data = encode(picture, f"some/folder/{name}")
    assert data == encode(picture, name.upper())
    with Image.open(io.BytesIO(data)) as back:
        assert back.format == format
        same = np.asarray(back) if mode == "I;16" else np.asarray(back.convert("RGB"))
        expected = np.asarray(picture) if mode == "I;16" else np.asarray(picture.convert("RGB"))
    assert np.array_equal(same, expected)


@pytest.mark.parametrize("name", ["a.jpg", "b.JPEG"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_is_close_and_bare(name: str, mode: Mode) -> None:
    picture = phantom(1, 3, "s", (120, 88), mode, "oct")
    with Image.open(io.BytesIO(encode(picture, name))) as back:
        assert (back.format, back.mode, back.size) == ("JPEG", mode, picture.size)
        assert not back.getexif()
        change = np.abs(np.asarray(back).astype(int) - np.asarray(picture))
    assert change.mean() < 4


@pytest.mark.parametrize("size", [(64, 48), (33, 47)])
@pytest.mark.parametrize("mode", ["L", "RGB", "I;16"])
def test_dicom_holds_the_pixels(mode: Mode, size: tuple[int, int]) -> None:
    picture = phantom(1, 3, "s", size, mode, "ct")
    data = encode(picture, "IM-0001.dcm")
    assert data == encode(picture.copy(), "other.dcm")
    dataset = pydicom.dcmread(io.BytesIO(data))
    assert np.array_equal(dataset.pixel_array, np.asarray(picture))
    assert dataset.PatientName == "PHANTOM^PHANTOM"
    other = pydicom.dcmread(io.BytesIO(encode(phantom(2, 3, "s", size, mode, "ct"), "a.dcm")))
    assert other.SOPInstanceUID != dataset.SOPInstanceUID


@pytest.mark.parametrize(
    ("name", "mode", "found"),
    [
        ("a.jpg", "RGBA", "a.jpg: JPEG is written from mode L, RGB, CMYK, not RGBA"),
        ("a.jpg", "P", "not P"),
        ("a.gif", "RGB", "GIF is written from mode L, P"),
        ("a.dcm", "1", "DICOM is written from"),
        ("a.webm", "L", "no encoder for extension '.webm'; use .jpg"),
        ("README", "L", "README: no encoder for a name without extension"),
    ],
)
def test_what_a_format_does_not_hold_is_named(name: str, mode: Mode, found: str) -> None:
    with pytest.raises(PhantomError, match=found):
        encode(phantom(0, 2, "s", (24, 24), mode), name)


@pytest.mark.parametrize("style", STYLES)
def test_pictures_of_one_label_are_not_near_duplicates(style: Style) -> None:
    hashes = [imagehash.phash(phantom(0, 2, f"{number}", style=style)) for number in range(40)]
    assert min(one - other for one, other in combinations(hashes, 2)) > 2


def test_pictures_of_one_seed_are_alike_in_place() -> None:
    one, other = (phantom_regions([label], 8, "s") for label in (0, 5))
    assert one.box is not None
    assert other.box is not None
    assert all(abs(a - b) < 20 for a, b in zip(one.box, other.box, strict=True))


def test_a_seed_may_be_any_file_name() -> None:
    name = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    assert phantom(0, 2, name).tobytes() != phantom(0, 2, "caf.png").tobytes()
