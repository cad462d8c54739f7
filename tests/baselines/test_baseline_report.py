"""The report of an experiment, from hand-made outcomes and predictions whose numbers are known."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_args

import lxml.html
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from lxml.html import HtmlElement
from PIL import Image
from tiny import Row, add_source, registry_of, write_raw
from typer.core import TyperGroup

from med_mat.baselines import runs
from med_mat.baselines.errors import BaselineError
from med_mat.baselines.outcomes import CONTROLS, ControlOutcome, Judged, Outcome, Outcomes, Skipped, write_outcomes
from med_mat.baselines.recipes import Arm, load_recipe, parse_recipe, recipe_names, regimes, trials
from med_mat.baselines.related import published_members
from med_mat.baselines.report import write_report
from med_mat.baselines.report.page import arm_heat, part_heat
from med_mat.baselines.report.plots import ticks
from med_mat.baselines.report.results import gather, holm
from med_mat.baselines.report.tables import TABLES
from med_mat.baselines.verdict import Evidence, Verdict, judge
from med_mat.build import build
from med_mat.cli import app
from med_mat.vocabulary import Kind

ROOT = Path(__file__).parent.parent.parent

LABELS = ("cyst", "stone", "tumor", "normal")
OUTCOME = Outcome(
    row=0,
    target="Lung, Cancer",
    subset="04",
    arm="baseline",
    backbone="LLaVA-v1.5-7B",
    model="llava-hf/llava-1.5-7b-hf",
    stands_for=None,
    amount=None,
    left_out=(),
    paper=None,
    trained_on=0,
    training=None,
    scoring="scores/a",
    tasks=("med_mat_subset_04",),
    parts=(),
    held=(),
)
OUTCOMES = Outcomes(
    title="Compositional pairs",
    table="3",
    recipe="compositional_pairs",
    basis="published",
    regime="full",
    beside_paper=True,
    data={"location": "ORG/med-mat", "revision": "0123456789abcdef", "manifest_sha256": None},
    device="cpu: CPU",
    versions={"python": "3.11.7"},
    seconds={"training": 75.0},
    outcomes=(),
    controls=(),
    judged=(),
    skipped=(),
)


def question(number: int, right: bool, labels: Sequence[str], **changes: Any) -> dict[str, Any]:
    """A question about the label of its number, and an answer that is right or the next option."""
    label = labels[number % len(labels)]
    options = [labels[(number + place) % len(labels)] for place in range(4)]
    options = options[1:] + options[:1] if number % 2 else options
    answer = options.index(label)
    predicted = answer if right else (answer + 1) % 4
    return {
        "id": f"single/{number:016x}#0",
        "row_id": f"single/{number:016x}",
        "kind": "choice",
        "question": "What does the picture show?",
        "options": options,
        "answer": label,
        "answer_index": answer,
        "label": label,
        "source": "single",
        "subset": "04",
        "modality": "ct",
        "anatomy": "lung",
        "task": "disease classification",
        "task_elements": ["Cancer"],
        "group": f"g{number // 2}",
        "labels": [label],
        "objects": [],
        "width": 40,
        "height": 32,
        "split": "test",
        "picture": f"single/test/{number}",
        "log_probs": [-0.5 if place == predicted else -2.0 for place in range(4)],
        "predicted_index": predicted,
        "correct": predicted == answer,
        **changes,
    }


def write_scores(
    folder: Path, scoring: str, by_task: Mapping[str, Sequence[bool]], labels: Sequence[str] = LABELS, **changes: Any
) -> None:
    rows = [
        {**question(number, right, labels, **changes), "model_task": task}
        for task, answers in by_task.items()
        for number, right in enumerate(answers)
    ]
    (folder / scoring).mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=runs.PREDICTION), folder / scoring / runs.PREDICTIONS_FILE)


def write_control(folder: Path, name: str, answers: Sequence[bool]) -> str:
    path = folder / "controls" / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    ids = [f"single/{number:016x}#0" for number in range(len(answers))]
    pq.write_table(pa.table({"id": ids, "correct": list(answers)}), path)
    return str(path.relative_to(folder))


def write_training(folder: Path, training: str, losses: Sequence[float]) -> None:
    (folder / training).mkdir(parents=True, exist_ok=True)
    lines = [{"step": 10 * (place + 1), "loss": loss} for place, loss in enumerate(losses)]
    text = "".join(json.dumps(line) + "\n" for line in [*lines, {"step": 10 * len(losses), "train_runtime": 5.0}])
    (folder / training / runs.LOG_FILE).write_text(text, encoding="utf-8")
    runs.write_json(folder / training / runs.METRICS_FILE, {"steps": 10 * len(losses), "seconds": 75.0})


def rights(right: int, of: int) -> list[bool]:
    return [number < right for number in range(of)]


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """One row of a table: a baseline that has 10 of 40 right, and a combination that has these and 20 more."""
    folder = tmp_path / "pair"
    task = "med_mat_subset_04"
    parts = ("Lung, COVID", "Brain, Cancer")
    write_scores(folder, "scores/a", {task: rights(10, 40)})
    write_scores(folder, "scores/b", {task: rights(30, 40)})
    write_training(folder, "models/b", [2.0, 1.0, 0.5])
    baseline = replace(OUTCOME, parts=parts, held=("modality",), paper=25.0)
    combination = replace(
        baseline, arm="combination", scoring="scores/b", training="models/b", trained_on=6000, paper=27.0
    )
    prior = ControlOutcome("class prior", task, None, write_control(folder, "prior", rights(20, 40)))
    write_outcomes(folder, replace(OUTCOMES, outcomes=(baseline, combination), controls=(prior,)))
    return folder


def page_of(folder: Path, **options: Any) -> HtmlElement:
    return lxml.html.document_fromstring(write_report(folder, **options).read_bytes())


def table_of(folder: Path, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder / "report" / name).read_text(encoding="utf-8"))))


def words(element: HtmlElement) -> str:
    return " ".join(element.text_content().split())


def cells(table: HtmlElement) -> list[list[str]]:
    return [[words(cell) for cell in row.xpath("./td|./th")] for row in table.xpath(".//tbody/tr")]


def section(page: HtmlElement, name: str) -> HtmlElement:
    return page.xpath(f"//section[@aria-labelledby='{name}']")[0]


def test_scores_intervals_and_the_prior(pair: Path) -> None:
    write_report(pair)
    baseline, combination = table_of(pair, "results.csv")
    assert (baseline["arm"], baseline["questions"], baseline["groups"]) == ("baseline", "40", "20")
    assert (float(baseline["natural"]), float(combination["natural"])) == (0.25, 0.75)
    # Wilson's interval of 30 of 40 by its formula, z = 1.959964.
    assert float(combination["natural_low"]) == pytest.approx(0.598069, abs=1e-5)
    assert float(combination["natural_high"]) == pytest.approx(0.858133, abs=1e-5)
    assert float(combination["macro_low"]) < float(combination["macro"]) < float(combination["macro_high"])
    assert [float(each) for each in (baseline["prior_natural"], baseline["prior_macro"])] == [0.5, 0.5]
    assert (combination["parts"], combination["target"]) == ("Lung, COVID + Brain, Cancer", "Lung, Cancer")
    assert float(baseline["chance_p"]) > 0.5
    assert float(combination["chance_p"]) < 1e-6


def test_macro_accuracy_counts_each_label_the_same(tmp_path: Path) -> None:
    task = "med_mat_subset_04"
    # Nine cysts, all right, and one stone, wrong: nine tenths of the answers, half of the labels.
    rows = [{**question(0, True, LABELS), "id": f"q{number}"} for number in range(9)]
    rows.append({**question(1, False, LABELS), "id": "q9"})
    (tmp_path / "scores/a").mkdir(parents=True)
    table = pa.Table.from_pylist([{**row, "model_task": task} for row in rows], schema=runs.PREDICTION)
    pq.write_table(table, tmp_path / "scores/a" / runs.PREDICTIONS_FILE)
    write_outcomes(tmp_path, replace(OUTCOMES, outcomes=(OUTCOME,)))
    (line,) = gather(tmp_path).lines
    assert line.macro is not None
    assert line.natural is not None
    assert (line.macro.estimate, line.natural.estimate) == (0.5, 0.9)


def test_a_prior_that_was_not_asked_all_questions_is_not_shown(pair: Path) -> None:
    write_control(pair, "prior", rights(20, 39))
    assert [line.prior_natural for line in gather(pair).lines] == [None, None]


def test_the_paper_stands_beside_where_it_may(pair: Path) -> None:
    root = page_of(pair)
    rows = cells(section(root, "results").xpath(".//table")[0])
    assert [row[-3:-1] for row in rows] == [["25", "0.0"], ["27", "+48.0"]]
    assert "the paper, natural" in words(section(root, "results").xpath(".//svg")[0])
    found = runs.read_json(pair / "outcomes.json")
    for outcome in found["outcomes"]:
        outcome.update(paper=None, model="Qwen/Qwen2-VL-7B-Instruct", stands_for="NEXT-Chat", backbone="NEXT-Chat")
    runs.write_json(pair / "outcomes.json", {**found, "beside_paper": False})
    root = page_of(pair)
    heads = [words(head) for head in section(root, "results").xpath(".//thead//th")]
    assert "paper" not in heads
    assert "No figure of the paper stands beside these." in words(root)
    stand_in = "Qwen/Qwen2-VL-7B-Instruct, standing in for NEXT-Chat"
    assert stand_in in words(root.xpath("//header")[0])
    assert "Qwen2-VL-7B-Instruct stands in for NEXT-Chat" in words(section(root, "results").xpath(".//table")[0])
    assert stand_in in (pair / "report" / "README.md").read_text(encoding="utf-8")
    assert {row["paper_percent"] for row in table_of(pair, "results.csv")} == {""}
    assert {row["stands_for"] for row in table_of(pair, "results.csv")} == {"NEXT-Chat"}


def test_trials_of_a_row_are_compared_on_the_same_questions(pair: Path) -> None:
    (one,) = gather(pair).comparisons
    assert (one.first.arm, one.second.arm, one.questions) == ("baseline", "combination", 40)
    assert one.difference.estimate == pytest.approx(0.5)
    assert 0.2 < one.difference.low < 0.5 < one.difference.high < 0.8
    # Twenty questions that only the second has right.
    assert one.p_value == one.adjusted == pytest.approx(2 * 0.5**20)
    assert words(section(page_of(pair), "comparisons").xpath(".//tbody//span[@class='tag good']")[0]) == "better"


def test_a_test_that_rows_share_is_corrected_for_once(pair: Path) -> None:
    found = runs.read_json(pair / "outcomes.json")
    again = [{**outcome, "row": 1, "target": "Lung, State"} for outcome in found["outcomes"]]
    other = {**again[1], "row": 1, "arm": "baseline_plus", "scoring": "scores/c"}
    write_scores(pair, "scores/c", {"med_mat_subset_04": rights(12, 40)})
    runs.write_json(pair / "outcomes.json", {**found, "outcomes": [*found["outcomes"], *again, other]})
    compared = gather(pair).comparisons
    assert [(one.first.arm, one.second.arm) for one in compared] == [
        ("baseline", "combination"),
        ("baseline_plus", "combination"),
        ("baseline", "baseline_plus"),
    ]
    assert [one.p_value for one in compared] == pytest.approx([2 * 0.5**20, 2 * 0.5**18, 0.5])
    assert [one.adjusted for one in compared] == pytest.approx([6 * 0.5**20, 4 * 0.5**18, 0.5])


def test_an_interval_without_width_is_not_shown(pair: Path) -> None:
    write_scores(pair, "scores/b", {"med_mat_subset_04": [True] * 40})
    root = page_of(pair)
    shown = cells(section(root, "results").xpath(".//table")[0])[1]
    # Macro accuracy has a bootstrap of no width, natural accuracy Wilson's interval.
    assert shown[3] == "100.0"
    assert shown[4] == "100.0 91.2 to 100.0"
    assert " | 100.0 | 100.0 (91.2" in (pair / "report" / "README.md").read_text(encoding="utf-8")


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_is_the_step_down_procedure(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert len(adjusted) == len(p_values)
    for level in (0.01, 0.05, 0.2):
        rejected = 0
        for number, p_value in enumerate(sorted(p_values)):
            if p_value * (len(p_values) - number) > level:
                break
            rejected += 1
        assert sum(value <= level for value in adjusted) == rejected
    assert all(value >= p_value for value, p_value in zip(adjusted, p_values, strict=True))


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(2, 10))
def test_ticks_are_round_and_inside(low: float, span: float, most: int) -> None:
    high = low + span
    found = ticks(low, high, most)
    assert len(found) <= most + 1
    slack = 1e-6 * max(abs(low), abs(high), 1)
    assert all(low - slack <= value <= high + slack for value in found)


def test_ticks_have_the_ends_of_round_ranges() -> None:
    assert ticks(0, 400, 4) == [0, 200, 400]
    assert ticks(0, 2.2, 4) == [0, 1, 2]
    assert ticks(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1]


def judged(folder: Path, near: Sequence[bool] | None = None) -> Judged:
    """A verdict on the combination's answers; the class prior is as good as the model, and explains it."""
    task, number = "med_mat_subset_04", 400
    model = rights(280, number)
    write_scores(folder, "scores/b", {task: model})
    labels = [LABELS[place % 4] for place in range(number)]
    controls = {"class prior": rights(276, number), "no picture": rights(100, number), "file facts": rights(90, number)}
    evidence = Evidence(
        task,
        labels,
        [4] * number,
        [f"g{place // 2}" for place in range(number)],
        model,
        {name: controls[name] for name in ("class prior", "no picture")},
        {"file facts": controls["file facts"]},
        near,
    )
    looked = None if near is None else {"pictures": 1200.0, "threshold": 0.02}
    return Judged(task, "scores/b", looked, json.loads(json.dumps(asdict(judge(evidence)))))


