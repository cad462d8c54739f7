"""Build: the same bytes whatever happens on the way, and only what changed is written."""

from __future__ import annotations

import hashlib
import io
import json
import resource
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet as pq
import pytest
from filelock import FileLock
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from tiny import LABELS, Row, add_source, card_text, label_entries, med_mat, noise, plain_rows, registry_of, write_raw

from med_mat import encode
from med_mat.build import WORK, BuildResult, build
from med_mat.encode import CHUNKING, ROW_GROUP_BYTES, ROW_GROUP_ROWS
from med_mat.engine import run
from med_mat.errors import LayoutError, MedMatError, RawChangedError
from med_mat.raw import RawRoot
from med_mat.schema import features


class Stopped(BaseException):
    """Stands for whatever ends a build half way."""


class Watch:
    """A progress that does something when a stage starts or goes on."""

    def __init__(self, at: str, action: Callable[[], None], *, advanced: bool = False) -> None:
        self.at, self.action, self.advanced = at, action, advanced
        self.stages: list[tuple[str, int]] = []
        self.number = 0

    def start(self, stage: str, total: int) -> None:
        self.stages.append((stage, total))
        if stage == self.at and not self.advanced:
            self.action()

    def advance(self, number: int) -> None:
        if self.stages[-1][0] == self.at and self.advanced and number:
            self.action()


def stop() -> None:
    raise Stopped


