"""Contact sheets: many small pictures on one, grouped by label, for a person to look through."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from med_mat.errors import MedMatError

Colour = tuple[int, int, int]
XYXY = tuple[float, float, float, float]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

# Okabe and Ito's colours, which people of every colour vision can tell apart, without the black.
PALETTE: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)

_PAPER: Colour = (250, 250, 250)
_INK: Colour = (32, 32, 32)
_FAINT: Colour = (110, 110, 110)
_RULE: Colour = (205, 205, 205)
_NEUTRAL: Colour = (222, 222, 222)  # around pictures, and behind transparent ones
_ABSENT: Colour = (190, 190, 190)  # a cell without pixels

_MARGIN = 16
_GAP = 8
_CAPTION_SIZE, _CAPTION_LINES = 12, 3
_TAG_SIZE, _HEADING_SIZE, _TITLE_SIZE = 12, 15, 20
_SMALLEST_CELL = 32
_MOST_TAGS = 6
_NO_HEADING = "(no heading)"


class SheetError(MedMatError, ValueError):
    """A contact sheet was asked for that cannot be drawn."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One place on a contact sheet.

    Attributes:
        image: A picture of any mode and size, shown as stored (an EXIF rotation is not applied); None for a row
            whose pixels are not at hand, which becomes a grey cell without boxes or mask.
        caption: Text under the picture: wrapped, cut after three lines.
        heading: The group that the cell belongs to.
        boxes: Labelled boxes, ``(xmin, ymin, xmax, ymax)`` as shares of the picture's width and height.
        mask: A label map of the picture's size: 0 is background, value i gets colour ``PALETTE[(i - 1) % 7]``.
        mask_labels: What the values of the mask mean, from 1: boxes of these labels get the colour of the mask.
    """

    image: Image.Image | None
    caption: str
    heading: str = ""
    boxes: Sequence[tuple[str, XYXY]] = ()
    mask: Image.Image | None = None
    mask_labels: Sequence[str] = ()


def contact_sheet(cells: Iterable[Cell], *, columns: int = 8, cell: int = 160, title: str = "") -> Image.Image:
    """Draws pictures in a grid, group by group.

    Groups stand in the order in which their headings first appear, cells within a group in the order given. A
    heading's line bears the number of its cells; if no cell has a heading there are no such lines. A box has one
    colour per label throughout the sheet, taken from ``PALETTE`` in order of appearance, or the colour of its label in
    the mask. Of more than six boxes the first of each label alone bears its name. Pictures with more than 8 bits are
    stretched from their 0.5th to their 99.5th percentile, transparent ones lie on grey.

    Each picture is reduced as it arrives, so an iterator that opens them one by one keeps memory small.

    Args:
        cells: What to show; none gives a sheet that says so.
        columns: Most pictures in a row; the sheet is no wider than its largest group needs.
        cell: Side of the square that a picture is fitted into, in pixels.
        title: Text above the sheet.

    Returns:
        A picture of mode ``RGB``. Its width is ``columns * cell`` (or fewer columns), 8 pixels between columns and
        16 on either side.

    Raises:
        SheetError: ``columns`` is below 1, ``cell`` below 32, a box is not within 0..1 or empty, or a mask is not
            of its picture's size.
    """
    if columns < 1 or cell < _SMALLEST_CELL:
        raise SheetError(
            f"contact sheet of {columns} columns of {cell} pixels: expected at least 1 column and "
            f"{_SMALLEST_CELL} pixels"
        )
    colours: dict[str, Colour] = {}
    groups: dict[str, list[tuple[Image.Image, list[str]]]] = {}
    for item in cells:
        tile = _tile(item, cell, colours)
        groups.setdefault(item.heading, []).append((tile, _caption(item.caption, cell)))
    columns = min(columns, max((len(group) for group in groups.values()), default=1))
    width = 2 * _MARGIN + columns * cell + (columns - 1) * _GAP
    return _stack(list(_bands(groups, columns, cell, width, title)), width)


# Layout: a sheet is a stack of bands of its width ---------------------------------------------------------------


def _bands(
    groups: dict[str, list[tuple[Image.Image, list[str]]]], columns: int, cell: int, width: int, title: str
) -> Iterator[Image.Image]:
    if title:
        yield _text_band(_wrapped(title, _font(_TITLE_SIZE), width - 2 * _MARGIN, 4), _TITLE_SIZE, width, _INK)
    if not groups:
        yield _text_band(["no pictures"], _HEADING_SIZE, width, _FAINT)
    for heading, group in groups.items():
        if heading or len(groups) > 1:
            yield _heading_band(heading or _NO_HEADING, len(group), width)
        for start in range(0, len(group), columns):
            yield _row_band(group[start : start + columns], cell, width)


def _stack(bands: Sequence[Image.Image], width: int) -> Image.Image:
    sheet = Image.new("RGB", (width, 2 * _MARGIN + sum(band.height for band in bands)), _PAPER)
    top = _MARGIN
    for band in bands:
        sheet.paste(band, (0, top))
        top += band.height
    return sheet


def _text_band(lines: Sequence[str], size: int, width: int, colour: Colour) -> Image.Image:
    step = _line_height(size)
    band = Image.new("RGB", (width, len(lines) * step + _GAP), _PAPER)
    draw = ImageDraw.Draw(band)
    for number, line in enumerate(lines):
        draw.text((_MARGIN, number * step), line, fill=colour, font=_font(size))
    return band


def _heading_band(heading: str, count: int, width: int) -> Image.Image:
    font, suffix = _font(_HEADING_SIZE), f"  ({count})"
    room = width - 2 * _MARGIN - math.ceil(font.getlength(suffix))
    band = Image.new("RGB", (width, _line_height(_HEADING_SIZE) + 2 * _GAP), _PAPER)
    draw = ImageDraw.Draw(band)
    text = _cut(_printable(heading), font, room)
    draw.text((_MARGIN, _GAP), text, fill=_INK, font=font)
    draw.text((_MARGIN + font.getlength(text), _GAP), suffix, fill=_FAINT, font=font)
    draw.line((_MARGIN, band.height - 5, width - _MARGIN, band.height - 5), fill=_RULE)
    return band


def _row_band(row: Sequence[tuple[Image.Image, list[str]]], cell: int, width: int) -> Image.Image:
    step = _line_height(_CAPTION_SIZE)
    lines = max(len(caption) for _, caption in row)
    band = Image.new("RGB", (width, cell + 3 + lines * step + _GAP), _PAPER)
    draw = ImageDraw.Draw(band)
    left = _MARGIN
    for tile, caption in row:
        band.paste(tile, (left, 0))
        for number, line in enumerate(caption):
            draw.text((left, cell + 3 + number * step), line, fill=_INK, font=_font(_CAPTION_SIZE))
        left += cell + _GAP
    return band


# One picture ----------------------------------------------------------------------------------------------------


def _tile(item: Cell, side: int, colours: dict[str, Colour]) -> Image.Image:
    if item.image is None:
        return _absent(side)
    picture = _shown(item.image, side)
    if item.mask is not None:
        picture = _masked(picture, _label_map(item.mask, item.image, item.caption))
    tile = Image.new("RGB", (side, side), _NEUTRAL)
    left, top = (side - picture.width) // 2, (side - picture.height) // 2
    tile.paste(picture, (left, top))
    _draw_boxes(tile, (left, top, *picture.size), item, colours)
    return tile


def _absent(side: int) -> Image.Image:
    tile = Image.new("RGB", (side, side), _ABSENT)
    draw = ImageDraw.Draw(tile)
    text, font = "no pixels", _font(min(13, side // 5))
    draw.text((side / 2, side / 2), text, fill=_INK, font=font, anchor="mm")
    return tile


def _pixels(image: Image.Image) -> str:
    return f"{image.width} x {image.height} pixels"


def _shown(image: Image.Image, side: int) -> Image.Image:
    """The picture as a screen shows it, fitted into a square."""
    scale = min(side / image.width, side / image.height)
    size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    colour = _rgb(image)
    if scale < 1:
        return colour.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return colour.resize(size, Image.Resampling.BICUBIC)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _stretched(image).convert("RGB")
    if image.has_transparency_data:
        whole = image.convert("RGBA")
        ground = Image.new("RGBA", whole.size, _NEUTRAL)
        return Image.alpha_composite(ground, whole).convert("RGB")
    return image.convert("RGB")


def _stretched(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.float64)
    finite = values[np.isfinite(values)]
    if not finite.size:
        return Image.new("L", image.size)
    low, high = np.percentile(finite, (0.5, 99.5))
    if high <= low:
        # Nearly all pixels are equal: what little differs is all that there is to see.
        low, high = finite.min(), finite.max()
    span = high - low if high > low else 1.0
    levels = np.clip((np.nan_to_num(values, nan=low) - low) / span, 0.0, 1.0) * 255.0
    return Image.fromarray(np.rint(levels).astype(np.uint8))


def _label_map(mask: Image.Image, image: Image.Image, caption: str) -> Image.Image:
    if mask.size != image.size:
        raise SheetError(
            f"{caption}: the mask has {_pixels(mask)}, the picture {_pixels(image)}; "
            "a mask is a label map of its picture's size"
        )
    if mask.mode == "1":
        return Image.fromarray(np.asarray(mask).astype(np.uint8))
    if mask.mode in ("L", "P"):
        return mask
    raise SheetError(f"{caption}: a mask of mode {mask.mode}; expected a label map of mode 1, L or P")


def _masked(picture: Image.Image, label_map: Image.Image) -> Image.Image:
    values = np.asarray(label_map.resize(picture.size, Image.Resampling.NEAREST))
    labelled = values > 0
    tints = np.array(PALETTE, np.uint8)[(values.astype(np.int16) - 1) % len(PALETTE)]
    pixels = np.asarray(picture).copy()
    # The inside lets the picture through; the border shows where exactly a faint region ends.
    inside = pixels * 0.6 + tints * 0.4
    pixels[labelled] = np.rint(inside).astype(np.uint8)[labelled]
    eroded = np.asarray(Image.fromarray(values).filter(ImageFilter.MinFilter(3)))
    swollen = np.asarray(Image.fromarray(values).filter(ImageFilter.MaxFilter(3)))
    border = labelled & ((eroded != values) | (swollen != values))
    pixels[border] = tints[border]
    return Image.fromarray(pixels)


def _draw_boxes(tile: Image.Image, place: tuple[int, int, int, int], item: Cell, colours: dict[str, Colour]) -> None:
    draw = ImageDraw.Draw(tile)
    left, top, width, height = place
    tags: list[tuple[str, Colour, int, int, int]] = []
    for label, box in item.boxes:
        xmin, ymin, xmax, ymax = box
        if not (0 <= xmin < xmax <= 1 and 0 <= ymin < ymax <= 1):
            raise SheetError(
                f"{item.caption}: box {label!r} is {box}; expected xmin < xmax and ymin < ymax within 0..1"
            )
        if label in item.mask_labels:
            colour = PALETTE[item.mask_labels.index(label) % len(PALETTE)]
        else:
            colour = colours.setdefault(label, PALETTE[len(colours) % len(PALETTE)])
        x0, y0 = left + round(xmin * (width - 1)), top + round(ymin * (height - 1))
        x1, y1 = left + round(xmax * (width - 1)), top + round(ymax * (height - 1))
        # A dark line outside the coloured one keeps it visible on a picture of its own colour.
        draw.rectangle((x0 - 1, y0 - 1, x1 + 1, y1 + 1), outline=_INK)
        draw.rectangle((x0, y0, x1, y1), outline=colour, width=2)
        if label and (len(item.boxes) <= _MOST_TAGS or label not in {tag[0] for tag in tags}):
            tags.append((label, colour, x0, y0, y1))
    for label, colour, x0, y0, y1 in tags:
        _tag(draw, tile.size, label, colour, x0, y0, y1)


def _tag(
    draw: ImageDraw.ImageDraw, size: tuple[int, int], label: str, colour: Colour, x0: int, y0: int, y1: int
) -> None:
    """Writes a box's label above it, or below where there is no room, or inside where there is none at all."""
    font, step = _font(_TAG_SIZE), _line_height(_TAG_SIZE)
    text = _cut(_printable(label), font, size[0] - 4)
    wide = math.ceil(font.getlength(text)) + 4
    x = min(x0, size[0] - wide)
    y = y0 - step if y0 >= step else y1 if y1 + step <= size[1] else y0
    draw.rectangle((x, y, x + wide - 1, y + step - 1), fill=colour)
    red, green, blue = colour
    dark = red * 299 + green * 587 + blue * 114 < 118_000
    draw.text((x + 2, y - 1), text, fill=(255, 255, 255) if dark else (0, 0, 0), font=font)