def test_a_verdict_stands_with_every_control_beside_the_model(pair: Path) -> None:
    one = judged(pair)
    task = "med_mat_subset_04"
    write_scores(pair, "scores/a", {task: rights(100, 400)})
    answers = {"class prior": 276, "no picture": 100, "file facts": 90, "nearest neighbour": 120, "within source": 200}
    controls = [
        ControlOutcome(
            name,
            task,
            "scores/b" if name in ("no picture", "within source") else None,
            write_control(pair, name.replace(" ", "_"), rights(right, 300 if name == "within source" else 400)),
        )
        for name, right in answers.items()
    ]
    found = runs.read_json(pair / "outcomes.json")
    listed = {"controls": [asdict(each) for each in controls], "judged": [asdict(one)]}
    runs.write_json(pair / "outcomes.json", {**found, **listed})
    root = page_of(pair)
    (split,) = section(root, "verdicts").xpath(".//div[contains(@class, 'split')]")
    assert "doubt" in split.get("class")
    assert words(split.xpath(".//h3")[0]) == f"{task} Lung, Canceranswerable without looking"
    assert "class prior reaches 69.0%, the model 70.0% (macro)" in words(split)
    assert "Neighbours in training were not looked for." in words(split)
    rows = {row[0]: row for row in cells(split.xpath(".//table")[0])}
    assert list(rows) == ["the model", *answers]
    assert [rows[name][-1] for name in rows] == ["", "yes", "no", "no", "not weighed", "not weighed"]
    assert rows["within source"][3] == "300"
    assert rows["file facts"][5].startswith("+47.5")
    (line,) = table_of(pair, "verdicts.csv")
    assert (line["verdict"], line["questions"], line["groups"]) == ("answerable without looking", "400", "200")
    by_name = {row["control"]: row for row in table_of(pair, "controls.csv")}
    # 200 of the 300 that were asked, of which the model has 280 right.
    assert float(by_name["within source"]["natural"]) == pytest.approx(2 / 3, abs=1e-6)
    assert float(by_name["within source"]["model_ahead_by"]) == pytest.approx(80 / 300, abs=1e-6)


