"""PNG: what passes through, what is dropped, what is converted."""

from __future__ import annotations

import io
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import (
    chunk,
    colours,
    decoded,
    encoded,
    gradient,
    orientation_tag,
    percentile_range,
    png_with,
    raw_png,
    stretched,
)
from PIL import Image, ImageCms

from med_mat.errors import ImageError
from med_mat.images import dropped, examine, publish

PALETTE = Image.fromarray(colours()).quantize(17)
OPAQUE = Image.merge("RGBA", [*Image.fromarray(colours()).split(), Image.new("L", (32, 24), 255)])
PLAIN = {
    "gray": ("L", encoded(gradient(), "PNG")),
    "colour": ("RGB", encoded(colours(), "PNG")),
    "palette": ("P", encoded(PALETTE, "PNG")),
    "bilevel": ("1", encoded(gradient() > 90, "PNG")),
    "opaque alpha": ("RGBA", encoded(OPAQUE, "PNG")),
    "gray with opaque alpha": ("LA", encoded(Image.fromarray(gradient()).convert("LA"), "PNG")),
    "one pixel": ("L", encoded(gradient(1, 1), "PNG")),
}
NAMES = sorted(PLAIN)


@pytest.mark.parametrize("name", NAMES)
def test_plain_files_pass_through_to_the_byte(name: str) -> None:
    mode, data = PLAIN[name]
    facts = examine(data).facts
    assert publish(data) == data
    assert (facts.mode, facts.rule, facts.passed_through) == (mode, "png", True)
    assert facts.published_bytes == len(data)
    assert dropped(data) == ()


ANCILLARY = st.sampled_from([b"tEXt", b"zTXt", b"iTXt", b"tIME", b"eXIf", b"sPLT", b"acTL", b"fdAT", b"prVt", b"hIST"])


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(NAMES),
    st.lists(st.tuples(ANCILLARY, st.binary(max_size=200)), max_size=5),
    st.binary(max_size=40),
)
def test_any_ancillary_chunk_and_any_tail_is_dropped_and_nothing_else(
    name: str, chunks: list[tuple[bytes, bytes]], tail: bytes
) -> None:
    plain = PLAIN[name][1]
    data = png_with(plain, *(chunk(kind, payload) for kind, payload in chunks)) + tail
    published = publish(data)
    assert published == plain
    assert np.array_equal(decoded(published), decoded(plain))
    assert sum(block.size for block in dropped(data)) == sum(len(p) + 12 for _, p in chunks) + len(tail)


def test_chunks_that_define_colours_stay() -> None:
    extra = (
        chunk(b"gAMA", (45455).to_bytes(4, "big"))
        + chunk(b"cHRM", bytes(32))
        + chunk(b"sRGB", b"\x00")
        + chunk(b"pHYs", bytes(9))
    )
    data = png_with(PLAIN["colour"][1], extra)
    assert publish(data) == data


@pytest.mark.parametrize(("name", "payload"), [(b"gAMA", b"Jane Roe 1971"), (b"pHYs", b""), (b"sRGB", b"Jane")])
def test_a_text_under_the_name_of_a_number_is_dropped(name: bytes, payload: bytes) -> None:
    assert publish(png_with(PLAIN["gray"][1], chunk(name, payload))) == PLAIN["gray"][1]


def test_a_text_within_the_last_chunk_is_dropped() -> None:
    data = PLAIN["gray"][1]
    assert publish(data[:-12] + chunk(b"IEND", b"Jane Roe")) == data


def test_ancillary_chunks_with_a_wrong_checksum_are_dropped() -> None:
    broken = chunk(b"gAMA", bytes(4))[:-4] + b"\x00\x00\x00\x00"
    assert publish(png_with(PLAIN["gray"][1], broken)) == PLAIN["gray"][1]


def test_colour_profile_loses_its_words() -> None:
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    named = icc.replace("sRGB built-in".encode("utf-16-be"), "Jane Roe's PC".encode("utf-16-be"))
    data = encoded(colours(), "PNG", icc_profile=named)
    published = publish(data)
    with Image.open(io.BytesIO(published)) as image:
        kept = image.info["icc_profile"]
    assert "Jane".encode("utf-16-be") not in kept
    assert publish(published) == published
    assert publish(encoded(gradient(), "PNG", icc_profile=named)) == PLAIN["gray"][1]


