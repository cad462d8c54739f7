"""``med_mat.inspection``: one file, looked at."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from pictures import colours, decoded, dicom, encoded, gradient
from rich.console import Console

from med_mat.errors import ImageError
from med_mat.images import RULES, Block, examine, publish
from med_mat.inspection import inspect_file, render


def text_of(inspection: object) -> str:
    out = io.StringIO()
    Console(file=out, width=200).print(inspection)
    return out.getvalue()


def test_a_passing_file(tmp_path: Path) -> None:
    path = tmp_path / "scan.png"  # the name lies: it is a JPEG
    path.write_bytes(encoded(colours(), "JPEG", comment=b"Jane Roe"))
    inspection = inspect_file(path, tmp_path / "out.png")
    assert inspection.written == tmp_path / "out.jpg"
    assert inspection.written.read_bytes() == publish(path.read_bytes())
    assert inspection.facts == examine(path.read_bytes()).facts
    assert inspection.dropped == (Block("JPEG comment", 12),)
    assert inspection.reason == RULES["jpeg"]
    shown = text_of(render(inspection))
    assert "JPEG comment" in shown
    assert inspection.pixel_hash in shown
    assert "exactly" in shown
    assert "Jane" not in shown


def test_a_converted_frame(tmp_path: Path) -> None:
    path = tmp_path / "clip"
    path.write_bytes(dicom(np.stack([gradient(), 255 - gradient()]), frames=2))
    inspection = inspect_file(path, tmp_path / "out", frame=1)
    assert inspection.written == tmp_path / "out.png"
    assert np.array_equal(decoded(inspection.written.read_bytes())[..., 0], 255 - gradient())
    shown = text_of(render(inspection))
    assert "dicom-range" in shown
    assert "DICOM header" in shown


def test_nothing_to_drop_and_nothing_written(tmp_path: Path) -> None:
    path = tmp_path / "plain.png"
    path.write_bytes(encoded(gradient(), "PNG"))
    inspection = inspect_file(path)
    assert inspection.written is None
    assert "no metadata" in text_of(render(inspection))


def test_errors_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "page.jpg"
    path.write_bytes(b"<html></html>")
    with pytest.raises(ImageError, match=r"page\.jpg: the file is an HTML page"):
        inspect_file(path)
    with pytest.raises(ImageError, match=r"absent\.jpg: cannot be read"):
        inspect_file(tmp_path / "absent.jpg")
