"""Index: what a loader finds, what is odd about it, and the exit code that follows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tiny import LABELS, Row, add_source, label_entries, med_mat, noise_bytes, plain_rows, registry_of, write_raw

from med_mat.errors import CardError, LayoutError
from med_mat.index import Index, index_source
from med_mat.raw import RawRoot
from med_mat.schema import INDEX


class Bench:
    """A source, its raw root, and the two ways to index it: in this process, and by the command."""

    def __init__(self, folder: Path, **card: Any) -> None:
        self.folder = folder
        self.loaders, self.raw = folder / "loaders", folder / "raw"
        add_source(self.loaders, "tiny", **card)

    def index(self, **options: Any) -> Index:
        with RawRoot.open(self.raw, cache=self.folder / "cache") as raw:
            return index_source(registry_of(self.loaders)["tiny"], raw, **options)

    def odd(self, **options: Any) -> list[tuple[str, str, bool]]:
        return [(oddity.kind, oddity.path, oddity.declared) for oddity in self.index(**options).odd]

    def command(self, *options: object) -> tuple[int, str, str]:
        done = med_mat("index", "tiny", "--raw", self.raw, "--loaders", self.loaders, *options)
        return done.returncode, done.stdout, done.stderr


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_the_command_on_a_root_that_is_right(bench: Bench) -> None:
    write_raw(bench.raw, [Row("a.png", "cyst", "p1", "train", "060Y"), Row("b.png", "normal", "p1", "test")])
    code, out, _ = bench.command("--json", "--out", bench.folder / "index.parquet")
    assert code == 0
    said = json.loads(out)
    assert said["exit_code"] == 0
    assert said["slug"] == "tiny"
    assert said["odd"] == []
    assert (said["files"], said["groups"], said["missing"]["total"]) == (2, 1, 0)
    assert said["samples"] == {
        "total": 2,
        "by_label": {"kidney cyst": 1, "normal kidney": 1},
        "by_split": {"test": 1, "train": 1},
        "by_split_and_label": {"test": {"normal kidney": 1}, "train": {"kidney cyst": 1}},
    }
    table = pq.read_table(bench.folder / "index.parquet")
    assert table.schema.remove_metadata() == INDEX
    state = (bench.raw / "a.png").stat()
    assert table.to_pylist()[0] == {
        "raw_path": "a.png",
        "key": "a.png",
        "frame": None,
        "labels": ["kidney cyst"],
        "split": "train",
        "group": "tiny:p1",
        "uncertain": [],
        "ties": [],
        "size": state.st_size,
        "mtime_ns": state.st_mtime_ns,
        "extra": {"age": 60.0, "sex": None, "view": None, "laterality": None, "site": None},
        "regions": None,
        "region_files": None,
    }
    code, out, _ = bench.command()
    assert code == 0
    assert "2 samples in 2 picture files, 1 groups" in out
    assert "Nothing odd." in out


def test_the_command_on_a_root_with_something_odd(bench: Bench) -> None:
    write_raw(bench.raw, [*plain_rows(3), Row("gone.png", "cyst")], absent=["gone.png"])
    code, out, _ = bench.command("--json")
    assert code == json.loads(out)["exit_code"] == 1
    assert [(oddity["kind"], oddity["path"]) for oddity in json.loads(out)["odd"]] == [("missing_image", "gone.png")]
    code, out, _ = bench.command()
    assert code == 1
    assert "1 undeclared oddities" in out
    assert "gone.png" in out
    # A slice of a download lacks pictures.
    code, out, _ = bench.command("--allow-missing", "--json")
    assert (code, json.loads(out)["missing"]["total"]) == (0, 1)


def test_the_command_on_a_layout_that_does_not_fit(bench: Bench) -> None:
    bench.raw.mkdir()
    (bench.raw / "tables.csv").write_text("file\n", encoding="utf-8")
    code, out, err = bench.command("--json", "--out", bench.folder / "index.parquet")
    assert (code, out) == (2, "")
    assert err.startswith(f"med-mat: {bench.raw}: no file fits. Expected paths that end in table.csv")
    assert "tables.csv" not in err.splitlines()[0]
    assert "Traceback" not in err
    assert not (bench.folder / "index.parquet").exists()


def test_pictures_that_are_not_those_of_the_label_file(bench: Bench) -> None:
    names = [f"gone {number}.png" for number in range(3)]
    write_raw(bench.raw, [Row(name, "cyst") for name in names], absent=names)
    (bench.raw / "other").mkdir()
    write_raw(bench.raw / "other", [Row("another.png", "cyst")])
    (bench.raw / "other" / "table.csv").unlink()
    # Not even where a slice is allowed: pictures are there, and none is one of these.
    for options in ((), ("--allow-missing",)):
        code, _, err = bench.command(*options)
        assert code == 2
        assert "none of the 3 pictures that the label files name is in" in err
        assert "other/another.png" in err
        assert "https://example.org/tiny" in err


def test_label_files_alone_are_a_slice(bench: Bench) -> None:
    rows = plain_rows(4)
    write_raw(bench.raw, rows, absent=[row.file for row in rows])
    code, out, _ = bench.command("--allow-missing", "--json")
    assert (code, json.loads(out)["samples"]["total"], json.loads(out)["missing"]["total"]) == (0, 0, 4)
    assert bench.command("--json")[0] == 1


def test_a_loader_that_breaks_is_a_layout_that_does_not_fit(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    write_raw(bench.raw, plain_rows(2))
    loader = "def samples(raw):\n    yield from {}['no such key']\n"
    (bench.loaders / "tiny.py").write_text(loader, encoding="utf-8")
    with pytest.raises(LayoutError, match=r"tiny: the loader stopped at something that .* KeyError: 'no such key'"):
        bench.index()


def test_an_unknown_label_cannot_be_declared(bench: Bench) -> None:
    write_raw(bench.raw, [*plain_rows(2), Row("odd.png", "Cysts"), Row("two.png", "wart")])
    index = bench.index()
    assert [(oddity.kind, oddity.path, oddity.declared) for oddity in index.odd] == [
        ("unknown_label", "odd.png", False),
        ("unknown_label", "two.png", False),
    ]
    assert "label 'Cysts' is not in the card; it has: 'cyst', 'stone', 'tumor', 'normal'" in index.odd[0].detail
    assert (index.exit_code, index.found.total) == (1, 2)


def test_a_single_label_source_has_one_label_a_picture(bench: Bench) -> None:
    write_raw(bench.raw, [Row("a.png", "cyst|stone")])
    with pytest.raises(CardError, match=r"tiny: kind classification .* a.png has 2: kidney cyst, kidney stone"):
        bench.index()
    assert bench.command()[0] == 2


def test_raw_labels_of_one_meaning_are_one_label(tmp_path: Path) -> None:
    bench = Bench(tmp_path, labels={**LABELS, "renal cyst": LABELS["cyst"]})
    write_raw(bench.raw, [Row("a.png", "cyst|renal cyst")])
    assert bench.index().table["labels"].to_pylist() == [["kidney cyst"]]


def test_labels_of_a_set_come_sorted(tmp_path: Path) -> None:
    bench = Bench(tmp_path, kind="multilabel")
    write_raw(bench.raw, [Row("a.png", "tumor|cyst|stone")])
    assert bench.index().table["labels"].to_pylist() == [["kidney cyst", "kidney stone", "kidney tumor"]]


def test_a_value_that_is_no_label_is_left_out_and_counted(tmp_path: Path) -> None:
    bench = Bench(tmp_path, labels={**LABELS, "?": {"label": None, "meaning": "not read by anybody"}})
    write_raw(bench.raw, [Row("a.png", "cyst"), Row("b.png", "?"), Row("c.png", "?")])
    index = bench.index()
    assert index.left_out == {"label '?' is no label: not read by anybody": 2}
    assert (index.odd, index.found.total, index.exit_code) == ((), 1, 0)


def test_a_sample_without_a_label(bench: Bench) -> None:
    write_raw(bench.raw, [Row("a.png", "cyst"), Row("b.png", "")])
    assert bench.odd() == [("no_label", "b.png", False)]


def test_a_picture_named_twice(bench: Bench) -> None:
    write_raw(bench.raw, [Row("a.png", "cyst"), Row("a.png", "stone"), Row("b.png", "stone")])
    index = bench.index()
    assert [(oddity.kind, oddity.path) for oddity in index.odd] == [("duplicate_sample", "a.png")]
    assert "second time, with labels ['kidney stone']" in index.odd[0].detail
    assert "kept: labels ['kidney cyst']" in index.odd[0].detail
    assert index.table["labels"].to_pylist() == [["kidney cyst"], ["kidney stone"]]
    assert index.found.by_label == {"kidney cyst": 1, "kidney stone": 1}


def test_copies_under_one_key(bench: Bench) -> None:
    rows = plain_rows(3)
    write_raw(bench.raw, rows)
    shutil.copytree(bench.raw, bench.raw / "again")
    index = bench.index()
    assert index.left_out == {"second copy of the same file in the raw root": 3}
    assert (index.odd, index.files, index.found.total) == ((), 6, 3)
    # What bears the name and is not the same file is odd, a table as well as a picture.
    (bench.raw / "again" / rows[1].file).write_bytes(b"something else")
    with (bench.raw / "again" / "table.csv").open("a", encoding="utf-8") as stream:
        stream.write("new.png,cyst,,,\n")
    index = bench.index()
    assert [(oddity.kind, oddity.path) for oddity in index.odd] == [
        ("key_clash", f"again/{rows[1].file}"),
        ("key_clash", "again/table.csv"),
    ]
    assert f"{rows[1].file} under the same key" in index.odd[0].detail
    # Of pictures whose size says little, the content is compared.
    write_raw(bench.raw, [Row("a.bmp", "cyst")])
    shutil.rmtree(bench.raw / "again")
    write_raw(bench.raw / "again", [Row("a.bmp", "cyst")], pictures={"a.bmp": noise_bytes("another", "a.bmp")})
    odd = [(kind, path) for kind, path, _ in bench.odd()]
    assert ("key_clash", "again/a.bmp") in odd


def test_pictures_that_are_no_samples(tmp_path: Path) -> None:
    bench = Bench(tmp_path, unread=[{"paths": ["masks/*"], "why": "masks belong to another source"}])
    write_raw(bench.raw, plain_rows(2))
    for name in ("masks/a.png", "masks/b.png", "logo.JPG", "notes.txt", "scan.dcm", "volume.nii.gz", "film.avi"):
        (bench.raw / name).parent.mkdir(exist_ok=True)
        (bench.raw / name).write_bytes(b"not looked into")
    index = bench.index()
    assert index.left_out == {"masks belong to another source": 2}
    assert [(oddity.kind, oddity.path) for oddity in index.odd] == [
        ("unread_file", name) for name in ("film.avi", "logo.JPG", "scan.dcm", "volume.nii.gz")
    ]


def test_what_the_root_skips_is_odd(bench: Bench) -> None:
    write_raw(bench.raw, plain_rows(2))
    (bench.raw / "more.rar").write_bytes(b"Rar!")
    assert bench.odd() == [("skipped_file", "more.rar", False)]


def test_counts_of_the_card(tmp_path: Path) -> None:
    bench = Bench(tmp_path, labels={**LABELS, "cyst": {**LABELS["cyst"], "count": 2}})
    write_raw(bench.raw, [Row(f"{number}.png", "cyst") for number in range(3)])
    index = bench.index()
    assert [(oddity.kind, oddity.path, oddity.detail) for oddity in index.odd] == [
        ("count", "kidney cyst", "expected 2 pictures of 'kidney cyst', found 3")
    ]
    # A slice has fewer, never more.
    assert bench.odd(allow_missing=True) == [("count", "kidney cyst", False)]
    write_raw(bench.raw, [Row("0.png", "cyst")])
    for number in (1, 2):
        (bench.raw / f"{number}.png").unlink()
    assert bench.odd() == [("count", "kidney cyst", False)]
    assert bench.odd(allow_missing=True) == []


def test_a_fact_that_makes_no_sense(bench: Bench) -> None:
    write_raw(bench.raw, [Row("a.png", "cyst", age="411Y"), Row("b.png", "cyst", age="41")])
    assert bench.odd() == [("extra", "a.png", False)]
    assert [extra["age"] for extra in bench.index().table["extra"].to_pylist()] == [None, 41]


def test_declared_defects_are_expected_as_often_as_the_card_says(tmp_path: Path) -> None:
    defects = [
        {"kind": "missing_image", "paths": ["lost ?.png"], "count": 2, "why": "two were lost"},
        {"kind": "extra", "why": "ages are badly kept"},
    ]
    bench = Bench(tmp_path, known_defects=defects)
    rows = [*plain_rows(2), Row("lost 1.png", "cyst"), Row("lost 2.png", "cyst", age="x")]
    write_raw(bench.raw, rows, absent=["lost 1.png", "lost 2.png"])
    assert bench.odd() == [("missing_image", "lost 1.png", True), ("missing_image", "lost 2.png", True)]
    assert bench.index().exit_code == 0
    # One more than declared, one of another name, and a defect without a count.
    rows += [Row("lost 3.png", "cyst"), Row("mislaid.png", "cyst"), Row("a.png", "cyst", age="x")]
    rows += [Row("b.png", "cyst", age="y")]
    write_raw(bench.raw, rows, absent=["lost 1.png", "lost 2.png", "lost 3.png", "mislaid.png"])
    index = bench.index()
    assert [(oddity.kind, oddity.path, oddity.declared) for oddity in index.odd] == [
        ("extra", "a.png", True),
        ("extra", "b.png", True),
        ("missing_image", "lost 1.png", True),
        ("missing_image", "lost 2.png", True),
        ("missing_image", "lost 3.png", False),
        ("missing_image", "mislaid.png", False),
    ]
    assert [oddity.path for oddity in index.undeclared] == ["lost 3.png", "mislaid.png"]
    assert index.exit_code == 1


def test_a_shared_namespace_is_part_of_the_group(tmp_path: Path) -> None:
    bench = Bench(tmp_path, groups={"of": "patient", "namespace": "nih", "how": "column group"})
    write_raw(bench.raw, [Row("a.png", "cyst", "7"), Row("b.png", "cyst", "7", tie="x"), Row("c.png", "cyst")])
    index = bench.index()
    assert index.table["group"].to_pylist() == ["nih:7", "nih:7", None]
    # What ties pictures of a source is nobody else's business.
    assert index.table["ties"].to_pylist() == [[], ["tiny:x"], []]
    assert index.groups == 1


def test_the_order_of_the_table_does_not_matter(bench: Bench) -> None:
    rows = plain_rows(9)
    write_raw(bench.raw, rows)
    first = bench.index().table
    write_raw(bench.raw, rows[::-1])
    again = bench.index().table
    columns = [name for name in INDEX.names if name != "mtime_ns"]
    assert again.select(columns) == first.select(columns)
    assert again["key"].to_pylist() == sorted(again["key"].to_pylist())


def test_labels_that_differ_in_case_alone(tmp_path: Path) -> None:
    add_source(
        tmp_path / "loaders", "tiny", labels=label_entries({"Cyst": {"label": "cyst"}, "STONE": {"label": "stone"}})
    )
    write_raw(tmp_path / "raw", [Row("a.png", "CYST"), Row("b.png", "stone"), Row("c.png", "Cyst")])
    index = index_source(registry_of(tmp_path / "loaders")["tiny"], RawRoot.open(tmp_path / "raw"))
    assert index.table["labels"].to_pylist() == [["cyst"], ["stone"], ["cyst"]]
    two = label_entries({"Cyst": {"label": "cyst"}, "CYST": {"label": "stone"}})
    add_source(tmp_path / "more", "tiny", labels=two)
    write_raw(tmp_path / "raw", [Row("a.png", "CYST"), Row("b.png", "cyst"), Row("c.png", "Cyst")])
    index = index_source(registry_of(tmp_path / "more")["tiny"], RawRoot.open(tmp_path / "raw"))
    assert index.table["labels"].to_pylist() == [["stone"], ["cyst"]]
    assert [oddity.kind for oddity in index.odd] == ["unknown_label"]
