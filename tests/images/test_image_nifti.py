"""NIfTI: which slice, which way round, which intensities."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import pytest
from nibabel.testing import data_path
from pictures import percentile_range, stretched

from med_mat.errors import ImageError
from med_mat.images import examine, frame_count, pixels, publish

RAS = np.diag([1.0, 1.0, 1.0, 1.0])


def volume(*shape: int) -> npt.NDArray[np.int16]:
    return (np.arange(np.prod(shape)).reshape(shape) * 5 + 300).astype(np.int16)


def nifti(array: npt.NDArray[Any], affine: npt.NDArray[np.float64] = RAS, *, two: bool = False) -> bytes:
    kind: Any = nibabel.Nifti2Image if two else nibabel.Nifti1Image
    data = kind(array, affine).to_bytes()
    assert isinstance(data, bytes)
    return data


def shown(data: bytes, frame: int | None = None) -> npt.NDArray[Any]:
    return np.asarray(pixels(data, frame=frame))


def test_marks_of_right_front_and_top_land_where_radiologists_expect_them() -> None:
    array = np.zeros((5, 7, 3), np.uint8)
    array[-1, 3, 2] = 100  # to the patient's right, halfway front, on top
    array[2, -1, 2] = 200  # in the middle, in front, on top
    picture = shown(nifti(array), 2)
    assert picture.shape == (7, 5)
    assert picture[3, 0] == 100, "the patient's right is on the left"
    assert picture[0, 2] == 200, "the front is on top"
    assert shown(nifti(array), 0).max() == 0, "slice 0 is the lowest"


@pytest.mark.parametrize(
    "axes", [("L", "A", "S"), ("L", "P", "S"), ("P", "S", "R"), ("S", "L", "A"), ("A", "R", "I")], ids="".join
)
def test_the_way_a_volume_is_stored_does_not_matter(axes: tuple[str, str, str]) -> None:
    array = volume(5, 7, 4)
    image = nibabel.Nifti1Image(array, RAS)
    turn = nibabel.orientations.ornt_transform(
        nibabel.orientations.io_orientation(RAS), nibabel.orientations.axcodes2ornt(axes)
    )
    stored = image.as_reoriented(turn)
    assert nibabel.aff2axcodes(stored.affine) == axes
    for slice_ in range(4):
        assert np.array_equal(shown(stored.to_bytes(), slice_), shown(nifti(array), slice_))


def test_intensities_are_those_of_the_whole_volume() -> None:
    array = volume(6, 8, 9)
    low, high = percentile_range(array)
    for slice_ in (0, 4, 8):
        assert np.array_equal(shown(nifti(array), slice_), stretched(array[::-1, ::-1, slice_].T, low, high))
    assert examine(nifti(array), frame=4).facts.rule == "nifti"


def test_scaling_of_the_header_counts() -> None:
    array = np.linspace(-3, 9, 6 * 8 * 9).reshape(6, 8, 9)
    image = nibabel.Nifti1Image(array, RAS)
    image.set_data_dtype(np.int16)
    stored = nibabel.Nifti1Image.from_bytes(image.to_bytes())
    assert stored.dataobj.slope != 1.0
    values = np.asanyarray(stored.dataobj)
    expected = stretched(values[::-1, ::-1, 5].T, *percentile_range(values))
    assert np.abs(shown(image.to_bytes(), 5).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("two", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_both_versions_packed_or_not(two: bool, packed: bool) -> None:
    plain = nifti(volume(5, 6, 3), two=two)
    data = gzip.compress(plain, mtime=0) if packed else plain
    assert np.array_equal(shown(data, 1), shown(nifti(volume(5, 6, 3)), 1))
    assert examine(data, frame=1).facts.format == "NIFTI"


def test_series_count_slice_by_slice_and_volume_by_volume() -> None:
    array = volume(4, 5, 3, 2)
    data = nifti(array)
    assert frame_count(data) == examine(data, frame=0).facts.frames == 6
    low, high = percentile_range(array)
    assert np.array_equal(shown(data, 4), stretched(array[::-1, ::-1, 1, 1].T, low, high))


def test_slices_must_be_named_unless_there_is_one() -> None:
    with pytest.raises(ImageError, match="holds 3 frames"):
        examine(nifti(volume(4, 5, 3)))
    with pytest.raises(ImageError, match="frame 3"):
        examine(nifti(volume(4, 5, 3)), frame=3)
    assert publish(nifti(volume(4, 5, 1))) == publish(nifti(volume(4, 5)))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.9, 0.999])
def test_truncated_files_raise(packed: bool, share: float) -> None:
    plain = nifti(volume(20, 20, 5))
    data = gzip.compress(plain, mtime=0) if packed else plain
    with pytest.raises(ImageError):
        examine(data[: int(len(data) * share)], frame=0)


def test_files_that_hold_no_volume_say_so() -> None:
    with pytest.raises(ImageError, match="no NIfTI"):
        examine(gzip.compress(b"a text" * 400, mtime=0))
    plain = nifti(volume(4, 5, 3))
    with pytest.raises(ImageError, match=r"\.img"):
        examine(plain[:344] + b"ni1\x00" + plain[348:], frame=0)
    with pytest.raises(ImageError, match="complex"):
        examine(nifti(np.zeros((4, 5, 3), np.complex64)), frame=0)
    with pytest.raises(ImageError, match="axes"):
        examine(nifti(np.zeros((2, 2, 2, 2, 2), np.int16)), frame=0)
    huge = bytearray(plain)
    huge[42:48] = b"\xff\x7f" * 3
    with pytest.raises(ImageError, match="over the limit"):
        examine(bytes(huge), frame=0)


def test_a_real_scan() -> None:
    data = Path(data_path, "example4d.nii.gz").read_bytes()
    image = nibabel.as_closest_canonical(nibabel.load(Path(data_path, "example4d.nii.gz")))
    array = np.asanyarray(image.dataobj)
    low, high = percentile_range(array)
    assert frame_count(data) == 48
    assert np.array_equal(shown(data, 30), stretched(array[::-1, ::-1, 6, 1].T, low, high))
