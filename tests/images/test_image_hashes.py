"""The fingerprints: frozen values, and what they must and must not tell apart."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pictures import colours, encoded, gradient
from PIL import Image

from med_mat.images import examine, perceptual_hash, pixel_hash


def test_pixel_hash_is_frozen() -> None:
    # Published rows carry these values: a change of this test is a change of every published row.
    gray, colour = Image.fromarray(gradient()), Image.fromarray(colours())
    assert pixel_hash(gray) == "f02b6537f5923ba0252a72e6c0789953"
    assert pixel_hash(colour) == "8b2e4f4e0685984a8c172440cd3e5c3f"
    assert pixel_hash(Image.new("L", (1, 1))) == "153eb1119dc3ee151ef0174ee2de57f6"
    assert pixel_hash(Image.fromarray(gradient() > 100)) == "da36c22eebdca753a2606f669e8a95b6"


def test_perceptual_hash_is_frozen() -> None:
    assert perceptual_hash(Image.fromarray(gradient())) == "8c033e31676d5b55"
    assert perceptual_hash(Image.fromarray(colours(600, 520))) == "aaaa75a82877752a"


@given(
    hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9))),
)
def test_pixel_hash_follows_its_definition(gray: npt.NDArray[np.uint8]) -> None:
    height, width = gray.shape
    expected = xxhash.xxh3_128_hexdigest(f"{width}x{height}x1:8".encode() + gray.tobytes())
    image = Image.fromarray(gray)
    assert pixel_hash(image) == expected
    for mode in ("RGB", "RGBA", "LA"):
        assert pixel_hash(image.convert(mode)) == expected


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_colour_counts_three_channels_unless_all_are_equal(rgb: npt.NDArray[np.uint8]) -> None:
    height, width, _ = rgb.shape
    equal = bool((rgb == rgb[..., :1]).all())
    channels, data = (1, rgb[..., 0].tobytes()) if equal else (3, rgb.tobytes())
    expected = xxhash.xxh3_128_hexdigest(f"{width}x{height}x{channels}:8".encode() + data)
    assert pixel_hash(Image.fromarray(rgb)) == expected


def test_a_single_coloured_pixel_in_the_last_row_counts() -> None:
    rgb = np.repeat(gradient(400, 300)[..., None], 3, axis=2)
    gray_hash = pixel_hash(Image.fromarray(rgb))
    rgb[-1, -1, 2] ^= 1
    assert pixel_hash(Image.fromarray(rgb)) != gray_hash


def test_same_picture_in_other_files_has_the_same_hashes() -> None:
    gray = gradient()
    palette = Image.fromarray(gray).convert("P")
    files = [
        encoded(gray, "PNG"),
        encoded(np.repeat(gray[..., None], 3, axis=2), "PNG"),
        encoded(palette, "PNG"),
        encoded(gray, "BMP"),
        encoded(gray, "TIFF", compression="tiff_lzw"),
        encoded(gray, "PPM"),
        encoded(gray, "GIF"),
    ]
    examined = [examine(file) for file in files]
    assert len({one.pixel_hash for one in examined}) == 1
    assert len({one.perceptual_hash for one in examined}) == 1


def test_bilevel_is_black_and_white() -> None:
    mask = gradient() > 100
    as_gray = np.where(mask, 255, 0).astype(np.uint8)
    assert examine(encoded(mask, "PNG")).pixel_hash == examine(encoded(as_gray, "PNG")).pixel_hash


@pytest.mark.parametrize("other", [np.fliplr, np.flipud, np.transpose, lambda a: np.vstack([a, a[:1]])])
def test_turned_or_grown_pictures_differ(other: object) -> None:
    assert callable(other)
    gray = gradient()
    changed = np.ascontiguousarray(other(gray))
    assert pixel_hash(Image.fromarray(gray)) != pixel_hash(Image.fromarray(changed))


def test_shape_counts_beside_the_bytes() -> None:
    flat = np.zeros((4, 6), np.uint8)
    assert pixel_hash(Image.fromarray(flat)) != pixel_hash(Image.fromarray(flat.reshape(6, 4)))


def test_perceptual_hash_survives_scaling_and_recompression() -> None:
    rows, columns = np.mgrid[0:512, 0:640]
    smooth = (128 + 60 * np.sin(rows / 50) + 60 * np.cos(columns / 40 + rows / 90)).astype(np.uint8)
    image = Image.fromarray(smooth)
    reference = int(perceptual_hash(image), 16)
    jpeg = int(examine(encoded(image, "JPEG", quality=60)).perceptual_hash, 16)
    half = int(perceptual_hash(image.resize((320, 256))), 16)
    turned = int(perceptual_hash(image.rotate(180)), 16)
    assert (reference ^ jpeg).bit_count() <= 2
    assert (reference ^ half).bit_count() <= 4
    assert (reference ^ turned).bit_count() > 16
