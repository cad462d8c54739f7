"""What goes out of whom: searched for in every byte that the Hub was ever given."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hub_clients import ClientError, Clients
from hub_server import Fault, HubServer, Repo
from hub_tasks import read, run_push, run_verify
from hub_workshop import Workshop
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny import make_card

from med_mat.hub.gate import Right, RightsError, admit, rights
from med_mat.schema import ROW


@pytest.fixture
def build(workshop: Workshop) -> Path:
    workshop.source("open_one")
    workshop.source("closed_one", "annotations")
    workshop.source("secret_one", "none")
    return workshop.build()


def holds_pictures(repo: Repo, pictures: list[bytes]) -> int:
    """Counts the pictures whose pixel data lies anywhere in what was uploaded.

    The last bytes of a file are searched for: whatever wraps a picture, its data would end so.
    """
    uploaded = list(repo.everything())
    return sum(any(picture[-100:-12] in data for data in uploaded) for picture in pictures)


def test_the_card_decides(hub: HubServer, client: Clients, repo: str, workshop: Workshop, build: Path) -> None:
    client(run_push, workshop.loaders, build, repo, public=True)
    published = hub.repos[repo]
    assert not published.private
    assert holds_pictures(published, workshop.pictures("open_one")) == 24
    assert holds_pictures(published, workshop.pictures("closed_one")) == 0
    assert holds_pictures(published, workshop.pictures("secret_one")) == 0
    everything = [row for rows in client(read, repo, "everything").values() for row in rows]
    assert {id_.split("/")[0]: pixels is None for id_, _, pixels in everything} == {
        "open_one": False,
        "closed_one": True,
    }
    assert all(pixels for rows in client(read, repo, "default", streaming=True).values() for _, _, pixels in rows)


def test_of_a_forbidden_source_nothing_goes_out_but_name_and_rights(
    hub: HubServer, client: Clients, repo: str, workshop: Workshop, build: Path
) -> None:
    client(run_push, workshop.loaders, build, repo)
    published = hub.repos[repo]
    manifest = json.loads(client_text(published, "manifest.json"))
    assert manifest["sources"]["secret_one"] == {"redistribution": "none", "serves": "none"}
    assert not [path for path in published.head.tree if "secret_one" in path]
    ids = pq.read_table(build / "data" / "secret_one", columns=["id", "key", "raw_sha256"]).to_pylist()
    for row in ids:
        for told in (row["id"], row["key"], row["raw_sha256"]):
            assert not any(told.encode() in data for data in published.everything())
    assert "secret_one" in client_text(published, "README.md")


def client_text(repo: Repo, path: str) -> str:
    return repo.read(repo.head.tree[path]).decode()


def test_override_needs_a_private_repository(
    hub: HubServer, client: Clients, repo: str, workshop: Workshop, build: Path
) -> None:
    override = {"allow_pixels": ["closed_one"]}
    with pytest.raises(ClientError, match="private repositories only"):
        client(run_push, workshop.loaders, build, repo, public=True, **override)
    assert repo not in hub.repos
    hub.create(repo, private=False)
    with pytest.raises(ClientError, match="private repositories only"):
        client(run_push, workshop.loaders, build, repo, **override)
    assert holds_pictures(hub.repos[repo], workshop.pictures("closed_one")) == 0


def test_override_is_written_down_and_ends_with_the_next_push(
    hub: HubServer, client: Clients, repo: str, workshop: Workshop, build: Path
) -> None:
    result = client(run_push, workshop.loaders, build, repo, allow_pixels=["closed_one"])
    assert [source.right.slug for source in result.sources if source.right.overridden] == ["closed_one"]
    published = hub.repos[repo]
    assert json.loads(client_text(published, "manifest.json"))["allowed_pixels"] == ["closed_one"]
    assert holds_pictures(published, workshop.pictures("closed_one")) == 24
    assert client(run_verify, repo).problems == ()
    published.private = False
    assert "the repository is public" in client(run_verify, repo).problems[0]
    result = client(run_push, workshop.loaders, build, repo)
    assert result.version == "2.0.0"
    assert "closed_one" in result.warnings[0]
    assert client(run_verify, repo).problems == ()
    assert all(pixels is None for rows in client(read, repo, "closed_one").values() for _, _, pixels in rows)


def test_repository_made_public_during_an_upload(
    hub: HubServer, client: Clients, repo: str, workshop: Workshop, build: Path
) -> None:
    def publish() -> None:
        hub.repos[repo].private = False

    opened = Fault("call", "POST /api/datasets.*/commit/", after=1, action=publish)
    with hub.failing(opened), pytest.raises(ClientError, match="is public"):
        client(run_push, workshop.loaders, build, repo, allow_pixels=["closed_one"])
    assert list(hub.repos[repo].head.tree) == [".gitattributes"]


def test_card_that_became_stricter(client: Clients, repo: str, workshop: Workshop, build: Path, tmp_path: Path) -> None:
    client(run_push, workshop.loaders, build, repo)
    later = Workshop(tmp_path / "later")
    later.source("open_one", "annotations")
    later.source("closed_one", "annotations")
    later.source("secret_one", "none")
    later.source("fresh_one")
    with pytest.raises(ClientError, match="open_one is published with images, and its card now allows annotations"):
        client(run_push, later.loaders, later.build("fresh_one"), repo)
    client(run_push, later.loaders, later.build(), repo)
    assert all(pixels is None for rows in client(read, repo, "open_one").values() for _, _, pixels in rows)


def test_unknown_override_is_refused() -> None:
    with pytest.raises(RightsError, match="ct_kidny"):
        rights([make_card("ct_kidney")], allow_pixels=["ct_kidny"])


def test_withdrawn_source_is_not_let_through() -> None:
    card = make_card("tiny")
    assert rights([card], withdrawn={"tiny": "2.0.0"})["tiny"].serves == "none"
    with pytest.raises(RightsError, match="withdrawn"):
        rights([card], allow_pixels=["tiny"], withdrawn={"tiny": "2.0.0"})


def picture(seed: int) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (3, 2), seed).save(stream, "PNG")
    return stream.getvalue()


def shard_of(path: Path, slug: str, seeds: list[int]) -> dict[str, object]:
    """A shard with a picture and a mask in each row."""
    rows = [
        {
            **dict.fromkeys(ROW.names),
            "id": f"{slug}/{number:016x}",
            "source": slug,
            "labels": ["cyst"],
            "image": {"bytes": picture(seed), "path": "a.png"},
            "mask": {"bytes": picture(seed), "path": "b.png"},
        }
        for number, seed in enumerate(seeds)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=ROW), path, row_group_size=2)
    return {"rows": len(rows), "bytes": path.stat().st_size, "sha256": f"{len(seeds):064x}"}


SHARD = "data/tiny/train-00000-of-00001.parquet"


@settings(max_examples=25)
@given(seeds=st.lists(st.integers(0, 255), min_size=1, max_size=7))
def test_gate_leaves_all_but_pixels(seeds: list[int], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("gate")
    record = shard_of(folder / SHARD, "tiny", seeds)
    right = Right("tiny", "annotations", "annotations", "")
    outgoing = admit(folder, SHARD, record, right, folder / "staging")
    again = admit(folder, SHARD, record, right, folder / "other staging")
    assert outgoing is not None
    assert again is not None
    assert outgoing.sha256 == again.sha256
    before, after = pq.read_table(folder / SHARD), pq.read_table(outgoing.local)
    assert after.schema == before.schema
    assert after.drop_columns(["image", "mask"]) == before.drop_columns(["image", "mask"])
    assert after["image"].null_count == after["mask"].null_count == len(seeds)
    assert b"IHDR" not in outgoing.local.read_bytes()
    whole = admit(folder, SHARD, record, Right("tiny", "images", "images", ""), folder / "staging")
    assert whole is not None
    assert whole.local == folder / SHARD
    assert admit(folder, SHARD, record, Right("tiny", "none", "none", ""), folder / "staging") is None


def test_gate_refuses_rows_of_another_source(tmp_path: Path) -> None:
    record = shard_of(tmp_path / SHARD, "stranger", [1, 2])
    for serves in ("images", "annotations"):
        with pytest.raises(RightsError, match="stranger"):
            admit(tmp_path, SHARD, record, Right("tiny", serves, serves, ""), tmp_path / "staging")


def test_gate_reads_a_shard_once(tmp_path: Path) -> None:
    record = shard_of(tmp_path / SHARD, "tiny", [1, 2])
    right = Right("tiny", "annotations", "annotations", "")
    first = admit(tmp_path, SHARD, record, right, tmp_path / "staging")
    assert first is not None
    written = first.local.stat().st_mtime_ns
    assert admit(tmp_path, SHARD, record, right, tmp_path / "staging") == first
    assert first.local.stat().st_mtime_ns == written
