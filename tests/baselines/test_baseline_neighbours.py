from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from med_mat.baselines.controls import thumbnail, thumbnails
from med_mat.baselines.errors import BaselineError
from med_mat.baselines.neighbours import NEAR, near, neighbour_distance
from med_mat.baselines.questions import Data, Questions, load_questions
from med_mat.phantoms import phantom

Bytes = npt.NDArray[np.uint8]


def pictures(draw: st.DataObject, least: int) -> Bytes:
    line = st.lists(st.integers(0, 255), min_size=4, max_size=4)
    return np.array(draw.draw(st.lists(line, min_size=least, max_size=6)), np.uint8)


@given(st.data())
def test_distances_follow_from_correlations(data: st.DataObject) -> None:
    train, test = pictures(data, 1), pictures(data, 1)

    def distance(one: Bytes, other: Bytes) -> float:
        if one.std() < 1 or other.std() < 1:
            return 1.0
        return float(np.sqrt((1 - np.clip(np.corrcoef(one, other)[0, 1], -1, 1)) / 2))

    expected = [min(distance(one, other) for other in train) for one in test]
    assert neighbour_distance(train, test) == pytest.approx(expected, abs=1e-6)


def test_pictures_beyond_one_block_are_looked_at() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5000, 64), np.uint8)
    assert neighbour_distance(pixels, pixels[-300:]) == pytest.approx(np.zeros(300), abs=1e-6)
    assert not any(near(pixels[:4000], pixels[-300:]))


def test_a_copy_is_near_and_another_picture_is_not() -> None:
    drawn = [phantom(number % 4, 4, f"picture {number}", (200, 160), "L", "ct") for number in range(12)]
    stream = io.BytesIO()
    drawn[0].save(stream, "JPEG", quality=40)
    changed = [
        Image.open(stream),
        drawn[1].resize((64, 64)),
        ImageEnhance.Brightness(drawn[2]).enhance(0.7),
        drawn[3].convert("RGB"),
    ]
    train = np.stack([thumbnail(image) for image in drawn])
    assert near(train, np.stack([thumbnail(image) for image in changed])) == [True] * 4
    noise = [Image.effect_noise((200, 160), 60), Image.linear_gradient("L")]
    assert near(train, np.stack([thumbnail(image) for image in noise])) == [False] * 2


def test_a_picture_of_one_grey_is_a_copy_of_none() -> None:
    grey = np.full((2, 16), 7, np.uint8)
    ramp = np.arange(16, dtype=np.uint8)[None]
    assert neighbour_distance(grey, np.concatenate([grey, ramp])).tolist() == [1.0] * 3
    assert near(np.concatenate([grey, ramp]), grey) == [False] * 2
    assert near(np.concatenate([grey, ramp]), ramp) == [True]
    with pytest.raises(BaselineError, match="no training pictures"):
        neighbour_distance(grey[:0], grey)


def test_a_build_is_near_to_itself_and_its_noise_is_not(train_questions: Questions, data: Data) -> None:
    pixels = thumbnails(train_questions)
    assert near(pixels, pixels) == [True] * len(pixels)
    others = thumbnails(load_questions(data, ["single"], "test"))
    assert neighbour_distance(pixels, others).min() > 4 * NEAR
