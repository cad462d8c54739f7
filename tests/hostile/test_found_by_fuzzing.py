"""What fuzzing has found (see ``tests/fuzz``), each as small as it could be made."""

from __future__ import annotations

import gzip
import io
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import openpyxl
import pytest
import tifffile
from tiny import card_text
from world import zipped

from med_mat.card import parse_card
from med_mat.errors import CardError, ImageError
from med_mat.images import dropped, examine
from med_mat.raw.patterns import compile_patterns
from med_mat.readers import official_split
from med_mat.regions import coco_pictures, parse_boxes, voc_annotation
from med_mat.schema import clean_extra

VOLUME = nibabel.Nifti1Image(np.arange(600, dtype=np.int16).reshape(20, 30, 1), np.eye(4)).to_bytes()

# As a program does that has not set up logging: the last resort of the logging module is standard error.
LOOK = """
import sys
from med_mat.errors import MedMatError
from med_mat.images import dropped, examine, frame_count
from med_mat.raw import RawRoot
from med_mat.readers import sheet_rows

raw = RawRoot.open(sys.argv[1])
for file in raw.files:
    for look in (examine, dropped, frame_count):
        try:
            look(raw.read(file))
        except MedMatError:
            pass
    if file.suffix == ".xlsx":
        try:
            list(sheet_rows(raw, file.name, columns=["id"]))
        except MedMatError:
            pass
"""


def tiff(array: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, photometric="minisblack", **options)
    return stream.getvalue()


