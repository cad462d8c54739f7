from __future__ import annotations

import weakref
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from med_mat.errors import MedMatError
from med_mat.phantoms import phantom
from med_mat.sheets import PALETTE, Cell, SheetError, contact_sheet

RED, GREEN, BLUE, GREY = (210, 10, 10), (10, 190, 10), (10, 10, 210), (100, 100, 100)
Box = tuple[int, int, int, int]


def plain(colour: tuple[int, ...], size: tuple[int, int] = (60, 60), mode: str = "RGB") -> Image.Image:
    return Image.new(mode, size, colour)


def pixels(sheet: Image.Image) -> npt.NDArray[np.int64]:
    return np.asarray(sheet).astype(np.int64)


def extent(sheet: Image.Image, colour: tuple[int, int, int], slack: int = 0) -> Box:
    """The box of all pixels of a colour, the last two numbers exclusive."""
    near = (np.abs(pixels(sheet) - colour) <= slack).all(axis=2)
    assert near.any(), f"no pixel of {colour}"
    rows, columns = np.nonzero(near)
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def size_of(box: Box) -> tuple[int, int]:
    return box[2] - box[0], box[3] - box[1]


# Layout ---------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 9), st.integers(32, 90), st.integers(1, 20))
def test_width_follows_columns_and_height_rows(columns: int, cell: int, count: int) -> None:
    sheet = contact_sheet([Cell(plain(RED), "x")] * count, columns=columns, cell=cell)
    used = min(columns, count)
    assert sheet.mode == "RGB"
    assert sheet.width == 32 + used * cell + (used - 1) * 8
    one_row = contact_sheet([Cell(plain(RED), "x")], columns=columns, cell=cell).height
    rows = -(-count // columns)
    assert (sheet.height - 32) == rows * (one_row - 32)


def test_cells_stand_in_order_within_a_grid() -> None:
    sheet = contact_sheet([Cell(plain(c), "") for c in (RED, GREEN, BLUE)], columns=2, cell=50)
    red, green, blue = (extent(sheet, colour) for colour in (RED, GREEN, BLUE))
    assert red[:2] == (16, 16)
    assert green[:2] == (16 + 50 + 8, 16)
    assert blue[0] == red[0]
    assert blue[1] >= red[3]
    assert {size_of(box) for box in (red, green, blue)} == {(50, 50)}


def test_groups_stand_together_in_order_of_appearance() -> None:
    cells = [
        Cell(plain(RED), "", "benign"),
        Cell(plain(BLUE), "", "malignant"),
        Cell(plain(GREEN), "", "benign"),
    ]
    sheet = contact_sheet(cells, cell=50)
    red, green, blue = (extent(sheet, colour) for colour in (RED, GREEN, BLUE))
    assert red[1] == green[1]
    assert green[0] > red[0]
    assert blue[0] == red[0]
    assert blue[1] > red[3]


def test_heading_takes_a_line_that_shows_its_count() -> None:
    def headed(heading: str, count: int) -> Image.Image:
        return contact_sheet([Cell(plain(RED), "", heading)] * count, columns=1, cell=90)

    bare, one, two, other = headed("", 1), headed("cyst", 1), headed("cyst", 2), headed("mass", 1)
    assert one.height > bare.height
    line = (0, 0, one.width, extent(one, RED)[1])
    assert one.crop(line).tobytes() != two.crop(line).tobytes()
    assert one.crop(line).tobytes() != other.crop(line).tobytes()


def test_cells_without_heading_do_not_fall_under_another() -> None:
    sheet = contact_sheet([Cell(plain(RED), "", "cyst"), Cell(plain(BLUE), "")], cell=50)
    between = pixels(sheet)[extent(sheet, RED)[3] : extent(sheet, BLUE)[1]]
    assert (between < 120).all(axis=2).any(), "no writing between the groups"


def test_title_stands_above_everything_and_wraps() -> None:
    cells = [Cell(plain(RED), "")]
    tops = [extent(contact_sheet(cells, title=title), RED)[1] for title in ("", "Title", "A title " * 6)]
    assert tops[0] < tops[1] < tops[2]


def test_no_cells_give_a_sheet_that_says_so() -> None:
    sheet = contact_sheet([], title="Nothing")
    assert (pixels(sheet) < 200).any()


def test_five_hundred_pictures_are_reduced_one_by_one() -> None:
    seen: list[weakref.ref[Image.Image]] = []
    most = 0

    def cells() -> Iterator[Cell]:
        nonlocal most
        for number in range(500):
            image = plain((number % 256, 40, 40), (300, 200))
            seen.append(weakref.ref(image))
            most = max(most, sum(past() is not None for past in seen))
            yield Cell(image, f"picture {number}", f"group {number % 3}")
            del image

    sheet = contact_sheet(cells(), cell=64)
    assert most <= 3
    assert sheet.width == 32 + 8 * 64 + 7 * 8
    assert sheet.height > 3 * 21 * 64


def test_input_is_left_as_it_was() -> None:
    image, mask = phantom(0, 2, "s", mode="P"), plain((1,), (256, 256), "L")
    before = (image.tobytes(), mask.tobytes())
    contact_sheet([Cell(image, "x", boxes=[("a", (0, 0, 1, 1))], mask=mask)])
    assert (image.tobytes(), mask.tobytes(), image.mode) == (*before, "P")


# Captions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "caption", ["word " * 3000, "x" * 10_000, "ж" * 500, "a/b_c-" * 400, "one\n\ntwo\tthree " * 90]
)
def test_a_long_caption_stays_under_its_picture(caption: str) -> None:
    cells = [Cell(plain(RED), caption), Cell(plain(RED), "")]
    sheet = contact_sheet(cells, cell=100)
    three_lines = contact_sheet([Cell(plain(RED), "word " * 40)], cell=100)
    assert sheet.height == three_lines.height
    beside = pixels(sheet)[extent(sheet, RED)[3] :, 16 + 100 + 2 :]
    assert (beside == beside[0, 0]).all(), "the caption runs beyond its picture"


