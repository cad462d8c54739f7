"""``med-mat check``: what a reviewer would find, found; and what one part finds hides no other."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny import LABELS, LOADER, Row, add_source, card_text, label_entries, make_card, med_mat, registry_of, write_raw

from med_mat.card import Card
from med_mat.contribute import paper
from med_mat.contribute.changes import changed_sources, ledger_findings
from med_mat.contribute.check import Download, check_source, find_source
from med_mat.contribute.contract import mutation_problem
from med_mat.contribute.verdict import Finding, Part, Verdict, cut, verdict_page
from med_mat.errors import CardError, MedMatError
from med_mat.fixtures import FixtureError, fixture_path, parse_fixture
from med_mat.registry import Source, registry

FIXTURE = """\
cite: [drawn]
wrapper: wrap
tree:
  $/table.csv: |
    file,labels,group,split,age,tie
    a.png,cyst,p1,train,60,
    b.png,stone,p2,test,,
    c.png,normal,p3,test,,
    d.png,tumor,p4,,,
    e.png,tumor,p5,,,
  $/a.png: {picture: cyst}
  $/b.png: {picture: stone}
  $/c.png: {picture: normal}
  $/d.png: {picture: tumor}
samples:
  - {key: a.png, labels: [kidney cyst], split: train, group: "tiny:p1", extra: {age: 60}}
  - {key: b.png, labels: [kidney stone], split: test, group: "tiny:p2"}
  - {key: c.png, labels: [normal kidney], split: test, group: "tiny:p3"}
  - {key: d.png, labels: [kidney tumor], group: "tiny:p4"}
missing: 1
mutations:
  - edit: [$/table.csv, labels, classes]
  - remove: $/table.csv
"""
CARD: dict[str, Any] = {
    "official_splits": "kept",
    "homepage": "https://example.org/tiny",
    "citation": "@misc{tiny, title = {Tiny}}",
    "groups": {"of": "patient", "how": "the column group"},
}


class _Silent:
    def start(self, stage: str, total: int) -> None: ...

    def advance(self, number: int) -> None: ...


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A source that is right."""
    made = tmp_path / "mine"
    add_source(made, "tiny", LOADER, **CARD)
    (made / "tiny.yaml").write_text(FIXTURE, encoding="utf-8")
    return made


def check(folder: Path, raw: Path | None = None, *, allow_missing: bool = False) -> Verdict:
    scratch = folder.parent / "scratch"
    scratch.mkdir()
    source = Source("tiny", folder / "tiny.py", folder / "tiny.md", f"_med_mat_loaders.{abs(hash(folder)):x}.tiny")
    download = None if raw is None else Download(str(raw), allow_missing, 1, None, _Silent())
    return check_source(source, lambda: registry_of(folder), scratch, download)


def part(verdict: Verdict, name: str) -> Part:
    return next(part for part in verdict.parts if part.name == name)


def told(verdict: Verdict, level: str = "error") -> dict[str, list[str]]:
    """Part to what it says."""
    found = {
        part.name: [f"{finding.where}: {finding.message}" for finding in part.findings if finding.level == level]
        for part in verdict.parts
    }
    return {name: messages for name, messages in found.items() if messages}


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_source_that_is_right_is_ready(folder: Path) -> None:
    verdict = check(folder)
    assert told(verdict) == {}
    assert verdict.exit_code == 0
    assert {part.name: part.status for part in verdict.parts if part.status not in ("passed", "warned")} == {
        "download": "skipped"
    }


def _set(name: str, old: str, new: str) -> Callable[[Path], None]:
    return lambda folder: edit(folder / name, old, new)


