"""Plan: a pure function from what was found to rows; what is published of a source never depends on later ones."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_labels import card_sets
from tiny import LABELS, golden, label_entries, make_card

from med_mat.audit.components import WITHDRAWN, links
from med_mat.audit.contradictions import disagreement
from med_mat.card import Card
from med_mat.errors import CardError, LayoutError
from med_mat.hashing import row_id, salted, uniform
from med_mat.plan import CONTRADICTION, SPLITS, UNREADABLE, Input, SourcePlan, plan
from med_mat.questions.instructions import load_instructions
from med_mat.sample import Split
from med_mat.schema import INDEX, PLAN, SCAN


def picture(
    key: str,
    *labels: str,
    pixels: str | None = None,
    group: str | None = None,
    split: str | None = None,
    frame: int | None = None,
    ties: Sequence[str] = (),
    error: str | None = None,
    size: int = 1000,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A line of an index with its line of a scan; labels are clean ones."""
    place = {"raw_path": f"wrapper/{key}", "frame": frame, "size": size, "mtime_ns": 1}
    found = {
        **place,
        "key": key,
        "labels": list(labels),
        "split": split,
        "group": group,
        "ties": list(ties),
        "extra": {"age": 61.0, "sex": "F", "view": None, "laterality": None, "site": None},
    }
    seen = {**place, "raw_sha256": hashlib.sha256(key.encode()).hexdigest(), "error": error}
    if error is None:
        pixels = hashlib.md5((pixels or key).encode()).hexdigest()
        seen |= {"pixel_hash": pixels, "perceptual_hash": pixels[:16], "width": 20, "height": 10}
        seen |= {"format": "PNG", "mode": "L", "rule": "png", "published_bytes": size}
    return found, seen


def source(card: Card, *pictures: tuple[dict[str, Any], dict[str, Any]]) -> Input:
    return Input(
        card,
        pa.Table.from_pylist([found for found, _ in pictures], schema=INDEX),
        pa.Table.from_pylist([seen for _, seen in pictures], schema=SCAN),
    )


def planned(inputs: Sequence[Input], **options: Any) -> list[SourcePlan]:
    return plan(inputs, [entry.card for entry in inputs], **options)


def alternating(number: int, *labels: str, name: str = "picture") -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return [picture(f"{name} {place}.png", labels[place % len(labels)]) for place in range(number)]


# What hashes decide; the other columns are copied from index, scan and card.
DECIDED = ["id", "split", "shard", "question", "options", "answer_index", "more_questions", "group", "key"]

KIDNEY = [entry["label"] for entry in LABELS.values()]


# Of their own, so that mending a subset's wording does not touch the golden plan.
QUESTIONS = {"instructions": [f"Which finding, {number}?" for number in range(6)], "presence": "Is there {label}?"}


