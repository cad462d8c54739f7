"""Masks out of files: types of pictures, polarity, thresholds, and values that nobody documented."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from med_mat.errors import ImageError
from med_mat.regions import JPEG_THRESHOLD, binary_mask, class_masks, colour_masks, label_map, label_masks, mask_pixels

DISC = np.hypot(*(np.mgrid[:40, :60] - np.array([20, 30])[:, None, None])) < 12


def _file(image: Image.Image, form: str, **options: Any) -> bytes:
    stream = BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def _gray(mask: npt.NDArray[np.bool_]) -> Image.Image:
    return Image.fromarray(mask.astype(np.uint8) * 255)


def _with_palette(indices: npt.NDArray[np.uint8], colours: list[int]) -> Image.Image:
    image = Image.fromarray(indices, "L")
    image = image.convert("P")
    image.putdata(indices.ravel().tolist())
    image.putpalette(colours)
    return image


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF"])
@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "LA"])
def test_two_values_of_any_type_of_picture(form: str, mode: str) -> None:
    if form == "BMP" and mode == "LA":
        return  # the format has no such type
    image = _gray(DISC).convert("L").convert(mode) if mode != "1" else _gray(DISC).convert("1")
    assert np.array_equal(binary_mask(mask_pixels(_file(image, form))), DISC)


def test_transparent_pixels_keep_their_value() -> None:
    pixels = np.zeros((40, 60, 4), dtype=np.uint8)
    pixels[DISC, :3] = 255
    assert np.array_equal(binary_mask(mask_pixels(_file(Image.fromarray(pixels), "PNG"))), DISC)


@pytest.mark.parametrize("top", [1, 255])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_inside_is_one_or_255(top: int, kind: type) -> None:
    pixels = DISC.astype(kind) * kind(top)
    assert np.array_equal(binary_mask(mask_pixels(_file(Image.fromarray(pixels), "PNG"))), DISC)


def test_empty_and_full_masks() -> None:
    assert not binary_mask(np.zeros((4, 5), dtype=np.uint8)).any()
    assert binary_mask(np.full((4, 5), 255, dtype=np.uint8)).all()


def test_inverted_masks_of_bitmaps_with_palette() -> None:
    # The region is black, and black is not colour 0 of the palette.
    data = _file(_with_palette(DISC.astype(np.uint8), [255, 255, 255, 0, 0, 0]), "BMP")
    assert np.array_equal(binary_mask(mask_pixels(data), inverted=True), DISC)
    assert np.array_equal(mask_pixels(data, indices=True) == 1, DISC)


def test_masks_saved_as_jpeg() -> None:
    data = _file(_gray(DISC).convert("RGB"), "JPEG", quality=90)
    pixels = mask_pixels(data)
    assert len(np.unique(pixels)) > 2
    found = binary_mask(pixels, threshold=JPEG_THRESHOLD)
    assert np.array_equal(found, DISC)
    assert np.array_equal(binary_mask(255 - pixels, threshold=JPEG_THRESHOLD, inverted=True), DISC)
    with pytest.raises(ImageError, match=r"expected 0 and either 1 or 255, found .*pixels\).*take 127 for threshold"):
        binary_mask(pixels)


def test_threshold_looks_at_the_first_channel() -> None:
    pixels = np.array([[[128, 0, 0], [127, 255, 255]]], dtype=np.uint8)
    assert binary_mask(pixels, threshold=127).tolist() == [[True, False]]


@pytest.mark.parametrize("values", [[0, 3], [0, 1, 255], [128, 255], [7]])
def test_other_values_are_an_error(values: list[int]) -> None:
    with pytest.raises(ImageError, match="expected 0 and either 1 or 255"):
        binary_mask(np.array([values], dtype=np.uint8))


def test_coloured_pixels_in_a_mask_of_two_values() -> None:
    with pytest.raises(ImageError, match="coloured pixels"):
        binary_mask(np.array([[[255, 0, 0]]], dtype=np.uint8))


def test_label_maps() -> None:
    pixels = np.array([[0, 3, 4], [5, 0, 3]], dtype=np.uint8)
    masks = class_masks(pixels, {0: None, 3: "G3", 4: "G4+", 5: "G4+", 6: "none here"})
    assert list(masks) == ["G3", "G4+", "none here"]
    assert masks["G3"].tolist() == [[False, True, False], [False, False, True]]
    assert masks["G4+"].tolist() == [[False, False, True], [True, False, False]]
    assert not masks["none here"].any()


def test_an_unexpected_value_is_an_error_with_its_count() -> None:
    pixels = np.array([[0, 1, 1, 9, 9, 9]], dtype=np.uint8)
    with pytest.raises(ImageError, match=r"expected the values 0, 1, found also 9 \(3 pixels\)"):
        class_masks(pixels, {0: None, 1: "a"})
    with pytest.raises(ImageError, match="and 92 more values"):
        class_masks(np.arange(102, dtype=np.uint8)[None], {0: None, 1: "a"})


def test_masks_in_colours() -> None:
    pixels = np.array([[[0, 0, 0], [255, 0, 0]], [[0, 255, 1], [255, 0, 0]]], dtype=np.uint8)
    meanings = {(0, 0, 0): None, (255, 0, 0): "liver", (0, 255, 1): "gallbladder"}
    for stored in (Image.fromarray(pixels), Image.fromarray(pixels).convert("RGBA")):
        masks = colour_masks(mask_pixels(_file(stored, "PNG")), meanings)
        assert masks["liver"].tolist() == [[False, True], [False, True]]
        assert masks["gallbladder"].tolist() == [[False, False], [True, False]]
    with pytest.raises(ImageError, match=r"found also \(0, 255, 1\) \(1 pixels\)"):
        colour_masks(pixels, {(0, 0, 0): None, (255, 0, 0): "liver"})


def test_palettes_are_colours_or_numbers() -> None:
    indices = np.array([[0, 1], [2, 2]], dtype=np.uint8)
    data = _file(_with_palette(indices, [0, 0, 0, 128, 0, 0, 0, 128, 0]), "PNG")
    assert np.array_equal(mask_pixels(data, indices=True), indices)
    assert mask_pixels(data)[0, 1].tolist() == [128, 0, 0]
    with pytest.raises(ImageError, match="expected a PNG file with a palette, found mode L"):
        mask_pixels(_file(_gray(DISC), "PNG"), indices=True)


def test_pages() -> None:
    data = _file(_gray(DISC), "TIFF", save_all=True, append_images=[_gray(~DISC)])
    assert np.array_equal(binary_mask(mask_pixels(data, frame=1)), ~DISC)
    with pytest.raises(ImageError, match="frame 2"):
        mask_pixels(data, frame=2)


def test_files_that_are_no_masks() -> None:
    data = _file(_gray(DISC), "PNG")
    for bad, told in (
        (b"", "empty"),
        (data[:60], "PNG"),
        (bytes(128) + b"DICM", "DICOM"),
        (_file(Image.new("CMYK", (4, 4)), "JPEG"), "mode CMYK"),
    ):
        with pytest.raises(ImageError, match=told):
            mask_pixels(bad)


def test_shapes_that_do_not_fit() -> None:
    for call in (
        lambda: binary_mask(np.zeros((2, 2, 3, 1))),
        lambda: binary_mask(np.zeros((0, 4))),
        lambda: class_masks(np.zeros((2, 2, 3), dtype=np.uint8), {0: None}),
        lambda: colour_masks(np.zeros((2, 2), dtype=np.uint8), {(0, 0, 0): None}),
        lambda: colour_masks(np.zeros((2, 2, 3), dtype=np.uint16), {(0, 0, 0): None}),
    ):
        with pytest.raises(ImageError, match="expected"):
            call()


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 4)))
def test_label_map_to_masks_and_back(pixels: npt.NDArray[np.uint8]) -> None:
    labels = ["a", "b", "c", "d"]
    masks = class_masks(pixels, {0: None, 1: "a", 2: "b", 3: "c", 4: "d"})
    assert np.array_equal(label_map(masks, labels), pixels)
    found = label_masks(pixels, labels)
    assert list(found) == [labels[value - 1] for value in np.unique(pixels) if value]
    assert all(np.array_equal(mask, masks[label]) for label, mask in found.items())
