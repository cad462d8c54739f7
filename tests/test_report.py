"""The report of a build: what stands on the page, what does not, and that it needs nothing else."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from pathlib import Path

import lxml.html
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml.html import HtmlElement
from PIL import Image
from source_fixture import load_fixture
from tiny import Row, add_source, med_mat, plain_rows, registry_of, write_raw

from med_mat.build import build
from med_mat.errors import LayoutError
from med_mat.registry import Registry
from med_mat.report.gather import gather
from med_mat.report.overlaps import Shared, hashes, shared
from med_mat.report.page import render, short
from med_mat.report.pictures import SIDE, Place, choose, fitted, small_mask
from med_mat.trees import write_tree

MASKED = "kvasir_seg"
NASTY = 'Tiny <script>alert(1)</script> & "quoted"'


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three sources of which one may be passed on, one without pictures, one not at all; and one that is not built."""
    folder = tmp_path_factory.mktemp("report")
    loaders = folder / "loaders"
    add_source(loaders, "free", title=NASTY, homepage="javascript:alert(2)", errata=["The published link is dead."])
    add_source(loaders, "labelled", redistribution="annotations", subset=None, instructions=["What is it?"] * 6)
    add_source(loaders, "closed", redistribution="none", lineage={"drawn_from": ["free"]}, anatomy="liver")
    add_source(loaders, "absent")
    rows = plain_rows(24)
    write_raw(folder / "raw" / "free", rows, size=(40, 30))
    write_raw(folder / "raw" / "labelled", [Row(f"other {n}.png", "cyst" if n else "stone") for n in range(9)])
    write_raw(folder / "raw" / "closed", [Row(f"picture {n:03d}.png", rows[n].labels) for n in range(6)], size=(40, 30))
    build(registry_of(loaders), folder / "raw", folder / "med-mat")
    return folder


@pytest.fixture(scope="module")
def page(built: Path) -> HtmlElement:
    return parsed(registry_of(built / "loaders"), built / "med-mat")


@pytest.fixture(scope="module")
def published(built: Path) -> HtmlElement:
    return parsed(registry_of(built / "loaders"), built / "med-mat", published=True)


def parsed(registry: Registry, folder: Path, **options: bool) -> HtmlElement:
    return lxml.html.document_fromstring(render(gather(registry, folder, **options)))


def text(element: HtmlElement) -> str:
    return " ".join(element.text_content().split())


def source(page: HtmlElement, slug: str) -> HtmlElement:
    return page.get_element_by_id(slug)


