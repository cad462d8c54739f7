"""Files of official downloads, where the environment variable MED_MAT_RAW names a folder that holds some.

There is one test per source found there; without the variable there is none.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from pictures import decoded
from PIL import Image

from med_mat.errors import ImageError
from med_mat.images import examine, frame_count, publish

SUFFIXES = {".bmp", ".dcm", ".dicom", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff"}
LIMIT = 40  # files of one source
RAW = os.environ.get("MED_MAT_RAW")
SOURCES = sorted(path for path in Path(RAW).iterdir() if path.is_dir()) if RAW else []


def check(path: Path) -> None:
    data = path.read_bytes()
    frame = 0 if frame_count(data) > 1 else None
    examined = examine(data, frame=frame)
    published = publish(data, frame=frame)
    facts = examined.facts
    with Image.open(io.BytesIO(published)) as image:
        image.load()
        assert image.mode == facts.mode
        assert image.size == (facts.width, facts.height)
        assert not image.getexif()
    assert examine(published).pixel_hash == examined.pixel_hash
    assert publish(published) == published
    shown = decoded(published)
    assert shown.max() > shown.min() or "mask" in str(path).lower(), "a picture of one colour"
    if facts.passed_through:
        assert facts.published_bytes == len(published) <= len(data)
        assert np.array_equal(shown, decoded(data))


if SOURCES:

    @pytest.mark.parametrize("folder", SOURCES, ids=[folder.name for folder in SOURCES])
    def test_files_of(folder: Path) -> None:
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
        for path in files[:: max(1, len(files) // LIMIT)]:
            try:
                check(path)
            except ImageError:
                # Refused is right only where everybody else refuses, too.
                with pytest.raises(OSError, match="truncated"):
                    Image.open(path).load()