@pytest.mark.parametrize(
    ("near", "said"),
    [
        ([False] * 400, "Within 0.02 of one of 1,200 training pictures: no question."),
        (rights(280, 400), "280 questions, 100.0% of them are right, of the others 0.0% (p < 0.000001 within labels)"),
    ],
)
def test_near_and_far_stand_with_their_numbers(pair: Path, near: list[bool], said: str) -> None:
    one = judged(pair, near)
    found = runs.read_json(pair / "outcomes.json")
    write_scores(pair, "scores/a", {"med_mat_subset_04": rights(100, 400)})
    runs.write_json(pair / "outcomes.json", {**found, "controls": [], "judged": [asdict(one)]})
    root = page_of(pair)
    assert said in words(section(root, "verdicts"))
    leaking = root.xpath("//div[@class='split bad']//span[@class='tag bad' and text()='leaking']")
    assert bool(leaking) == any(near)


def test_controls_of_a_split_without_a_verdict_are_shown(pair: Path) -> None:
    (split,) = section(page_of(pair), "verdicts").xpath(".//div[contains(@class, 'split')]")
    assert "not judged" in words(split)
    assert [row[:2] for row in cells(split.xpath(".//table")[0])] == [["the model", "75.0"], ["class prior", "50.0"]]


def test_elements_pool_answers_and_count_groups(pair: Path) -> None:
    write_report(pair)
    rows = table_of(pair, "by_element.csv")
    assert {(row["dimension"], row["value"]) for row in rows} == {
        ("modality", "CT"),
        ("area", "lung"),
        ("task word", "Cancer"),
        ("source", "single"),
    }
    (line,) = (row for row in rows if row["dimension"] == "source" and row["arm"] == "combination")
    assert (line["questions"], line["answers"], line["groups"]) == ("40", "40", "20")
    assert float(line["natural"]) == 0.75
    # Twenty groups say less than forty questions do.
    assert float(line["natural_low"]) < 0.598


