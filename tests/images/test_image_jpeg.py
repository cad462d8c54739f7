"""JPEG: what passes through, what is dropped, what is converted."""

from __future__ import annotations

import io
import struct
import sys

import imagecodecs
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import colours, decoded, encoded, gradient, jpeg_with, orientation_tag, segment
from PIL import Image, ImageCms
from pydicom.data import get_testdata_file
from pydicom.encaps import generate_frames

from med_mat.errors import DependencyError, ImageError
from med_mat.images import dropped, examine, pixels, publish

KINDS = {
    "gray": encoded(gradient(), "JPEG"),
    "colour": encoded(colours(), "JPEG", quality=90),
    "colour 4:4:4": encoded(colours(), "JPEG", subsampling=0),
    "progressive": encoded(colours(40, 50), "JPEG", progressive=True),
    "restarts": encoded(colours(64, 64), "JPEG", restart_marker_blocks=1),
    "one pixel": encoded(gradient(1, 1), "JPEG"),
}


def scans(data: bytes) -> bytes:
    """Everything from the frame header on: tables between scans, and the entropy-coded bytes."""
    return data[min(at for at in (data.find(bytes((0xFF, sof))) for sof in (0xC0, 0xC1, 0xC2)) if at > 0) :]


@pytest.mark.parametrize("kind", KINDS)
def test_plain_files_pass_through_to_the_byte(kind: str) -> None:
    data = KINDS[kind]
    facts = examine(data).facts
    assert publish(data) == data
    assert facts.passed_through
    assert (facts.rule, facts.format, facts.frames) == ("jpeg", "JPEG", 1)
    assert facts.published_bytes == len(data)
    assert dropped(data) == ()


SEGMENTS = st.lists(
    st.tuples(st.sampled_from([*range(0xE1, 0xF0), 0xFE]), st.binary(max_size=300)).filter(
        # These two say how the pixels are to be read and are kept.
        lambda pair: not (pair[0] == 0xEE and pair[1].startswith(b"Adobe"))
    ),
    max_size=5,
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(KINDS)), SEGMENTS, st.binary(max_size=40))
def test_any_segments_and_any_tail_are_dropped_and_nothing_else(
    kind: str, segments: list[tuple[int, bytes]], tail: bytes
) -> None:
    plain = KINDS[kind]
    data = jpeg_with(plain, *(segment(marker, payload) for marker, payload in segments)) + tail
    published = publish(data)
    assert published == plain
    assert publish(published) == published
    assert scans(published) == scans(plain)
    assert np.array_equal(decoded(published), decoded(plain))
    sizes = sum(len(payload) + 4 for _, payload in segments) + len(tail)
    assert sum(block.size for block in dropped(data)) == sizes


def test_what_is_dropped_is_named() -> None:
    data = (
        jpeg_with(
            KINDS["colour"],
            segment(0xE1, b"Exif\x00\x00" + orientation_tag(1)),
            segment(0xE1, b"http://ns.adobe.com/xap/1.0/\x00<x/>"),
            segment(0xED, b"Photoshop 3.0\x008BIM"),
            segment(0xE2, b"MPF\x00abc"),
            segment(0xFE, b"a comment"),
            segment(0xE5, b"maker"),
        )
        + b"after"
    )
    assert [block.name for block in dropped(data)] == [
        "EXIF",
        "XMP",
        "IPTC / Photoshop",
        "index of further pictures (MPF)",
        "JPEG comment",
        "APP5",
        "bytes after the end of the image",
    ]


def test_thumbnails_within_jfif_are_dropped_and_its_density_stays() -> None:
    plain = encoded(gradient(), "JPEG", dpi=(300, 300))
    start = plain.index(b"\xff\xe0")
    thumbnail = bytes(range(48))
    header = plain[start + 4 : start + 4 + 12] + b"\x04\x04" + thumbnail
    data = plain[:start] + segment(0xE0, header) + segment(0xE0, b"JFXX\x00\x10" + thumbnail) + plain[start + 18 :]
    assert publish(data) == plain
    assert [block.name for block in dropped(data)] == ["JFIF thumbnail", "JFIF thumbnail"]