def _golden_inputs() -> list[Input]:
    single = make_card("single", **QUESTIONS, number=2, groups={"of": "patient", "namespace": "lineage", "how": "x"})
    findings = ["mass", "nodule", "edema", "hernia", "effusion", "pneumonia", "infiltration"]
    several = make_card(
        "several",
        **QUESTIONS,
        kind="multilabel",
        subset="31",
        modality="xray",
        anatomy="chest",
        official_splits="kept",
        labels=label_entries(
            {
                **{finding: {} for finding in findings},
                "infiltration": {"overlaps": ["pneumonia"]},
                "no finding": {"no_finding": True},
            }
        ),
        path_ids="private",
    )
    late = make_card(
        "late",
        **QUESTIONS,
        groups={"of": "patient", "namespace": "lineage", "how": "x"},
        labels=label_entries({"kidney tumor": {}, "renal mass": {"same_as": ["kidney tumor"]}, "kidney stone": {}}),
    )
    return [
        source(
            single,
            *(picture(f"a/{n}.png", KIDNEY[n % 4], group=f"lineage:{n // 2}") for n in range(24)),
            picture("torn 1.png", KIDNEY[0], pixels="torn"),
            picture("torn 2.png", KIDNEY[1], pixels="torn"),
            picture("broken.png", KIDNEY[0], error="the file is empty"),
        ),
        source(
            several,
            *(
                picture(
                    f"{n}.dcm",
                    *sorted({findings[n % 7], findings[n * n % 7], findings[n // 3 % 7]}),
                    frame=n % 2,
                    split=("train", "train", "validation", "test")[n % 4],
                    pixels=f"copy {n // 6}" if n % 6 == 5 else None,
                )
                for n in range(24)
            ),
            picture("clear.dcm", "no finding", split="train"),
        ),
        source(
            late,
            *(picture(f"b/{n}.png", ["kidney tumor", "kidney stone"][n % 2], group=f"lineage:{n}") for n in range(10)),
            picture("copy.png", "kidney stone", pixels="a/1.png"),
            picture("c.png", "renal mass", group="lineage:99"),
        ),
    ]


def test_golden_plan() -> None:
    plans = planned(_golden_inputs(), salt=b"golden", shard_bytes=5000)
    found, frozen = golden(
        "plan",
        [
            {
                "slug": entry.card.slug,
                "moved": entry.moved,
                "losses": sorted([loss.kind, loss.raw_path, loss.reason, loss.detail] for loss in entry.losses),
                "first row": entry.table.to_pylist()[0],
                "rows": entry.table.select(DECIDED).to_pylist(),
            }
            for entry in plans
        ],
    )
    assert found == frozen


def test_a_row_has_all_columns_and_the_card_is_its_metadata() -> None:
    card = make_card(
        "tiny", published={"modality": "CT", "anatomy": "Kidney", "task": "Normal or Cyst"}, licence={
            "name": "by hand", "evidence": "x"}
    )  # fmt: skip
    row = planned([source(card, *alternating(8, *KIDNEY))])[0].table.to_pylist()[0]
    assert list(row) == PLAN.names
    number = row["key"].removeprefix("picture ").removesuffix(".png")
    assert row["id"] == row_id("tiny", f"picture {number}.png", None)
    assert row["raw_path"] == f"wrapper/{row['key']}"
    assert row["group"] == salted("group", row["id"], b"")
    assert (row["kind"], row["source"], row["subset"], row["licence"]) == ("classification", "tiny", "02", "by hand")
    assert (row["modality"], row["anatomy"], row["task"]) == ("ct", "kidney", "disease classification")
    assert (row["published_modality"], row["published_anatomy"], row["published_task"]) == (
        "CT",
        "Kidney",
        "Normal or Cyst",
    )
    assert row["task_elements"] == ["Diseases"]
    assert row["question"] in load_instructions("02").instructions
    assert (row["objects"], row["mask_labels"], row["more_questions"]) == ([], [], [])
    assert row["extra"]["age"] == 61.0


def test_every_sample_is_a_row_or_a_loss() -> None:
    for entry, result in zip(_golden_inputs(), planned(_golden_inputs(), salt=b"x"), strict=True):
        rows = result.table["raw_path"].to_pylist()
        lost = [loss.raw_path for loss in result.losses]
        assert sorted(rows + lost) == sorted(entry.index["raw_path"].to_pylist())
        assert sum(result.left_out.values()) == len(lost)
        assert len(set(result.table["id"].to_pylist())) == len(rows)


def test_contradictory_copies_are_left_out() -> None:
    card = make_card("tiny")
    result = planned(
        [
            source(
                card,
                *alternating(8, *KIDNEY),
                picture("x.png", "kidney cyst", pixels="torn"),
                picture("y.png", "kidney stone", pixels="torn"),
                picture("z.png", "kidney cyst", pixels="torn"),
                picture("twin 1.png", "kidney cyst", pixels="twin"),
                picture("twin 2.png", "kidney cyst", pixels="twin"),
            )
        ]
    )[0]
    assert {loss.raw_path: loss.detail for loss in result.losses} == dict.fromkeys(
        ["wrapper/x.png", "wrapper/y.png", "wrapper/z.png"], "kidney cyst against kidney stone"
    )
    assert result.left_out == {CONTRADICTION: 3}
    twins = [row for row in result.table.to_pylist() if row["key"].startswith("twin")]
    assert len(twins) == 2
    assert len({row["split"] for row in twins}) == 1


def test_copies_in_another_source_with_another_label_are_no_contradiction() -> None:
    results = planned(
        [
            source(make_card(slug), *alternating(8, *KIDNEY, name=slug), picture("copy.png", label, pixels="same"))
            for slug, label in (("first", "kidney cyst"), ("second", "normal kidney"))
        ]
    )
    sides = [row["split"] for result in results for row in result.table.to_pylist() if row["key"] == "copy.png"]
    assert len(sides) == 2
    assert len(set(sides)) == 1


def test_a_picture_that_does_not_decode_is_a_loss_that_a_card_may_expect() -> None:
    broken = [picture(f"broken {number}.png", "kidney cyst", error="half a file") for number in range(2)]
    for defects, undeclared in (
        ([], 2),
        ([{"kind": "unreadable_image", "count": 1, "why": "one"}], 1),
        ([{"kind": "unreadable_image", "paths": ["broken ?.png"], "why": "all"}], 0),
    ):
        card = make_card("tiny", known_defects=defects)
        result = planned([source(card, *alternating(4, *KIDNEY), *broken)])[0]
        assert result.left_out == {UNREADABLE: 2}
        assert len(result.undeclared) == undeclared
        assert all(loss.detail == "half a file" for loss in result.losses)


def test_private_names_need_a_salt_and_are_hashed() -> None:
    card = make_card("tiny", path_ids="private")
    pictures = [picture(f"Jane Roe {number}.png", KIDNEY[number % 4]) for number in range(8)]
    with pytest.raises(CardError, match=r"tiny: its file names may not be published .* salt"):
        planned([source(card, *pictures)])
    one, other = (
        planned([source(card, *pictures)], salt=salt)[0].table.drop_columns(["raw_path"]) for salt in (b"1", b"2")
    )
    for table in (one, other):
        assert "Jane" not in str(table.to_pylist())
    assert not set(one["key"].to_pylist()) & set(other["key"].to_pylist())
    assert not set(one["id"].to_pylist()) & set(other["id"].to_pylist())


def test_a_salt_changes_groups_and_nothing_else_of_names_that_are_plain() -> None:
    pictures = [picture(f"{n}.png", KIDNEY[n % 4], group=f"lineage:{n // 3}") for n in range(40)]
    one, other = (planned([source(make_card("tiny"), *pictures)], salt=salt)[0].table for salt in (b"", b"secret"))
    assert one.drop_columns(["group"]) == other.drop_columns(["group"])
    assert not set(one["group"].to_pylist()) & set(other["group"].to_pylist())
    for table in (one, other):
        by_group: dict[str, set[str]] = {}
        for row in table.to_pylist():
            by_group.setdefault(row["group"], set()).add(row["key"])
        assert sorted(map(len, by_group.values())) == [1, *[3] * 13]


def test_rows_lie_by_split_and_id_in_shards_of_the_wanted_size() -> None:
    sizes = [100, 900, 300, 5000, 200]
    pictures = [picture(f"{n}.png", KIDNEY[n % 4], size=sizes[n % 5]) for n in range(60)]
    size_of = {found["key"]: found["size"] for found, _ in pictures}
    rows = planned([source(make_card("tiny"), *pictures)], shard_bytes=2000)[0].table.to_pylist()
    order = {"train": 0, "validation": 1, "test": 2}
    places = [(order[row["split"]], row["shard"], row["id"]) for row in rows]
    assert places == sorted(places)
    shards: dict[tuple[str, int], list[int]] = {}
    for row in rows:
        shards.setdefault((row["split"], row["shard"]), []).append(size_of[row["key"]])
    for (split, number), content in shards.items():
        assert sum(content) <= 2000 or len(content) == 1
        following = shards.get((split, number + 1))
        assert following is None or sum(content) + following[0] > 2000
        assert number == 0 or (split, number - 1) in shards


def test_official_splits_count_only_where_the_card_keeps_them() -> None:
    pictures = [picture(f"{n}.png", KIDNEY[n % 4], split="validation") for n in range(40)]
    for kept in ("kept", "void", "none"):
        card = make_card("tiny", official_splits=kept, official_splits_reason="leaks")
        splits = set(planned([source(card, *pictures)])[0].table["split"].to_pylist())
        assert splits == ({"validation"} if kept == "kept" else {"train", "test"})


def test_pictures_that_are_tied_share_a_split_whatever_their_groups() -> None:
    pictures = [picture(f"{n}.png", KIDNEY[n % 4], group=f"lineage:{n}", ties=[f"tiny:{n // 2}"]) for n in range(80)]
    rows = planned([source(make_card("tiny"), *pictures)])[0].table.to_pylist()
    side = {int(row["key"].removesuffix(".png")): row["split"] for row in rows}
    assert all(side[n] == side[n + 1] for n in range(0, 80, 2))
    assert set(side.values()) == {"train", "test"}
    assert len({row["group"] for row in rows}) == 80


def test_a_source_whose_copies_cannot_be_told_has_no_test_split() -> None:
    card = make_card("tiny", no_test_split="neighbouring slices of one patient, and no patient ids")
    pictures = alternating(60, *KIDNEY)
    assert set(planned([source(card, *pictures)])[0].table["split"].to_pylist()) == {"train"}
    # Where a group is known, it may be test.
    pictures += [picture(f"known {n}.png", KIDNEY[n % 4], group=f"lineage:{n}") for n in range(60)]
    rows = planned([source(card, *pictures)])[0].table.to_pylist()
    tests = {row["key"].split()[0] for row in rows if row["split"] == "test"}
    assert tests == {"known"}


def test_a_later_source_follows_and_is_counted() -> None:
    first = source(make_card("first"), *(picture(f"{n}.png", KIDNEY[n % 4]) for n in range(40)))
    side = {row["key"]: row["split"] for row in planned([first])[0].table.to_pylist()}
    test, other_test = [key for key, split in side.items() if split == "test"][:2]
    train, other_train = [key for key, split in side.items() if split == "train"][:2]
    later = source(
        make_card("later", official_splits="kept"),
        picture("copy of test.png", "kidney cyst", pixels=test, split="train"),
        picture("copy of train.png", "kidney cyst", pixels=train, split="train"),
        picture("own.png", "kidney stone", split="test"),
        # One patient with a picture on either side.
        picture("torn 1.png", "kidney cyst", pixels=other_test, group="later:1"),
        picture("torn 2.png", "kidney cyst", pixels=other_train, group="later:1"),
    )
    result = planned([first, later])[1]
    assert {row["key"]: row["split"] for row in result.table.to_pylist()} == {
        "copy of test.png": "test",
        "copy of train.png": "train",
        "own.png": "test",
    }
    assert result.moved == 1
    assert {loss.raw_path: loss.kind for loss in result.losses} == {
        "wrapper/torn 1.png": "split",
        "wrapper/torn 2.png": "split",
    }
    # That is no fault of the download.
    assert result.undeclared == ()


def _random_source(card: Card, draw: st.DrawFn) -> Input:
    facts = draw(
        st.lists(
            st.tuples(
                st.sampled_from(card.clean_labels),
                st.integers(0, 9),
                st.sampled_from([None, "lineage:1", "lineage:2", "lineage:3"]),
            ),
            max_size=12,
        )
    )
    return source(
        card,
        *(
            picture(f"{card.slug} {number}.png", label, pixels=f"pixels {pixels}", group=group)
            for number, (label, pixels, group) in enumerate(facts)
        ),
    )


@st.composite
def several_inputs(draw: st.DrawFn) -> list[Input]:
    """Sources of one subset; each has two labels of its own, so that every label has a wrong option."""
    cards = [
        card.model_copy(
            update={
                "labels": {
                    **card.labels,
                    **make_card(labels=label_entries([f"own {number} x", f"own {number} y"])).labels,
                }
            }
        )
        for number, card in enumerate(draw(card_sets(most=4)))
    ]
    return [_random_source(card, draw) for card in cards]


@given(several_inputs(), st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_adding_a_source_changes_no_row_of_an_earlier_one(inputs: list[Input], data: st.DataObject) -> None:
    earlier = data.draw(st.integers(0, len(inputs) - 1))
    alone = plan(inputs[:earlier], [entry.card for entry in inputs[:earlier]])
    # Whether the later cards are known or not, and whether their downloads are at hand.
    for with_inputs in (inputs[:earlier], inputs):
        results = plan(with_inputs, [entry.card for entry in inputs])
        for before, after in zip(alone, results, strict=False):
            # What a later source answers differently goes to other shards; nothing else about it changes.
            assert _by_id(after) == _by_id(before)
            assert after.losses == before.losses
            assert before.disputed.keys() <= after.disputed.keys()
            if after.disputed == before.disputed:
                assert after.table == before.table


def _by_id(planned: SourcePlan) -> pa.Table:
    return planned.table.drop_columns(["shard"]).sort_by("id")


def test_a_picture_that_two_sources_answer_differently_stands_apart_in_its_split() -> None:
    first = source(make_card("first"), *alternating(40, *KIDNEY, name="a"))
    here = {row["key"]: row["split"] for row in planned([first])[0].table.to_pylist()}
    wrong, right, near, blank = (f"a {4 * number + 1}.png" for number in range(4))  # of one label
    later = [
        picture("wrong.png", KIDNEY[0], pixels=wrong),
        picture("right.png", KIDNEY[1], pixels=right),
        picture("near.png", KIDNEY[2], pixels="another"),
        picture("blank.png", KIDNEY[0], pixels=blank),
        *alternating(12, *KIDNEY, name="b"),
    ]
    black = "0" * 16
    second = source(make_card("second"), *later)
    for entry in (first, second):
        named = entry.index["key"].to_pylist()
        hashes = entry.scan["perceptual_hash"].to_pylist()
        hashes = [black if key in (blank, "blank.png") else one for key, one in zip(named, hashes, strict=True)]
        place = entry.scan.schema.get_field_index("perceptual_hash")
        object.__setattr__(entry, "scan", entry.scan.set_column(place, "perceptual_hash", pa.array(hashes)))
    pixels = [hashlib.md5(name.encode()).hexdigest() for name in (near, "another")]
    results = planned([first, second], near=links([(pixels[0], pixels[1])]), shard_bytes=3000)
    for result, keys in zip(results, ({wrong, near}, {"wrong.png", "near.png"}), strict=True):
        rows = result.table.to_pylist()
        ids = {row["key"]: row["id"] for row in rows}
        assert set(result.disputed) == {ids[key] for key in keys}
        for split in ("train", "validation", "test"):
            shards: dict[int, set[bool]] = {}
            for row in rows:
                if row["split"] == split:
                    shards.setdefault(row["shard"], set()).add(row["id"] in result.disputed)
            # They are the last ones, numbered on, and no shard holds both kinds.
            apart = [kind for _, kind in sorted(shards.items())]
            assert sorted(shards) == list(range(len(shards)))
            assert apart == [{False}] * (len(shards) - result.aside.get(split, 0)) + [{True}] * result.aside.get(
                split, 0
            )
        assert rows == sorted(rows, key=lambda row: (SPLITS.index(row["split"]), row["shard"], row["id"]))
    one, other = results
    assert {row["key"]: row["split"] for row in one.table.to_pylist()} == here
    said = {row["id"]: row["labels"][0] for result in results for row in result.table.to_pylist()}
    for mine, theirs in ((one, other), (other, one)):
        for name, dispute in mine.disputed.items():
            assert dispute.said == f"{said[name]} against {said[dispute.other]}"
            assert dispute.other in theirs.disputed


@given(several_inputs(), st.integers(1, 5000))
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
def test_rows_are_disputed_if_and_only_if_another_source_contradicts_them(inputs: list[Input], shard: int) -> None:
    cards = {entry.card.slug: entry.card for entry in inputs}
    results = planned(inputs, shard_bytes=shard)
    rows = [row for result in results for row in result.table.to_pylist()]
    expected = {
        row["id"]
        for row in rows
        for other in rows
        if row["source"] != other["source"]
        and row["pixel_hash"] == other["pixel_hash"]
        and disagreement(row["labels"], cards[row["source"]], other["labels"], cards[other["source"]]) is not None
    }
    assert {name for result in results for name in result.disputed} == expected
    for result in results:
        assert result.table.num_rows == len(set(result.table["id"].to_pylist()))
        # Shards are as large as they would be without any other row.
        for size in result.table.group_by(["split", "shard"]).aggregate([("id", "count")])["id_count"].to_pylist():
            assert size == 1 or size * 1000 <= shard


@given(several_inputs(), st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_published_rows_stay_whatever_is_admitted_where(inputs: list[Input], data: st.DataObject) -> None:
    numbers = range(len(inputs))
    there = sorted(data.draw(st.sets(st.sampled_from(numbers), min_size=1)))
    cards = [entry.card for entry in inputs]
    published: dict[str, Split] = {}
    for number in [None, *data.draw(st.permutations([number for number in numbers if number not in there]))]:
        # It arrives later and may stand before what is published.
        there = sorted([*there, *([] if number is None else [number])])
        # A stream can be read once, and a list again and again: the rows are the same.
        present = [inputs[one] for one in there]
        results = plan(iter(present), cards, published=published)
        assert [result.table for result in plan(present, cards, published=published)] == [
            result.table for result in results
        ]
        rows = [row for result in results for row in result.table.to_pylist()]
        splits: dict[str, Split] = {row["id"]: row["split"] for row in rows}
        assert {name: splits.get(name) for name in published} == published
        assert not any(result.withdrawn for result in results)
        for column in ("pixel_hash", "group"):
            sides: dict[str, set[str]] = {}
            for row in rows:
                sides.setdefault(row[column], set()).add(row["split"])
            assert all(len(side) == 1 for side in sides.values()), column
        published = splits


def test_published_rows_that_turn_out_to_overlap_are_withdrawn_and_counted() -> None:
    entry = source(make_card("tiny"), *alternating(40, *KIDNEY))
    alone = planned([entry])[0].table.to_pylist()
    published: dict[str, Split] = {row["id"]: row["split"] for row in alone}
    test = next(row for row in alone if row["split"] == "test")
    train = next(row for row in alone if row["split"] == "train")
    near = links([(test["pixel_hash"], train["pixel_hash"])])
    result = planned([entry], near=near, published=published)[0]
    assert result.withdrawn == (train["id"],)
    assert result.left_out == {WITHDRAWN: 1}
    assert result.undeclared == ()
    left = {row["id"]: row["split"] for row in result.table.to_pylist()}
    assert left == {name: split for name, split in published.items() if name != train["id"]}


@pytest.mark.parametrize(
    ("own", "offered"),
    [
        (["kidney cyst", "kidney stone"], {"kidney cyst", "kidney stone"}),
        (["kidney cyst"], {"kidney cyst", "renal abscess"}),
    ],
)
def test_distractors_are_the_sources_own_or_else_come_from_cards_of_its_subset(
    own: list[str], offered: set[str]
) -> None:
    early, card, late, elsewhere, several = (
        make_card(slug, **fields)
        for slug, fields in {
            "early": {"labels": label_entries(["renal abscess"])},
            "tiny": {"labels": label_entries(own)},
            "late": {"labels": label_entries(["renal infarct"])},
            "elsewhere": {"labels": label_entries(["brain tumor"]), "subset": "22"},
            "several": {"labels": label_entries(["calcification"]), "kind": "multilabel"},
        }.items()
    )
    rows = plan([source(card, *alternating(12, *own))], [elsewhere, several, early, card, late])[0].table
    # Findings of a multi-label source can stand beside any diagnosis, and other subsets are other questions. Cards
    # count, not the downloads that are at hand.
    assert {option for options in rows["options"].to_pylist() for option in options} == offered


def test_sources_of_one_lineage_agree_on_a_patient_without_seeing_each_other() -> None:
    names = [f"{number:05d}" for number in range(80)]
    below = {name for name in names if uniform("split", f"nih:{name}") < 0.1}
    assert below
    for slug in ("one", "other"):
        pictures = [picture(f"{slug} {name}.png", KIDNEY[len(slug) % 2], group=f"nih:{name}") for name in names]
        rows = planned([source(make_card(slug), *pictures)])[0].table.to_pylist()
        assert {row["key"].split()[1][:5] for row in rows if row["split"] == "test"} == below


def test_presence_questions_are_balanced_within_each_split() -> None:
    result = planned(_golden_inputs(), salt=b"x")[1]
    answers: dict[tuple[str, str], list[str]] = {}
    bearers: dict[tuple[str, str], int] = {}
    for row in result.table.to_pylist():
        primary = [] if row["options"] != ["yes", "no"] else [row]
        for label in row["labels"]:
            bearers[row["split"], label] = bearers.get((row["split"], label), 0) + 1
        for question in [*row["more_questions"], *primary]:
            assert question["options"] == ["yes", "no"]
            named = [label for label in result.card.clean_labels if f"{label}" in question["question"]]
            answers.setdefault((row["split"], max(named, key=len)), []).append(question["answer"])
    rows = {split: result.table["split"].to_pylist().count(split) for split in ("train", "validation", "test")}
    for (split, label), given_answers in answers.items():
        yes = given_answers.count("yes")
        assert yes == bearers[split, label]
        assert given_answers.count("no") <= min(yes, rows[split] - yes)
    assert not any(label == "no finding" for _, label in answers)


def test_a_picture_with_nearly_all_labels_is_asked_yes_or_no_once() -> None:
    labels = ["a", "b", "c"]
    card = make_card(
        "tiny",
        kind="multilabel",
        labels=label_entries(labels),
        subset=None,
        instructions=["Which?"],
        presence="{label}?",
    )
    pictures = [picture("full.png", *labels), *(picture(f"{n}.png", labels[n % 3]) for n in range(20))]
    rows = planned([source(card, *pictures)])[0].table.to_pylist()
    full = next(row for row in rows if row["key"] == "full.png")
    assert (full["options"], full["answer"]) == (["yes", "no"], "yes")
    # Each label is asked for once, whichever comes first.
    asked = [full["question"], *(question["question"] for question in full["more_questions"])]
    assert sorted(asked) == ["a?", "b?", "c?"]


def test_labels_that_leave_no_question_are_told() -> None:
    card = make_card("tiny", labels=label_entries({"kidney cyst": {}, "cyst": {"same_as": ["kidney cyst"]}}))
    with pytest.raises(CardError, match="tiny: no label can stand beside 'kidney cyst'"):
        planned([source(card, picture("x.png", "kidney cyst"))])
    card = make_card(
        "tiny", kind="multilabel", labels=label_entries("ab"), subset=None, instructions=["Which?"], presence=None
    )
    with pytest.raises(CardError, match=r"tiny: wrapper/x.png with labels a, b leaves no wrong option"):
        planned([source(card, picture("x.png", "a", "b"))])


def test_an_index_that_a_stopped_build_left_without_its_scan() -> None:
    whole = source(make_card("tiny"), *alternating(8, *KIDNEY))
    half = Input(whole.card, whole.index, whole.scan.slice(0, 5))
    with pytest.raises(
        LayoutError, match=r"tiny: wrapper/picture 5.png was found and never scanned.* build tiny again"
    ):
        planned([half])


def test_a_source_without_rows() -> None:
    result = planned([source(make_card("tiny"))])[0]
    assert (result.table.num_rows, result.table.schema, result.losses, result.moved) == (0, PLAN, (), 0)