def test_confusion_counts_the_strongest_trial(pair: Path) -> None:
    root = page_of(pair)
    (table,) = section(root, "confusion").xpath(".//table")
    rows = cells(table)
    assert [row[0] for row in rows] == ["cyst", "normal", "stone", "tumor"]
    assert sum(int(cell) for row in rows for cell in row[1:]) == 40
    assert sum(int(words(cell)) for cell in table.xpath(".//td[@class='right']")) == 30


def test_rare_labels_are_put_together_and_said_to_be(pair: Path) -> None:
    labels = [f"label {number:02d}" for number in range(20)]
    for scoring in ("scores/a", "scores/b"):
        write_scores(pair, scoring, {"med_mat_subset_04": [True] * 45}, labels)
    (one,) = gather(pair).confusions
    assert len(one.labels) == 12
    assert (one.labels[-1], one.other) == ("other labels", 9)
    # Labels 0 to 4 stand three times, the others twice.
    assert one.counts[0][0] == 3
    assert one.counts[-1][-1] == 18
    assert "“other labels” are 9 rarer ones" in words(section(page_of(pair), "confusion"))


def test_text_that_names_no_option_is_a_column_of_its_own(pair: Path) -> None:
    for scoring in ("scores/a", "scores/b"):
        changes = {"predicted_index": -1, "correct": False, "log_probs": None, "text": "I cannot tell."}
        write_scores(pair, scoring, {"med_mat_subset_04": rights(4, 8)}, **changes)
    (one,) = gather(pair).confusions
    assert one.chosen == (*one.labels, "(none)")
    assert [row[-1] for row in one.counts] == [2, 2, 2, 2]
    assert "I cannot tell.”; no option was found in it" in words(section(page_of(pair), "samples"))