def test_adobe_segment_stays_for_it_says_how_colours_are_coded() -> None:
    # Stored as RGB, not YCbCr: only the Adobe segment says so.
    rgb = encoded(colours(), "JPEG", keep_rgb=True, subsampling=0)
    assert b"Adobe" in rgb
    data = jpeg_with(rgb, segment(0xE1, b"Exif\x00\x00" + orientation_tag(1)))
    published = publish(data)
    assert b"Adobe" in published
    assert np.array_equal(decoded(published), decoded(rgb))


@pytest.mark.parametrize("value", range(1, 9))
def test_orientation_is_applied_as_viewers_do(value: int) -> None:
    plain = encoded(colours(), "JPEG", quality=95, subsampling=0)
    data = jpeg_with(plain, segment(0xE1, b"Exif\x00\x00" + orientation_tag(value)))
    turn = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: np.rot90(a),
    }[value]
    expected = turn(decoded(plain))
    facts = examine(data).facts
    assert np.array_equal(decoded(publish(data)), expected)
    assert (facts.height, facts.width) == expected.shape[:2]
    assert facts.passed_through == (value == 1)
    assert facts.rule == ("jpeg" if value == 1 else "jpeg-rotated")


@pytest.mark.parametrize("exif", [b"", b"II*\x00", orientation_tag(0), orientation_tag(9), b"MM\x00*\xff\xff\xff\xff"])
def test_nonsense_for_an_orientation_means_upright(exif: bytes) -> None:
    assert publish(jpeg_with(KINDS["gray"], segment(0xE1, b"Exif\x00\x00" + exif))) == KINDS["gray"]


def test_cmyk_becomes_rgb_as_pillow_shows_it() -> None:
    cmyk = Image.fromarray(colours()).convert("CMYK")
    data = encoded(cmyk, "JPEG", quality=95)
    published = publish(data)
    assert published.startswith(b"\x89PNG")
    assert np.array_equal(decoded(published), decoded(data))
    assert np.abs(decoded(published).astype(int) - colours()).mean() < 20
    assert (examine(data).facts.rule, examine(data).facts.mode) == ("jpeg-cmyk", "RGB")


def frame_of(name: str) -> bytes:
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str)
    return next(generate_frames(pydicom.dcmread(path).PixelData, number_of_frames=1))


def deep(values: np.ndarray, **options: str) -> bytes:
    encoded: bytes = imagecodecs.jpeg8_encode(values, level=100, bitspersample=12, **options)
    return encoded


def test_lossless_jpeg_which_no_browser_shows_becomes_png() -> None:
    data = frame_of("SC_rgb_jpeg_gdcm.dcm")
    facts = examine(data).facts
    assert (facts.rule, facts.passed_through) == ("jpeg-rare", False)
    assert decoded(publish(data))[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    ("encoded", "reason"),
    [
        (frame_of("MR_small_jpeg_ls_lossless.dcm"), "JPEG-LS"),
        (deep(np.zeros((16, 16, 4), np.uint16), colorspace="CMYK", outcolorspace="CMYK"), "four ink channels"),
    ],
)
def test_kinds_that_are_not_read_say_so(encoded: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        examine(encoded)


def test_twelve_bits_of_gray_follow_the_intensity_rule() -> None:
    y, x = np.mgrid[0:64, 0:48]
    values = (2000 + 1800 * np.sin(x / 9) * np.cos(y / 14)).astype(np.uint16)
    data = deep(values)
    facts = examine(data).facts
    assert (facts.rule, facts.mode, facts.passed_through) == ("jpeg-deep", "L", False)
    low, high = np.percentile(values, (0.5, 99.5), method="nearest")
    expected = np.clip((values - float(low)) * 255 / (float(high) - float(low)), 0, 255)
    assert np.abs(decoded(publish(data))[..., 0] - expected).max() <= 1


def test_twelve_bits_of_colour_lose_the_low_four() -> None:
    values = np.full((32, 32, 3), (4000, 1600, 480), np.uint16)
    data = deep(values)
    assert examine(data).facts.rule == "jpeg-deep-colour"
    assert np.abs(decoded(publish(data)).astype(int) - (values >> 4)).max() <= 1


def test_without_the_extra_twelve_bits_stop_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(DependencyError, match=r"med-mat\[formats\]"):
        examine(deep(np.zeros((16, 16), np.uint16)))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(KINDS)), st.data())
def test_a_prefix_raises(kind: str, data: st.DataObject) -> None:
    whole = KINDS[kind]
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    for function in (examine, publish):
        with pytest.raises(ImageError):
            function(cut)