class Bench:
    """Folders of loaders, raw roots and a build."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.loaders, self.raw, self.out = folder / "loaders", folder / "raw", folder / "med-mat"

    def add(self, slug: str, rows: list[Row] | None = None, *, raw: dict[str, Any] | None = None, **card: Any) -> None:
        add_source(self.loaders, slug, **card)
        write_raw(self.raw / slug, plain_rows(30) if rows is None else rows, **(raw or {}))

    def change_card(self, slug: str, **card: Any) -> None:
        (self.loaders / f"{slug}.md").write_text(card_text(**card), encoding="utf-8")

    def build(self, *slugs: str, **options: Any) -> BuildResult:
        out = options.pop("out", self.out)
        return build(registry_of(self.loaders), self.raw, out, slugs=slugs, cache=self.folder / "cache", **options)

    def shards(self, slug: str = "*") -> dict[str, tuple[bytes, int]]:
        """Name below ``data`` to content and time."""
        data = self.out / "data"
        return {
            path.relative_to(data).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
            for path in sorted(data.glob(f"{slug}/*"))
        }

    def rows(self, slug: str = "*") -> list[dict[str, Any]]:
        return [
            row for path in sorted((self.out / "data").glob(f"{slug}/*")) for row in pq.read_table(path).to_pylist()
        ]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def published(out: Path) -> dict[str, bytes]:
    """Every file of a build that is published, by its path."""
    files = [path for path in sorted(out.rglob("*")) if path.is_file()]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files if WORK not in path.parts}


def jpeg(seed: str) -> bytes:
    stream = io.BytesIO()
    noise(seed, (20, 14), "RGB").save(stream, "JPEG")
    return stream.getvalue()


def varied(bench: Bench) -> None:
    """Four sources that between them have what makes builds differ."""
    bench.add("single", [Row(f"{n}.bmp", list(LABELS)[n % 4], f"p{n // 3}") for n in range(60)])
    bench.add(
        "several",
        [Row(f"{n}.png", "cyst|stone" if n % 3 else "tumor", split=("train", "test")[n % 2]) for n in range(40)],
        kind="multilabel",
        official_splits="kept",
        presence="Is there {label}?",
    )
    bench.add(
        "private", [Row(f"Jane Roe {n}.jpg", list(LABELS)[n % 4]) for n in range(20)], path_ids="private",
        raw={"pictures": {f"Jane Roe {n}.jpg": jpeg(str(n)) for n in range(20)}},
    )  # fmt: skip
    bench.add("packed", plain_rows(30), raw={"pictures": {"picture 007.png": b"no picture"}})
    with zipfile.ZipFile(bench.raw / "packed.zip", "w") as archive:
        for path in sorted((bench.raw / "packed").iterdir()):
            archive.write(path, f"wrapper/{path.name}")
    shutil.rmtree(bench.raw / "packed")


def test_the_same_bytes_with_any_number_of_workers_and_in_any_place(bench: Bench) -> None:
    varied(bench)
    one = bench.build(salt=b"x", workers=1, shard_bytes=3000)
    assert one.exit_code == 1  # one picture that does not decode
    first = published(bench.out)
    assert len(first) > 15
    bench.build(salt=b"x", workers=2, shard_bytes=3000, out=bench.folder / "again")
    assert published(bench.folder / "again") == first
    moved = Bench(bench.folder / "elsewhere" / "deep")
    shutil.copytree(bench.loaders, moved.loaders)
    shutil.copytree(bench.raw, moved.raw)
    moved.build(salt=b"x", shard_bytes=3000)
    assert published(moved.out) == first
    assert str(bench.folder).encode() not in b"".join(first.values())


def test_building_again_writes_nothing(bench: Bench) -> None:
    varied(bench)
    bench.build(salt=b"x")
    before = bench.shards()
    watch = Watch("encode", lambda: None)
    result = bench.build(salt=b"x", progress=watch)
    assert bench.shards() == before
    assert [source.written for source in result.sources] == [0, 0, 0, 0]
    assert watch.stages[-1] == ("encode", 0)


def test_the_manifest_tells_what_lies_there(bench: Bench) -> None:
    varied(bench)
    result = bench.build(salt=b"x", shard_bytes=3000)
    manifest = json.loads((bench.out / "manifest.json").read_text(encoding="utf-8"))
    assert manifest == json.loads(json.dumps(result.manifest))
    shards = {name: shard for entry in manifest["sources"].values() for name, shard in entry["shards"].items()}
    lying = {path.relative_to(bench.out).as_posix(): path for path in (bench.out / "data").rglob("*.parquet")}
    assert shards.keys() == lying.keys()
    for name, path in lying.items():
        assert shards[name]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert shards[name]["bytes"] == path.stat().st_size
        assert shards[name]["rows"] == pq.read_metadata(path).num_rows
    assert manifest["rows"] == sum(shard["rows"] for shard in shards.values()) == len(bench.rows())
    for slug, entry in manifest["sources"].items():
        rows = bench.rows(slug)
        assert entry["rows"] == sum(entry["splits"].values()) == len(rows)
        assert entry["samples"] == entry["rows"] + sum(entry["left_out"].values())
        assert entry["groups"] == len({row["group"] for row in rows})
        numbers: dict[str, int] = {}
        for row in rows:
            for label in row["labels"]:
                numbers[label] = numbers.get(label, 0) + 1
        assert numbers == {label: sum(labels.get(label, 0) for labels in entry["labels"].values()) for label in numbers}
    assert manifest["sources"]["packed"]["left_out"] == {"unreadable": 1}
    assert manifest["sources"]["packed"]["undeclared"] == {"unreadable_image": 1}


def test_a_row_has_the_picture_whose_facts_it_bears(bench: Bench) -> None:
    varied(bench)
    bench.build(salt=b"x")
    for row in bench.rows():
        image = Image.open(io.BytesIO(row["image"]["bytes"]))
        image.load()
        assert (image.width, image.height) == (row["width"], row["height"])
        assert row["image"]["path"].startswith(row["id"].split("/")[1])
    singles = {row["key"]: row for row in bench.rows("single")}
    for number in range(60):
        row = singles[f"{number}.bmp"]
        image = Image.open(io.BytesIO(row["image"]["bytes"]))
        assert image.tobytes() == noise(f"{number}.bmp").tobytes()
        assert row["raw_sha256"] == hashlib.sha256((bench.raw / "single" / f"{number}.bmp").read_bytes()).hexdigest()


# Being stopped


def _when_scanning(out: Path) -> bool:
    return any((out / WORK / "scan").glob("*.parts/*.parquet"))


def _when_encoding(out: Path) -> bool:
    return any((out / "data").glob("*/*.partial"))


def _when_some_shards_are_done(out: Path) -> bool:
    return any((out / "data").glob("*/*.parquet"))


@pytest.mark.slow
def test_a_killed_build_goes_on_where_it_was_and_ends_with_the_same_bytes(bench: Bench) -> None:
    for slug in ("one", "other"):
        rows = [Row(f"{slug} {n:03d}.bmp", list(LABELS)[n % 4]) for n in range(150)]
        bench.add(slug, rows, raw={"size": (120, 120), "mode": "RGB"})
    command = ["build", "--raw", bench.raw, "--loaders", bench.loaders, "--workers", "2", "--out"]
    bench.build(out=bench.folder / "reference")
    reference = published(bench.folder / "reference")
    seen = []
    for number, moment in enumerate((_when_scanning, _when_encoding, _when_some_shards_are_done)):
        out = bench.folder / f"killed {number}"
        process = subprocess.Popen(
            [Path(sys.executable).with_name("med-mat"), *map(str, command), out],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while not moment(out):
            assert process.poll() is None, f"the build ended before {moment.__name__}"
            time.sleep(0.002)
        process.kill()
        process.wait()
        assert not (out / "manifest.json").exists()
        # Workers end with the build that was killed.
        time.sleep(0.2)
        done = {path: path.stat().st_mtime_ns for path in (out / "data").glob("*/*.parquet")}
        for path in done:
            assert path.read_bytes() == reference[path.relative_to(out).as_posix()]
        seen.append(len(done))
        bench.build(out=out, workers=2)
        assert published(out) == reference
        assert {path: path.stat().st_mtime_ns for path in done} == done
        assert not list(out.rglob("*.partial"))
    assert seen[0] == 0
    assert 0 < seen[2] < 4


def test_a_build_stopped_while_scanning_leaves_the_source_as_it_was(bench: Bench) -> None:
    bench.add("tiny")
    bench.add("late", [Row(f"late {n}.png", list(LABELS)[n % 4]) for n in range(20)])
    bench.build()
    before = bench.shards("tiny")
    write_raw(bench.raw / "tiny", plain_rows(50))
    with pytest.raises(Stopped):
        bench.build(progress=Watch("scan tiny", stop, advanced=True))
    # Meanwhile the other source can be built.
    assert bench.build("late").exit_code == 0
    assert bench.shards("tiny") == before
    bench.build()
    assert len(bench.rows("tiny")) == 50


def test_a_plan_that_comes_back_does_not_find_the_shards_of_another(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Labels of one length, so that the shards of both plans have one size.
    bench.add("tiny", [Row(f"{n}.png", "a b"[n % 2 * 2]) for n in range(8)], labels=label_entries("ab"))
    bench.build()
    before = bench.shards()
    bench.change_card("tiny", labels={"a": {"label": "c", "meaning": "m"}, "b": {"label": "b", "meaning": "m"}})
    monkeypatch.setattr(encode, "write_json", lambda *_: stop())
    with pytest.raises(Stopped):
        bench.build()
    monkeypatch.undo()
    changed = [name for name, shard in bench.shards().items() if shard != before[name]]
    assert changed
    assert all(len(bench.shards()[name][0]) == len(before[name][0]) for name in changed)
    bench.change_card("tiny", labels=label_entries("ab"))
    bench.build()
    assert {name: content for name, (content, _) in bench.shards().items()} == {
        name: content for name, (content, _) in before.items()
    }


def test_what_a_killed_process_left_half_written_is_removed(bench: Bench) -> None:
    bench.add("tiny")
    for name in ("data/tiny/train-00000-of-00001.parquet.77.partial", f"{WORK}/plan/tiny.parquet.77.partial"):
        (bench.out / name).parent.mkdir(parents=True)
        (bench.out / name).write_bytes(b"half")
    bench.build()
    assert not list(bench.out.rglob("*.partial"))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_leaves_no_half_shard(bench: Bench, workers: int) -> None:
    bench.add("tiny", plain_rows(60, suffix="bmp"), raw={"size": (60, 60), "mode": "RGB"})
    command = ["build", "--raw", bench.raw, "--loaders", bench.loaders, "--workers", workers, "--out", bench.out]

    def limit() -> None:
        # A file may have 100 kB: index, scan and plan fit, the training shard does not.
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    full = med_mat(*command, preexec_fn=limit)
    assert full.returncode not in (0, 1)
    assert "File too large" in full.stderr
    assert "Traceback" not in full.stderr
    assert not list(bench.out.rglob("*.partial"))
    assert not (bench.out / "data" / "tiny" / "train-00000-of-00001.parquet").exists()
    assert not (bench.out / "manifest.json").exists()
    bench.build()
    bench.build(out=bench.folder / "reference")
    assert published(bench.out) == published(bench.folder / "reference")


# What changes, and what does not


def test_adding_a_source_touches_no_shard_of_the_others(bench: Bench) -> None:
    bench.add("first")
    bench.add("second", [Row(f"second {n}.png", list(LABELS)[n % 4]) for n in range(20)])
    bench.build()
    before = bench.shards()
    # It brings labels to their subset, and copies of their pictures.
    bench.add(
        "third",
        [Row(f"third {n}.png", "scar") for n in range(10)] + plain_rows(6),
        labels={**LABELS, "scar": {"label": "renal scar", "meaning": "a scar"}},
    )
    result = bench.build()
    after = bench.shards()
    assert {name: shard for name, shard in after.items() if not name.startswith("third/")} == before
    assert any(name.startswith("third/") for name in after)
    assert [source.written for source in result.sources[:2]] == [0, 0]


def test_building_one_source_keeps_the_others(bench: Bench) -> None:
    varied(bench)
    bench.build(salt=b"x")
    before = published(bench.out)
    shutil.rmtree(bench.raw / "single")
    (bench.raw / "packed.zip").unlink()
    assert bench.build("several", salt=b"x").exit_code in (0, 1)
    assert published(bench.out) == before
    bench.build(salt=b"x")
    assert published(bench.out) == before


def test_a_changed_card_rewrites_what_it_touches(bench: Bench) -> None:
    bench.add("first")
    bench.add("second", [Row(f"second {n}.png", list(LABELS)[n % 4]) for n in range(20)])
    bench.build()
    before = bench.shards()
    bench.change_card("first", title="Another title", errata=["none of the rows shows this"])
    bench.build()
    assert bench.shards() == before
    bench.change_card("first", licence={"name": "by hand", "evidence": "x"})
    bench.build()
    after = bench.shards()
    assert {name for name in after if after[name] != before[name]} == {n for n in after if n.startswith("first/")}
    assert {row["licence"] for row in bench.rows("first")} == {"by hand"}
    # A label of another source that no picture bears is no wrong option of one that has labels enough of its own.
    bench.change_card("first", labels={**LABELS, "scar": {"label": "renal scar", "meaning": "a scar"}})
    bench.build()
    assert any("renal scar" in row["options"] for row in bench.rows("first"))
    second = {name: content for name, content in after.items() if name.startswith("second/")}
    assert second.items() <= bench.shards().items()


def test_a_changed_raw_file_rewrites_its_shard(bench: Bench) -> None:
    bench.add("tiny", plain_rows(40, suffix="bmp"))
    bench.add("other", [Row(f"other {n}.png", list(LABELS)[n % 4]) for n in range(20)])
    bench.build(shard_bytes=1500)
    before = bench.shards()
    assert len(before) > 4
    path = bench.raw / "tiny" / "picture 003.bmp"
    noise("new").save(path)
    result = bench.build(shard_bytes=1500)
    after = bench.shards()
    changed = [name for name in after if after[name] != before.get(name)]
    assert len(changed) == result.sources[0].written == 1
    rows = {row["key"]: row for row in pq.read_table(bench.out / "data" / changed[0]).to_pylist()}
    assert rows["picture 003.bmp"]["raw_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_shards_that_are_no_longer_planned_are_removed(bench: Bench) -> None:
    bench.add("tiny", plain_rows(40))
    bench.add("other", [Row(f"other {n}.png", list(LABELS)[n % 4]) for n in range(20)])
    bench.build(shard_bytes=1500)
    many = bench.shards("tiny")
    bench.build()
    few = bench.shards("tiny")
    assert len(few) == 2 < len(many)
    records = {path.name.removesuffix(".json") for path in (bench.out / WORK / "shards" / "data" / "tiny").iterdir()}
    assert records == {Path(name).name for name in few}
    shutil.rmtree(bench.raw / "tiny")
    write_raw(bench.raw / "tiny", [Row("only.png", "cyst")])
    bench.build()
    assert [name.split("-")[0] for name in bench.shards("tiny")] == ["tiny/train"]
    assert bench.shards("other")


def test_a_source_without_rows(bench: Bench) -> None:
    rows = plain_rows(5)
    bench.add("empty", rows, raw={"absent": [row.file for row in rows]})
    result = bench.build()
    assert (result.exit_code, result.manifest["rows"], result.configs) == (0, 0, ())
    assert result.manifest["sources"]["empty"]["missing"] == 5
    bench.add("tiny")
    result = bench.build()
    assert [config.name for config in result.configs] == [
        "default", "everything", "anatomy_kidney", "modality_ct", "subset_02", "tiny",
    ]  # fmt: skip
    assert (
        datasets.load_dataset(str(bench.out), "tiny", split="train").num_rows
        == result.manifest["sources"]["tiny"]["splits"]["train"]
    )


def test_a_salt_changes_groups_alone(bench: Bench) -> None:
    bench.add("tiny", [Row(f"{n}.png", list(LABELS)[n % 4], f"p{n // 3}") for n in range(40)])
    bench.build()
    plain = {row["id"]: row for row in bench.rows()}
    splits = {name: shard[0] for name, shard in bench.shards().items()}
    bench.build(salt=b"secret")
    salted = {row["id"]: row for row in bench.rows()}
    assert plain.keys() == salted.keys()
    assert bench.shards().keys() == splits.keys()
    for identity, row in plain.items():
        assert row.pop("group") != salted[identity].pop("group")
        assert row == salted[identity]
    with pytest.raises(MedMatError, match="the salt has 65 bytes; give at most 64"):
        bench.build(salt=b"s" * 65)


# What goes wrong


def test_a_raw_file_that_changes_under_the_build_is_named(bench: Bench) -> None:
    bench.add("tiny", plain_rows(20, suffix="bmp"))
    path = bench.raw / "tiny" / "picture 005.bmp"
    with pytest.raises(
        RawChangedError, match=r"picture 005\.bmp changed after it was scanned: sha256 was [0-9a-f]{64}"
    ):
        bench.build(progress=Watch("encode", lambda: noise("new").save(path)))
    assert not list(bench.out.rglob("*.partial"))
    assert bench.build().exit_code == 0
    assert hashlib.sha256(path.read_bytes()).hexdigest() in {row["raw_sha256"] for row in bench.rows()}


def test_a_raw_file_that_goes_under_the_build_is_named(bench: Bench) -> None:
    bench.add("tiny", plain_rows(20))
    path = bench.raw / "tiny" / "picture 005.png"
    with pytest.raises(LayoutError, match=r"no file picture 005\.png"):
        bench.build(progress=Watch("encode", path.unlink))


def _break_table(raw: Path) -> None:
    (raw / "table.csv").write_text("something else\n", encoding="utf-8")


def _break_label(raw: Path) -> None:
    with (raw / "table.csv").open("a", encoding="utf-8") as stream:
        stream.write("picture 000.png,wart,,,\n")


def _break_everything(raw: Path) -> None:
    shutil.rmtree(raw)
    raw.mkdir()


@pytest.mark.parametrize("damage", [_break_table, _break_label, _break_everything])
def test_a_source_that_fails_stops_no_other_and_loses_nothing(bench: Bench, damage: Callable[[Path], None]) -> None:
    bench.add("broken")
    # It follows the first source where it holds its pictures.
    bench.add("follower", [Row(f"own {n}.png", list(LABELS)[n % 4]) for n in range(12)] + plain_rows(8))
    bench.build()
    before = bench.shards()
    damage(bench.raw / "broken")
    bench.add("new", [Row(f"new {n}.png", list(LABELS)[n % 4]) for n in range(12)])
    result = bench.build()
    assert result.exit_code == 2
    assert {source.slug: source.failure is not None for source in result.sources} == {
        "broken": True, "follower": False, "new": False,
    }  # fmt: skip
    after = bench.shards()
    assert {name: shard for name, shard in after.items() if not name.startswith("new/")} == before
    assert any(name.startswith("new/") for name in after)
    # What is there is in the manifest and in the configs.
    assert result.manifest["rows"] == len(bench.rows())
    loaded = datasets.load_dataset(str(bench.out), "broken")
    assert {row["id"] for part in loaded.values() for row in part} == {row["id"] for row in bench.rows("broken")}


def test_a_source_that_never_worked_stops_no_other(bench: Bench) -> None:
    bench.add("broken")
    _break_table(bench.raw / "broken")
    bench.add("private", path_ids="private")
    bench.add("tiny")
    result = bench.build()
    assert result.exit_code == 2
    broken, private, tiny = result.sources
    assert str(bench.raw / "broken") in (broken.failure or "")
    assert "private: its file names may not be published" in (private.failure or "")
    assert tiny.failure is None
    assert list(result.manifest["sources"]) == ["tiny"]
    assert {path.name for path in (bench.out / "data").iterdir()} == {"tiny"}


def test_a_source_whose_raw_root_is_gone_cannot_change(bench: Bench) -> None:
    bench.add("tiny")
    bench.add("other", [Row(f"other {n}.png", list(LABELS)[n % 4]) for n in range(20)])
    bench.build()
    before = bench.shards()
    shutil.rmtree(bench.raw / "tiny")
    assert bench.build().exit_code == 0
    assert bench.shards() == before
    bench.change_card("tiny", licence={"name": "by hand", "evidence": "x"})
    with pytest.raises(LayoutError, match=r"of tiny has to be written anew .* its raw root is not among those given"):
        bench.build()
    assert bench.shards() == before


def test_rows_of_a_source_without_a_loader_are_not_thrown_away(bench: Bench) -> None:
    bench.add("tiny")
    bench.build()
    before = published(bench.out)
    other = Bench(bench.folder / "other")
    other.add("late")
    other.out = bench.out
    with pytest.raises(LayoutError, match="holds rows of tiny, for which there is no loader; give their --loaders"):
        other.build()
    assert published(bench.out) == before


def test_raw_roots_that_are_not_there(bench: Bench) -> None:
    bench.add("tiny")
    bench.add("other")
    shutil.rmtree(bench.raw / "tiny")
    with pytest.raises(
        LayoutError, match=r"no raw root of tiny; expected a folder or archive named 'tiny' .* Draw it\."
    ):
        bench.build("other", "tiny")
    with pytest.raises(KeyError, match="no source 'tinny'; did you mean tiny"):
        bench.build("tinny")
    shutil.rmtree(bench.raw / "other")
    with pytest.raises(LayoutError, match="holds no raw root; expected folders or archives named like a source"):
        bench.build()


def test_two_sources_may_read_one_download(bench: Bench) -> None:
    bench.add("tiny")
    add_source(bench.loaders, "again", download_of="tiny")
    result = bench.build()
    assert [source.slug for source in result.sources] == ["tiny", "again"]
    split_of = {(row["source"], row["key"]): name for name in bench.shards() for row in
                pq.read_table(bench.out / "data" / name, columns=["source", "key"]).to_pylist()}  # fmt: skip
    for (slug, key), name in split_of.items():
        assert name.split("/")[1] == split_of["tiny", key].split("/")[1], slug


# What is published


def test_nothing_of_a_private_source_tells_its_names(bench: Bench) -> None:
    name = "Roe, Jane 1961-05-07"
    exif = Image.Exif()
    exif[0x013B] = name
    text = PngInfo()
    text.add_text("Patient", name)
    pictures = {}
    for number in range(12):
        for suffix, options in (("jpg", {"exif": exif, "comment": name.encode()}), ("png", {"pnginfo": text})):
            stream = io.BytesIO()
            noise(f"{number}{suffix}", (16, 16)).save(stream, "JPEG" if suffix == "jpg" else "PNG", **options)
            pictures[f"{name} {number}.{suffix}"] = stream.getvalue()
    broken = f"{name} broken.png"
    rows = [Row(file, list(LABELS)[n % 4], group=f"{name} {n // 2}") for n, file in enumerate([*pictures, broken])]
    bench.add(
        "private",
        rows,
        path_ids="private",
        groups={"of": "patient", "namespace": "hospital", "how": "column group"},
        raw={"pictures": {**pictures, broken: b"no picture"}},
    )
    assert all(name.encode() in data for data in pictures.values())
    result = bench.build(salt=b"salt")
    assert (result.manifest["rows"], result.manifest["sources"]["private"]["left_out"]) == (24, {"unreadable": 1})
    assert result.manifest["sources"]["private"]["losses"] == []
    for path, content in published(bench.out).items():
        # Shards are compressed, so their columns are looked at, and their footers.
        texts = [content, path.encode()]
        if path.endswith(".parquet"):
            table = pq.read_table(bench.out / path)
            texts += [repr(table.to_pylist()).encode(), repr(table.schema.metadata).encode()]
        for word in ("Roe", "Jane", "1961", "hospital", str(bench.folder)):
            assert not any(word.encode() in text for text in texts), (path, word)


def _leaves(path: Path) -> dict[str, list[Any]]:
    metadata = pq.read_metadata(path)
    chunks = [
        metadata.row_group(group).column(column)
        for group in range(metadata.num_row_groups)
        for column in range(metadata.num_columns)
    ]
    leaves: dict[str, list[Any]] = {}
    for chunk in chunks:
        leaves.setdefault(chunk.path_in_schema, []).append(chunk)
    return leaves


def test_the_form_of_a_shard(bench: Bench) -> None:
    bench.add("tiny", [Row(f"{n}.png", "cyst", "one patient") for n in range(250)], official_splits="none")
    bench.build()
    (path,) = (bench.out / "data" / "tiny").iterdir()
    metadata = pq.read_metadata(path)
    sizes = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    assert sum(sizes) == 250
    assert max(sizes) <= ROW_GROUP_ROWS == 100
    leaves = _leaves(path)
    assert {"image.bytes", "mask.bytes", "question", "options.list.element"} <= leaves.keys()
    for name, chunks in leaves.items():
        for chunk in chunks:
            pixels = name in ("image.bytes", "mask.bytes")
            assert chunk.compression == ("UNCOMPRESSED" if pixels else "ZSTD"), name
            if pixels:
                assert not chunk.has_dictionary_page
                assert not any("DICTIONARY" in encoding for encoding in chunk.encodings)
            assert chunk.has_column_index or pixels, name
            assert chunk.has_offset_index, name
    assert leaves["question"][0].has_dictionary_page
    assert datasets.Features.from_arrow_schema(pq.read_schema(path)) == features()
    assert CHUNKING == datasets.config.DEFAULT_CDC_OPTIONS


def test_a_row_group_stays_below_its_size(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ROW_GROUP_BYTES == 64 << 20
    monkeypatch.setattr(encode, "ROW_GROUP_BYTES", 2000)
    rows = [Row(f"{n}.bmp", "cyst", "one patient") for n in range(40)]
    big = io.BytesIO()
    noise("big", (90, 90)).save(big, "BMP")
    bench.add("tiny", rows, raw={"pictures": {"7.bmp": big.getvalue()}})
    bench.build()
    (path,) = (bench.out / "data" / "tiny").iterdir()
    file = pq.ParquetFile(path)
    sizes = [
        [len(image["bytes"]) for image in file.read_row_group(number)["image"].to_pylist()]
        for number in range(file.num_row_groups)
    ]
    assert sum(map(len, sizes)) == 40
    assert all(sum(group) <= 2000 or len(group) == 1 for group in sizes)
    assert any(sum(group) > 2000 for group in sizes)
    # Full: no group could have taken the next one's first picture.
    assert all(sum(group) + following[0] > 2000 for group, following in pairwise(sizes))


def test_the_files_alone_are_a_dataset(bench: Bench) -> None:
    varied(bench)
    bench.build(salt=b"x", shard_bytes=3000)
    # Without README and manifest, by glob, as somebody would who was handed the files.
    rows = datasets.load_dataset(
        "parquet", data_files={"train": str(bench.out / "data" / "*" / "train-*.parquet")}, split="train"
    )
    assert rows.features == features()
    assert rows[0]["image"].size == (rows[0]["width"], rows[0]["height"])
    counts = {slug: entry["splits"]["train"] for slug, entry in
              json.loads((bench.out / "manifest.json").read_text(encoding="utf-8"))["sources"].items()}  # fmt: skip
    assert rows.num_rows == sum(counts.values())
    for name in ("default", "everything", "subset_02", "several"):
        part = datasets.load_dataset(str(bench.out), name, split="train")
        assert part.num_rows == (counts["several"] if name == "several" else sum(counts.values()))


def disputing(bench: Bench) -> None:
    """Three sources: of the second some pictures are answered otherwise than in the first, of the third all."""
    bench.add("first", plain_rows(40))
    bench.add(
        "second",
        [
            *(Row(f"picture {n:03d}.png", list(LABELS)[(n + n % 3) % 4]) for n in range(12)),
            *plain_rows(30, suffix="bmp"),
        ],
        subset="22",
    )
    bench.add("third", [Row("picture 013.png", "tumor")], subset="22")


def test_disputed_pictures_stand_in_no_config_that_merges_sources(bench: Bench) -> None:
    disputing(bench)
    alone = bench.build("first")
    settled = bench.shards("first")
    result = bench.build()
    entries = result.manifest["sources"]
    rows = {slug: {row["id"]: row for row in bench.rows(slug)} for slug in entries}
    by_key = {(slug, row["key"]): row for slug, held in rows.items() for row in held.values()}
    disputed = {
        slug: {by_key[slug, f"picture {n:03d}.png"]["id"] for n in numbers}
        for slug, numbers in {
            "first": [*(n for n in range(12) if n % 3), 13],
            "second": [n for n in range(12) if n % 3],
            "third": [13],
        }.items()
    }
    for slug, entry in entries.items():
        assert {name for name, _, _ in entry["disputed"]["rows"]} == disputed[slug]
        assert sum(entry["disputed"]["splits"].values()) == len(disputed[slug])
        for name, other, said in entry["disputed"]["rows"]:
            source = other.partition("/")[0]
            assert other in disputed[source]
            assert said == f"{rows[slug][name]['labels'][0]} against {rows[source][other]['labels'][0]}"
    # Who is disputed keeps its split, and every other shard its name and, but for those rows, its content.
    assert entries["first"]["splits"] == alone.manifest["sources"]["first"]["splits"]
    assert {name for name in bench.shards("first") if "disputed" not in name} == settled.keys()
    assert {path.partition("/")[2].split("-0")[0] for path in bench.shards() if "disputed" in path} == {
        f"{row['split']}-disputed"
        for path in (bench.out / WORK / "plan").iterdir()
        for row in pq.read_table(path, columns=["id", "split"]).to_pylist()
        if any(row["id"] in names for names in disputed.values())
    }
    every = set().union(*rows.values())
    expected = {
        "everything": every,
        **{slug: set(held) for slug, held in rows.items()},
        "default": every - set().union(*disputed.values()),
        "subset_22": rows["second"].keys() - disputed["second"],
        "subset_02": rows["first"].keys() - disputed["first"],
        "modality_ct": every - set().union(*disputed.values()),
    }
    for name, ids in expected.items():
        for streaming in (False, True):
            parts = datasets.load_dataset(str(bench.out), name, streaming=streaming)
            assert {row["id"] for part in parts.values() for row in part} == ids, name
    total = sum(map(len, disputed.values()))
    assert f"{total} rows of 3 sources show a picture" in (bench.out / "README.md").read_text(encoding="utf-8")
    before = bench.shards()
    assert [source.written for source in bench.build().sources] == [0, 0, 0]
    assert bench.shards() == before


def test_an_earlier_source_that_becomes_disputed_needs_its_raw_root(bench: Bench) -> None:
    disputing(bench)
    bench.build("first")
    before = published(bench.out)
    with pytest.raises(
        LayoutError, match=r"of first has to be written anew .* or answers them differently, and cannot"
    ):
        bench.build("second")
    assert published(bench.out) == before
    bench.build("second", "first")
    assert bench.rows("first")


def test_rows_of_another_folder_keep_their_splits(bench: Bench) -> None:
    """A build that counts as published: what is admitted before it follows it."""
    rows = plain_rows(80)
    bench.add("early", [Row(row.file, row.labels, f"own {n // 4}") for n, row in enumerate(rows)])
    bench.add("late", rows)
    old = bench.folder / "old"
    bench.build("late", out=old)
    sides = {
        row["id"]: row["split"]
        for path in (old / WORK / "plan").iterdir()
        for row in pq.read_table(path, columns=["id", "split"]).to_pylist()
    }

    def moved(result: BuildResult) -> int:
        plan = pq.read_table(result.out / WORK / "plan" / "late.parquet", columns=["id", "split"]).to_pylist()
        return sum(sides[row["id"]] != row["split"] for row in plan)

    def crossing() -> int:
        side: dict[str, set[str]] = {}
        for path in (bench.out / "data").glob("*/*"):
            for name in pq.read_table(path, columns=["pixel_hash"])["pixel_hash"].to_pylist():
                side.setdefault(name, set()).add(path.name.split("-")[0])
        return sum(len(splits) > 1 for splits in side.values())

    assert moved(bench.build(out=bench.folder / "unaware")) > 0
    assert (moved(bench.build(published=old)), crossing()) == (0, 0)
    assert sum(entry["rows"] for entry in bench.build().manifest["sources"].values()) > len(rows)
    first = published(bench.out)
    # The folder remembers it, until it is told to forget.
    bench.build()
    assert published(bench.out) == first
    assert (moved(bench.build(new_major=True)) > 0, crossing()) == (True, 0)
    assert published(bench.out) == published(bench.folder / "unaware")
    bench.build()
    assert published(bench.out) == first


def test_what_is_published_in_two_places_in_different_splits_is_named(bench: Bench) -> None:
    rows = plain_rows(40)
    bench.add("early", [Row(row.file, row.labels, f"own {n // 4}") for n, row in enumerate(rows)])
    bench.add("late", rows)
    bench.build("late", out=bench.folder / "one")
    bench.build(out=bench.folder / "other")
    bench.build(published=bench.folder / "one")
    with pytest.raises(MedMatError, match=r"late/\w+ is published in t\w+ in .* delete the record of the other"):
        bench.build(published=bench.folder / "other")
    with pytest.raises(LayoutError, match=r"manifest\.json: expected the manifest that `med-mat build` writes"):
        bench.build(published=bench.folder / "nowhere", out=bench.folder / "new")
    for path in (bench.out / WORK / "published").iterdir():
        path.write_bytes(b"no table")
    with pytest.raises(LayoutError, match="expected the record of published rows"):
        bench.build()


def test_two_builds_do_not_write_into_one_folder(bench: Bench) -> None:
    bench.add("tiny")
    (bench.out / WORK).mkdir(parents=True)
    with FileLock(bench.out / WORK / "lock"), pytest.raises(MedMatError, match="another build is writing"):
        bench.build()
    assert not (bench.out / "data").exists()
    assert bench.build().exit_code == 0


def test_pictures_that_vanish_all_at_once_are_kept(bench: Bench) -> None:
    bench.add("tiny")
    bench.build()
    before = published(bench.out)
    for path in (bench.raw / "tiny").glob("*.png"):
        path.unlink()
    result = bench.build()
    assert result.exit_code == 2
    assert "Is a disk not mounted?" in (result.sources[0].failure or "")
    assert published(bench.out) == before


def test_a_picture_of_one_colour_ties_no_patients(bench: Bench) -> None:
    black = io.BytesIO()
    Image.new("L", (20, 20)).save(black, "PNG")
    rows = [Row(f"{n}-{k}.png", "cyst", f"p{n}") for n in range(60) for k in range(2)]
    bench.add("tiny", rows, raw={"pictures": {f"{n}-0.png": black.getvalue() for n in range(60)}})
    bench.build()
    splits = bench.build().manifest["sources"]["tiny"]["splits"]
    assert splits.keys() == {"train", "test"}
    assert 2 <= splits["test"] <= 30


def test_a_damaged_archive_is_named_by_every_worker(bench: Bench) -> None:
    bench.add("tiny", plain_rows(60))
    with zipfile.ZipFile(bench.raw / "tiny.zip", "w") as archive:
        for path in sorted((bench.raw / "tiny").iterdir()):
            archive.write(path, path.name)
    shutil.rmtree(bench.raw / "tiny")
    (bench.raw / "tiny.zip").write_bytes(b"PK\x03\x04 no zip at all")
    with pytest.raises(LayoutError, match=r"tiny\.zip"):
        list(run(_read_first, [RawRoot.open(bench.raw / "tiny.zip")] * 2, 2))


def _read_first(raw: RawRoot) -> bytes:
    return raw.read("tiny.zip/picture 000.png")