@pytest.mark.parametrize(
    "payload", [b"", b"x", b"x\x00\x00", b"x\x00\x00Jane", b"x\x00\x01" + zlib.compress(b"J" * 400)]
)
def test_damaged_colour_profiles_are_dropped(payload: bytes) -> None:
    assert publish(png_with(PLAIN["colour"][1], chunk(b"iCCP", payload))) == PLAIN["colour"][1]


def test_a_profile_that_unpacks_to_gigabytes_is_not_unpacked() -> None:
    bomb = zlib.compress(bytes(64 << 20), 9)
    assert publish(png_with(PLAIN["colour"][1], chunk(b"iCCP", b"x\x00\x00" + bomb))) == PLAIN["colour"][1]


@pytest.mark.parametrize("value", [3, 6, 7])
def test_orientation_is_applied(value: int) -> None:
    data = png_with(PLAIN["colour"][1], chunk(b"eXIf", orientation_tag(value)))
    turned: Any = {3: lambda a: a[::-1, ::-1], 6: lambda a: np.rot90(a, -1), 7: lambda a: a[::-1, ::-1].swapaxes(0, 1)}
    published = publish(data)
    assert np.array_equal(decoded(published), turned[value](colours()))
    assert examine(data).facts.rule == "png-rotated"
    assert publish(published) == published