def test_boxes_are_scored_by_overlap(tmp_path: Path) -> None:
    task = "med_mat_subset_04_boxes"
    changes = {"options": [], "correct": None, "log_probs": None, "text": "[0, 0, 1, 1]", "label": None}
    rows = [
        {**question(number, True, LABELS, **changes), "model_task": task, "iou": iou, "predicted_index": -1}
        for number, iou in enumerate((0.2, 0.6))
    ]
    (tmp_path / "scores/a").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=runs.PREDICTION), tmp_path / "scores/a" / runs.PREDICTIONS_FILE)
    write_outcomes(tmp_path, replace(OUTCOMES, outcomes=(replace(OUTCOME, tasks=(task,)),)))
    root = page_of(tmp_path)
    assert "0.400 (2)" in words(section(root, "results"))
    (line,) = table_of(tmp_path, "results.csv")
    assert (line["mean_iou"], line["boxes"], line["macro"]) == ("0.4", "2", "")
    assert not root.xpath("//section[@aria-labelledby='confusion' or @aria-labelledby='samples']")


def test_learning_curves_are_drawn_once_per_training(pair: Path) -> None:
    (figure,) = section(page_of(pair), "curves").xpath(".//figure")
    (line,) = figure.xpath(".//polyline")
    heights = [float(point.split(",")[1]) for point in line.get("points").split()]
    assert len(heights) == 3
    # The loss falls, so the line does: heights grow downward.
    assert heights == sorted(heights)
    assert (heights[2] - heights[1]) / (heights[1] - heights[0]) == pytest.approx(0.5, abs=0.02)
    assert "6,000 questions, 30 steps, 1 min 15 s" in words(figure)


def test_accuracy_is_drawn_against_the_amount_of_data(tmp_path: Path) -> None:
    task, outcomes = "med_mat_subset_04", []
    for arm in ("limited", "limited_with_related"):
        for amount, right in ((0, 10), (100, 20), (3000, 30)):
            scoring = f"scores/{arm}{amount}"
            write_scores(tmp_path, scoring, {task: rights(right + (8 if arm != "limited" else 0), 40)})
            outcomes.append(replace(OUTCOME, arm=arm, amount=amount, trained_on=amount, scoring=scoring))
    write_outcomes(tmp_path, replace(OUTCOMES, outcomes=tuple(outcomes)))
    root = page_of(tmp_path)
    (figure,) = section(root, "amounts").xpath(".//figure")
    first, second = figure.xpath(".//polyline")
    assert len(first.get("points").split()) == len(second.get("points").split()) == 3
    assert [words(text) for text in figure.xpath(".//text")][5:8] == ["0", "100", "3,000"]
    pairs = {
        (one.first.arm, one.second.arm, one.first.amount, one.second.amount) for one in gather(tmp_path).comparisons
    }
    assert pairs == {("limited", "limited_with_related", amount, amount) for amount in (0, 100, 3000)}


