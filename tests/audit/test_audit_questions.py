"""The question checker clears questions that only a picture answers, and catches each way to give an answer away."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tiny import Row, add_source, label_entries, make_card, med_mat, plain_rows, registry_of, write_raw

from med_mat.audit.guesses import Asked, balanced
from med_mat.audit.made import made_input
from med_mat.audit.questions import SubsetCheck, asked_of, check, check_build, check_cards, faults
from med_mat.build import build
from med_mat.hashing import rank
from med_mat.labels import label_space
from med_mat.plan import plan
from med_mat.registry import Registry

LABELS = ("kidney cyst", "kidney stone", "kidney tumor", "normal kidney")
SPACE = label_space(make_card(), [])


def ask(number: int, answer: str, wrong: Sequence[str], **fields: object) -> Asked:
    name = f"tiny/{number}"
    options = tuple(sorted((answer, *wrong), key=lambda option: rank("order", name, option)))
    plain = Asked(name, "tiny", "02", "choice", "What is seen?", options, options.index(answer), (answer,))
    return replace(plain, **fields)  # type: ignore[arg-type] # names and values of the dataclass's own fields


def fair(number: int, labels: Sequence[str] = LABELS, options: int = 3) -> Asked:
    answer = labels[number % len(labels)]
    others = sorted((label for label in labels if label != answer), key=lambda label: rank("wrong", str(number), label))
    return ask(number, answer, others[: options - 1])


@pytest.fixture(scope="module")
def tiny_registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    folder = tmp_path_factory.mktemp("loaders")
    add_source(folder, "tiny")
    return registry_of(folder)


def checked(asked: Sequence[Asked], registry: Registry) -> SubsetCheck:
    (found,) = check(asked, registry).subsets
    return found


def test_fair_questions_pass(tiny_registry: Registry) -> None:
    found = checked([fair(number) for number in range(800)], tiny_registry)
    assert not found.guilty, found
    assert {guess.rule for guess in found.guesses} >= {
        "most long",
        "least like the others",
        "most often offered",
        "option A",
        "classifier on question and options",
    }
    assert found.prior_macro == pytest.approx(1 / 3, abs=0.15)


def test_the_prior_is_that_of_the_natural_distribution(tiny_registry: Registry) -> None:
    asked = [ask(number, LABELS[number % 10 == 0], [LABELS[number % 10 != 0]]) for number in range(1000)]
    found = checked(asked, tiny_registry)
    assert (found.prior, found.prior_macro) == (0.9, 0.5)
    assert not found.guilty


def _letter(number: int) -> Asked:
    one = fair(number)
    wrong = [option for option in one.options if option != one.answer]
    options = (one.answer, *wrong) if number % 3 else (wrong[0], one.answer, wrong[1])
    return replace(one, options=options, answer_index=options.index(one.answer))


def _odd_one_out(number: int) -> Asked:
    # Labels of another source stand beside every answer, and never beside one another's.
    own, foreign = LABELS[:2], ("alpha", "beta", "gamma", "delta", "epsilon", "zeta")
    if number % 2:
        return fair(number // 2, own + foreign[:2], 3)
    others = sorted(foreign, key=lambda label: rank("wrong", str(number), label))
    return ask(number, own[number // 2 % 2], others[:2])


def _hub(number: int) -> Asked:
    # All stand against the normal kidney alone, so the normal kidney is right less often than it is offered.
    sick = LABELS[number % 3]
    return ask(number, LABELS[3], [sick]) if number % 4 == 3 else ask(number, sick, [LABELS[3]])


def _worded(number: int) -> Asked:
    one = fair(number, tuple(f"thing {name}" for name in "abcdefgh"), 3)
    options = tuple(option if option == one.answer else option + " or so" for option in one.options)
    return replace(one, options=options, labels=(one.answer,))


def _question(number: int) -> Asked:
    one = fair(number)
    return replace(one, question=f"What is seen in series {LABELS.index(one.answer)}?")


def _medoid(number: int) -> Asked:
    # Wrong sets are the right one with a label changed: it is the one most like the others.
    letters = sorted("abcdefgh", key=lambda letter: rank("letter", str(number), letter))
    sets = [letters[:3], [*letters[:2], letters[3]], [letters[0], letters[4], letters[2]], [letters[5], *letters[1:3]]]
    options = ["; ".join(sorted(one)) for one in sets]
    return ask(number, options[0], options[1:], kind="choice_of_sets", labels=tuple(sets[0]))


def _common(number: int) -> Asked:
    # Wrong options are made of words that are seldom right.
    one = fair(number, LABELS, 2)
    options = tuple(option if option == one.answer else f"thing {rank('x', one.id) % 40}" for option in one.options)
    return replace(one, options=options)


def _central(number: int) -> Asked:
    places = [rank("place", str(number), str(one)) % 200 / 1000 for one in range(4)]
    boxes = [(0.4 + places[0] / 2, 0.4), *((place, 0.05) for place in places[1:])]
    texts = [f"[{x:.3f}, {y:.3f}, {x + 0.1:.3f}, {y + 0.1:.3f}]" for x, y in boxes]
    return ask(number, texts[0], texts[1:], kind="choice_of_boxes", labels=("polyp",))


@pytest.mark.parametrize("leak", [_medoid, _common, _central, _letter, _odd_one_out, _hub, _worded, _question])
def test_what_gives_an_answer_away_is_found(leak: Callable[[int], Asked], tiny_registry: Registry) -> None:
    found = checked([leak(number) for number in range(900)], tiny_registry)
    assert any(guess.tells for guess in found.guesses), found.guesses


def test_a_question_is_tried_by_a_classifier_that_has_not_seen_it(tiny_registry: Registry) -> None:
    # Each question has a text of its own: whoever learnt them by heart would know all answers.
    asked = [replace(fair(number), question=f"What is seen in number {number}?") for number in range(800)]
    assert not checked(asked, tiny_registry).guilty


def test_of_few_questions_nothing_is_said(tiny_registry: Registry) -> None:
    assert checked([_letter(number) for number in range(60)], tiny_registry).guesses == ()


def test_the_sample_is_balanced_within_each_source() -> None:
    asked = [ask(number, LABELS[number % 10 == 0], [LABELS[number % 10 != 0]]) for number in range(500)]
    asked += [replace(one, id=f"b{one.id}", source="other") for one in asked[:100]]
    sample = balanced(asked)
    for source, number in (("tiny", 50), ("other", 10)):
        for label in LABELS[:2]:
            assert sum(one.source == source and one.answer == label for one in sample) == number
    assert balanced(asked, 40) == balanced(list(reversed(asked)), 40)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"question": "Is there a Kidney Cyst here?"}, "names 'kidney cyst'"),
        ({"options": ("kidney cyst", "kidney cyst"), "answer_index": 0}, "stands twice"),
        (
            {"options": ("kidney cyst", "kidney stone"), "labels": ("kidney cyst", "kidney stone")},
            "can be right beside",
        ),
        ({"labels": ("kidney tumor",)}, "the answer is"),
        ({"options": ("kidney cyst", "cyst"), "answer_index": 0}, "one option says"),
        ({"answer_index": 7}, "answer_index 7"),
    ],
)
def test_what_is_wrong_in_itself_is_found(fields: dict[str, object], what: str) -> None:
    right = ask(0, "kidney cyst", ["kidney stone"])
    right = replace(right, options=("kidney cyst", "kidney stone"), answer_index=0)
    assert list(faults(right, SPACE)) == []
    found = list(faults(replace(right, **fields), SPACE))  # type: ignore[arg-type] # the dataclass's own fields
    assert any(what in fault.what for fault in found), found
    # Of words alone a person has to judge.
    assert any(fault.doubt for fault in found) == (what == "one option says")


def test_a_related_option_can_be_right_too() -> None:
    labels = label_entries({"lesion": {}, "cyst of the cortex": {"is_a": ["lesion"]}, "stone": {}})
    space = label_space(make_card(labels=labels), [])
    one = ask(0, "cyst of the cortex", ["lesion"])
    assert [fault.what for fault in faults(one, space)] == ["'lesion' can be right beside 'cyst of the cortex'"]


def test_questions_of_a_build_and_of_cards(tmp_path: Path) -> None:
    add_source(tmp_path / "loaders", "tiny")
    write_raw(tmp_path / "raw" / "tiny", [*plain_rows(160), Row("last.png", "cyst")])
    registry = registry_of(tmp_path / "loaders")
    build(registry, tmp_path / "raw", tmp_path / "out")
    for found in (check_build(tmp_path / "out", registry), check_cards(registry, pictures=240)):
        (subset,) = found.subsets
        assert (subset.subset, subset.kind, subset.labels, subset.guilty) == ("02", "choice", 4, False)
        assert found.exit_code == 0
    told = med_mat("audit", tmp_path / "out", "--questions", "--json", "--loaders", tmp_path / "loaders")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["subsets"][0]["questions"] == 161


def test_options_that_are_too_rare_to_be_right_are_not_in_the_sample() -> None:
    asked = [fair(number) for number in range(400)]
    asked += [ask(1000 + number, LABELS[number % 2], ["rare finding"]) for number in range(30)]
    asked.append(ask(2000, "rare finding", [LABELS[0]]))
    sample = balanced(asked)
    assert sample == balanced(asked[:400])
    assert len(sample) == 400


@pytest.mark.parametrize("slug", ["ct_of_brain", "aod", "vindr_mammo", "kvasir_seg", "edd_2020"])
def test_questions_of_made_up_pictures_have_one_right_answer_that_text_does_not_tell(
    slug: str, sources: Registry
) -> None:
    cards = [source.card for source in sources]
    (planned,) = plan([made_input(sources[slug].card, 500, 0.1)], cards)
    asked = list(asked_of(planned.table))
    assert len({one.id for one in asked}) >= 400
    for found in check(asked, sources).subsets:
        assert [fault for fault in found.faults if not fault.doubt] == []
        assert [guess for guess in found.guesses if guess.tells] == []


def test_pictures_need_a_build() -> None:
    told = med_mat("audit")
    assert told.returncode == 2
    assert "give the folder" in told.stderr