# Text -----------------------------------------------------------------------------------------------------------


@cache
def _font(size: int) -> Font:
    return ImageFont.load_default(size=size)


def _line_height(size: int) -> int:
    return math.ceil(size * 1.3)


@cache
def _drawable(character: str) -> bool:
    """Whether the font has the character; its stand-in for those it lacks is the glyph of a noncharacter."""
    font = _font(_TITLE_SIZE)
    glyph, missing = font.getmask(character), font.getmask("\ufffe")
    return character == " " or (glyph.size, bytes(glyph)) != (missing.size, bytes(missing))


_SPELLED = {
    "≤": "<=", "≥": ">=", "≠": "!=", "±": "+/-", "µ": "u", "μ": "u", "→": "->", "←": "<-", "“": '"', "”": '"',
    "\N{EN DASH}": "-", "\N{EM DASH}": "-", "\N{MINUS SIGN}": "-", "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'", "\N{LATIN SMALL LETTER DOTLESS I}": "i", "ß": "ss", "ø": "o",
    "Ø": "O", "æ": "ae", "Æ": "AE", "œ": "oe", "ł": "l", "Ł": "L", "đ": "d",
}  # fmt: skip


def _printable(text: str) -> str:
    """The text in characters that the font has.

    The font ships with Pillow, so sheets look alike everywhere, and covers little beyond ASCII. An accent is
    dropped, a common sign spelled out, a Greek letter named; anything else becomes its code point, so that
    two different captions stay different.
    """
    return "".join(_spelled(character) for character in " ".join(text.split()))