def test_heat_maps_have_accuracies_and_gains(pair: Path) -> None:
    lines = gather(pair).lines
    heat = arm_heat(lines)
    assert heat.columns == ("baseline", "combination")
    assert heat.rows == (("Lung, COVID + Brain, Cancer \N{RIGHTWARDS ARROW} Lung, Cancer", (0.25, 0.75)),)
    gains = part_heat(lines)
    assert gains is not None
    assert gains.columns == ("Brain, Cancer", "Lung, COVID")
    assert gains.rows == (("Lung, Cancer", (0.5, 0.5)),)
    assert part_heat(lines[:1]) is None


def test_page_markdown_and_csv_agree(pair: Path) -> None:
    root = page_of(pair)
    shown = [row[-6].split()[0] for row in cells(section(root, "results").xpath(".//table")[0])]
    in_csv = [f"{100 * float(row['natural']):.1f}" for row in table_of(pair, "results.csv")]
    markdown = (pair / "report" / "README.md").read_text(encoding="utf-8")
    lines = [line.split(" | ") for line in markdown.splitlines() if "Lung, COVID" in line]
    head = next(line for line in markdown.splitlines() if line.startswith("| row")).split(" | ")
    assert [line[head.index("natural")].split()[0] for line in lines[:2]] == in_csv == shown == ["25.0", "75.0"]


def test_the_page_needs_nothing_and_says_what_it_is(pair: Path) -> None:
    found = runs.read_json(pair / "outcomes.json")
    private = {"location": "/home/somebody/builds/med-mat", "revision": None, "manifest_sha256": "ab" * 32}
    skipped = [asdict(Skipped("row 7 (X-ray, Brain)", "the data hold no config subset_32"))]
    runs.write_json(pair / "outcomes.json", {**found, "data": private, "skipped": skipped})
    root = page_of(pair)
    assert not root.xpath("//script|//link|//iframe|//*[@srcset]")
    assert all(image.get("src").startswith("data:") for image in root.xpath("//img"))
    for link in root.xpath("//a/@href"):
        there = root.xpath(f"//*[@id='{link[1:]}']") if link.startswith("#") else (pair / "report" / link).is_file()
        assert there, link
    text = words(root)
    for said in ("compositional_pairs", "med-mat, manifest abababababab", "full", "published", "cpu: CPU", "3.11.7"):
        assert said in text
    assert "somebody" not in text
    assert "the data hold no config subset_32" in words(section(root, "skipped"))
    assert all(svg.get("aria-label") for svg in root.xpath("//svg"))
    assert table_of(pair, "skipped.csv") == skipped


def test_names_from_elsewhere_are_text(pair: Path) -> None:
    found = runs.read_json(pair / "outcomes.json")
    for outcome in found["outcomes"]:
        outcome["target"] = "<script>alert(1)</script>"
    runs.write_json(pair / "outcomes.json", found)
    root = page_of(pair)
    assert not root.xpath("//script")
    assert "<script>alert(1)</script>" in words(section(root, "results"))


def test_equal_outcomes_give_equal_bytes_and_what_is_gone_is_removed(pair: Path) -> None:
    write_report(pair)
    before = {path.name: path.read_bytes() for path in (pair / "report").iterdir()}
    assert "comparisons.csv" in before
    write_report(pair)
    assert {path.name: path.read_bytes() for path in (pair / "report").iterdir()} == before
    found = runs.read_json(pair / "outcomes.json")
    runs.write_json(pair / "outcomes.json", {**found, "outcomes": found["outcomes"][:1]})
    write_report(pair)
    assert not (pair / "report" / "comparisons.csv").exists()


def test_what_is_missing_is_named(pair: Path, tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match=r"has no outcomes\.json"):
        write_report(tmp_path / "nothing")
    (pair / "scores/b" / runs.PREDICTIONS_FILE).unlink()
    with pytest.raises(BaselineError, match=r"scores/b/predictions\.parquet: not there"):
        write_report(pair)
    write_scores(pair, "scores/b", {"med_mat_subset_05": [True]})
    with pytest.raises(BaselineError, match="no answers to med_mat_subset_04"):
        write_report(pair)