def test_a_caption_is_written_and_a_short_one_takes_less_room() -> None:
    short, long = (contact_sheet([Cell(plain(RED), text)], cell=100) for text in ("cat", "cat " * 30))
    below = pixels(short)[extent(short, RED)[3] :]
    assert (below < 120).all(axis=2).any()
    assert short.height < long.height


def written(caption: str) -> bytes:
    return contact_sheet([Cell(plain(RED), caption)], cell=160).tobytes()


def test_letters_that_the_font_lacks_stay_apart() -> None:
    captions = ["肺", "炎", "\N{GREEK SMALL LETTER ALPHA}", "β", "Ж", "\U0001fac1", "\x07"]
    assert len({written(caption) for caption in captions}) == len(captions)


@pytest.mark.parametrize(
    ("caption", "same"),
    [
        ("naïve Ménière", "naive Meniere"),
        ("≤ 5 µm", "<= 5 um"),
        ("\N{GREEK SMALL LETTER ALPHA}\N{EN DASH}β", "alpha-beta"),
        ("Ⅳ", "IV"),
        ("肺", "[U+80BA]"),
    ],
)
def test_letters_that_the_font_lacks_are_spelled(caption: str, same: str) -> None:
    assert written(caption) == written(same)
    assert written(caption) != written("")


# Pictures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "shown"),
    [((200, 100), (80, 40)), ((30, 60), (40, 80)), ((7, 7), (80, 80)), ((500, 2), (80, 1)), ((1, 1), (80, 80))],
)
def test_aspect_ratio_is_kept_on_a_neutral_ground(size: tuple[int, int], shown: tuple[int, int]) -> None:
    sheet = contact_sheet([Cell(plain(RED, size), "")], cell=80)
    box = extent(sheet, RED)
    assert size_of(box) == shown
    assert box[0] - 16 == (80 - shown[0]) // 2
    assert box[1] - 16 == (80 - shown[1]) // 2
    if shown != (80, 80):
        assert sheet.getpixel((16, 16)) == (222, 222, 222)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (plain((90,), mode="L"), (90, 90, 90)),
        (plain((1,), mode="1"), (255, 255, 255)),
        (plain((90, 255), mode="LA"), (90, 90, 90)),
        (plain((90, 0), mode="LA"), (222, 222, 222)),
        (plain((*RED, 255), mode="RGBA"), RED),
        (plain((*RED, 0), mode="RGBA"), (222, 222, 222)),
        (plain((0, 255, 255, 0), mode="CMYK"), (255, 0, 0)),
        (plain((255, 255, 0, 0), mode="CMYK"), (0, 0, 255)),
        (plain((128, 128, 128), mode="YCbCr"), (128, 128, 128)),
    ],
)
def test_every_mode_shows_its_colour(image: Image.Image, expected: tuple[int, int, int]) -> None:
    sheet = contact_sheet([Cell(image, "")], cell=60)
    assert sheet.getpixel((46, 46)) == expected


