"""DICOM: the display pipeline, recomputed value by value, and the compressions found in the wild."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import colours, decoded, dicom, gradient, percentile_range, stretched
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import convert_color_space
from scipy import ndimage

from med_mat.errors import ImageError
from med_mat.images import examine, frame_count, pixels, publish

CT = (np.arange(30 * 40).reshape(30, 40) * 2 - 1100).astype(np.int16)
RAW12 = (np.arange(30 * 40).reshape(30, 40) * 3 + 100).astype(np.uint16)


def shown(data: bytes, frame: int | None = None) -> npt.NDArray[Any]:
    return np.asarray(pixels(data, frame=frame))


def rule(data: bytes, frame: int | None = None) -> str:
    return examine(data, frame=frame).facts.rule


def sample(name: str) -> bytes:
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str)
    return Path(path).read_bytes()


def by_window(value: float, center: float, width: float, function: str) -> int:
    """PS3.3 C.11.2.1.2 and C.11.2.1.3, written out for one value and an output of 0 to 255."""
    if function == "LINEAR":
        if value <= center - 0.5 - (width - 1) / 2:
            return 0
        if value > center - 0.5 + (width - 1) / 2:
            return 255
        return math.floor(((value - (center - 0.5)) / (width - 1) + 0.5) * 255 + 0.5)
    if function == "LINEAR_EXACT":
        if value <= center - width / 2:
            return 0
        if value > center + width / 2:
            return 255
        return math.floor(((value - center) / width + 0.5) * 255 + 0.5)
    exponent = -4 * (value - center) / width
    return 0 if exponent > 700 else math.floor(255 / (1 + math.exp(exponent)) + 0.5)


def windowed(values: npt.NDArray[Any], center: float, width: float, function: str = "LINEAR") -> npt.NDArray[np.uint8]:
    return np.array([[by_window(float(v), center, width, function) for v in row] for row in values], np.uint8)


@settings(max_examples=40, deadline=None)
@given(
    center=st.integers(-1200, 1200),
    width=st.integers(1, 3000),
    slope=st.sampled_from([1.0, 2.0, 0.5, -1.0]),
    intercept=st.sampled_from([0.0, -1024.0, 12.5]),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
    inverted=st.booleans(),
)
def test_rescale_then_window(
    center: int, width: int, slope: float, intercept: float, function: str, inverted: bool
) -> None:
    data = dicom(
        CT,
        photometric="MONOCHROME1" if inverted else "MONOCHROME2",
        RescaleSlope=slope,
        RescaleIntercept=intercept,
        WindowCenter=center,
        WindowWidth=width,
        VOILUTFunction=function,
    )
    expected = windowed(CT * slope + intercept, center, width, function)
    assert np.array_equal(shown(data), 255 - expected if inverted else expected)
    assert rule(data) == "dicom-window"


def test_the_first_of_several_windows_counts() -> None:
    data = dicom(CT, WindowCenter=[40, 300, -600], WindowWidth=[100, 1500, 1600])
    assert np.array_equal(shown(data), windowed(CT, 40, 100))


def test_published_bytes_are_gray_png() -> None:
    data = dicom(CT, WindowCenter=0, WindowWidth=800)
    facts = examine(data).facts
    assert (facts.format, facts.mode, facts.width, facts.height) == ("DICOM", "L", 40, 30)
    assert (facts.passed_through, facts.published_bytes, facts.frames) == (False, 1200, 1)
    assert np.array_equal(decoded(publish(data))[..., 0], windowed(CT, 0, 800))


@pytest.mark.parametrize(
    "window",
    [{}, {"WindowCenter": 40}, {"WindowCenter": 40, "WindowWidth": 0}, {"WindowCenter": None, "WindowWidth": None}],
    ids=str,
)
def test_without_a_usable_window_the_percentiles_count(window: dict[str, Any]) -> None:
    data = dicom(CT, RescaleSlope=1, RescaleIntercept=-24, **window)
    assert np.array_equal(shown(data), stretched(CT, *percentile_range(CT)))
    assert rule(data) == "dicom-range"


def test_a_negative_slope_turns_black_and_white_around() -> None:
    data = dicom(RAW12, bits=12, RescaleSlope=-1, RescaleIntercept=4095)
    values = 4095 - RAW12.astype(int)
    assert np.array_equal(shown(data), stretched(values, *percentile_range(values)))


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_up_to_eight_bits_without_window_keep_their_full_range(bits: int) -> None:
    values = (gradient() >> (8 - bits)).astype(np.uint8)
    expected = stretched(values, 0, (1 << bits) - 1)
    assert np.array_equal(shown(dicom(values, bits=bits)), expected)
    inverted = dicom(values, bits=bits, photometric="MONOCHROME1")
    assert np.array_equal(shown(inverted), 255 - expected)


def test_padding_does_not_count_for_the_range() -> None:
    values = RAW12.copy()
    values[:10] = 65000
    inside = values[10:]
    expected = stretched(values, *percentile_range(inside))
    assert np.array_equal(shown(dicom(values, PixelPaddingValue=65000)), expected)
    values[:5] = 64000
    expected = stretched(values, *percentile_range(inside))
    data = dicom(values, PixelPaddingValue=65000, PixelPaddingRangeLimit=64000)
    assert np.array_equal(shown(data), expected)
    assert shown(dicom(np.full((4, 4), 9, np.int16), PixelPaddingValue=9)).max() == 9, "nothing but padding"


def lookup(first: int, entries: list[int], bits: int = 16, vr: str = "US") -> pydicom.Sequence:
    item = Dataset()
    item.LUTDescriptor = [len(entries), first, bits]
    packed = np.array(entries, f"<u{1 if vr == 'OB' else 2}").tobytes()
    item.add_new(0x00283006, vr.replace("OB", "OW"), entries if vr == "US" else packed)
    return pydicom.Sequence([item])


def test_voi_table_comes_before_the_window() -> None:
    entries = [round(1000 * math.sqrt(i)) for i in range(2000)]
    data = dicom(RAW12, VOILUTSequence=lookup(300, entries), WindowCenter=40, WindowWidth=80)
    found = [[entries[min(max(int(v) - 300, 0), 1999)] for v in row] for row in RAW12]
    assert np.array_equal(shown(data), stretched(np.array(found), min(entries), max(entries)))
    assert rule(data) == "dicom-lut"


@pytest.mark.parametrize("vr", ["US", "OW", "OB"])
def test_voi_table_of_many_bytes(vr: str) -> None:
    # 8-bit entries, more than 256 of them: an index that wraps at 256 would show stripes.
    entries = [i * 255 // 3999 for i in range(4000)]
    found = np.array([[entries[min(int(v), 3999)] for v in row] for row in RAW12])
    assert np.array_equal(shown(dicom(RAW12, VOILUTSequence=lookup(0, entries, 8, vr))), found)


@pytest.mark.parametrize("vr", ["US", "OW"])
def test_modality_table_then_window(vr: str) -> None:
    entries = [(i * i) // 4000 for i in range(4096)]
    data = dicom(RAW12, ModalityLUTSequence=lookup(0, entries, vr=vr), WindowCenter=1500, WindowWidth=2000)
    found = np.array([[entries[int(v)] for v in row] for row in RAW12])
    assert np.array_equal(shown(data), windowed(found, 1500, 2000))


def functional(**groups: Dataset) -> Dataset:
    item = Dataset()
    for name, value in groups.items():
        setattr(item, name, pydicom.Sequence([value]))
    return item


def test_windows_of_single_frames() -> None:
    def window(center: int) -> Dataset:
        item = Dataset()
        item.WindowCenter, item.WindowWidth = center, 500
        return functional(FrameVOILUTSequence=item)

    rescale = Dataset()
    rescale.RescaleSlope, rescale.RescaleIntercept = 2, -100
    data = dicom(
        np.stack([RAW12, RAW12]),
        frames=2,
        SharedFunctionalGroupsSequence=pydicom.Sequence([functional(PixelValueTransformationSequence=rescale)]),
        PerFrameFunctionalGroupsSequence=pydicom.Sequence([window(1000), window(3000)]),
    )
    values = RAW12.astype(int) * 2 - 100
    for frame, center in enumerate((1000, 3000)):
        assert np.array_equal(shown(data, frame), windowed(values, center, 500))
        assert rule(data, frame) == "dicom-window"


def test_frames_must_be_named() -> None:
    data = dicom(np.stack([gradient(), 255 - gradient()]), frames=2)
    assert frame_count(data) == 2
    assert np.array_equal(shown(data, 1), 255 - gradient())
    assert examine(data, frame=1).facts.frames == 2
    with pytest.raises(ImageError, match="holds 2 frames"):
        examine(data)
    with pytest.raises(ImageError, match="frame 2"):
        examine(data, frame=2)
    single = dicom(gradient()[None], frames=1)
    assert np.array_equal(shown(single), gradient())


def test_colours() -> None:
    assert np.array_equal(shown(dicom(colours(), photometric="RGB")), colours())
    assert np.array_equal(shown(dicom(colours().astype(np.uint16) * 256 + 3, photometric="RGB")), colours())
    assert np.array_equal(shown(dicom(colours().astype(np.uint16) * 16 + 3, photometric="RGB", bits=12)), colours())
    luminance = convert_color_space(colours(), "RGB", "YBR_FULL")
    again = convert_color_space(luminance, "YBR_FULL", "RGB")
    assert np.array_equal(shown(dicom(luminance, photometric="YBR_FULL")), again)
    assert rule(dicom(colours(), photometric="RGB")) == "dicom-colour"


@pytest.mark.parametrize("bits", [8, 16])
def test_palette(bits: int) -> None:
    scale = 257 if bits == 16 else 1
    table = [np.arange(256), np.arange(256)[::-1], np.full(256, 40)]
    tags: dict[str, Any] = {}
    for colour, values in zip(("Red", "Green", "Blue"), table, strict=True):
        tags[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, bits]
        tags[f"{colour}PaletteColorLookupTableData"] = (values * scale).astype(f"<u{bits // 8}").tobytes()
    data = dicom(gradient(), photometric="PALETTE COLOR", **tags)
    expected = np.dstack([gradient(), 255 - gradient(), np.full((24, 32), 40)])
    assert np.array_equal(shown(data), expected)
    assert rule(data) == "dicom-palette"


def test_floats() -> None:
    values = np.linspace(-2, 5, 1200, dtype=np.float32).reshape(30, 40)
    dataset = pydicom.dcmread(io.BytesIO(dicom(np.zeros((30, 40), np.int32))))
    del dataset.PixelData
    dataset.FloatPixelData = values.tobytes()
    out = io.BytesIO()
    dataset.save_as(out)
    assert np.array_equal(shown(out.getvalue()), stretched(values, *percentile_range(values)))


@pytest.mark.parametrize(
    "name",
    [
        "MR_small_RLE.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_implicit.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
    ],
)
def test_lossless_compressions_show_the_same_picture(name: str) -> None:
    values = pydicom.dcmread(io.BytesIO(sample("MR_small.dcm"))).pixel_array
    expected = windowed(values, 600, 1600)
    assert np.array_equal(shown(sample("MR_small.dcm")), expected)
    assert np.array_equal(shown(sample(name)), expected)


STRIPES = ((255, 0, 0), (255, 128, 128), (0, 255, 0), (128, 255, 128), (0, 0, 255), (128, 128, 255))


@pytest.mark.parametrize(
    "name",
    [
        "SC_rgb_dcmtk_+eb+cr.dcm",
        "SC_rgb_dcmtk_+eb+cy+n1.dcm",
        "SC_rgb_dcmtk_+eb+cy+np.dcm",
        "SC_rgb_dcmtk_+eb+cy+s4.dcm",
        "SC_rgb_jpeg_dcmtk.dcm",
        "SC_rgb_jpeg_lossy_gdcm.dcm",
        "SC_rgb_jpeg_gdcm.dcm",
        "SC_rgb_gdcm_KY.dcm",
        "SC_rgb_jls_lossy_line.dcm",
        "SC_rgb_rle.dcm",
        "SC_rgb_rle_16bit.dcm",
        "SC_rgb_rle_32bit.dcm",
        "SC_ybr_full_422_uncompressed.dcm",
    ],
)
def test_coloured_stripes_have_their_colours(name: str) -> None:
    picture = shown(sample(name)).astype(int)
    for index, colour in enumerate(STRIPES):
        assert np.abs(picture[5 + 10 * index, 50] - colour).max() <= 5, (index, picture[5 + 10 * index, 50])
    assert picture[65, 50].max() <= 5
    assert picture[95, 50].min() >= 250


def test_computed_tomography_in_jpeg_2000_is_windowed() -> None:
    dataset = pydicom.dcmread(io.BytesIO(sample("J2K_pixelrep_mismatch.dcm")))
    values = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    assert np.array_equal(shown(sample("J2K_pixelrep_mismatch.dcm")), windowed(values, 40, 100))


def test_files_without_preamble_or_meta_header() -> None:
    data = dicom(gradient())
    assert np.array_equal(shown(data[132:]), gradient())
    dataset = pydicom.dcmread(io.BytesIO(data))
    bare = io.BytesIO()
    pydicom.dcmwrite(bare, Dataset(dataset), implicit_vr=True, little_endian=True)
    assert not bare.getvalue().startswith(b"\x02\x00")
    assert np.array_equal(shown(bare.getvalue()), gradient())


def test_a_preamble_that_looks_like_tiff_is_still_dicom() -> None:
    data = dicom(gradient())
    assert examine(b"II*\x00" + data[4:]).facts.format == "DICOM"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("rtplan.dcm", "no picture"),
        ("test-SR.dcm", "no picture"),
        ("MR_truncated.dcm", "less than expected"),
    ],
)
def test_files_that_show_nothing_say_why(name: str, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        examine(sample(name))


@pytest.mark.parametrize("signed", [False, True])
def test_lossy_jpeg_of_twelve_bits(signed: bool) -> None:
    dataset = pydicom.dcmread(io.BytesIO(sample("JPEG-lossy.dcm")))
    y, x = np.mgrid[0:80, 0:120]
    values = (2000 + 1500 * np.sin(x / 11) * np.cos(y / 17)).astype(np.int32)
    coded = ((values - 2000) & 0xFFF if signed else values).astype(np.uint16)
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = 80, 120, 2
    dataset.PixelRepresentation = int(signed)
    dataset.WindowCenter, dataset.WindowWidth = (0 if signed else 2000), 4001
    dataset.PixelData = encapsulate(
        [
            imagecodecs.jpeg8_encode(coded, level=100, bitspersample=12),
            imagecodecs.jpeg8_encode(coded[::-1].copy(), level=100, bitspersample=12),
        ]
    )
    stored = io.BytesIO()
    dataset.save_as(stored)
    expected = np.clip((values - 2000) / 4000 * 255 + 127.5, 0, 255)
    # Where a signed value passes zero its code jumps over the whole range, which no lossy coding follows.
    calm = np.abs(values - 2000) > 600 if signed else np.full(values.shape, True)
    calm = ndimage.binary_erosion(calm, iterations=8 if signed else 0) if signed else calm
    for frame, flipped in ((0, expected), (1, expected[::-1])):
        off = np.abs(shown(stored.getvalue(), frame=frame) - flipped)
        assert off[calm if frame == 0 else calm[::-1]].max() <= 1


def test_the_published_sample_of_lossy_jpeg_of_twelve_bits() -> None:
    facts = examine(sample("JPEG-lossy.dcm")).facts
    assert (facts.width, facts.height, facts.rule) == (256, 1024, "dicom-range")


def test_lossy_jpeg_of_another_size_than_the_header_is_damage() -> None:
    dataset = pydicom.dcmread(io.BytesIO(sample("JPEG-lossy.dcm")))
    dataset.Rows = 512
    stored = io.BytesIO()
    dataset.save_as(stored)
    with pytest.raises(ImageError, match="256 x 512 whose JPEG data is 256 x 1024"):
        examine(stored.getvalue())


def test_unread_transfer_syntaxes_and_interpretations_are_named() -> None:
    data = dicom(gradient())
    renamed = data.replace(b"1.2.840.10008.1.2.1\x00", b"1.2.840.10008.1.2.4.201\x00"[:20])
    assert renamed != data
    with pytest.raises(ImageError):
        examine(renamed)
    with pytest.raises(ImageError, match="'SEPIA'"):
        examine(dicom(gradient(), photometric="SEPIA"))


def test_too_many_pixels() -> None:
    data = dicom(gradient())
    rows = data.index(b"\x28\x00\x10\x00US\x02\x00") + 8
    columns = data.index(b"\x28\x00\x11\x00US\x02\x00") + 8
    huge = bytearray(data)
    huge[rows : rows + 2] = huge[columns : columns + 2] = b"\xff\xff"
    with pytest.raises(ImageError, match="over the limit"):
        examine(bytes(huge))
