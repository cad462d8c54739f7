"""Video: which frame is shown, in which container, and what is said of films that do not play."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from med_mat.errors import DependencyError, ImageError
from med_mat.images import dropped, examine, frame_count, pixels, publish

CONTAINERS = {"avi": "MJPG", "mp4": "mp4v", "mkv": "FFV1", "webm": "VP80", "mov": "png ", "mpg": "PIM1"}
LOSSLESS = {"mkv", "mov"}
FRAMES = 12


def pictures() -> list[npt.NDArray[np.uint8]]:
    frames = []
    for number in range(FRAMES):
        frame = np.full((48, 64, 3), (20 * number, 60, 200), np.uint8)
        frame[:, : 5 * number] = (30, 220, 90)
        frames.append(frame)
    return frames


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("films")
    made = {}
    for suffix, code in CONTAINERS.items():
        path = folder / f"film.{suffix}"
        writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*code), 25, (64, 48))
        assert writer.isOpened(), suffix
        for frame in pictures():
            writer.write(frame[..., ::-1])
        writer.release()
        made[suffix] = path.read_bytes()
    return made


def shown(data: bytes, frame: int) -> npt.NDArray[np.int64]:
    return np.asarray(pixels(data, frame=frame)).astype(np.int64)


@pytest.mark.parametrize("container", sorted(set(CONTAINERS) - {"mpg"}))
def test_every_frame_is_the_one_that_was_filmed(films: dict[str, bytes], container: str) -> None:
    data = films[container]
    assert frame_count(data) == FRAMES
    for number in (0, 7, 3, 11, 3):
        off = np.abs(shown(data, number) - pictures()[number])
        if container in LOSSLESS:
            assert off.max() <= 2, "what colour conversion costs"
        assert off.mean() < 6


def test_mpeg_programs_are_read(films: dict[str, bytes]) -> None:
    assert frame_count(films["mpg"]) >= 1
    assert np.abs(shown(films["mpg"], 0) - pictures()[0]).mean() < 8


def test_a_frame_is_the_same_whatever_was_asked_before(films: dict[str, bytes]) -> None:
    data = films["mp4"]
    forwards = [publish(data, frame=number) for number in range(FRAMES)]
    backwards = [publish(data, frame=number) for number in reversed(range(FRAMES))]
    assert forwards == backwards[::-1]


def test_facts_and_what_is_dropped(films: dict[str, bytes]) -> None:
    facts = examine(films["mkv"], frame=2).facts
    assert (facts.format, facts.rule, facts.mode) == ("VIDEO", "video", "RGB")
    assert (facts.width, facts.height, facts.frames) == (64, 48, FRAMES)
    assert "container" in dropped(films["mkv"])[0].name


def test_a_film_of_several_frames_must_be_told_which(films: dict[str, bytes]) -> None:
    with pytest.raises(ImageError, match="name one, from 0 to 11"):
        examine(films["mp4"])
    with pytest.raises(ImageError, match="frame 12 was asked"):
        examine(films["mp4"], frame=12)


@pytest.mark.parametrize("container", sorted(CONTAINERS))
def test_a_cut_film_shows_what_is_left_or_says_why(films: dict[str, bytes], container: str) -> None:
    data = films[container]
    for size in range(16, len(data), max(1, len(data) // 9)):
        try:
            last = shown(data[:size], FRAMES - 1)
        except ImageError:
            continue
        assert last.shape == (48, 64, 3)


def test_without_the_extra_a_film_stops_the_work(films: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(DependencyError, match=r"med-mat\[formats\]"):
        examine(films["avi"] + b"not read before", frame=0)


def test_a_film_on_disk_is_inspected(films: dict[str, bytes], tmp_path: Path) -> None:
    from med_mat.inspection import inspect_file

    film = tmp_path / "film.avi"
    film.write_bytes(films["avi"])
    inspect_file(film, tmp_path / "out.png", 4)
    assert (tmp_path / "out.png").is_file()