def test_a_palette_and_its_transparent_entry_are_honoured() -> None:
    image = Image.new("P", (60, 60), 1)
    image.paste(2, (30, 0, 60, 60))
    image.putpalette([0, 0, 0, *RED, *BLUE])
    sheet = contact_sheet([Cell(image, "")], cell=60)
    assert (sheet.getpixel((20, 40)), sheet.getpixel((70, 40))) == (RED, BLUE)
    image.info["transparency"] = 2
    sheet = contact_sheet([Cell(image, "")], cell=60)
    assert (sheet.getpixel((20, 40)), sheet.getpixel((70, 40))) == (RED, (222, 222, 222))


@pytest.mark.parametrize(
    ("low", "high", "kind"),
    [(0, 65535, np.uint16), (900, 4095, np.uint16), (-1024, 3000, np.int32), (-0.5, 0.5, np.float32)],
)
def test_deep_pictures_are_stretched(low: float, high: float, kind: type[np.generic]) -> None:
    ramp = np.linspace(low, high, 100)[None, :].repeat(100, axis=0).astype(kind)
    row = pixels(contact_sheet([Cell(Image.fromarray(ramp), "")], cell=100))[66, 16:116, 0]
    assert row[0] < 6
    assert row[-1] > 249
    assert abs(int(row[50]) - 128) < 6
    assert (np.diff(row) >= 0).all()


def test_a_single_hot_pixel_does_not_darken_the_rest() -> None:
    values = np.tile(np.linspace(100, 200, 80), (80, 1)).astype(np.uint16)
    values[3, 3] = 65535
    shown = pixels(contact_sheet([Cell(Image.fromarray(values), "")], cell=80))[60, 16:96, 0]
    assert shown.max() > 240


@pytest.mark.parametrize("value", [0, 7, np.nan])
def test_a_deep_picture_of_one_value_is_shown(value: float) -> None:
    image = Image.fromarray(np.full((40, 40), value, np.float32))
    assert contact_sheet([Cell(image, "")], cell=40).getpixel((36, 36)) == (0, 0, 0)


def test_a_row_without_pixels_is_a_grey_cell_that_says_so() -> None:
    sheet = contact_sheet([Cell(None, "x", boxes=[("a", (0, 0, 1, 1))]), Cell(plain(RED), "y")], cell=100)
    red = extent(sheet, RED)
    grey = extent(sheet, (190, 190, 190))
    assert size_of(grey) == (100, 100)
    assert grey[1] == red[1]
    inside = pixels(sheet)[grey[1] : grey[3], grey[0] : grey[2]]
    assert (inside < 80).all(axis=2).any(), "nothing is written on it"
    assert not (inside == PALETTE[0]).all(axis=2).any(), "a box is drawn on it"


# Boxes and masks ------------------------------------------------------------------------------------------------


def test_a_box_is_outlined_where_it_lies() -> None:
    picture = plain(GREY, (200, 100))
    sheet = contact_sheet([Cell(picture, "", boxes=[("", (0.5, 0.4, 0.9, 0.8))])], cell=160)
    left, top = 16, 16 + 40
    x0, _, x1, y1 = extent(sheet, PALETTE[0])
    assert abs(x0 - (left + 0.5 * 160)) <= 4
    assert abs(x1 - (left + 0.9 * 160)) <= 4
    assert abs(y1 - (top + 0.8 * 80)) <= 1
    middle = (left + round(0.7 * 160), top + round(0.6 * 80))
    assert sheet.getpixel(middle) == GREY
    for edge in (left + round(0.5 * 159), left + round(0.9 * 159)):
        assert sheet.getpixel((edge, middle[1])) == PALETTE[0]
    for edge in (top + round(0.4 * 79), top + round(0.8 * 79)):
        assert sheet.getpixel((middle[0], edge)) == PALETTE[0]


def test_a_label_has_one_colour_throughout() -> None:
    centre = (0.3, 0.3, 0.7, 0.7)
    cells = [
        Cell(plain(GREY), "", boxes=[("cyst", centre)]),
        Cell(plain(GREY), "", boxes=[("mass", centre)]),
        Cell(plain(GREY), "", boxes=[("cyst", centre)]),
    ]
    shown = pixels(contact_sheet(cells, cell=100))
    found = [
        {colour for colour in PALETTE if (shown[:, start : start + 100] == colour).all(axis=2).any()}
        for start in (16, 124, 232)
    ]
    assert found == [{PALETTE[0]}, {PALETTE[1]}, {PALETTE[0]}]


