"""What is withdrawn stays away, and what is wrong in a repository is found."""

from __future__ import annotations

import base64
import hashlib
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hub_clients import ClientError, Clients
from hub_server import HubServer, Repo
from hub_tasks import config_names, read, run_push, run_verify, run_withdraw
from hub_workshop import Workshop


@pytest.fixture
def published(hub: HubServer, client: Clients, repo: str, workshop: Workshop) -> Repo:
    workshop.source("kept")
    workshop.source("gone")
    workshop.source("closed", "annotations")
    client(run_push, workshop.loaders, workshop.build(), repo)
    return hub.repos[repo]


def test_withdrawn_source_is_gone_and_does_not_come_back(
    client: Clients, repo: str, workshop: Workshop, published: Repo
) -> None:
    first = published.head
    result = client(run_withdraw, workshop.loaders, "gone", repo)
    assert (result.version, result.commit) == ("2.0.0", published.head.oid)
    assert not [path for path in published.head.tree if "gone" in path]
    assert "gone" not in client(config_names, repo)
    texts = {path: published.read(file).decode() for path, file in published.head.tree.items() if path[:4] != "data"}
    assert {path for path, text in texts.items() if "data/gone" in text} == set()
    assert "gone" not in texts["README.md"]
    assert json.loads(texts["manifest.json"])["withdrawn"] == {"gone": "2.0.0"}
    assert "- Sources removed: gone" in texts["CHANGELOG.md"]
    assert client(run_verify, repo).problems == ()
    assert client(read, repo, "kept")
    # The build still has it.
    again = client(run_push, workshop.loaders, workshop.out, repo)
    assert again.up_to_date
    assert [source.right.why for source in again.sources if source.right.slug == "gone"] == ["withdrawn in 2.0.0"]
    # Whoever pinned the old version still reads it: that is what the history is for, and what the report tells.
    history = result.history
    files = {path: file for path, file in first.tree.items() if path.startswith("data/gone/")}
    assert (history.files, history.bytes) == (len(files), sum(file.size for file in files.values()))
    assert history.tags == ("v1.0.0",)
    assert history.pull_requests == ("refs/pr/1",)
    assert client(read, repo, "gone", revision="v1.0.0")


def test_history_alone_changes_nothing(client: Clients, repo: str, workshop: Workshop, published: Repo) -> None:
    head = published.head
    result = client(run_withdraw, workshop.loaders, "gone", repo, history_only=True)
    assert published.head is head
    assert result.commit is None
    assert result.history.files


def test_withdrawing_twice_or_a_stranger(client: Clients, repo: str, workshop: Workshop, published: Repo) -> None:
    client(run_withdraw, workshop.loaders, "gone", repo)
    head = published.head
    assert client(run_withdraw, workshop.loaders, "gone", repo).version == "2.0.0"
    assert published.head is head
    with pytest.raises(ClientError, match="has no source stranger; it has closed, kept"):
        client(run_withdraw, workshop.loaders, "stranger", repo)
    with pytest.raises(ClientError, match="nothing is published there"):
        client(run_withdraw, workshop.loaders, "gone", "org/nowhere")


def commit(repo: Repo, **files: bytes | None) -> None:
    """Changes files behind the back of the manifest."""
    lines = [{"key": "header", "value": {"summary": "meddling"}}]
    for path, data in files.items():
        if data is None:
            lines.append({"key": "deletedFile", "value": {"path": path}})
        elif path.endswith(".parquet"):
            sha256 = hashlib.sha256(data).hexdigest()
            repo.lfs_path(sha256).write_bytes(data)
            lines.append({"key": "lfsFile", "value": {"path": path, "oid": sha256}})
        else:
            lines.append({"key": "file", "value": {"path": path, "content": base64.b64encode(data).decode()}})
    repo.commit("main", lines)


def test_verify_finds_what_is_wrong(client: Clients, repo: str, workshop: Workshop, published: Repo) -> None:
    def problems() -> str:
        return "\n".join(client(run_verify, repo).problems)

    def text(path: str) -> str:
        return published.read(published.head.tree[path]).decode()

    result = client(run_verify, repo, per_shard=3)
    assert result.problems == ()
    assert (result.rows, result.shards, result.pictures) == (72, 6, 12)
    assert result.configs == len(client(config_names, repo))
    good = published.head.tree
    shard = "data/closed/train-00000-of-00001.parquet"

    commit(published, **{shard: None})
    assert f"{shard}: the manifest names it, and it is not there" in problems()
    commit(published, **{shard: (workshop.out / shard).read_bytes()})
    told = problems()
    assert "bytes with hash" in told
    assert "rows of a restricted source have image" in told
    commit(published, **{shard: published.read(good[shard]), "data/more/train-0.parquet": b"PAR1"})
    assert "data/more/train-0.parquet: is there, and the manifest does not name it" in problems()
    commit(published, **{"data/more/train-0.parquet": None})
    assert problems() == ""
    kept = "data/kept/train-00000-of-00001.parquet"
    table = pq.read_table(workshop.out / kept)
    pictures = table["image"].to_pylist()
    turned = pa.array(pictures[::-1], table.schema.field("image").type)
    table = table.set_column(table.schema.get_field_index("image"), table.schema.field("image"), turned)
    pq.write_table(table, workshop.folder / "turned.parquet")
    commit(published, **{kept: (workshop.folder / "turned.parquet").read_bytes()})
    assert "has other pixels than its row says" in problems()
    readme = text("README.md").replace("path: data/kept/train-*.parquet", "path: data/gone/train-*.parquet")
    commit(published, **{kept: published.read(good[kept]), "README.md": readme.encode()})
    assert "config kept: " in problems()
    manifest = json.loads(text("manifest.json"))
    manifest["sources"]["kept"]["redistribution"] = "annotations"
    commit(
        published, **{"README.md": published.read(good["README.md"]), "manifest.json": json.dumps(manifest).encode()}
    )
    assert "no override says so" in problems()


def test_verify_needs_something_to_read(client: Clients, hub: HubServer, repo: str, published: Repo) -> None:
    hub.create(f"{repo}-empty")
    with pytest.raises(ClientError, match="made by `med-mat push`"):
        client(run_verify, f"{repo}-empty")
    with pytest.raises(ClientError, match="has no revision v9"):
        client(run_verify, repo, revision="v9")
    with pytest.raises(ClientError, match="no such dataset repository"):
        client(run_verify, f"{repo}-none")
    assert client(run_verify, repo, revision="v1.0.0").commit == published.head.oid
