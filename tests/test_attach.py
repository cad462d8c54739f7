"""Pictures attached from the reader's own downloads are those that the build published, byte for byte."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from source_fixture import SLUGS, load_fixture
from tiny import LOADER, Row, add_source, noise, registry_of, write_raw

from med_mat import attach_images, explode
from med_mat.attach import AttachError, EmptyRowsWarning
from med_mat.build import build
from med_mat.errors import LayoutError, MedMatError
from med_mat.images import pixel_hash
from med_mat.registry import Registry
from med_mat.trees import write_tree

FRAMES = LOADER.replace(
    '        yield Sample(\n            images[row["file"]],',
    '        for frame in range(3):\n          yield Sample(\n            images[row["file"]], frame=frame,',
).replace("{png,jpg,bmp}", "tif")


def strip(source: Path, target: Path, slugs: Collection[str]) -> None:
    """Copies a build, pictures of some sources made null, as a published dataset has it."""
    shutil.copytree(source, target)
    manifest = json.loads((source / "manifest.json").read_text(encoding="utf-8"))
    for slug, entry in manifest["sources"].items():
        entry["serves"] = "annotations" if slug in slugs else "images"
    (target / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    for slug in slugs:
        for path in (target / "data" / slug).glob("*.parquet"):
            table = pq.read_table(path)
            for name in ("image", "mask"):
                place = table.schema.get_field_index(name)
                column = table.schema.field(place)
                table = table.set_column(place, column, pa.nulls(len(table), column.type))
            pq.write_table(table, path)


def tif(seed: str) -> bytes:
    stream = io.BytesIO()
    first, *others = (noise(f"{seed} {page}", (16, 12)) for page in range(3))
    first.save(stream, "TIFF", save_all=True, append_images=others)
    return stream.getvalue()


class Bench:
    """Raw roots, a build of them, and what of it is published."""

    def __init__(self, folder: Path) -> None:
        self.loaders, self.raw = [folder / "loaders"], folder / "raw"
        labels = ("cyst", "stone", "tumor", "normal")
        for slug, suffix, card in (
            ("whole", "png", {}),
            ("closed", "jpg", {"redistribution": "annotations"}),
            ("converted", "bmp", {"redistribution": "annotations"}),
            ("hidden", "png", {"redistribution": "annotations", "path_ids": "private"}),
        ):
            add_source(self.loaders[0], slug, **card)
            rows = [Row(f"{slug} {n:02d}.{suffix}", labels[n % 4]) for n in range(24)]
            write_raw(self.raw / slug, rows, mode="RGB" if suffix == "jpg" else "L")
        add_source(self.loaders[0], "paged", FRAMES, redistribution="annotations")
        rows = [Row(f"scan {n}.tif", labels[n % 4]) for n in range(8)]
        write_raw(self.raw / "paged", rows, pictures={row.file: tif(row.file) for row in rows})
        self.closed = ["closed", "converted", "hidden", "paged"]
        self.full, self.published = folder / "full", folder / "published"
        build(registry_of(self.loaders[0]), self.raw, self.full, salt=b"secret")
        strip(self.full, self.published, self.closed)

    def roots(self, *slugs: str) -> dict[str, Path]:
        return {slug: self.raw / slug for slug in slugs or self.closed}

    def rows(self, config: str = "everything", *, full: bool = False, **options: Any) -> Any:
        return datasets.load_dataset(str(self.full if full else self.published), config, **options)

    def attach(self, rows: Any, *slugs: str, **options: Any) -> Any:
        return attach_images(rows, self.roots(*slugs), loaders=self.loaders, **options)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("attach"))


def stored(rows: Any) -> list[dict[str, Any]]:
    """Rows with their pictures as bytes."""
    for name in ("image", "mask"):
        rows = rows.cast_column(name, datasets.Image(decode=False))
    return list(rows)


def test_a_table_gets_the_bytes_that_were_published(bench: Bench) -> None:
    rows = bench.rows(split="train")
    assert any(row["image"] is None for row in rows)
    attached = bench.attach(rows)
    assert stored(attached) == stored(bench.rows(split="train", full=True))
    assert attached.features == rows.features
    for row in attached.select(range(0, len(attached), 7)):
        assert pixel_hash(row["image"]) == row["pixel_hash"]


def test_a_table_is_written_once_and_taken_from_the_cache_again(bench: Bench) -> None:
    rows = bench.rows("converted", split="train")
    folder = Path(rows.cache_files[0]["filename"]).parent
    before = set(folder.iterdir())
    first = bench.attach(rows)
    written = set(folder.iterdir()) - before
    assert {path.name for path in written} == {Path(file["filename"]).name for file in first.cache_files}
    assert len(written) == 1
    times = {path: path.stat().st_mtime_ns for path in written}
    assert stored(bench.attach(rows)) == stored(first)
    assert {path: path.stat().st_mtime_ns for path in set(folder.iterdir()) - before} == times


def test_splits_and_streams_get_the_same(bench: Bench) -> None:
    whole = bench.attach(bench.rows())
    streamed = bench.attach(bench.rows(streaming=True))
    assert isinstance(whole, datasets.DatasetDict)
    assert isinstance(streamed, datasets.IterableDatasetDict)
    assert list(whole) == list(streamed) == list(bench.rows(full=True))
    for split, part in bench.rows(full=True).items():
        assert stored(whole[split]) == stored(part)
        found = [(row["id"], row["image"].mode, row["image"].tobytes()) for row in streamed[split]]
        assert found == [(row["id"], row["image"].mode, row["image"].tobytes()) for row in part]


def test_processes_and_packed_downloads_make_no_difference(bench: Bench, tmp_path: Path) -> None:
    rows = bench.rows("closed", split="train")
    packed = Path(shutil.make_archive(str(tmp_path / "wrapped"), "zip", bench.raw, "closed"))
    two = attach_images(rows, {"closed": packed}, loaders=bench.loaders, workers=2, cache=tmp_path)
    assert stored(two) == stored(bench.rows("closed", split="train", full=True))


def test_rows_that_have_their_picture_are_left_alone(bench: Bench) -> None:
    rows = bench.rows("whole", split="train")
    assert attach_images(rows, {}) is rows


def test_questions_can_be_exploded_before_or_after(bench: Bench) -> None:
    rows = bench.rows("closed", split="train")
    before, after = bench.attach(explode(rows)), explode(bench.attach(rows))
    assert stored(before) == stored(after)
    stream = bench.rows("closed", split="train", streaming=True)
    for found in (bench.attach(explode(stream)), explode(bench.attach(stream))):
        assert list(found.decode(False)) == stored(after)


def test_a_stream_can_be_read_as_bytes_or_decoded(bench: Bench) -> None:
    expected = stored(bench.rows("closed", split="train", full=True))
    # Streams from afar decode in threads of their own.
    plain = bench.rows("closed", split="train", streaming=True)
    for stream in (plain, plain.decode(num_threads=2)):
        threaded = bench.attach(stream)
        assert list(threaded.decode(False)) == expected
        assert stored(threaded) == expected
        assert [row["image"].size for row in threaded] == [(12, 10)] * len(expected)
        sizes = list(threaded.map(lambda row: {"size": row["image"].size}, remove_columns=["image"]))
        assert [row["size"] for row in sizes] == [(12, 10)] * len(expected)


def test_a_loader_with_workers_reads_each_picture_once(bench: Bench) -> None:
    # What torch's DataLoader does with a stream: each worker iterates over a share of it.
    stream = bench.attach(bench.rows(split="train", streaming=True))
    shares = [stream.shard(stream.num_shards, number) for number in range(stream.num_shards)]
    found = [row["id"] for share in shares for row in share if row["image"] is not None]
    assert sorted(found) == sorted(bench.rows(split="train", full=True)["id"])


def test_an_empty_row_is_an_error_unless_said_otherwise(bench: Bench) -> None:
    rows = bench.rows()
    with pytest.raises(AttachError) as caught:
        bench.attach(rows, "closed", "paged")
    text = str(caught.value)
    number = sum(row["source"] in ("converted", "hidden") for part in rows.values() for row in part)
    assert f"{number} rows stay without picture" in text
    assert "converted: " in text
    assert "raw={'hidden': " in text
    assert "closed" not in text
    with pytest.raises(AttachError, match="converted"):
        list(bench.attach(bench.rows("converted", split="train", streaming=True), "closed"))


@pytest.mark.parametrize("streaming", [False, True])
def test_rows_without_raw_root_are_dropped_or_kept_and_counted(bench: Bench, streaming: bool) -> None:
    rows = bench.rows(split="train", streaming=streaming)
    full = bench.rows(split="train", full=True)
    others = [row["id"] for row in full if row["source"] != "converted"]
    slugs = [slug for slug in bench.closed if slug != "converted"]
    with pytest.warns(EmptyRowsWarning, match="converted"):
        dropped = list(bench.attach(rows, *slugs, empty="drop"))
    assert [row["id"] for row in dropped] == others
    assert all(row["image"] is not None for row in dropped)
    with pytest.warns(EmptyRowsWarning, match="converted"):
        kept = list(bench.attach(rows, *slugs, empty="keep"))
    assert [row["id"] for row in kept] == full["id"]
    assert [row["id"] for row in kept if row["image"] is None] == [
        row["id"] for row in full if row["source"] == "converted"
    ]


def copy_of(bench: Bench, slug: str, folder: Path, change: Callable[[Path], None]) -> dict[str, Path]:
    """A raw root of which one file that a training row comes from was changed."""
    shutil.copytree(bench.raw / slug, folder)
    key = bench.rows("closed", split="train")[3]["key"]
    change(folder / key)
    return {slug: folder}


def other_picture(path: Path) -> None:
    noise("another", (12, 10), "RGB").save(path, "JPEG")


@pytest.mark.parametrize(
    ("change", "told"), [(Path.unlink, "is not in"), (other_picture, "another file than the release's: SHA-256")]
)
@pytest.mark.parametrize("streaming", [False, True])
def test_what_is_missing_or_wrong_is_told_by_name(
    bench: Bench, tmp_path: Path, change: Callable[[Path], None], told: str, streaming: bool
) -> None:
    raw = copy_of(bench, "closed", tmp_path / "copy", change)
    row = bench.rows("closed", split="train")[3]
    rows = bench.rows("closed", split="train", streaming=streaming)
    with pytest.raises(AttachError) as caught:
        list(attach_images(rows, raw, loaders=bench.loaders))
    assert row["id"] in str(caught.value)
    assert row["key"] in str(caught.value)
    assert told in str(caught.value)
    with pytest.warns(EmptyRowsWarning, match=row["id"]):
        found = list(attach_images(rows, raw, loaders=bench.loaders, empty="drop"))
    expected = [other["id"] for other in bench.rows("closed", split="train") if other["id"] != row["id"]]
    assert [other["id"] for other in found] == expected


def test_a_mended_download_is_read_again(bench: Bench, tmp_path: Path) -> None:
    raw = copy_of(bench, "closed", tmp_path / "copy", other_picture)
    rows = bench.rows("closed", split="train")
    with pytest.raises(AttachError):
        attach_images(rows, raw, loaders=bench.loaders)
    shutil.copy2(bench.raw / "closed" / rows[3]["key"], tmp_path / "copy" / rows[3]["key"])
    attached = attach_images(rows, raw, loaders=bench.loaders)
    assert stored(attached) == stored(bench.rows("closed", split="train", full=True))


def test_many_empty_rows_are_told_briefly(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    shutil.copy(bench.raw / "closed" / "table.csv", tmp_path / "copy")
    first = bench.rows("closed", split="train")[0]["key"]
    shutil.copy(bench.raw / "closed" / first, tmp_path / "copy")
    rows = bench.rows("closed", split="train")
    with pytest.raises(AttachError) as caught:
        attach_images(rows, {"closed": tmp_path / "copy"}, loaders=bench.loaders)
    assert f"and {len(rows) - 11} more" in str(caught.value)
    assert str(caught.value).count("\n  closed/") == 10


def test_a_picture_of_another_size_is_refused(bench: Bench) -> None:
    rows = bench.rows("closed", split="train")
    other = rows.map(lambda row, place: {"width": 99 if place == 2 else row["width"]}, with_indices=True)
    with pytest.raises(AttachError, match=f"{rows[2]['id']}: .* gives 12 by 10 pixels, published are 99 by 10"):
        bench.attach(other)


def test_errors_of_the_reader(bench: Bench, tmp_path: Path) -> None:
    rows = bench.rows("closed", split="train")
    with pytest.raises(KeyError, match="no source 'clsed'; did you mean closed"):
        attach_images(rows, {"clsed": tmp_path}, loaders=bench.loaders)
    with pytest.raises(MedMatError, match="rows lack the columns key, frame"):
        bench.attach(rows.remove_columns(["key", "frame"]))
    (tmp_path / "readme.txt").write_text("nothing here")
    with pytest.raises(LayoutError, match=r"table\.csv"):
        attach_images(rows, {"closed": tmp_path}, loaders=bench.loaders)
    with pytest.raises(ValueError, match="empty must be"):
        bench.attach(rows, empty="ignore")


def test_fixtures_of_sources_get_their_pictures_back(sources: Registry, tmp_path: Path) -> None:
    known = [slug for slug in SLUGS if slug in sources]
    regions = [slug for slug in known if sources[slug].card.kind in ("detection", "segmentation")]
    slugs = [slug for slug in dict.fromkeys([*known[::12], *regions[::3]]) if sources[slug].card.download_of is None]
    for slug in slugs:
        write_tree(load_fixture(slug).contents(), tmp_path / "raw" / slug, sources[slug].card)
    built = build(sources, tmp_path / "raw", tmp_path / "full", slugs=slugs)
    assert not [result.failure for result in built.sources if result.failure]
    strip(tmp_path / "full", tmp_path / "published", slugs)
    rows = datasets.load_dataset(str(tmp_path / "published"), "everything")
    attached = attach_images(rows, {slug: tmp_path / "raw" / slug for slug in slugs})
    masks = 0
    for split, part in datasets.load_dataset(str(tmp_path / "full"), "everything").items():
        assert stored(attached[split]) == stored(part)
        masks += sum(row["mask"] is not None for row in stored(attached[split]))
    assert masks


def test_another_mask_is_refused(sources: Registry, tmp_path: Path) -> None:
    write_tree(load_fixture("kvasir_seg").contents(), tmp_path / "raw" / "kvasir_seg", sources["kvasir_seg"].card)
    build(sources, tmp_path / "raw", tmp_path / "full", slugs=["kvasir_seg"])
    strip(tmp_path / "full", tmp_path / "published", ["kvasir_seg"])
    rows = datasets.load_dataset(str(tmp_path / "published"), "kvasir_seg", split="train")
    masks = sorted((tmp_path / "raw").rglob("masks/*"))
    for mask in masks:
        with Image.open(mask) as drawn:
            size = drawn.size
        Image.new("L", size, 255).save(mask)
    with pytest.raises(AttachError, match=rf"{rows[0]['id']}: .* is another than the release's: its regions lie"):
        attach_images(rows, {"kvasir_seg": tmp_path / "raw" / "kvasir_seg"})
    masks[0].unlink()
    with pytest.raises(AttachError, match="is not in"):
        attach_images(rows, {"kvasir_seg": tmp_path / "raw" / "kvasir_seg"})