@cache
def _spelled(character: str) -> str:
    if _drawable(character):
        return character
    if character in _SPELLED:
        return _SPELLED[character]
    plain = "".join(part for part in unicodedata.normalize("NFKD", character) if not unicodedata.combining(part))
    if plain != character and all(_drawable(part) for part in plain):
        return plain
    name = unicodedata.name(character, "")
    if name.startswith(("GREEK SMALL LETTER ", "GREEK CAPITAL LETTER ")) and " WITH " not in name:
        return name.rsplit(" ", 1)[1].lower()
    return f"[U+{ord(character):04X}]"


def _caption(text: str, width: int) -> list[str]:
    return _wrapped(text, _font(_CAPTION_SIZE), width, _CAPTION_LINES)


def _wrapped(text: str, font: Font, width: int, most: int) -> list[str]:
    """Breaks at spaces, else after punctuation, else anywhere; what does not fit ends in an ellipsis."""
    lines: list[str] = []
    rest = _printable(text)
    while rest and len(lines) < most - 1:
        fits = _fitting(rest, font, width)
        if fits < len(rest):
            space = rest.rfind(" ", 0, fits + 1)
            joint = max(rest.rfind(mark, 0, fits) + 1 for mark in "/_-.,;")
            fits = space if space > 0 else joint if joint > fits // 2 else fits
        lines.append(rest[:fits])
        rest = rest[fits:].lstrip(" ")
    if rest:
        lines.append(_cut(rest, font, width))
    return lines


def _cut(text: str, font: Font, width: int) -> str:
    if font.getlength(text) <= width:
        return text
    return text[: _fitting(text, font, width - math.ceil(font.getlength("...")))].rstrip() + "..."


def _fitting(text: str, font: Font, width: int) -> int:
    """How many characters fit, at least one."""
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if font.getlength(text[:middle]) <= width:
            low = middle
        else:
            high = middle - 1
    return low