@pytest.mark.parametrize("box", [(0.0, 0.0, 1.0, 1.0), (0.0, 0.9, 0.1, 1.0), (0.98, 0.0, 1.0, 0.02)])
@pytest.mark.parametrize("label", ["cyst", "a label that is wider than its cell", "肺炎"])
def test_a_box_and_its_label_stay_in_their_cell(box: tuple[float, float, float, float], label: str) -> None:
    cells = [Cell(plain(GREY), ""), Cell(plain(GREY), "", boxes=[(label, box)]), Cell(plain(GREY), "")]
    bare = [Cell(plain(GREY), "")] * 3
    one, other = pixels(contact_sheet(cells, cell=90)), pixels(contact_sheet(bare, cell=90))
    rows, columns = np.nonzero((one != other).any(axis=2))
    assert columns.min() >= 16 + 98
    assert columns.max() < 16 + 98 + 90
    assert rows.min() >= 16
    assert rows.max() < 16 + 90


def test_a_mask_tints_its_labels_and_nothing_else() -> None:
    labels = np.zeros((100, 100), np.uint8)
    labels[20:80, 10:40] = 1
    labels[20:80, 60:90] = 2
    for mask in (Image.fromarray(labels), Image.fromarray(labels).convert("P")):
        sheet = contact_sheet([Cell(plain(GREY, (100, 100)), "", mask=mask)], cell=100)
        at = [sheet.getpixel((16 + x, 16 + y)) for x, y in ((25, 50), (75, 50), (50, 50), (10, 50), (89, 50))]
        for value, colour in zip(at[:2], PALETTE, strict=False):
            assert value == tuple(round(0.6 * 100 + 0.4 * channel) for channel in colour)
        assert at[2] == GREY
        assert at[3:] == [PALETTE[0], PALETTE[1]]


def test_a_two_valued_mask_takes_the_first_colour() -> None:
    mask = Image.new("1", (60, 60), 1)
    sheet = contact_sheet([Cell(plain(GREY), "", mask=mask)], cell=60)
    assert sheet.getpixel((46, 46)) == tuple(round(0.6 * 100 + 0.4 * channel) for channel in PALETTE[0])


def test_a_mask_of_a_reduced_picture_lies_on_it() -> None:
    mask = Image.new("L", (400, 200))
    mask.paste(3, (200, 0, 400, 200))
    sheet = contact_sheet([Cell(plain(GREY, (400, 200)), "", mask=mask)], cell=100)
    assert sheet.getpixel((16 + 40, 66)) == GREY
    assert sheet.getpixel((16 + 50, 66)) == PALETTE[2]


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        (Cell(plain(RED), "IM-1", boxes=[("a", (0.5, 0.1, 0.4, 0.2))]), "IM-1: box 'a'.*xmin < xmax"),
        (Cell(plain(RED), "IM-2", boxes=[("a", (0, 0, 30, 30))]), "IM-2.*within 0..1"),
        (Cell(plain(RED), "IM-3", mask=Image.new("L", (30, 60))), "IM-3.*30 x 60 pixels.*60 x 60"),
        (Cell(plain(RED), "IM-4", mask=plain(RED)), "IM-4.*mode RGB.*expected"),
    ],
)
def test_what_does_not_fit_its_picture_is_named(cell: Cell, found: str) -> None:
    with pytest.raises(SheetError, match=found) as caught:
        contact_sheet([cell])
    assert isinstance(caught.value, MedMatError)


@pytest.mark.parametrize(("columns", "cell"), [(0, 160), (8, 31)])
def test_too_small_a_grid_is_refused(columns: int, cell: int) -> None:
    with pytest.raises(SheetError, match="at least 1 column and 32 pixels"):
        contact_sheet([], columns=columns, cell=cell)


def test_a_label_at_the_right_edge_is_whole() -> None:
    def coloured(box: tuple[float, float, float, float]) -> int:
        sheet = contact_sheet([Cell(plain(GREY), "", boxes=[("adenoma", box)])], cell=120)
        return int((pixels(sheet) == PALETTE[0]).all(axis=2).sum())

    assert coloured((0.8, 0.5, 1.0, 0.7)) == pytest.approx(coloured((0.0, 0.5, 0.2, 0.7)), rel=0.05)