@pytest.fixture(scope="module")
def rights_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three sources whose pictures, whose labels alone, and of which nothing may be passed on."""
    folder = tmp_path_factory.mktemp("rights")
    for right in ("images", "annotations", "none"):
        # Every picture that a test asks for must be in the test split.
        add_source(folder / "loaders", right, redistribution=right, official_splits="kept")
        rows = [
            Row(f"{number}.png", LABELS[number % 4], split="test" if number < 20 else "train") for number in range(24)
        ]
        write_raw(folder / "raw" / right, rows, size=(600, 300), mode="RGB")
    build(registry_of(folder / "loaders"), folder / "raw", folder / "med-mat")
    return folder


def shown_pictures(root: HtmlElement) -> list[Image.Image]:
    sources = [image.get("src").partition(",")[2] for image in root.xpath("//article//img")]
    return [Image.open(io.BytesIO(base64.b64decode(data))) for data in sources]


def with_sources(folder: Path, built: Path, sources: Sequence[str]) -> None:
    """Gives an experiment questions of these sources: half of the answers right."""
    rows = []
    for source in sources:
        for number in range(20):
            changes = {"source": source, "id": f"{source}/{number:016x}#0", "picture": f"{source}/test/{number}"}
            rows.append({**question(number, number % 3 > 0, LABELS, **changes), "model_task": "med_mat_subset_04"})
    (folder / "scores/a").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=runs.PREDICTION), folder / "scores/a" / runs.PREDICTIONS_FILE)
    data = {"location": str(built / "med-mat"), "revision": None, "manifest_sha256": None}
    write_outcomes(folder, replace(OUTCOMES, data=data, outcomes=(OUTCOME,)))


def test_samples_are_half_right_and_small(rights_build: Path, tmp_path: Path) -> None:
    with_sources(tmp_path, rights_build, ["images"])
    root = page_of(tmp_path, loaders=[rights_build / "loaders"])
    said = [words(tag) for tag in root.xpath("//article//span[contains(@class, 'tag')]")]
    assert said == ["right"] * 6 + ["wrong"] * 6
    pictures = shown_pictures(root)
    assert [picture.size for picture in pictures] == [(192, 96)] * 12
    (article, *_) = root.xpath("//article")
    (answer,) = article.xpath(".//li[@class='answer']")
    # The chosen letter has e^-0.5 beside three of e^-2.
    assert "answer, chosen · 59.9%" in words(answer)
    assert (tmp_path / "report" / "index.html").stat().st_size < 5_000_000


def test_pictures_that_may_not_be_passed_on_stay_behind(rights_build: Path, tmp_path: Path) -> None:
    with_sources(tmp_path, rights_build, ["annotations", "none"])
    root = page_of(tmp_path, loaders=[rights_build / "loaders"])
    assert shown_pictures(root) == []
    assert "Not for publication." not in words(root.xpath("//header")[0])
    articles = [words(article) for article in root.xpath("//article")]
    assert len(articles) == 12
    assert all("no card says that it may be passed on" in said for said in articles)
    # Of a source of which nothing may be passed on, questions and labels stay behind too.
    assert all("annotations/" in said and "none/" not in said for said in articles)
    root = page_of(tmp_path, loaders=[rights_build / "loaders"], all_pictures=True)
    assert len(shown_pictures(root)) == 12
    assert any("none/" in words(article) for article in root.xpath("//article"))
    assert "Not for publication." in words(root.xpath("//header")[0])


def test_what_may_be_shown_comes_first_and_unknown_sources_are_not_shown(rights_build: Path, tmp_path: Path) -> None:
    with_sources(tmp_path, rights_build, ["annotations", "images"])
    root = page_of(tmp_path, loaders=[rights_build / "loaders"])
    assert len(shown_pictures(root)) == 12
    # Without the folder of its card nothing is known of the source.
    assert shown_pictures(page_of(tmp_path)) == []


def test_a_report_can_be_written_where_the_data_are_not(rights_build: Path, tmp_path: Path) -> None:
    with_sources(tmp_path, rights_build, ["images"])
    found = runs.read_json(tmp_path / "outcomes.json")
    found["data"]["location"] = str(tmp_path / "gone")
    runs.write_json(tmp_path / "outcomes.json", found)
    root = page_of(tmp_path, loaders=[rights_build / "loaders"])
    assert "it is not in the data at hand" in words(section(root, "samples"))


def test_the_command_writes_reports_and_needs_no_torch(pair: Path, tmp_path: Path) -> None:
    shutil.copytree(pair, tmp_path / "other")
    folders = [str(pair), str(tmp_path / "other"), str(tmp_path)]
    code = (
        "import atexit, sys; from med_mat.cli import main\n"
        "atexit.register(lambda: print('torch' in sys.modules))\n"
        "sys.argv = ['med-mat', 'baselines', 'report', *sys.argv[1:]]; main()"
    )
    done = subprocess.run([sys.executable, "-c", code, *folders], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(f"med-mat: {tmp_path} has no outcomes.json")
    assert done.stdout.endswith("False\n")
    for folder in folders[:2]:
        assert str(Path(folder, "report", "index.html")) in "".join(done.stdout.split())
        assert Path(folder, "report", "index.html").exists()


PAGES = [ROOT / "docs" / "reproducing.md", ROOT / "docs" / "baselines.md"]


def commands_of(page: Path) -> list[list[str]]:
    """Arguments of every `med-mat` in the page's blocks, also of those that `accelerate launch` starts."""
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    blocks = [block for language, block in fences if not language]
    lines = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    lines = [line for line in lines if line and line[0] in ("accelerate", "med-mat")]
    places = [
        line.index("$(command -v med-mat)") if line[0] == "accelerate" else line.index("med-mat") for line in lines
    ]
    return [line[place + 1 :] for line, place in zip(lines, places, strict=True)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_the_pages_are_valid(page: Path) -> None:
    found = commands_of(page)
    assert len(found) > 3
    for arguments in found:
        command: Any = typer.main.get_command(app)
        rest = list(arguments)
        while isinstance(command, TyperGroup):
            named = command.commands.get(rest[0])
            assert named is not None, arguments
            command, rest = named, rest[1:]
        # Parses as the command line would, and does not run.
        context = command.make_context("med-mat", rest)
        if arguments[:2] == ["baselines", "run"]:
            name = context.params["recipe"]
            assert name in (*recipe_names(), "smoke", "skin.yaml")
            arms = load_recipe(name).arms if name in recipe_names() else ()
            assert set(context.params["arm"] or ()) <= set(arms)


def test_the_recipe_of_the_page_is_one() -> None:
    text = PAGES[1].read_text(encoding="utf-8")
    example = re.search(r"<!-- example: recipe -->\n```yaml\n(.*?)```", text, re.DOTALL)
    assert example
    recipe = parse_recipe(example[1], "skin.yaml")
    found = trials(recipe, published_members(), regimes()["lora"])
    assert [trial.arm for trial in found] == list(recipe.arms)
    # Both parts are related to the target, and what is drawn beside them is not.
    assert found[2].draws[0].configs == ("subset_07", "subset_14")
    assert not found[2].left_out


def test_the_page_counts_trainings_and_hours() -> None:
    text = PAGES[0].read_text(encoding="utf-8")
    pattern = r"^\| `(\w+)` \| (\d+) \| ([\d,]+) \| (\d+) \| (\d+) \|$"
    listed = {line[0]: line[1:] for line in re.findall(pattern, text, re.MULTILINE)}
    assert set(listed) == set(recipe_names())
    for name, cells_ in listed.items():
        recipe = load_recipe(name)
        sizes = {
            trial.key: sum(
                recipe.per_subset * len(draw.as_many_as) if draw.limit is None else draw.limit * len(draw.configs)
                for draw in trial.draws
            )
            for trial in trials(recipe, published_members(get_args(Kind)), regimes()["full"])
            if trial.draws
        }
        questions = sum(sizes.values())
        hours = [questions * 5 * 680 * 6.6e9 * cost / (989e12 * 0.4) / 3600 for cost in (6, 8)]
        assert tuple(int(cell.replace(",", "")) for cell in cells_) == (len(sizes), questions, *map(round, hours)), name


def test_the_page_names_every_arm_control_and_verdict() -> None:
    text = PAGES[1].read_text(encoding="utf-8")
    for name in (*get_args(Arm), *recipe_names()):
        assert f"`{name}`" in text
    for name in (*CONTROLS, *get_args(Verdict)):
        assert f"| {name} |" in text
    for name in (*TABLES, "README.md", "index.html"):
        assert f"`{name}`" in text