FAULTS: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "mark left": (_set("tiny.md", "evidence: drawn", "evidence: 'FILL IN: who' # drawn"), "card", "to be filled in"),
    "number of no row": (_set("tiny.md", "kind:", "number: 3\nkind:"), "card", "for sources of the published table"),
    "word": (_set("tiny.md", "modality: ct", "modality: cat"), "card", "'cat' is not in the vocabulary"),
    "task of regions": (_set("tiny.md", "disease classification", "organ segmentation"), "triplet", "asks for regions"),
    "one label": (
        _set("tiny.md", "kidney cyst\n", "kidney cyst\n    overlaps: [kidney stone, kidney tumor, normal kidney]\n"),
        "labels",
        "no wrong option",
    ),
    "spelling": (_set("tiny.md", "label: kidney stone", "label: Kidney-cysts"), "labels", "differ in spelling only"),
    "right": (_set("tiny.md", "access: open", "access: credentialed"), "rights", "an agreement stands before it"),
    "twice in the ledger": (_set("LEDGER", "tiny\n", "tiny\ntiny\n"), "ledger", "names tiny 2 times"),
    "not in the ledger": (_set("LEDGER", "tiny\n", "other\n"), "ledger", "append: tiny"),
    "no docstring": (_set("tiny.py", '"""Pictures that a table names."""', ""), "loader", "no docstring"),
    "no generator": (_set("tiny.py", "def samples", "def examples"), "loader", "must define samples"),
    "opens by itself": (_set("tiny.py", "from med_mat.raw", "import os\nfrom med_mat.raw"), "loader", "imports os"),
    "calls open": (
        _set("tiny.py", "    images =", "    open\n    print(raw)\n    images ="),
        "loader",
        "calls print()",
    ),
    "no Python": (_set("tiny.py", "def samples(", "def samples(("), "loader", "is no Python"),
    "long": (
        lambda folder: edit(folder / "tiny.py", "    images =", "    raw\n" * 90 + "    images ="),
        "loader",
        "lines of code",
    ),
    "style": (_set("tiny.py", "COLUMNS = [", "COLUMNS=["), "style", "not formatted"),
    "unused": (_set("tiny.py", "import RawRoot", "import RawFile, RawRoot"), "style", "F401"),
    "other label": (_set("tiny.yaml", "[kidney cyst]", "[kidney stone]"), "fixture", "sample a.png: labels"),
    "sample too many": (_set("tiny.yaml", "d.png, labels", "x.png, labels"), "fixture", "the loader does not find it"),
    "number of missing": (_set("tiny.yaml", "missing: 1", "missing: 0"), "fixture", "missing: 1 pictures"),
    "number left out": (_set("tiny.yaml", "missing: 1", "missing: 1\nleft_out: 2"), "fixture", "left_out: 0"),
    "odd": (
        _set("tiny.yaml", "  $/b.png:", "  $/z.png: {picture: stone}\n  $/b.png:"),
        "fixture",
        "unread_file wrap/z.png",
    ),
    "unknown label": (_set("tiny.yaml", "b.png,stone", "b.png,gravel"), "fixture", "label 'gravel' is not in the card"),
    "field": (_set("tiny.yaml", "missing: 1", "mising: 1"), "fixture", "field mising"),
    "two contents": (_set("tiny.yaml", "{picture: cyst}", "{picture: cyst, text: x}"), "fixture", "holds one of"),
    "key with wrapper": (
        _set("tiny.py", 'images[row["file"]],', 'images[row["file"]], key=str(images[row["file"]].path),'),
        "places",
        "keys change",
    ),
    "mutation unnoticed": (_set("tiny.yaml", "labels, classes", "'60', '61'"), "mutations", "nothing is odd"),
    "mutation of nothing": (_set("tiny.yaml", "labels, classes", "xyz, classes"), "mutations", "does not hold 'xyz'"),
    "loader stops": (
        _set("tiny.py", "    images =", "    raise ValueError(3)\n    images ="),
        "fixture",
        "ValueError: 3",
    ),
    "import stops": (_set("tiny.py", "COLUMNS =", "1 / 0\nCOLUMNS ="), "fixture", "ZeroDivisionError"),
    "question": (_set("tiny.md", "path_ids:", "instructions: [What is it]\npath_ids:"), "questions", "question mark"),
    "question with answer": (
        _set("tiny.md", "path_ids:", "instructions: ['Is a kidney cyst there?']\npath_ids:"),
        "questions",
        "names the label 'kidney cyst'",
    ),
    "picture that is none": (
        _set("tiny.yaml", "$/d.png: {picture: tumor}", "$/d.png: no picture"),
        "rows",
        "unreadable_image",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_by_its_part(name: str, folder: Path) -> None:
    spoil, where, message = FAULTS[name]
    spoil(folder)
    verdict = check(folder)
    assert verdict.exit_code == 1
    assert any(message in line for line in told(verdict).get(where, [])), told(verdict)
    assert len(verdict.parts) == 13


@pytest.mark.parametrize("name", ["tiny.py", "tiny.md", "tiny.yaml"])
def test_a_file_that_is_not_there(name: str, folder: Path) -> None:
    (folder / name).unlink()
    verdict = check(folder)
    assert verdict.exit_code == 1
    assert any(name in line for lines in told(verdict).values() for line in lines)


def test_what_one_part_finds_hides_no_other(folder: Path) -> None:
    edit(folder / "tiny.md", "kind: classification", "kind: guess")
    edit(folder / "tiny.py", "def samples(", "def examples(")
    edit(folder / "tiny.yaml", "missing: 1", "mising: 1")
    (folder / "LEDGER").write_text("tiny tiny\n", encoding="utf-8")
    verdict = check(folder)
    assert {"card", "loader", "ledger", "fixture"} <= told(verdict).keys()
    assert part(verdict, "rows").skipped == "waits for the card"
    # Said once, by the part that it belongs to.
    assert sum("guess" in line for lines in told(verdict).values() for line in lines) == 1


@pytest.mark.parametrize(
    ("fields", "level", "message"),
    [
        ({"licence": {"name": "unknown", "evidence": "nobody says"}}, "error", "needs a licence"),
        ({"licence": {"name": "unknown", "url": "https://a.b", "evidence": "nobody says"}}, "error", "is not clear"),
        ({"licence": {"name": "ND", "spdx": "CC-BY-ND-4.0", "evidence": "its page"}}, "warning", "without derivatives"),
        ({"licence": {"name": "x", "spdx": "MIT", "evidence": "x"}}, "warning", "who read what"),
        ({"access": "request-form"}, "error", "an agreement stands before it"),
        ({"redistribution": "annotations"}, "warning", "would allow pictures"),
        ({"redistribution": "annotations", "access": "credentialed"}, "error", "the agreement covers labels"),
        ({"redistribution": "none"}, "warning", "would allow more"),
        (
            {"access": "competition-rules", "licence": {"name": "rules", "url": "https://a.b", "evidence": "the page"}},
            "error",
            "rules bind",
        ),
    ],
)
def test_licence_access_and_right_fit_each_other(fields: dict[str, Any], level: str, message: str) -> None:
    found = [(finding.level, finding.message) for finding in paper.rights(make_card(**fields))]
    assert any(one == level and message in text for one, text in found), found


def test_a_right_that_fits_is_not_criticised() -> None:
    assert list(paper.rights(make_card())) == []


def messages(findings: Iterator[Finding]) -> list[str]:
    return [finding.message for finding in findings]


def test_labels_of_a_subset_are_spelt_alike() -> None:
    earlier = [make_card("first", labels=label_entries(["kidney stone", "cyst"]))]
    card = make_card("second", labels=label_entries(["kidney stones", "tumor"]))
    assert any(
        "another source of subset 02 has 'kidney stone'" in text for text in messages(paper.labels(card, earlier))
    )
    related = make_card(
        "second", labels=label_entries({"kidney stones": {"overlaps": ["kidney stone"]}, "tumor": {}, "mass": {}})
    )
    assert not any("another source" in text for text in messages(paper.labels(related, earlier)))


def test_labels_are_american_and_mean_something() -> None:
    card = make_card(
        labels={"a": {"label": "brain tumour", "meaning": "Brain tumour."}, "b": {"label": "no stroke", "meaning": "m"}}
    )
    found = messages(paper.labels(card, []))
    for text in ("'tumor' for 'tumour'", "the meaning repeats", "no_finding: true"):
        assert any(text in message for message in found)


def test_a_card_tells_what_a_reader_needs() -> None:
    bare = make_card(homepage="nowhere", evidence=[])
    found = " ".join(messages(paper.completeness(bare)))
    for text in ("homepage", "citation", "download.places", "evidence", "no count of 'cyst'", "prose", "no groups"):
        assert text in found


def test_a_source_outside_the_table_does_not_enter_a_published_subset_unseen() -> None:
    assert any("would no longer be as published" in text for text in messages(paper.triplet(make_card())))
    own = make_card(subset=None, instructions=["What is it?"])
    assert messages(paper.triplet(own)) == []
    assert any("published subsets have 6" in text for text in messages(paper.questions(own)))


def test_length_counts_code_alone() -> None:
    assert (
        paper.code_lines('"""Doc\n\nof three lines."""\n\nimport re\n\nA = 1\n\n\ndef samples(raw):\n    yield A\n')
        == 3
    )
    assert paper.code_lines("A = 1\n") == 1
    assert paper.code_lines('"""Doc."""\n') == 0


def test_without_ruff_style_is_left_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setenv("PATH", str(folder))
    assert "ruff is not installed" in (part(check(folder), "style").skipped or "")


# The official download -------------------------------------------------------------------------------------


def rows(**changes: Row) -> list[Row]:
    found = {name: Row(f"{name}.png", list(LABELS)[place % 4], f"p{place}", "train" if place < 8 else "test")
             for place, name in enumerate("abcdefghijkl")}  # fmt: skip
    return list((found | changes).values())


def counts(folder: Path, number: int) -> None:
    labels = {raw: {**entry, "count": number} for raw, entry in LABELS.items()}
    (folder / "tiny.md").write_text(card_text(**{**CARD, "labels": labels}), encoding="utf-8")


def test_a_download_that_is_as_the_card_says(folder: Path, tmp_path: Path) -> None:
    counts(folder, 3)
    write_raw(tmp_path / "raw", rows())
    verdict = check(folder, tmp_path / "raw")
    assert told(verdict) == {}
    notes = told(verdict, "note")["download"]
    assert ": 12 samples in 12 picture files, 12 groups" in notes
    assert ": 12 rows: 8 train, 4 test" in notes


@pytest.mark.parametrize(
    ("level", "message", "expected", "options"),
    [
        ("error", "count: expected 4 pictures of 'kidney cyst', found 3", 4, {}),
        ("error", "missing_image", 3, {"absent": ["a.png"]}),
        ("error", "unreadable_image", 3, {"pictures": {"a.png": b"no picture"}}),
        ("error", "contradiction", 3, {"same": ("a.png", "b.png")}),
        ("note", "1 pictures stand a second time", 3, {"same": ("a.png", "e.png")}),
        ("warning", "1 pictures stand in several official splits", 3, {"same": ("a.png", "i.png")}),
    ],
)
def test_a_download_that_is_not(
    level: str, message: str, expected: int, options: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    counts(folder, expected)
    same = options.pop("same", None)
    write_raw(tmp_path / "raw", rows(), **options)
    if same:
        (tmp_path / "raw" / same[1]).write_bytes((tmp_path / "raw" / same[0]).read_bytes())
    verdict = check(folder, tmp_path / "raw")
    assert any(message in line for line in told(verdict, level)["download"]), told(verdict, level)
    assert verdict.exit_code == (1 if level == "error" else 0)


def test_a_slice_of_a_download(folder: Path, tmp_path: Path) -> None:
    counts(folder, 3)
    write_raw(tmp_path / "raw", rows(), absent=["a.png"])
    assert told(check(folder, tmp_path / "raw", allow_missing=True)) == {}


def test_groups_across_official_splits(folder: Path, tmp_path: Path) -> None:
    counts(folder, 3)
    write_raw(tmp_path / "raw", rows(a=Row("a.png", "cyst", "p8", "train")))
    found = told(check(folder, tmp_path / "raw"), "warning")["download"]
    assert any("1 groups stand in several official splits, such as tiny:p8" in line for line in found)


@pytest.mark.parametrize(("official", "message"), [("none", "gives splits: test, train"), ("kept", "gives no split")])
def test_splits_of_card_and_loader_agree(official: str, message: str, folder: Path, tmp_path: Path) -> None:
    (folder / "tiny.md").write_text(card_text(**{**CARD, "official_splits": official}), encoding="utf-8")
    split = {"none": "train", "kept": ""}[official]
    changed = [Row(row.file, row.labels, row.group, split and row.split) for row in rows()]
    write_raw(tmp_path / "raw", changed)
    assert any(message in line for line in told(check(folder, tmp_path / "raw"))["download"])


def test_the_download_of_another_source(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "other.txt").write_text("x", encoding="utf-8")
    verdict = check(folder, tmp_path / "raw")
    assert any("table.csv" in line for line in told(verdict)["download"])
    assert part(verdict, "rows").status == "passed"


# Regions ---------------------------------------------------------------------------------------------------

MASKS = '''\
"""Pictures and masks."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import BinaryMask, Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    masks = raw.find("masks/*.png")
    for image in raw.glob("images/*.png"):
        yield Sample(image, regions=[BinaryMask(masks[f"masks/{image.name}"], "polyp")])
'''
MASK_FIXTURE = """\
cite: [drawn]
tree:
  images/a.png: {picture: polyp}
  images/b.png: {picture: polyp}
  masks/a.png: {mask: {polyp: 255}, of: images/a.png}
  masks/b.png: {mask: {polyp: 255}, of: images/b.png}
samples:
  - {key: images/a.png, path: images/a.png, regions: [polyp]}
  - {key: images/b.png, path: images/b.png, regions: [polyp]}
mutations:
  - rename: [masks/, other/]
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("", "", None),
        ("{polyp: 255}, of: images/a.png", "{polyp: 0}, background: 255, of: images/a.png", "images/a.png: "),
        ("images/a.png, regions: [polyp]", "images/a.png", "objects of ['polyp']; the fixture expects []"),
    ],
)
def test_regions_lie_where_they_are_drawn(old: str, new: str, message: str | None, folder: Path) -> None:
    card = {"kind": "segmentation", "task": "polyp segmentation", "subset": None, "modality": "end"}
    labels = label_entries(["polyp"])
    asks = {"instructions": ["Where is {label}?"], "presence": "Is there {label}?"}
    add_source(
        folder, "tiny", MASKS, **{**CARD, **card, **asks, "labels": labels, "official_splits": "none", "groups": None}
    )
    assert old in MASK_FIXTURE
    (folder / "tiny.yaml").write_text(MASK_FIXTURE.replace(old, new) if old else MASK_FIXTURE, encoding="utf-8")
    found = told(check(folder)).get("rows", [])
    assert (found == []) if message is None else any(message in line for line in found), found


# What the command prints -----------------------------------------------------------------------------------


def test_the_command_says_ready_and_what_to_mend(folder: Path) -> None:
    done = med_mat("check", "tiny", "--loaders", folder, "--json")
    assert done.returncode == 0, done.stderr
    (verdict,) = json.loads(done.stdout)
    assert (verdict["slug"], verdict["verdict"], verdict["errors"]) == ("tiny", "ready", 0)
    assert [one["status"] for one in verdict["parts"] if one["name"] == "download"] == ["skipped"]
    edit(folder / "tiny.md", "modality: ct", "modality: cat")
    done = med_mat("check", "tiny", "--loaders", folder)
    assert done.returncode == 1
    assert "'cat' is not in the vocabulary" in " ".join(done.stdout.split())
    assert "waits for the card" in done.stdout
    assert "1 to mend" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing_of_the_kind"], "no source 'nothing_of_the_kind'"),
        ([], "nothing to check"),
        (["ct_kidney", "busi", "--raw", "x"], "--raw is the download of one source"),
    ],
)
def test_what_cannot_be_checked_exits_with_2(arguments: list[str], message: str) -> None:
    done = med_mat("check", *arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_verdict_in_colour_and_without() -> None:
    from rich.console import Console

    verdict = Verdict("tiny", (Part("card", "about", (Finding("error", "bad \x1b[31m", "x.md:3"),)), Part("rows", "r")))
    console = Console(force_terminal=True, color_system="standard", width=80, record=True, file=io.StringIO())
    console.print(verdict_page(verdict))
    assert "\x1b[31mfailed" in console.export_text(styles=True, clear=False)
    text = console.export_text(styles=False)
    assert "failed  card: about" in text
    assert "error: x.md:3: bad \\x1b[31m" in text
    assert "tiny: 1 to mend, 0 to look at." in text


def test_a_long_list_is_cut_and_counted() -> None:
    found = cut((Finding("note", str(number)) for number in range(30)), 20)
    assert (len(found), found[-1].message) == (21, "… and 10 more like these")
    worst = cut([*[Finding("note", "n")] * 20, Finding("error", "e"), Finding("note", "n")], 20)
    assert worst[-1].level == "error"


# Fixtures --------------------------------------------------------------------------------------------------


def test_the_fixture_of_a_checkout_lies_among_the_tests() -> None:
    path = fixture_path(registry()["ct_kidney"])
    assert path.parts[-3:] == ("tests", "sources", "ct_kidney.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "not YAML"),
        ("- a", "must be a mapping"),
        ("cite: [x]\ncite: [y]", "stands twice"),
        (FIXTURE.replace("  - remove: $/table.csv", "  - {}"), "one of rename, edit, remove"),
        (FIXTURE.replace("{picture: cyst}", "{}"), "found none"),
    ],
)
def test_a_fixture_that_does_not_fit(text: str, message: str) -> None:
    with pytest.raises(FixtureError, match=message):
        parse_fixture(text, "tiny")


def test_a_mutation_that_names_no_root_is_no_help(folder: Path, tmp_path: Path) -> None:
    edit(
        folder / "tiny.py",
        "    images =",
        '    if not raw.maybe("table.csv"):\n        raise LayoutError("no")\n    images =',
    )
    edit(folder / "tiny.py", "from med_mat.raw", "from med_mat.errors import LayoutError\nfrom med_mat.raw")
    fixture = parse_fixture(FIXTURE, "tiny")
    problem = mutation_problem(registry_of(folder)["tiny"], fixture, fixture.mutations[1], tmp_path / "x")
    assert problem is not None
    assert "does not name the raw root" in problem


# Changes ---------------------------------------------------------------------------------------------------


def git(folder: Path, *arguments: str) -> None:
    command = ["git", "-C", str(folder), "-c", "user.name=n", "-c", "user.email=e@example.org", *arguments]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("loaders/one.py", "loaders/two.py", "cards/one.md", "cards/two.md", "docs/x.md", "loaders/gone.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x\n", encoding="utf-8")
    (tmp_path / "cards" / "LEDGER").write_text("one\ntwo\ngone\n", encoding="utf-8")
    git(tmp_path, "init", "--initial-branch", "main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    git(tmp_path, "checkout", "-b", "work")
    return tmp_path


def test_a_change_touches_the_sources_whose_files_differ(checkout: Path) -> None:
    assert changed_sources(checkout, "main") == []
    (checkout / "docs" / "x.md").write_text("y", encoding="utf-8")
    (checkout / "cards" / "two.md").write_text("y", encoding="utf-8")
    git(checkout, "commit", "-a", "-m", "second")
    (checkout / "loaders" / "new_one.py").write_text("y", encoding="utf-8")
    (checkout / "loaders" / "gone.py").unlink()
    (checkout / "tests" / "sources").mkdir(parents=True)
    (checkout / "tests" / "sources" / "one.yaml").write_text("y", encoding="utf-8")
    assert changed_sources(checkout / "docs", "main") == ["new_one", "one", "two"]


def test_the_ledger_is_append_only(checkout: Path) -> None:
    ledger = checkout / "cards" / "LEDGER"
    ledger.write_text("one\ntwo\ngone\nnew_one\n", encoding="utf-8")
    assert list(ledger_findings(checkout, "main")) == []
    for text in ("new_one\none\ntwo\ngone\n", "one\ntwo\n", "one\ngone\ntwo\n"):
        ledger.write_text(text, encoding="utf-8")
        (finding,) = ledger_findings(checkout, "main")
        assert finding.level == "error"
        assert "append-only" in finding.message


def test_a_change_is_checked_by_one_command(checkout: Path) -> None:
    done = med_mat("check", "--changed-since", "main", cwd=checkout)
    assert done.returncode == 0, done.stderr
    assert "LEDGER: ready." in done.stdout
    (checkout / "cards" / "LEDGER").write_text("two\none\n", encoding="utf-8")
    done = med_mat("check", "--changed-since", "main", cwd=checkout)
    assert done.returncode == 1
    assert "LEDGER: 1 to mend" in done.stdout


def test_git_that_does_not_know_is_told(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(MedMatError, match="fetch it first"):
        changed_sources(checkout, "nowhere")
    with pytest.raises(MedMatError, match="git"):
        changed_sources(tmp_path_factory.mktemp("none"), "main")


def test_a_source_is_found_though_the_ledger_is_wrong(folder: Path) -> None:
    (folder / "LEDGER").write_text("other\n", encoding="utf-8")
    assert find_source("tiny", [folder]).module_path == folder / "tiny.py"
    with pytest.raises(CardError):
        find_source("tinier", [folder])
    (folder / "LEDGER").write_text("tiny\n", encoding="utf-8")
    with pytest.raises(KeyError, match="no source"):
        find_source("tinier", [folder])


def test_every_source_of_the_catalogue_passes_on_paper() -> None:
    earlier: list[Card] = []
    problems = []
    for source in registry():
        card = source.card
        found = [
            *paper.blanks(source.card_path),
            *paper.completeness(card),
            *paper.triplet(card),
            *paper.labels(card, earlier),
            *paper.questions(card),
            *paper.rights(card),
            *paper.loader(source.module_path),
        ]
        problems += [f"{source.slug}: {finding.message}" for finding in found if finding.level == "error"]
        earlier.append(card)
    assert problems == []
