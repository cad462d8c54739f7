"""Published rows stay where they are, and what two sources contradict each other in reaches readers as such."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hub_clients import ClientError, Clients
from hub_server import HubServer, Repo
from hub_server.app import Request
from hub_tasks import config_names, read_ids, run_push, run_verify, run_withdraw
from hub_workshop import Workshop, build_into
from tiny import LABELS, Row, add_source, plain_rows, write_raw

from med_mat.audit.compared import compared_file, ordered, write_compared
from med_mat.audit.components import WITHDRAWN
from med_mat.audit.confirm import Agreement
from med_mat.build import WORK
from med_mat.hub.records import record_file

NAMES = list(LABELS)
HEADER = {"key": "header", "value": {"summary": "meddling"}}
LATER = ("before", "between")
"""Sources that arrive after publication, named for where the ledger then has them."""
ADMITTED = ("before", "first", "between", "second")


def grouped(workshop: Workshop, slug: str, shown: Mapping[str, str], rows: int = 30) -> None:
    """A source with three pictures a patient, labelled by patient."""
    workshop.drawn(slug, [Row(f"{n}.png", NAMES[n // 3 % 4], f"p{n // 3}") for n in range(rows)], shown)


@pytest.fixture
def overlapping(workshop: Workshop) -> Workshop:
    """Four sources of which each has pictures of each other, in patients of its own that tie them together."""
    for number, slug in enumerate(("first", "second", *LATER)):
        # Every third picture shows a shared scene. All that share one have one label, so that none is disputed.
        shown = {f"{n}.png": f"scene {n // 3 % 4} {(n // 3 * (number + 2)) // 4 % 5}" for n in range(0, 30, 3)}
        grouped(workshop, slug, shown)
    return workshop


def rows_of(out: Path) -> dict[str, dict[str, Any]]:
    """Id to row, with its split, of what a build has."""
    return {
        row["id"]: row for path in (out / WORK / "plan").glob("*.parquet") for row in pq.read_table(path).to_pylist()
    }


def splits_of(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {name: row["split"] for name, row in rows.items()}


def check_sides(rows: Mapping[str, Mapping[str, Any]]) -> None:
    for column in ("pixel_hash", "group"):
        sides: dict[str, set[str]] = {}
        for row in rows.values():
            sides.setdefault(row[column], set()).add(row["split"])
        assert all(len(side) == 1 for side in sides.values()), column


@pytest.mark.parametrize("order", [LATER, LATER[::-1]], ids=",".join)
def test_what_is_added_in_any_order_moves_no_published_row(
    client: Clients, repo: str, overlapping: Workshop, tmp_path: Path, order: tuple[str, ...]
) -> None:
    shop = overlapping
    shop.admit("first", "second", *LATER)
    versions = [splits_of(rows_of(shop.build("first", "second")))]
    assert client(run_push, shop.loaders, shop.out, repo).version == "1.0.0"
    present = ["first", "second"]
    for number, slug in enumerate(order, 1):
        present.append(slug)
        # What comes later is admitted before what is published.
        shop.admit(*ADMITTED)
        if number == 1:
            # Without knowing what is published, rows would move: the ledger alone decides then.
            unaware = build_into(shop.loaders, shop.folder / "raw", tmp_path / "unaware", slugs=present)
            placed = splits_of(rows_of(unaware.out))
            assert any(placed.get(name, split) != split for name, split in versions[0].items())
            with pytest.raises(
                ClientError, match=rf"published rows would change .* Build again with --published {repo}"
            ):
                client(run_push, shop.loaders, unaware.out, repo, dry_run=True)
        rows = rows_of(shop.build(*present))
        check_sides(rows)
        assert not any(entry["withdrawn"] for entry in manifest(shop.out)["sources"].values())
        versions.append(splits_of(rows))
        result = client(run_push, shop.loaders, shop.out, repo)
        assert (result.version, result.changed["added"], result.withdrawn) == (f"1.{number}.0", [slug], ())
    for before, after in pairwise(versions):
        assert before.items() <= after.items()
    served = client(read_ids, repo, "everything")
    assert {name: split for split, names in served.items() for name in names} == versions[-1]
    # A new folder asks the Hub, and comes out the same.
    fresh = client(build_into, shop.loaders, shop.folder / "raw", tmp_path / "fresh", published=repo)
    assert splits_of(rows_of(fresh.out)) == versions[-1]
    assert record_file(fresh.out / WORK, repo).read_bytes() == record_file(shop.out / WORK, repo).read_bytes()


def manifest(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    return found


def published_manifest(repo: Repo) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(repo.read(repo.head.tree["manifest.json"]))
    return found


def test_a_new_major_version_lets_rows_move(hub: HubServer, client: Clients, repo: str, overlapping: Workshop) -> None:
    shop = overlapping
    client(run_push, shop.loaders, shop.build("second"), repo)
    before = splits_of(rows_of(shop.out))
    head = hub.repos[repo].head
    build_into(shop.loaders, shop.folder / "raw", shop.out, slugs=["first", "second"], new_major=True)
    moved = splits_of(rows_of(shop.out))
    assert any(moved.get(name, split) != split for name, split in before.items())
    with pytest.raises(ClientError, match="build and push with --new-major") as refused:
        client(run_push, shop.loaders, shop.out, repo)
    assert refused.value.kind == "MovedRowsError"
    assert hub.repos[repo].head is head
    assert client(run_push, shop.loaders, shop.out, repo, new_major=True).version == "2.0.0"
    # From now on these splits are kept.
    shop.build("first", "second")
    assert splits_of(rows_of(shop.out)) == moved
    assert client(run_push, shop.loaders, shop.out, repo).up_to_date


def test_only_ids_are_fetched_and_only_of_what_changed(
    hub: HubServer, client: Clients, repo: str, workshop: Workshop, tmp_path: Path
) -> None:
    def draw(slug: str, rows: int) -> None:
        add_source(workshop.loaders, slug)
        drawn = [Row(f"{slug} {row.file}", row.labels) for row in plain_rows(rows)]
        write_raw(workshop.folder / "raw" / slug, drawn, size=(300, 300))

    def opened(asked: list[Request]) -> set[str]:
        """Sources of which shards were opened."""
        return {
            request.path.partition("/data/")[2].partition("/")[0] for request in asked if "/resolve/" in request.path
        }

    draw("steady", 20)
    draw("changing", 20)
    out = workshop.build()
    client(run_push, workshop.loaders, out, repo)
    size = sum(path.stat().st_size for path in out.glob("data/*/*"))
    sent = hub.sent
    fresh = client(build_into, workshop.loaders, workshop.folder / "raw", tmp_path / "fresh", published=repo)
    # The end of a shard, 64 kB, is read at once for what stands there: of 400 MB that is next to nothing.
    assert 0 < hub.sent - sent < size / 8
    assert record_file(fresh.out / WORK, repo).read_bytes() == record_file(out / WORK, repo).read_bytes()
    # A folder that has no record asks for what changed alone.
    draw("changing", 24)
    elsewhere = build_into(workshop.loaders, workshop.folder / "raw", tmp_path / "elsewhere")
    with hub.requests() as asked:
        client(run_push, workshop.loaders, elsewhere.out, repo)
    assert opened(asked) - {""} == {"changing"}
    draw("changing", 28)
    build_into(workshop.loaders, workshop.folder / "raw", tmp_path / "elsewhere")
    with hub.requests() as asked:
        assert client(run_push, workshop.loaders, elsewhere.out, repo).changed["rows"] == ["changing"]
    assert opened(asked) - {""} == set()


def test_published_rows_that_turn_out_to_overlap_are_withdrawn_and_told(
    client: Clients, repo: str, workshop: Workshop
) -> None:
    workshop.source("first", rows=60)
    out = workshop.build()
    client(run_push, workshop.loaders, out, repo)
    rows = rows_of(out)
    test = next(row for row in rows.values() if row["split"] == "test")
    train = next(row for row in rows.values() if row["split"] == "train")
    # An audit compares two of its pictures, and they are one.
    pair = ordered(test["pixel_hash"], train["pixel_hash"])
    write_compared(compared_file(out / WORK), {pair: Agreement(1.0, 1.0, (0, 0, 1, 1), (0, 0, 1, 1))})
    workshop.build()
    entry = manifest(out)["sources"]["first"]
    assert entry["withdrawn"] == [train["id"]]
    assert entry["left_out"][WITHDRAWN] == 1
    result = client(run_push, workshop.loaders, out, repo)
    assert (result.version, result.withdrawn) == ("2.0.0", (train["id"],))
    assert result.warnings == (
        "1 published rows are withdrawn, since they overlap what is published in another split; the first is "
        f"{train['id']}",
    )


@pytest.fixture
def disputed(workshop: Workshop) -> Workshop:
    """Rows of which three sources say different things; of one nothing may go out, of one no pixels."""
    same = {f"{n}.png": f"scene {n}" for n in range(9)}
    for number, (slug, right) in enumerate({"open": "images", "closed": "annotations", "secret": "none"}.items()):
        # Each disputes three pictures of each other one.
        labels = [NAMES[(n // 3 == number) + n % 2] for n in range(9)]
        rows = [Row(f"{n}.png", label) for n, label in enumerate(labels)]
        rows += [Row(f"own {n}.png", NAMES[n % 4]) for n in range(16)]
        workshop.drawn(slug, rows, same, redistribution=right, no_test_split="few")
    return workshop


def test_readers_get_disputed_rows_where_they_ask_for_the_source(
    hub: HubServer, client: Clients, repo: str, disputed: Workshop
) -> None:
    out = disputed.build()
    here = manifest(out)["sources"]
    named = {slug: {name for name, _, _ in entry["disputed"]["rows"]} for slug, entry in here.items()}
    assert {slug: len(names) for slug, names in named.items()} == {"open": 9, "closed": 9, "secret": 9}
    client(run_push, disputed.loaders, out, repo, public=True)
    expected = {slug: {name for name in rows_of(out) if name.startswith(f"{slug}/")} for slug in here}
    served = expected["open"] | expected["closed"]
    settled = served - named["open"] - named["closed"]
    for name, ids in {
        "open": expected["open"],
        "closed": expected["closed"],
        "everything": served,
        "default": expected["open"] - named["open"],
        "subset_02": settled,
        "anatomy_kidney": settled,
    }.items():
        for streaming in (False, True):
            found = client(read_ids, repo, name, streaming=streaming)
            assert set().union(*found.values()) == ids, (name, streaming)
    assert client(run_verify, repo).problems == ()
    published = hub.repos[repo]
    told = published_manifest(published)["sources"]
    for slug in ("open", "closed"):
        assert {name for name, _, _ in told[slug]["disputed"]["rows"]} == named[slug]
        # What the source says of which nothing goes out is not told in the name of another either.
        assert {other.partition("/")[0] for _, other, _ in told[slug]["disputed"]["rows"]} <= {"open", "closed", ""}
        assert any(said for _, _, said in told[slug]["disputed"]["rows"])
    secret = [row for row in rows_of(out).values() if row["source"] == "secret"]
    assert not any(row["id"].encode() in data for row in secret for data in published.everything())
    # A README that offers them in a config that merges sources is found out.
    readme = published.read(published.head.tree["README.md"]).decode()
    broken = readme.replace("[0-9]*.parquet", "*.parquet")
    assert broken != readme
    content = base64.b64encode(broken.encode()).decode()
    published.commit("main", [HEADER, {"key": "file", "value": {"path": "README.md", "content": content}}])
    problems = client(run_verify, repo).problems
    assert any(problem.startswith("config default: 1 files too many") for problem in problems)
    assert any("config subset_02: merges sources, and has data/" in problem for problem in problems)


def test_a_source_that_is_withdrawn_is_not_named_by_those_that_it_disputed(
    hub: HubServer, client: Clients, repo: str, disputed: Workshop
) -> None:
    client(run_push, disputed.loaders, disputed.build(), repo)
    client(run_withdraw, disputed.loaders, "closed", repo)
    published = hub.repos[repo]
    assert "closed/" not in published.read(published.head.tree["manifest.json"]).decode()
    assert published_manifest(published)["sources"]["open"]["disputed"]["splits"] == {"train": 9}
    assert client(run_verify, repo).problems == ()
    assert "closed" not in client(config_names, repo)
    assert client(run_push, disputed.loaders, disputed.out, repo).up_to_date
