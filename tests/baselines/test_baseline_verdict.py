from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from med_mat.baselines.errors import BaselineError
from med_mat.baselines.verdict import Evidence, Limits, judge

LABELS = ["cyst", "stone", "tumor", "normal"] * 100


def right(share: float, number: int = len(LABELS), turn: int = 0) -> list[bool]:
    """Right for this share of each label's questions; ``turn`` makes it other ones."""
    return [((place // 4) * 37 + turn) % (number // 4) < share * (number // 4) for place in range(number)]


def evidence(model: Sequence[bool], **changed: object) -> Evidence:
    number = len(model)
    sound = Evidence(
        name="med_mat_subset_02",
        labels=LABELS[:number],
        offered=[4] * number,
        groups=[str(place) for place in range(number)],
        model=model,
        blind={"prior": right(0.25, number), "blank": right(0.3, number, 7)},
        by_source={"facts": right(0.4, number, 11)},
        near=[place % 10 == 0 for place in range(number)],
    )
    return replace(sound, **changed)  # type: ignore[arg-type] # fields by name, checked by judge


def test_a_split_whose_pictures_are_needed_is_sound() -> None:
    found = judge(evidence(right(0.8)))
    assert (found.verdict, found.findings, found.reasons) == ("sound", (), ())
    assert found.macro.estimate == pytest.approx(0.8)
    assert found.natural.low < 0.8 < found.natural.high
    assert found.controls["facts"].macro == pytest.approx(0.4)
    assert found.controls["facts"].behind.low > 0.3
    assert (found.questions, found.groups, found.near) == (400, 400, 40)


def test_a_blind_answer_as_good_as_the_model_is_without_looking() -> None:
    found = judge(evidence(right(0.8), blind={"prior": right(0.25), "blank": right(0.77)}))
    assert found.verdict == "answerable without looking"
    assert found.reasons == ("blank reaches 77.0%, the model 80.0% (macro)",)


def test_the_margin_is_five_points_of_macro_accuracy() -> None:
    assert judge(evidence(right(0.8), by_source={"facts": right(0.76)})).verdict == "answerable by source"
    assert judge(evidence(right(0.8), by_source={"facts": right(0.74)})).verdict == "sound"
    assert judge(evidence(right(0.8), by_source={"facts": right(0.74)}), Limits(margin=0.1)).verdict != "sound"


def test_a_majority_that_only_nature_favours_does_not_explain_the_model() -> None:
    labels = ["normal"] * 360 + ["cyst"] * 40
    prior = [label == "normal" for label in labels]
    model = [place % 10 != 0 for place in range(400)]
    found = judge(evidence(model, labels=labels, blind={"prior": prior}, near=None))
    assert found.controls["prior"].natural == pytest.approx(0.9)
    assert found.controls["prior"].macro == pytest.approx(0.5)
    assert found.verdict == "sound"


def test_neighbours_in_training_that_are_known_by_heart_are_a_leak() -> None:
    near = [place % 8 < 4 for place in range(400)]
    model = [close or ok for close, ok in zip(near, right(0.5), strict=True)]
    found = judge(evidence(model, near=near))
    assert found.verdict == "leaking"
    assert found.near_accuracy == 1
    assert found.far_accuracy == pytest.approx(0.5, abs=0.1)
    assert "(p = " in found.reasons[0]


def test_neighbours_of_an_easy_label_are_no_leak() -> None:
    model = [label != "tumor" for label in LABELS]
    found = judge(evidence(model, near=[label == "cyst" for label in LABELS]))
    assert found.near_p == pytest.approx(1)
    assert found.verdict == "sound"


def test_few_groups_tell_nothing_however_many_the_questions() -> None:
    found = judge(evidence(right(0.8), groups=[str(place // 20) for place in range(400)]))
    assert found.verdict == "too small to tell"
    assert found.groups == 20
    assert judge(evidence(right(0.8, 40))).verdict == "too small to tell"


def test_a_model_that_guesses_shows_nothing() -> None:
    found = judge(evidence(right(0.25), by_source={"facts": right(0.25)}, blind={"prior": right(0.24)}))
    assert found.verdict == "too small to tell"
    assert "does not beat guessing" in found.reasons[0]
    assert found.findings == ("too small to tell",)


def test_all_findings_are_kept_the_gravest_first() -> None:
    found = judge(evidence(right(0.8), blind={"blank": right(0.79)}, by_source={"facts": right(0.9)}))
    assert found.findings == ("answerable without looking", "answerable by source")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"labels": ["cyst"]}, "labels do not have one entry for each of 400"),
        ({"near": [True]}, "near do not have one entry"),
        ({"blind": {}}, "0 controls without a picture"),
        ({"blind": {"facts": right(0.3)}}, "facts stands among both sorts"),
        ({"model": []}, "0 answers"),
    ],
)
def test_evidence_that_does_not_fit_is_an_error(changed: dict[str, object], message: str) -> None:
    with pytest.raises(BaselineError, match=message):
        judge(evidence(right(0.8), **changed) if "model" not in changed else replace(evidence(right(0.8)), model=[]))