@given(st.integers(0, 30))
def test_a_prefix_that_ends_in_the_tail_changes_nothing(cut: int) -> None:
    tail = b"private notes after the end of"
    assert publish(KINDS["colour"] + tail[:cut]) == KINDS["colour"]


def profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def shown_through(icc: bytes, array: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    transform = ImageCms.buildTransform(source, ImageCms.createProfile("LAB"), "RGB", "LAB")
    return np.asarray(ImageCms.applyTransform(Image.fromarray(array), transform))


@pytest.mark.parametrize("rotated", [False, True])
def test_colour_profile_keeps_its_numbers_and_loses_its_words(rotated: bool) -> None:
    words = "sRGB built-in".encode("utf-16-be")
    planted = "Jane Roe's PC".encode("utf-16-be")
    raw = profile()
    assert words in raw
    named = raw.replace(words, planted)
    data = encoded(colours(), "JPEG", icc_profile=named)
    if rotated:
        data = jpeg_with(data, segment(0xE1, b"Exif\x00\x00" + orientation_tag(6)))
    published = publish(data)
    with Image.open(io.BytesIO(published)) as image:
        kept = image.info["icc_profile"]
    assert planted not in kept
    assert kept[24:36] == bytes(12), "a date is left"
    assert np.array_equal(shown_through(kept, colours()), shown_through(raw, colours()))
    assert publish(published) == published


def with_table(icc: bytes, size: int) -> bytes:
    """A profile with one more colour table (A2B0) of a given size."""
    (count,) = struct.unpack_from(">I", icc, 128)
    entries = [struct.unpack_from(">4sII", icc, 132 + 12 * index) for index in range(count)]
    moved = [struct.pack(">4sII", name, offset + 12, length) for name, offset, length in entries]
    body = icc[132 + 12 * count :]
    table = b"mft2" + bytes(size - 4)
    moved.append(struct.pack(">4sII", b"A2B0", 132 + 12 * (count + 1) + len(body), size))
    return icc[:128] + struct.pack(">I", count + 1) + b"".join(moved) + body + table


def kept_profile(data: bytes) -> bytes:
    with Image.open(io.BytesIO(publish(data))) as image:
        icc = image.info["icc_profile"]
    assert isinstance(icc, bytes)
    return icc


def test_profiles_in_several_segments_are_joined_and_split_again() -> None:
    small, large = profile(), with_table(profile(), 150_000)
    data = encoded(colours(), "JPEG")
    pieces = [small[200:], small[:100], small[100:200]]
    in_disorder = jpeg_with(
        data,
        *(
            segment(0xE2, b"ICC_PROFILE\x00" + bytes((number, 3)) + piece)
            for number, piece in zip((3, 1, 2), pieces, strict=True)
        ),
    )
    assert kept_profile(in_disorder) == kept_profile(encoded(colours(), "JPEG", icc_profile=small))
    split = encoded(colours(), "JPEG", icc_profile=large)
    assert len(kept_profile(split)) > 150_000
    assert publish(publish(split)) == publish(split)
    assert np.array_equal(decoded(publish(split)), decoded(data))


@pytest.mark.parametrize("icc", [b"", b"Jane Roe", profile()[:200], bytes(300)])
def test_damaged_profiles_are_dropped(icc: bytes) -> None:
    data = jpeg_with(KINDS["colour"], segment(0xE2, b"ICC_PROFILE\x00\x01\x01" + icc))
    assert publish(data) == KINDS["colour"]


def test_a_profile_of_another_colour_space_is_dropped() -> None:
    assert publish(encoded(gradient(), "JPEG", icc_profile=profile())) == encoded(gradient(), "JPEG")


def test_pixels_are_those_of_the_published_bytes() -> None:
    data = jpeg_with(KINDS["colour"], segment(0xE1, b"Exif\x00\x00" + orientation_tag(6)))
    assert np.array_equal(np.asarray(pixels(data)), decoded(publish(data)))


def test_a_second_frame_does_not_exist() -> None:
    with pytest.raises(ImageError, match="frame 1"):
        examine(KINDS["gray"], frame=1)
    assert examine(KINDS["gray"], frame=0) == examine(KINDS["gray"])


def test_two_pictures_in_a_row_publish_the_first() -> None:
    assert publish(KINDS["colour"] + KINDS["gray"]) == KINDS["colour"]
