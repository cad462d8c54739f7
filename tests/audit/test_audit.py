"""The audit of a build with planted overlaps names each of them, and the repaired splits come out clean."""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image
from rich.console import Console
from textures import COPIES, follow_up, jpeg, png, texture
from tiny import Row, add_source, make_card, med_mat, registry_of, write_raw

from med_mat.audit.bands import bands
from med_mat.audit.compared import compared_file, near_duplicates
from med_mat.audit.components import Members, links, settle
from med_mat.audit.contradictions import Dispute, Said, disagreement, disputes
from med_mat.audit.html import page
from med_mat.audit.page import markdown
from med_mat.audit.report import report
from med_mat.audit.run import NEAR_DUPLICATE, SAME_FILE, SAME_PIXELS, Audit, audit
from med_mat.build import WORK, build
from med_mat.registry import Registry
from med_mat.report.gather import gather
from med_mat.splits import Item

GROUPS = {"of": "patient", "namespace": "shared", "how": "the table"}
PLANTED = ("recompressed", "mirrored", "cut by 8%", "more contrast", "framed")
"""What was done to the pictures of the first source that stand in the second."""


def build_it(folder: Path, registry: Registry) -> None:
    build(registry, folder / "raw", folder / "out", workers=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sources. Each kind of overlap once, all across splits, and look-alikes that are no overlap."""
    folder = tmp_path_factory.mktemp("planted")
    loaders = folder / "loaders"
    for slug in ("first", "second"):
        add_source(loaders, slug, official_splits="kept", groups=GROUPS)
    plain = {f"{number}.png": png(texture(number)) for number in range(8)}
    first = [Row(name, "cyst", split="test" if number % 2 else "train") for number, name in enumerate(plain)]
    first += [
        Row("visit 1.png", "stone", group="p1", split="train"),
        Row("visit 2.png", "stone", group="p1", split="train"),
    ]
    visits = {f"visit {visit}.png": png(follow_up(90, visit)) for visit in (1, 2, 3)}
    write_raw(folder / "raw" / "first", first, pictures={**plain, **visits})
    second = []
    pictures = {}
    for number, name in enumerate(PLANTED):
        file = f"{name}.png"
        pictures[file] = png(COPIES[name](texture(number)))
        # The other side than the original's.
        second.append(Row(file, "cyst", split="train" if number % 2 else "test"))
    pictures["same file.png"] = plain["5.png"]
    second.append(Row("same file.png", "cyst", split="train"))
    pictures["same pixels.bmp"] = _bmp(6)
    second.append(Row("same pixels.bmp", "cyst", split="test"))
    pictures["other answer.png"] = png(jpeg(texture(7)))
    second.append(Row("other answer.png", "normal", split="train"))
    pictures["visit 3.png"] = visits["visit 3.png"]
    second.append(Row("visit 3.png", "stone", group="p1", split="test"))
    pictures["alone.png"] = png(texture(77))
    second.append(Row("alone.png", "tumor", split="test"))
    write_raw(folder / "raw" / "second", second, pictures=pictures)
    build_it(folder, registry_of(loaders))
    return folder


def _bmp(seed: int) -> bytes:
    stream = io.BytesIO()
    texture(seed).save(stream, "BMP")
    return stream.getvalue()


@pytest.fixture(scope="module")
def found(folder: Path) -> Audit:
    return audit(folder / "out", registry_of(folder / "loaders"), raw=folder / "raw")


def test_each_planted_overlap_is_named(found: Audit) -> None:
    families = {tuple(sorted(member.key for member in family.members)): family.how for family in found.families}
    expected = {tuple(sorted((f"{number}.png", f"{name}.png"))): NEAR_DUPLICATE for number, name in enumerate(PLANTED)}
    expected |= {
        ("5.png", "same file.png"): SAME_FILE,
        ("6.png", "same pixels.bmp"): SAME_PIXELS,
        ("7.png", "other answer.png"): NEAR_DUPLICATE,
    }
    assert families == expected
    assert found.unconfirmed == 0


def test_what_sources_share_is_counted(found: Audit) -> None:
    (overlap,) = found.overlaps
    assert (overlap.first, overlap.second) == ("first", "second")
    assert (overlap.same_file, overlap.same_pixels, overlap.near, overlap.groups) == (1, 1, 6, 1)
    assert (overlap.declared, overlap.relation) == (True, "one namespace of groups, shared")
    assert found.undeclared == ()


def declaring(loaders: Path, **lineages: dict[str, list[str]]) -> Registry:
    """The same sources under cards that say something else of each other."""
    for slug in ("first", "second"):
        add_source(
            loaders,
            slug,
            official_splits="kept",
            groups={"of": "patient", "how": "the table"},
            lineage=lineages.get(slug, {}),
        )
    return registry_of(loaders)


def test_what_a_card_declares_is_known(folder: Path, tmp_path: Path) -> None:
    (overlap,) = audit(folder / "out", declaring(tmp_path, first={"contains": ["second"]})).overlaps
    assert overlap.declared
    assert overlap.relation == "first holds pictures of second"


def test_what_no_card_declares_is_named(folder: Path, tmp_path: Path) -> None:
    found = audit(folder / "out", declaring(tmp_path))
    assert found.undeclared == found.overlaps
    assert len(found.overlaps) == 1
    assert found.unseen == ()
    assert "No card says so (lineage): first and second." in _told(found)
    assert "<td class=harm>nothing</td>" in page(found, declaring(tmp_path))


def test_what_is_declared_and_not_there_is_named(tmp_path: Path) -> None:
    for number, slug in enumerate(("first", "second")):
        rows = [Row(f"{picture}.png", "cyst") for picture in range(3)]
        pictures = {row.file: png(texture(100 * number + place)) for place, row in enumerate(rows)}
        write_raw(tmp_path / "raw" / slug, rows, pictures=pictures)
    registry = declaring(tmp_path / "loaders", second={"drawn_from": ["first"]})
    build_it(tmp_path, registry)
    found = audit(tmp_path / "out", registry)
    (overlap,) = found.unseen
    assert (overlap.first, overlap.second, overlap.relation) == ("first", "second", "second was drawn from first")
    assert found.as_dict()["unseen"] == [["first", "second"]]
    assert "Cards say so, and nothing was found here: first and second." in _told(found)
    assert "first and second: second was drawn from first" in page(found, registry)


def _told(found: Audit) -> str:
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(report(found))
    return " ".join(console.export_text().split())


def test_near_duplicates_leak_from_a_plan_that_does_not_know_them(found: Audit) -> None:
    # Equal pixels and groups are repaired by every plan.
    leaking = {family.members[1].key for family in found.leaks}
    assert leaking == {f"{name}.png" for name in PLANTED} | {"other answer.png"}
    assert found.torn_groups == ()
    assert found.exit_code == 1


def test_the_contradiction_is_named(found: Audit) -> None:
    (family,) = found.contradictions
    assert {member.key for member in family.members} == {"7.png", "other answer.png"}
    assert family.contradictions[0][2] == "kidney cyst against normal kidney"


def test_repaired_splits_come_out_clean(found: Audit, folder: Path) -> None:
    near = links(near_duplicates(folder / "out" / WORK))
    sources = []
    for slug in ("first", "second"):
        index = pq.read_table(folder / "out" / WORK / "index" / f"{slug}.parquet").to_pylist()
        scan = pq.read_table(folder / "out" / WORK / "scan" / f"{slug}.parquet").to_pylist()
        pixels = {line["raw_path"]: line["pixel_hash"] for line in scan}
        sources.append(
            Members(
                [
                    Item(line["key"], line["group"], pixels[line["raw_path"]], line["split"], tuple(line["labels"]))
                    for line in index
                ],
                official=True,
            )
        )
    splits = {name: split for one in settle(sources, near) for name, split in one.splits.items()}
    for family in found.families:
        assert len({splits[member.key] for member in family.members if member.key in splits}) == 1
    assert splits["visit 3.png"] == splits["visit 1.png"]
    assert splits["alone.png"] == "test"
    # The source that was admitted first keeps.
    assert [splits[f"{number}.png"] for number in range(8)] == ["train", "test"] * 4


def test_a_build_after_an_audit_comes_out_clean(found: Audit, folder: Path, tmp_path: Path) -> None:
    registry = registry_of(folder / "loaders")
    shutil.copytree(folder / "out", tmp_path / "out")
    assert found.leaks
    build(registry, folder / "raw", tmp_path / "out", workers=1)
    after = audit(tmp_path / "out", registry)
    assert after.leaks == ()
    first = {row["key"]: split for split, rows in _rows(tmp_path / "out", "first").items() for row in rows}
    # The source that was admitted first keeps.
    assert [first[f"{number}.png"] for number in range(8)] == ["train", "test"] * 4
    second = {row["key"]: split for split, rows in _rows(tmp_path / "out", "second").items() for row in rows}
    assert second["alone.png"] == "test"
    assert {second[f"{name}.png"] == first[f"{number}.png"] for number, name in enumerate(PLANTED)} == {True}


def _rows(out: Path, slug: str) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for path in sorted((out / "data" / slug).glob("*.parquet")):
        found.setdefault(path.name.split("-")[0], []).extend(pq.read_table(path, columns=["key"]).to_pylist())
    return found


def test_a_second_audit_compares_nothing_anew(found: Audit, folder: Path) -> None:
    registry = registry_of(folder / "loaders")
    path = compared_file(folder / "out" / WORK)
    before = path.read_bytes()
    # Without raw roots, and with shards that are gone, nothing could be compared.
    (folder / "out" / "data").rename(folder / "out" / "away")
    try:
        again = audit(folder / "out", registry)
    finally:
        (folder / "out" / "away").rename(folder / "out" / "data")
    assert again.as_dict() == found.as_dict()
    assert path.read_bytes() == before


def test_the_page_shows_every_picture_that_stands_twice(found: Audit, folder: Path) -> None:
    text = page(found, registry_of(folder / "loaders"), raw=folder / "raw")
    shown = sum(len(family.members) for family in found.families)
    shown += 2 * sum(pair.agreement is None or not pair.agreement.same for pair in found.pairs)
    assert text.count("<img ") == shown
    assert "kidney cyst against normal kidney" in text


def test_the_command_says_what_it_found(folder: Path, tmp_path: Path) -> None:
    arguments = ["audit", folder / "out", "--loaders", folder / "loaders", "--workers", 1]
    told = med_mat(*arguments, "--html", tmp_path / "page.html", "--json")
    assert told.returncode == 1, told.stderr
    assert "<img " in (tmp_path / "page.html").read_text(encoding="utf-8")
    as_json = json.loads(told.stdout)
    assert (as_json["leaks"], as_json["contradictions"]) == (6, 1)
    # No bars where nobody watches them move.
    assert told.stderr == ""


def test_an_audit_tells_how_far_it_is(folder: Path, tmp_path: Path) -> None:
    class Watch:
        def __init__(self) -> None:
            self.stages: dict[str, list[int]] = {}

        def start(self, stage: str, total: int) -> None:
            self.stages[stage] = [0, total]
            self.now = self.stages[stage]

        def advance(self, number: int) -> None:
            self.now[0] += number

    shutil.copytree(folder / "out", tmp_path / "out")
    compared_file(tmp_path / "out" / WORK).unlink(missing_ok=True)
    watch = Watch()
    found = audit(tmp_path / "out", registry_of(folder / "loaders"), progress=watch)
    assert watch.stages == {"search": [len(bands())] * 2, "compare": [len(found.pairs)] * 2}
    assert found.pairs


def test_the_terminal_says_what_was_found(found: Audit) -> None:
    text = _told(found)
    assert "other answer.png" in text
    assert "6 of these stand in several splits, 1 have answers" in text
    assert re.search(r"first second 1 1 6 1 \d+ yes", text)


def test_a_folder_that_is_no_build_is_named(tmp_path: Path) -> None:
    told = med_mat("audit", tmp_path)
    assert told.returncode == 2
    assert str(tmp_path) in told.stderr.replace("\n", "")


@pytest.mark.parametrize(
    ("one", "other", "contradict"),
    [
        (["kidney cyst"], ["kidney cyst"], False),
        (["kidney cyst"], ["kidney stone"], True),
        (["kidney cyst"], ["normal kidney"], True),
    ],
)
def test_labels_of_two_sources(one: list[str], other: list[str], contradict: bool) -> None:
    first, second = make_card("first"), make_card("second")
    assert (disagreement(one, first, other, second) is not None) == contradict
    assert (disagreement(other, second, one, first) is not None) == contradict


def test_a_broader_label_is_no_contradiction() -> None:
    first = make_card("first")
    labels = {
        "a": {"label": "kidney lesion", "meaning": "any"},
        "b": {"label": "kidney cyst", "meaning": "a cyst", "is_a": ["kidney lesion"]},
    }
    second = make_card("second", labels=labels)
    assert disagreement(["kidney cyst"], first, ["kidney lesion"], second) is None
    assert disagreement(["kidney stone"], first, ["kidney cyst"], second) is not None


def test_a_word_that_the_other_source_does_not_use_is_no_contradiction() -> None:
    first = make_card("first")
    second = make_card(
        "second", labels={"x": {"label": "lymphoma", "meaning": "x"}, "y": {"label": "abscess", "meaning": "y"}}
    )
    assert disagreement(["kidney cyst"], first, ["lymphoma"], second) is None


def test_a_finding_beside_a_diagnosis_is_no_contradiction() -> None:
    first = make_card("first", kind="multilabel")
    second = make_card("second")
    assert disagreement(["kidney cyst", "kidney stone"], first, ["kidney cyst"], second) is None


def test_rows_of_both_sources_are_disputed() -> None:
    cards = {slug: make_card(slug) for slug in ("first", "second")}
    said = [
        Said("first/1", "first", "p", ("kidney cyst",)),
        Said("second/1", "second", "p", ("kidney stone",)),
        Said("first/2", "first", "q", ("kidney cyst",)),
        Said("second/2", "second", "r", ("normal kidney",)),
        Said("first/3", "first", "s", ("kidney cyst",)),
        Said("second/3", "second", "s", ("kidney cyst",)),
        Said("second/4", "second", "s", ("kidney cyst",)),
    ]
    found = disputes(said, cards, links([("q", "r"), ("r", "s")]))
    # The last three agree among themselves, and one of them is like a picture that another source calls normal.
    assert found == {
        "first/1": Dispute("second/1", "kidney cyst against kidney stone"),
        "second/1": Dispute("first/1", "kidney stone against kidney cyst"),
        "first/2": Dispute("second/2", "kidney cyst against normal kidney"),
        "second/2": Dispute("first/2", "normal kidney against kidney cyst"),
        "first/3": Dispute("second/2", "kidney cyst against normal kidney"),
    }
    assert disputes(said[::-1], cards, links([("q", "r"), ("r", "s")])) == found


def test_the_page_of_overlaps_is_current() -> None:
    written = (Path(__file__).parents[2] / "docs" / "overlaps.md").read_text(encoding="utf-8")
    assert written == markdown(), (
        "docs/overlaps.md is stale; write it anew with: python -m med_mat.audit.page docs/overlaps.md"
    )


@pytest.fixture(scope="module")
def dark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sources that share a picture of one colour, and one that is nearly so."""
    folder = tmp_path_factory.mktemp("dark")
    black = Image.new("L", (80, 60))
    dim = black.copy()
    dim.paste(3, (10, 10, 14, 13))
    for number, slug in enumerate(("first", "second")):
        pictures = {"black.png": png(black), "dim.png": png(dim), "own.png": png(texture(50 + number))}
        write_raw(folder / "raw" / slug, [Row(name, "cyst") for name in pictures], pictures=pictures)
    build_it(folder, declaring(folder / "loaders"))
    return folder


def test_a_picture_of_one_colour_is_no_overlap(dark: Path) -> None:
    found = audit(dark / "out", registry_of(dark / "loaders"))
    assert [{member.key for member in family.members} for family in found.families] == [{"dim.png"}]
    (overlap,) = found.overlaps
    assert (overlap.same_file, overlap.same_pixels, overlap.near) == (1, 0, 0)


def test_the_report_of_a_build_counts_it_as_the_audit_does(dark: Path) -> None:
    facts = gather(registry_of(dark / "loaders"), dark / "out")
    assert {source.card.slug: [(one.other, one.pictures) for one in source.overlaps] for source in facts.sources} == {
        "first": [("second", 1)],
        "second": [("first", 1)],
    }
