"""BMP, GIF, PGM, WebP, JPEG 2000 and TIFF: each becomes PNG with the pixels that the file means."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from pictures import colours, decoded, encoded, gradient, percentile_range, stretched
from PIL import Image

from med_mat.errors import ImageError
from med_mat.images import examine, frame_count, pixels, publish

MASK = gradient() > 90
PALETTE = Image.fromarray(colours()).quantize(13)


def shown(data: bytes, frame: int | None = None) -> npt.NDArray[Any]:
    """Published pixels, after a check that they are published as metadata-free PNG of a plain mode."""
    published = publish(data, frame=frame)
    facts = examine(data, frame=frame).facts
    with Image.open(io.BytesIO(published)) as image:
        image.load()
        assert (image.format, image.mode, image.info) == ("PNG", facts.mode, {})
        assert image.mode in ("L", "RGB")
        assert image.size == (facts.width, facts.height)
        assert not facts.passed_through
        assert publish(published) == published
        assert examine(published).pixel_hash == examine(data, frame=frame).pixel_hash
        assert facts.published_bytes == image.width * image.height * len(image.getbands())
        return np.asarray(image)


@pytest.mark.parametrize("form", ["BMP", "TIFF", "PPM"])
def test_lossless_forms_of_eight_bits_keep_every_value(form: str) -> None:
    assert np.array_equal(shown(encoded(gradient(), form)), gradient())
    assert np.array_equal(shown(encoded(colours(), form)), colours())
    assert np.array_equal(shown(encoded(MASK, form)), np.where(MASK, 255, 0))
    assert examine(encoded(gradient(), form)).facts.rule == form.lower()


@pytest.mark.parametrize("form", ["BMP", "TIFF", "GIF"])
def test_palettes_are_looked_up(form: str) -> None:
    assert np.array_equal(shown(encoded(PALETTE, form)), np.asarray(PALETTE.convert("RGB")))


def bitmap(bits: int, rows: bytes, width: int, height: int, compression: int = 0, extra: bytes = b"") -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(rows), 0, 0, 0, 0) + extra
    return b"BM" + struct.pack("<IHHI", 14 + len(header) + len(rows), 0, 0, 14 + len(header)) + header + rows


def test_bitmaps_of_sixteen_and_thirty_two_bits() -> None:
    red_555, green_555 = 0x7C00, 0x03E0
    assert shown(bitmap(16, struct.pack("<HH", red_555, green_555), 2, 1)).tolist() == [[[255, 0, 0], [0, 255, 0]]]
    # The fourth byte is unused, whatever it holds.
    assert shown(bitmap(32, bytes((1, 2, 3, 0, 4, 5, 6, 0)), 2, 1)).tolist() == [[[3, 2, 1], [6, 5, 4]]]


def test_bitmaps_with_an_alpha_mask_that_is_zero_everywhere_are_not_white() -> None:
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack("<IiiHHIIiiII", 56, 2, 1, 1, 32, 3, 8, 0, 0, 0, 0) + masks
    rows = bytes((1, 2, 3, 0, 4, 5, 6, 0))
    data = b"BM" + struct.pack("<IHHI", 14 + len(header) + len(rows), 0, 0, 14 + len(header)) + header + rows
    assert shown(data).tolist() == [[[3, 2, 1], [6, 5, 4]]]


def test_run_length_bitmaps() -> None:
    palette = b"".join(bytes((value, value, value, 0)) for value in range(256))
    rows = bytes((3, 7, 1, 200, 0, 0, 0, 1))
    assert shown(bitmap(8, rows, 4, 1, compression=1, extra=palette)).tolist() == [[7, 7, 7, 200]]


def test_first_frame_of_an_animation_unless_one_is_named() -> None:
    frames = [Image.fromarray(gradient()), Image.fromarray(255 - gradient())]
    for form, options in (("GIF", {}), ("WEBP", {"lossless": True})):
        data = encoded(frames[0], form, save_all=True, append_images=frames[1:], **options)
        assert frame_count(data) == examine(data).facts.frames == 2
        assert np.array_equal(decoded(publish(data))[..., 0], gradient())
        assert np.array_equal(decoded(publish(data, frame=0))[..., 0], gradient())
        assert np.array_equal(decoded(publish(data, frame=1))[..., 0], 255 - gradient())
        with pytest.raises(ImageError, match=r"frame 2 .* holds 2"):
            publish(data, frame=2)
        with pytest.raises(ImageError, match="frame -1"):
            publish(data, frame=-1)


def test_transparent_gif_and_webp_are_laid_on_white() -> None:
    palette = Image.fromarray(np.array([[0, 1]], np.uint8))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    assert shown(encoded(palette, "GIF", transparency=0)).tolist() == [[[255, 255, 255], [40, 50, 60]]]
    rgba = np.dstack([colours(), np.where(MASK, 255, 0).astype(np.uint8)])
    expected = np.where(MASK[..., None], colours(), 255)
    assert np.array_equal(shown(encoded(rgba, "WEBP", lossless=True)), expected)


def test_portable_gray_maps_of_all_kinds() -> None:
    assert shown(b"P2\n# Jane Roe\n2 1\n255\n3 200\n").tolist() == [[3, 200]]
    assert shown(b"P1\n2 1\n1 0\n").tolist() == [[0, 255]]
    values = np.arange(0, 60000, 40, np.uint16).reshape(30, 50)
    data = b"P5 50 30 65535\n" + values.astype(">u2").tobytes()
    assert np.array_equal(shown(data), stretched(values, *percentile_range(values)))
    assert examine(data).facts.rule == "ppm-deep"


def test_portable_maps_are_scaled_by_the_largest_value_of_their_header() -> None:
    assert shown(b"P2\n3 1\n15\n0 5 15\n").tolist() == [[0, 85, 255]]
    for largest in (1023, 65535):
        samples = np.array([0, largest, largest // 2, largest, 0, 0], ">u2").tobytes()
        data = b"P6 2 1 %d\n" % largest + samples
        assert np.abs(shown(data).astype(int) - [[[0, 255, 127], [255, 0, 0]]]).max() <= 1
        assert examine(data).facts.rule == "ppm"


def test_jpeg_2000() -> None:
    assert np.array_equal(shown(encoded(colours(64, 64), "JPEG2000")), colours(64, 64))
    deep = (gradient(64, 64).astype(np.uint16) * 13 + 9).astype(np.uint16)
    data = encoded(Image.fromarray(deep), "JPEG2000")
    assert np.array_equal(shown(data), stretched(deep, *percentile_range(deep)))


# TIFF


def tiff(array: npt.NDArray[Any], **options: Any) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, array, **options)
    return out.getvalue()


@pytest.mark.parametrize("compression", ["raw", "packbits", "tiff_lzw", "tiff_adobe_deflate"])
@pytest.mark.parametrize("array", [gradient(), colours()], ids=["gray", "colour"])
def test_compressions(compression: str, array: npt.NDArray[np.uint8]) -> None:
    assert np.array_equal(shown(encoded(array, "TIFF", compression=compression)), array)


def test_fax_compression_of_masks() -> None:
    assert np.array_equal(shown(encoded(MASK, "TIFF", compression="group4")), np.where(MASK, 255, 0))


@pytest.mark.parametrize(
    "options",
    [
        {"tile": (16, 16)},
        {"bigtiff": True},
        {"byteorder": ">"},
        {"rowsperstrip": 5},
        {"tile": (32, 16), "compression": "zlib"},
    ],
    ids=str,
)
def test_layouts(options: dict[str, Any]) -> None:
    for array in (gradient(40, 50), colours(40, 50)):
        assert np.array_equal(shown(tiff(array, **options)), array)


def test_planes_one_after_another() -> None:
    planes = np.moveaxis(colours(), -1, 0)
    assert np.array_equal(shown(tiff(planes, photometric="rgb", planarconfig="separate")), colours())
    deep = tiff(planes.astype(np.uint16) * 256 + 9, photometric="rgb", planarconfig="separate")
    assert np.array_equal(shown(deep), colours())
    assert examine(deep).facts.rule == "tiff-deep-colour"


@pytest.mark.parametrize("kind", ["u2", "i2", "u4", "i4", "f4", "f8"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_deep_gray_of_all_types(kind: str, byteorder: str) -> None:
    values = (np.arange(60 * 50).reshape(60, 50) * 5 + 400).astype(kind)
    data = tiff(values, photometric="minisblack", byteorder=byteorder)
    assert np.array_equal(shown(data), stretched(values, *percentile_range(values)))
    assert examine(data).facts.rule == "tiff-deep"


@pytest.mark.parametrize("kind", ["u1", "u2", "u4"])
def test_white_is_zero(kind: str) -> None:
    values = gradient().astype(kind)
    assert np.array_equal(shown(tiff(values, photometric="miniswhite")), 255 - gradient())


def test_not_a_number_is_black_and_does_not_count() -> None:
    values = np.linspace(-1, 1, 3000, dtype=np.float32).reshape(60, 50)
    holed = values.copy()
    holed[0, :3] = np.nan, np.inf, -np.inf
    result = shown(tiff(holed, photometric="minisblack"))
    assert result[0, :3].tolist() == [0, 0, 0]
    rest = holed[np.isfinite(holed)]
    assert np.array_equal(result[1:], stretched(values, *percentile_range(rest))[1:])
    with pytest.raises(ImageError, match="not a number"):
        examine(tiff(np.full((4, 4), np.nan, np.float32), photometric="minisblack"))


def test_sixteen_bit_colour_keeps_its_high_bytes() -> None:
    data = tiff(colours().astype(np.uint16) * 256 + 5, photometric="rgb")
    assert np.array_equal(shown(data), colours())
    assert examine(data).facts.rule == "tiff-deep-colour"


def test_pages() -> None:
    data = tiff(np.stack([gradient(), 255 - gradient(), gradient()[::-1]]), photometric="minisblack")
    assert frame_count(data) == examine(data).facts.frames == 3
    assert np.array_equal(shown(data), gradient())
    assert np.array_equal(shown(data, frame=1), 255 - gradient())
    assert np.array_equal(shown(data, frame=2), gradient()[::-1])
    with pytest.raises(ImageError, match=r"frame 3 .* holds 3"):
        shown(data, frame=3)


@pytest.mark.parametrize(("kind", "shift"), [("u1", 0), ("f8", 0)])
def test_orientation_is_applied_once(kind: str, shift: int) -> None:
    values = gradient().astype(kind) + shift
    upright = shown(tiff(values, photometric="minisblack"))
    turned = shown(tiff(values, photometric="minisblack", extratags=[(274, 3, 1, 6, True)]))
    assert np.array_equal(turned, np.rot90(upright, -1))


def test_inks_and_luminance_become_rgb() -> None:
    cmyk = Image.fromarray(colours()).convert("CMYK")
    assert np.array_equal(shown(encoded(cmyk, "TIFF")), np.asarray(cmyk.convert("RGB")))
    jpeg = encoded(colours(), "TIFF", compression="jpeg", quality=95)
    assert np.array_equal(shown(jpeg), decoded(jpeg))


def test_alpha_is_laid_on_white() -> None:
    rgba = np.dstack([colours(), np.where(MASK, 255, 0).astype(np.uint8)])
    assert np.array_equal(shown(encoded(rgba, "TIFF")), np.where(MASK[..., None], colours(), 255))


def test_kinds_that_are_no_picture_say_what_they_are() -> None:
    with pytest.raises(ImageError, match=r"complex64"):
        examine(tiff(np.zeros((4, 4), np.complex64), photometric="minisblack"))
    with pytest.raises(ImageError, match=r"\(4, 4, 7\)"):
        examine(tiff(np.zeros((4, 4, 7), np.uint16), photometric="minisblack", planarconfig="contig"))


def test_pixels_agree_with_what_is_published() -> None:
    for data in (encoded(PALETTE, "GIF"), encoded(gradient(), "BMP"), tiff(gradient().astype("u2") * 200)):
        assert np.array_equal(np.asarray(pixels(data)), shown(data))