def patched(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


def test_libraries_keep_their_comments_off_the_terminal(tmp_path: Path) -> None:
    samples_per_pixel = struct.pack("<HHIH", 277, 3, 1, 1)
    plain = tiff(np.zeros((4, 4), np.uint8))
    numbers = np.arange(8, dtype=np.float32).tobytes()
    signalling = np.frombuffer(b"\x01\x00\xa0\x7f" * 8 + numbers, np.float32).reshape(4, 4)
    book = openpyxl.Workbook()
    stream = io.BytesIO()
    book.save(stream)
    with zipfile.ZipFile(stream) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    relations = "xl/_rels/workbook.xml.rels"
    files = {
        "offset.nii": patched(VOLUME, 108, struct.pack("<f", 0)),
        "code.nii": patched(VOLUME, 252, struct.pack("<h", 99)),
        "type.nii": patched(VOLUME, 70, struct.pack("<h", 99)),
        "pixdim.nii": patched(VOLUME, 80, bytes(12)),
        "samples.tif": plain.replace(samples_per_pixel, samples_per_pixel[:-2] + b"\xfc\x00"),
        "nan.tif": tiff(signalling, compression="zlib"),
        "relations.xlsx": zipped({**parts, relations: parts[relations].replace(b"Target", b"Targes")}),
    }
    assert files["samples.tif"] != plain
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    ended = subprocess.run([sys.executable, "-c", LOOK, tmp_path], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.parametrize("rest", [b"x", bytes(600), b"\x1f\x8b"])
def test_bytes_behind_a_gzip_stream_once_were_waited_for_without_end(rest: bytes) -> None:
    assert examine(gzip.compress(VOLUME) + rest).pixel_hash == examine(VOLUME).pixel_hash


def test_tiles_that_are_not_there_once_were_black() -> None:
    tiled = tiff(np.full((32, 32), 700, np.uint16) + np.arange(32, dtype=np.uint16), tile=(16, 16))
    taller = tiled.replace(struct.pack("<HHII", 257, 4, 1, 32), struct.pack("<HHII", 257, 4, 1, 2_000_032))
    assert taller != tiled
    for data in (taller, tiled.replace(struct.pack("<HHI", 324, 4, 4), struct.pack("<HHI", 324, 4, 3))):
        assert data != tiled
        with pytest.raises(ImageError, match="strips or tiles are not there"):
            examine(data)


CARDS = {
    "no such day": "title: 2020-13-45",
    "no such hour": "title: 2020-01-01T99:99:99Z",
    "no digits": "title: 0b_",
    "too many digits": f"title: {'9' * 5_000}",
    "laughter": "a: &l0 [ha, ha]\n"
    + "".join(f"{chr(97 + number)}: &l{number} [{', '.join([f'*l{number - 1}'] * 20)}]\n" for number in range(1, 20))
    + "title: *l19",
}


@pytest.mark.parametrize("name", CARDS)
def test_cards_that_yaml_cannot_take(name: str) -> None:
    with pytest.raises(CardError, match="card tiny") as error:
        parse_card(f"---\n{CARDS[name]}\n---\nProse.\n", "tiny")
    assert len(str(error.value)) < 20_000


@pytest.mark.parametrize("paths", ["[a", "**/x", "/abs", "{a", ""])
def test_patterns_of_a_card_are_checked_with_it(paths: str) -> None:
    wrong = ["**/x", "/abs", "{a", ""]
    text = card_text(unread=[{"paths": [paths], "why": "a test"}])
    if paths in wrong:
        with pytest.raises(CardError, match=r"card tiny, field unread\.0\.paths\.0"):
            parse_card(text, "tiny")
    else:
        assert parse_card(text, "tiny").unread[0].paths == [paths]


LONG = 1_000_000


def test_long_runs_of_one_character_are_passed_in_one_go() -> None:
    """Found by reading, not by fuzzing: each of these took hours."""
    for comment in (b"#" * LONG, b"# #" * LONG):
        assert dropped(b"P5\n" + comment) == ()
    assert [block.size for block in dropped(b"P5 #a\r\n#bc\n1 1 255\nx")] == [2, 3]
    for age in ("0" * LONG + "x", "1" + " " * LONG + "x"):
        assert clean_extra({"age": age})[0]["age"] is None
    for word in ("_" * LONG, "train" + "_ " * LONG):
        with pytest.raises(ValueError, match="does not name a split"):
            official_split(word)
    assert official_split("train" + "_ " * LONG + "set") == "train"


def test_braces_that_stand_for_more_patterns_than_there_is_memory() -> None:
    with pytest.raises(ValueError, match="more than 10,000 patterns"):
        compile_patterns(["{a,b}" * 60])
    assert compile_patterns(["{a,b}" * 10]).fullmatch("x/" + "ab" * 5)


def test_a_run_length_coded_bitmap_that_would_be_filled_byte_by_byte() -> None:
    runs = b"\x01\x01\x00\x00" * 3_000
    palette = bytes(range(256)) * 4

    def bitmap(width: int, height: int) -> bytes:
        header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(runs), 0, 0, 256, 0)
        start = 14 + len(header) + len(palette)
        return b"BM" + struct.pack("<IHHI", start + len(runs), 0, 0, start) + header + palette + runs

    with pytest.raises(ImageError, match="run-length coded BMP of 3000 x 3000 is over the limit"):
        examine(bitmap(3_000, 3_000))
    assert examine(bitmap(30, 30)).facts.rule == "bmp"


@pytest.mark.parametrize(
    "document",
    [
        5,
        {"images": [], "annotations": [], "categories": [{"id": [1], "name": "x"}]},
        {"images": [], "annotations": [], "categories": [{"id": 1}]},
        {"images": [], "categories": [], "annotations": [{"id": 1, "image_id": [], "category_id": {}}]},
    ],
)
def test_documents_of_boxes_that_are_none(document: Any) -> None:
    with pytest.raises(ImageError, match="COCO"):
        list(coco_pictures(document))


@pytest.mark.parametrize("number", ["nan", "inf", "1e999"])
def test_sizes_and_boxes_without_end(number: str) -> None:
    for inner in (f"<size><width>{number}</width><height>1</height></size>", _box(number)):
        with pytest.raises(ImageError, match="expected a number"):
            voc_annotation(f"<annotation>{inner}</annotation>".encode(), first=0, inclusive=False)
    assert parse_boxes(f"[0, 0, 1{'0' * 60}, 1]", "unit") == [None]


def _box(number: str) -> str:
    return f"<object><name>x</name><bndbox>{''.join(f'<{side}>{number}</{side}>' for side in SIDES)}</bndbox></object>"


SIDES = ("xmin", "ymin", "xmax", "ymax")
ENTITIES = [
    '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]><annotation>&c;</annotation>',
    '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]><annotation>&a;</annotation>',
    '<!DOCTYPE x SYSTEM "http://example.org/x.dtd"><annotation/>',
]


@pytest.mark.parametrize("text", ENTITIES)
def test_entities_in_an_annotation_are_refused(text: str) -> None:
    with pytest.raises(ImageError, match="document type declaration: refused"):
        voc_annotation(text.encode(), first=0, inclusive=False)


# A film whose first list ends early: OpenCV ended the process when it was given this in memory.
SHORT_FILM = bytes.fromhex(
    "52494646d6190000415649204c495354ec1100206864726c617669680000409c0000201c000000ffffffffffff000000"
    "000000010000000004000000d1000000ffffffff00000000000000001881a94dbb8b53ab1684409c0000201c000000ff"
    "ffff9b74ba4d8b"
)
# A film whose first frame does not decode, and is shown all the same when it is asked for a second time.
SHY_FILM = bytes.fromhex(
    "000001ba2100010001c332e0e0e6000001e000ba3100037bb11100035f91000001b301801013ffffe000000001b80008"
    "4000000100000ffff8000001011b880000018a022a"
)


def test_a_film_that_ends_in_its_header_is_damaged() -> None:
    with pytest.raises(ImageError, match="damaged video"):
        examine(SHORT_FILM)


def test_a_frame_that_does_not_decode_never_does() -> None:
    for _ in range(3):
        with pytest.raises(ImageError, match="frame 0 of 1 does not decode"):
            examine(SHY_FILM)