def on_white(rgb: npt.NDArray[np.uint8], alpha: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    weight = alpha[..., None] / 255.0
    return rgb * weight + 255.0 * (1 - weight)


def test_transparent_pictures_are_laid_on_white() -> None:
    alpha = gradient()
    rgba = np.dstack([np.zeros((24, 32, 3), np.uint8), alpha])  # black strokes: without alpha, a black picture
    data = encoded(rgba, "PNG")
    facts = examine(data).facts
    assert (facts.rule, facts.mode, facts.passed_through) == ("png-transparent", "RGB", False)
    assert np.abs(decoded(publish(data)) - on_white(rgba[..., :3], alpha)).max() <= 1
    with Image.open(io.BytesIO(publish(data))) as image:
        assert image.mode == "RGB"


def test_gray_transparent_pictures_stay_gray() -> None:
    image = Image.merge("LA", [Image.fromarray(gradient()), Image.fromarray(gradient()[::-1].copy())])
    facts = examine(encoded(image, "PNG")).facts
    assert (facts.rule, facts.mode) == ("png-transparent", "L")


def test_a_picture_that_is_transparent_everywhere_shows_its_colours() -> None:
    data = encoded(np.dstack([colours(), np.zeros((24, 32), np.uint8)]), "PNG")
    assert np.array_equal(decoded(publish(data)), colours())


def test_transparent_colours_of_gray_bilevel_and_palette_pictures() -> None:
    gray = np.array([[0, 100], [200, 0]], np.uint8)
    assert decoded(publish(encoded(gray, "PNG", transparency=0)))[..., 0].tolist() == [[255, 100], [200, 255]]
    bilevel = encoded(np.array([[True, False]]), "PNG", transparency=0)
    assert decoded(publish(bilevel))[..., 0].tolist() == [[255, 255]]
    palette = Image.fromarray(np.array([[0, 1, 2]], np.uint8))
    palette.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    shown = decoded(publish(encoded(palette, "PNG", transparency=b"\xff\x00\xff")))
    assert shown.tolist() == [[[255, 0, 0], [255, 255, 255], [0, 0, 255]]]


def test_a_transparent_colour_that_no_pixel_has_is_dropped_and_the_file_passes() -> None:
    gray = np.array([[10, 100], [200, 10]], np.uint8)
    data = encoded(gray, "PNG", transparency=7)
    published = publish(data)
    assert published == encoded(gray, "PNG")
    assert examine(data).facts.passed_through
    assert examine(data).facts.published_bytes == len(published)


def test_sixteen_bit_gray_is_stretched_by_its_percentiles() -> None:
    values = (np.arange(40 * 50).reshape(40, 50) * 7 + 300).astype(np.uint16)
    values[0, 0] = 65535  # one hot pixel must not blacken the picture
    data = raw_png(values, depth=16)
    facts = examine(data).facts
    assert (facts.rule, facts.mode, facts.passed_through) == ("png-deep", "L", False)
    assert facts.published_bytes == 2000
    assert np.array_equal(decoded(publish(data))[..., 0], stretched(values, *percentile_range(values)))


def test_sixteen_bit_gray_within_a_byte_stays_as_it_is() -> None:
    data = raw_png(gradient().astype(np.uint16), depth=16)
    assert np.array_equal(decoded(publish(data))[..., 0], gradient())


@pytest.mark.parametrize(("values", "shown"), [([[5000, 5000]], [[0, 0]]), ([[900] * 300 + [5000]], None)])
def test_pictures_of_nearly_one_value(values: list[list[int]], shown: list[list[int]] | None) -> None:
    result = decoded(publish(raw_png(np.array(values), depth=16)))[..., 0].tolist()
    assert result == (shown or [[0] * 300 + [255]])


def test_sixteen_bit_colour_keeps_its_high_bytes() -> None:
    values = colours().astype(np.uint16) * 256 + 77
    data = raw_png(values, depth=16, colour=2)
    assert np.array_equal(decoded(publish(data)), colours())
    assert examine(data).facts.rule == "png-deep-colour"


def test_sixteen_bit_alpha() -> None:
    values = np.dstack([colours().astype(np.uint16) * 257, np.full((24, 32), 65535)])
    assert np.array_equal(decoded(publish(raw_png(values, depth=16, colour=6))), colours())
    gray = np.dstack([gradient().astype(np.uint16) * 257, np.full((24, 32), 65535)])
    data = raw_png(gray, depth=16, colour=4)
    assert np.array_equal(decoded(publish(data))[..., 0], gradient())


def test_of_an_animation_the_first_picture_is_left() -> None:
    first, second = Image.fromarray(colours()), Image.fromarray(colours()[::-1].copy())
    data = encoded(first, "PNG", save_all=True, append_images=[second])
    assert b"fdAT" in data
    published = publish(data)
    assert np.array_equal(decoded(published), colours())
    assert not any(name in published for name in (b"fdAT", b"acTL", b"fcTL"))
    assert examine(data).facts.frames == 1


def test_interlaced_files_pass() -> None:
    data = raw_png(np.array([[9]]), interlace=1)
    assert publish(data) == data
    assert examine(data).facts.passed_through


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(NAMES), st.data())
def test_a_prefix_raises(name: str, data: st.DataObject) -> None:
    whole = PLAIN[name][1]
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    for function in (examine, publish):
        with pytest.raises(ImageError):
            function(cut)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(NAMES), st.data())
def test_a_flipped_bit_raises_or_changes_nothing(name: str, data: st.DataObject) -> None:
    # Every chunk that is kept has a checksum, and the signature counts as the kind of file.
    whole = bytearray(PLAIN[name][1])
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        published = publish(bytes(whole))
    except ImageError:
        return
    assert np.array_equal(decoded(published), decoded(PLAIN[name][1]))


def test_pixels_that_do_not_unpack_raise() -> None:
    data = PLAIN["gray"][1]
    at = data.index(b"IDAT")
    bad = data[: at - 4] + chunk(b"IDAT", b"\x78\x9cnot deflate") + chunk(b"IEND", b"")
    with pytest.raises(ImageError, match="damaged PNG"):
        examine(bad)


def test_unknown_critical_chunks_raise() -> None:
    with pytest.raises(ImageError, match="critical"):
        examine(png_with(PLAIN["gray"][1], chunk(b"CgBI", bytes(4))))


def test_written_files_are_the_same_each_time_and_hold_pixels_only() -> None:
    data = encoded(gradient(), "BMP")
    first, second = publish(data), publish(data)
    assert first == second
    names = []
    at = 8
    while at < len(first):
        length = int.from_bytes(first[at : at + 4], "big")
        names.append(first[at + 4 : at + 8])
        at += length + 12
    assert set(names) == {b"IHDR", b"IDAT", b"IEND"}
