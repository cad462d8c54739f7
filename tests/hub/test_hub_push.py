"""What a push uploads, in which order, under which version, and what readers load."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hub_clients import ClientError, Clients
from hub_server import HubServer
from hub_server.app import Request
from hub_tasks import EVERY, config_names, load_with_raw, read, read_configs, run_push, run_small_push, run_verify
from hub_workshop import Workshop

PAGES = {"CHANGELOG.md", "CITATION.bib", "CITATION.cff", "README.md", "croissant.json", "manifest.json"}


def written(asked: list[Request]) -> list[str]:
    return [str(request) for request in asked if request.method not in ("GET", "HEAD")]


def resolved(asked: list[Request]) -> set[str]:
    """Data files whose content or address was asked for."""
    found = {request.path.partition("/resolve/")[2].partition("/")[2] for request in asked}
    return {path for path in found if path.startswith("data/")}


def test_published_rows_are_the_built_ones(hub: HubServer, client: Clients, repo: str, workshop: Workshop) -> None:
    workshop.source("first")
    workshop.source("second", "annotations")
    out = workshop.build()
    result = client(run_push, workshop.loaders, out, repo)
    assert (result.version, result.before, hub.repos[repo].private) == ("1.0.0", None, True)
    local = client(read, str(out), "first")
    assert client(read, repo, "first") == client(read, repo, "first", streaming=True) == local
    built = client(read, str(out), "everything")
    served = client(read, repo, "everything")
    assert {split: [row[:2] for row in rows] for split, rows in served.items()} == {
        split: [row[:2] for row in rows] for split, rows in built.items()
    }
    assert set(served) <= set(EVERY)
    assert hub.repos[repo].refs["refs/tags/v1.0.0"] == hub.repos[repo].head.oid == result.commit
    assert client(run_verify, f"{repo}").problems == ()
    assert client(read, repo, "first", revision="v1.0.0") == local


def test_added_source_uploads_its_own_shards_and_pages_only(
    hub: HubServer, client: Clients, repo: str, workshop: Workshop
) -> None:
    workshop.source("first")
    workshop.source("second", "annotations")
    client(run_push, workshop.loaders, workshop.build(), repo)
    published = hub.repos[repo]
    before, stored = published.head.tree, published.stored[:]
    workshop.source("third")
    out = workshop.build()
    with hub.requests() as asked:
        result = client(run_push, workshop.loaders, out, repo)
    assert (result.version, result.changed["added"]) == ("1.1.0", ["third"])
    after = published.head.tree
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    shards = {path.relative_to(out).as_posix() for path in (out / "data" / "third").iterdir()}
    assert shards | {"README.md", "manifest.json", "CHANGELOG.md"} <= changed <= shards | PAGES
    uploads = [request for request in asked if request.method == "PUT"]
    assert len(uploads) == len(shards) == len(published.stored) - len(stored)
    # The build has all sources: those that did not change are not even offered.
    offered = [request for request in asked if "/preupload/" in request.path]
    assert sum(request.received for request in offered) < 12_000
    assert "## 1.1.0\n\n- Sources added: third" in published.read(after["CHANGELOG.md"]).decode()
    assert len(client(read, repo, "third")) == 2


def test_readers_fill_what_lacks_pixels_from_their_own_download(client: Clients, repo: str, workshop: Workshop) -> None:
    workshop.source("first")
    workshop.source("second", "annotations")
    out = workshop.build()
    client(run_push, workshop.loaders, out, repo)
    built = client(read, str(out), "everything")
    raw = {"second": workshop.folder / "raw" / "second"}
    for streaming in (False, True):
        assert client(load_with_raw, repo, workshop.loaders, raw, streaming=streaming) == built


def test_nothing_new_writes_nothing(hub: HubServer, client: Clients, repo: str, workshop: Workshop) -> None:
    workshop.source("first")
    out = workshop.build()
    client(run_push, workshop.loaders, out, repo)
    with hub.requests() as asked:
        result = client(run_push, workshop.loaders, out, repo)
    assert result.up_to_date
    assert written(asked) == []


def test_dry_run_writes_nothing_and_tells_what_would_be(
    hub: HubServer, client: Clients, repo: str, workshop: Workshop
) -> None:
    workshop.source("first")
    workshop.source("second", "annotations")
    workshop.source("third", "none")
    out = workshop.build()
    with hub.requests() as asked:
        planned = client(run_push, workshop.loaders, out, repo, dry_run=True)
    assert written(asked) == []
    assert repo not in hub.repos
    done = client(run_push, workshop.loaders, out, repo)
    assert (planned.version, planned.sources) == (done.version, done.sources)
    assert [(source.right.serves, source.pictures) for source in done.sources] == [
        ("images", 24),
        ("annotations", 0),
        ("none", 0),
    ]


def test_versions(hub: HubServer, client: Clients, repo: str, workshop: Workshop) -> None:
    def push() -> tuple[str, dict[str, list[str]]]:
        result = client(run_push, workshop.loaders, workshop.build(), repo)
        return result.version, {kind: slugs for kind, slugs in result.changed.items() if slugs}

    workshop.source("first")
    assert push() == ("1.0.0", {"added": ["first"]})
    workshop.source("first", homepage="https://example.org/moved")
    assert push() == ("1.0.1", {})
    workshop.source("first", licence={"name": "CC BY 4.0", "spdx": "CC-BY-4.0", "evidence": "told"})
    assert push() == ("1.0.2", {})
    workshop.source("second", "annotations")
    assert push() == ("1.1.0", {"added": ["second"]})
    workshop.source("second", "annotations", rows=28)
    assert push() == ("2.0.0", {"rows": ["second"]})
    workshop.source("second", rows=28)
    assert push() == ("3.0.0", {"rows": ["second"]})
    tags = [ref for ref in hub.repos[repo].refs if ref.startswith("refs/tags/")]
    assert tags == [f"refs/tags/v{version}" for version in ("1.0.0", "1.0.1", "1.0.2", "1.1.0", "2.0.0", "3.0.0")]


def test_other_shards_of_the_same_rows_are_a_patch(
    hub: HubServer, client: Clients, repo: str, workshop: Workshop
) -> None:
    workshop.source("first")
    client(run_push, workshop.loaders, workshop.build(), repo)
    before = client(read, repo)
    result = client(run_push, workshop.loaders, workshop.build(shard_bytes=2000), repo)
    assert result.version == "1.0.1"
    assert result.deleted
    shards = [path for path in hub.repos[repo].head.tree if path.startswith("data/")]
    assert len(shards) > 2
    assert not any(path.endswith("train-00000-of-00001.parquet") for path in shards)
    assert client(read, repo) == client(read, repo, streaming=True) == before
    assert client(run_verify, repo).problems == ()


def test_a_build_of_one_source_leaves_the_others(
    client: Clients, repo: str, workshop: Workshop, tmp_path: Path
) -> None:
    workshop.source("first")
    client(run_push, workshop.loaders, workshop.build(), repo)
    before = client(read, repo, "first")
    elsewhere = Workshop(tmp_path / "elsewhere")
    elsewhere.source("first")
    elsewhere.source("second")
    result = client(run_push, elsewhere.loaders, elsewhere.build("second"), repo)
    assert [(source.right.slug, source.here) for source in result.sources] == [("first", False), ("second", True)]
    assert client(read, repo, "first") == before
    assert client(run_verify, repo).problems == ()


def test_commits_are_small_and_data_comes_first(hub: HubServer, client: Clients, repo: str, workshop: Workshop) -> None:
    workshop.source("first", rows=40)
    out = workshop.build(shard_bytes=700)
    shards = len(list(out.glob("data/*/*.parquet")))
    assert shards >= 7
    client(run_small_push, workshop.loaders, out, repo, files=3)
    published = hub.repos[repo]
    commits = list(published.history("refs/pr/1"))[::-1]
    added = [
        sorted(path for path, file in after.tree.items() if before.tree.get(path) != file)
        for before, after in pairwise(commits)
    ]
    assert all(len(paths) <= 3 for paths in added)
    order = [path for paths in added for path in paths]
    assert order[:shards] == sorted(path for path in published.head.tree if path.startswith("data/"))
    assert set(order[shards:]) == PAGES
    assert len(list(published.history("main"))) == 2, "readers of main see one step"


def test_large_objects_go_in_parts(client: Clients, hub: HubServer, repo: str, workshop: Workshop) -> None:
    workshop.source("first", rows=40)
    out = workshop.build()
    hub.part = 10_000
    try:
        with hub.requests() as asked:
            client(run_push, workshop.loaders, out, repo)
    finally:
        hub.part = 1 << 30
    assert any(request.path.endswith("/2") for request in asked if request.method == "PUT")
    assert client(run_verify, repo).problems == ()


def test_listing_goes_on_over_pages(client: Clients, hub: HubServer, repo: str, workshop: Workshop) -> None:
    workshop.source("first", rows=40)
    out = workshop.build(shard_bytes=2000)
    hub.page = 4
    try:
        client(run_push, workshop.loaders, out, repo)
        assert client(run_push, workshop.loaders, out, repo).up_to_date
        assert client(run_verify, repo).problems == ()
    finally:
        hub.page = 1000


def test_requests_of_a_load_do_not_grow_with_configs_and_touch_no_other_source(
    hub: HubServer, client: Clients, repo: str, workshop: Workshop
) -> None:
    def asked_for(config: str) -> list[Request]:
        with hub.requests() as asked:
            client(read_configs, repo, [config])
        return asked

    workshop.source("zebra")
    workshop.source("first", "annotations")
    client(run_push, workshop.loaders, workshop.build(), repo)
    few = asked_for("zebra")
    for number in range(5):
        workshop.source(f"more_{number}", subset=f"{number + 3:02d}", anatomy="lung", modality="xray")
    client(run_push, workshop.loaders, workshop.build(), repo)
    assert len(client(config_names, repo)) >= 15
    many = asked_for("zebra")
    assert len(many) <= len(few)
    assert resolved(many) == {path for path in hub.repos[repo].head.tree if path.startswith("data/zebra/")}
    first = asked_for("more_4")
    assert len(first) <= len(few) + 1
    assert {path.split("/")[1] for path in resolved(first)} == {"more_4"}


def test_what_is_not_ours_stays(hub: HubServer, client: Clients, repo: str, workshop: Workshop) -> None:
    published = hub.create(repo)
    lines = [
        {"key": "header", "value": {"summary": "a picture"}},
        {"key": "file", "value": {"path": "logo.svg", "content": "aGVsbG8="}},
    ]
    published.commit("main", lines)
    workshop.source("first")
    client(run_push, workshop.loaders, workshop.build(), repo)
    assert {"logo.svg", ".gitattributes"} <= published.head.tree.keys()


def test_a_foreign_repository_is_refused(hub: HubServer, client: Clients, repo: str, workshop: Workshop) -> None:
    published = hub.create(repo)
    lines = [
        {"key": "header", "value": {"summary": "rows"}},
        {"key": "file", "value": {"path": "data/train.csv", "content": "aGVsbG8="}},
    ]
    published.commit("main", lines)
    workshop.source("first")
    with pytest.raises(ClientError, match=r"not made by `med-mat push`"):
        client(run_push, workshop.loaders, workshop.build(), repo)


def test_no_build_and_a_changed_build_are_refused(
    hub: HubServer, client: Clients, repo: str, workshop: Workshop, tmp_path: Path
) -> None:
    workshop.source("first")
    out = workshop.build()
    with pytest.raises(ClientError, match="no build"):
        client(run_push, workshop.loaders, tmp_path, repo)
    shard = next((out / "data" / "first").glob("train-*"))
    data = shard.read_bytes()
    # Of the same size: it shows when the bytes are hashed for the upload.
    shard.write_bytes(data[:5000] + bytes([data[5000] ^ 1]) + data[5001:])
    with pytest.raises(ClientError, match="changed"):
        client(run_push, workshop.loaders, out, repo)
    assert list(hub.repos[repo].head.tree) == [".gitattributes"]


def test_manifest_names_every_shard(hub: HubServer, client: Clients, repo: str, workshop: Workshop) -> None:
    workshop.source("first")
    workshop.source("second", "annotations")
    client(run_push, workshop.loaders, workshop.build(), repo)
    published = hub.repos[repo]
    manifest = json.loads(published.read(published.head.tree["manifest.json"]))
    named = {
        path: (record["sha256"], record["bytes"])
        for entry in manifest["sources"].values()
        for path, record in entry["shards"].items()
    }
    there = {path: (file.sha256, file.size) for path, file in published.head.tree.items() if path.startswith("data/")}
    assert named == there