def decoded(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def rows_of(folder: Path, slug: str) -> dict[str, dict]:
    shards = (folder / "med-mat" / "data" / slug).glob("*.parquet")
    return {row["id"]: row for shard in shards for row in pq.read_table(shard).to_pylist()}


def test_the_page_needs_no_other_file_and_no_network(page: HtmlElement) -> None:
    loaded = page.xpath("//*/@src | //link/@href | //object/@data | //@srcset")
    assert loaded
    assert all(address.startswith("data:image/") for address in loaded)
    assert "url(" not in "".join(page.xpath("//style/text()"))
    assert "@import" not in "".join(page.xpath("//style/text()"))
    policy = page.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")[0]
    assert "default-src 'none'" in policy
    assert "http" not in policy


def test_ids_are_unique_and_links_inside_lead_somewhere(page: HtmlElement) -> None:
    ids = page.xpath("//@id")
    assert len(ids) == len(set(ids))
    targets = [link[1:] for link in page.xpath("//a/@href") if link.startswith("#")]
    assert targets
    assert set(targets) <= set(ids)
    assert set(page.xpath("//@aria-labelledby")) <= set(ids)


def test_words_of_cards_are_text_and_not_markup(page: HtmlElement) -> None:
    assert len(page.xpath("//script")) == 1
    assert source(page, "free").xpath(".//summary//strong")[0].text_content() == NASTY
    assert "javascript:alert(2)" in text(source(page, "free"))
    assert not [link for link in page.xpath("//a/@href") if not link.startswith(("https://", "http://", "#"))]


def test_every_source_stands_on_the_page_with_its_state(page: HtmlElement, published: HtmlElement) -> None:
    def states(root: HtmlElement) -> dict[str, str]:
        return {found.get("id"): found.get("data-state") for found in root.xpath("//details[@data-state]")}

    built = {"free": "built", "labelled": "built", "closed": "built", "absent": "not built"}
    assert states(page) == built
    assert states(published) == {**built, "closed": "withheld"}


def test_counts_are_those_of_the_manifest(page: HtmlElement, built: Path) -> None:
    manifest = json.loads((built / "med-mat" / "manifest.json").read_text())
    tiles = {text(tile[0]): text(tile[1]) for tile in page.xpath("//dl[@class='tiles']/div")}
    assert tiles["pictures"] == str(manifest["rows"])
    assert tiles["sources built"] == "3 of 4"
    entry = manifest["sources"]["free"]
    table = source(page, "free").xpath(".//table")[0]
    splits = [text(cell) for cell in table.xpath(".//thead//th")][1:-1]
    assert splits == [split for split in ("train", "validation", "test") if split in entry["splits"]]
    for row in table.xpath(".//tbody/tr"):
        numbers = [int(cell.text_content()) for cell in row.xpath("td")[:-1]]
        label = text(row[0])
        assert numbers == [entry["labels"][split].get(label, 0) for split in splits]
        assert sum(numbers) == 6


def test_the_matrix_counts_each_source_once(page: HtmlElement) -> None:
    cells = {
        (cell.get("data-axis"), cell.get("data-word"), cell.get("data-modality")): (text(cell[0]), cell.get("title"))
        for cell in page.xpath("//table[@class='matrix']//button")
    }
    assert cells["anatomy", "kidney", "ct"] == ("2", "2 of 3 sources built, 33 pictures")
    assert cells["anatomy", "liver", "ct"][0] == "1"
    assert cells["task", "disease classification", ""][0] == "3"
    assert cells["", "", "ct"][0] == "3"


def test_samples_are_rows_of_the_build(page: HtmlElement, built: Path) -> None:
    rows = rows_of(built, "free")
    figures = source(page, "free").xpath(".//figure")
    assert len(figures) == 4
    seen = set()
    for figure in figures:
        row = rows[f"free/{text(figure.xpath('.//code')[0])}"]
        seen.add(*row["labels"])
        assert figure.xpath(".//figcaption/div[@class='question']/p")[0].text == row["question"]
        options = figure.xpath(".//figcaption/div[@class='question']//li")
        assert [option.text for option in options] == row["options"]
        assert [option.get("class") == "answer" for option in options].index(True) == row["answer_index"]
        small = decoded(figure.xpath(".//img/@src")[0])
        assert small.size == (40, 30)
        stored = np.asarray(Image.open(io.BytesIO(row["image"]["bytes"])).convert("L"), float)
        shown = np.asarray(small.convert("L"), float)
        assert np.corrcoef(stored.ravel(), shown.ravel())[0, 1] > 0.8
    assert len(seen) == 4


def test_pictures_that_may_not_be_passed_on_are_marked(page: HtmlElement) -> None:
    marks = {
        slug: len(source(page, slug).xpath(".//div[@class='picture']/span[@class='private']"))
        for slug in ("free", "labelled", "closed")
    }
    assert marks == {"free": 0, "labelled": 4, "closed": 4}
    assert "pictures of 2 sources that may not be passed on" in text(page.xpath("//p[@class='warning']")[0])


def test_published_shows_only_what_may_be_passed_on(published: HtmlElement, built: Path) -> None:
    assert not published.xpath("//p[@class='warning']")
    assert source(published, "free").xpath(".//img")
    labelled = source(published, "labelled")
    assert not labelled.xpath(".//img")
    assert len(labelled.xpath(".//figure")) == 4
    assert "picture may not be passed on" in text(labelled)
    closed = source(published, "closed")
    assert not closed.xpath(".//figure")
    assert closed.get("data-rows") == "0"
    assert not closed.xpath(".//table//td[@class='n']")
    whole = lxml.html.tostring(published, encoding="unicode")
    assert not [row for row in rows_of(built, "closed") if row.rpartition("/")[2] in whole]
    assert "closed" not in text(source(published, "free"))


def test_overlaps_errata_and_relations(page: HtmlElement) -> None:
    closed = text(source(page, "closed"))
    assert "was drawn from free" in closed
    assert "6 equal pictures." in closed
    assert "6 equal pictures" in text(source(page, "free"))
    assert "The published link is dead." in text(source(page, "free"))
    assert "None found in this build, none declared." in text(source(page, "labelled"))


def test_a_report_has_the_same_bytes_each_time(built: Path) -> None:
    registry = registry_of(built / "loaders")
    assert render(gather(registry, built / "med-mat")) == render(gather(registry, built / "med-mat"))


def test_boxes_and_masks_lie_on_their_pictures(tmp_path: Path, sources: Registry) -> None:
    write_tree(load_fixture(MASKED).contents(), tmp_path / "raw" / MASKED, sources[MASKED].card)
    build(sources, tmp_path / "raw", tmp_path / "med-mat", cache=tmp_path / "cache")
    rows = rows_of(tmp_path, MASKED)
    figures = source(parsed(sources, tmp_path / "med-mat"), MASKED).xpath(".//figure")
    assert len(figures) == len(rows)
    for figure in figures:
        row = rows[f"{MASKED}/{text(figure.xpath('.//code')[0])}"]
        picture, tint = (decoded(uri) for uri in figure.xpath(".//img/@src"))
        assert tint.size == picture.size
        seen = np.asarray(tint.convert("RGBA"))[..., 3] > 0
        stored = Image.open(io.BytesIO(row["mask"]["bytes"])).resize(tint.size, Image.Resampling.NEAREST)
        assert ((np.asarray(stored) > 0) == seen).mean() > 0.98
        assert seen.any()
        boxes = [
            [float(side) / 100 for side in re.findall(r":([\d.]+)%", box.get("style"))]
            for box in figure.xpath(".//span[contains(@class, ' box ')]")
        ]
        expected = [found["bbox"] for found in row["objects"]]
        assert np.allclose([[x, y, x + w, y + h] for x, y, w, h in boxes], expected, atol=2e-4)
        assert figure.xpath(".//p[@class='answer open']")[0].text.split() == row["answer"].split()


def test_a_snapshot_of_what_was_published_is_reported_as_it_is(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built / "med-mat", tmp_path / "med-mat", ignore=shutil.ignore_patterns(".med-mat"))
    manifest = json.loads((tmp_path / "med-mat" / "manifest.json").read_text())
    manifest["sources"]["closed"] = {"redistribution": "none", "serves": "none"}
    del manifest["sources"]["labelled"]["undeclared"]
    manifest["sources"]["labelled"]["odd"] = {"unreadable_image": 1}
    (tmp_path / "med-mat" / "manifest.json").write_text(json.dumps(manifest))
    for shard in (tmp_path / "med-mat" / "data" / "labelled").glob("*.parquet"):
        rows = pq.read_table(shard)
        place = rows.schema.get_field_index("image")
        pq.write_table(
            rows.set_column(place, rows.schema.field(place), pa.nulls(len(rows), rows.schema.field(place).type)), shard
        )
    page = parsed(registry_of(built / "loaders"), tmp_path / "med-mat")
    assert source(page, "closed").get("data-state") == "not built"
    labelled = source(page, "labelled")
    assert "no pixels" in text(labelled)
    assert "unreadable image" in text(labelled)
    assert not labelled.xpath(".//img")
    assert source(page, "free").xpath(".//img")


def test_a_shard_that_is_gone_is_named(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built / "med-mat", tmp_path / "med-mat")
    gone = next((tmp_path / "med-mat" / "data" / "labelled").glob("*.parquet"))
    gone.unlink()
    with pytest.raises(LayoutError, match=re.escape(gone.name)):
        gather(registry_of(built / "loaders"), tmp_path / "med-mat")


def test_a_shard_of_something_else_is_named(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built / "med-mat", tmp_path / "med-mat")
    odd = next((tmp_path / "med-mat" / "data" / "labelled").glob("*.parquet"))
    pq.write_table(pa.table({"id": ["a"]}), odd)
    with pytest.raises(LayoutError, match=f"{odd.name}.*no column group"):
        gather(registry_of(built / "loaders"), tmp_path / "med-mat")
    odd.write_bytes(b"no Parquet")
    with pytest.raises(LayoutError, match=f"{odd.name}.*expected a Parquet file"):
        gather(registry_of(built / "loaders"), tmp_path / "med-mat")


def test_the_command_writes_the_page(built: Path, tmp_path: Path) -> None:
    done = med_mat("report", built / "med-mat", "--out", tmp_path / "out", "--loaders", built / "loaders")
    assert done.returncode == 0, done.stderr
    assert "3 of 113 sources" in done.stdout
    page = lxml.html.document_fromstring((tmp_path / "out" / "index.html").read_text(encoding="utf-8"))
    assert source(page, "ct_kidney").get("data-state") == "not built"
    stranger = med_mat("report", built / "med-mat", "--out", tmp_path / "out")
    assert stranger.returncode == 2
    assert "holds rows of closed, free, labelled, of which there is no card; give their --loaders" in stranger.stderr
    nothing = med_mat("report", tmp_path / "out", "--out", tmp_path / "other")
    assert nothing.returncode == 2
    assert "manifest.json" in nothing.stderr


LABELS = st.lists(st.sampled_from("abcdef"), max_size=3, unique=True)


@given(st.lists(LABELS, max_size=30), st.integers(0, 8))
def test_chosen_rows_show_many_labels_whatever_their_order(labels: list[list[str]], number: int) -> None:
    rows = [(Place("shard", place, f"id {place:03d}"), found) for place, found in enumerate(labels)]
    chosen = choose(rows, number)
    assert len(chosen) == len(set(chosen)) <= number
    assert choose(reversed(rows), number) == chosen
    distinct = {label for found in labels for label in found}
    if number >= len(distinct):
        assert {label for place in chosen for label in labels[place.number]} == distinct
    if len(rows) <= number:
        assert len(chosen) == len(rows)


@given(st.dictionaries(st.sampled_from("pqrs"), st.sets(st.integers(0, 12)), max_size=4))
def test_what_is_shared_is_counted_as_sets_have_it(held: dict[str, set[int]]) -> None:
    columns = {
        slug: pa.chunked_array([[f"{value:032x}"[::-1] for value in values]], pa.string())
        for slug, values in held.items()
    }
    found = shared({slug: hashes(column) for slug, column in columns.items()}, {}, [])
    for slug in held:
        expected = {other: len(held[slug] & held[other]) for other in held if other != slug}
        assert {one.other: one.pictures for one in found.get(slug, ())} == {
            other: number for other, number in expected.items() if number
        }


def test_near_duplicates_are_counted_between_their_sources() -> None:
    one, two, three = ("1" * 32, "2" * 32, "3" * 32)
    held = {
        "p": hashes(pa.chunked_array([[one, three]])),
        "q": hashes(pa.chunked_array([[two]])),
        "r": hashes(pa.chunked_array([["4" * 32]])),
    }
    found = shared(held, {}, [(one, two), (one, three), (two, "5" * 32)])
    assert found == {"p": (Shared("q", near=1),), "q": (Shared("p", near=1),)}


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_pictures_are_fitted_and_never_made_larger(width: int, height: int) -> None:
    small = fitted(width, height)
    assert max(small) == min(SIDE, max(width, height))
    assert all(1 <= side <= whole for side, whole in zip(small, (width, height), strict=True))


def test_thin_regions_stay_visible_on_a_smaller_mask() -> None:
    values = np.zeros((400, 400), np.uint8)
    values[200, :] = 3
    values[:100, :100] = 7
    small = small_mask(Image.fromarray(values), (100, 100))
    assert (small[50] == 3).all()
    assert (small[:25, :25] == 7).all()
    assert set(np.unique(small)) == {0, 3, 7}


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, "0"), (999, "999"), (1234, "1.2k"), (9_960, "10k"), (34_567, "35k"), (999_600, "1.0M"), (1_234_567, "1.2M")],
)
def test_numbers_in_cells_are_short(value: int, expected: str) -> None:
    assert short(value) == expected
