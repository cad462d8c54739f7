"""The whole catalogue, from drawn raw trees, published and read back by every config."""

from __future__ import annotations

import pytest
from hub_clients import Clients
from hub_server import HubServer
from hub_tasks import config_names, read_configs, run_push, run_verify
from hub_workshop import Workshop
from source_fixture import SLUGS, load_fixture

from med_mat.build import build
from med_mat.configs import config_names as configs_of
from med_mat.hub.push import PushResult
from med_mat.registry import Registry
from med_mat.trees import write_tree

REPO = "org/catalogue"
PAGES = {"CHANGELOG.md", "CITATION.bib", "CITATION.cff", "README.md", "croissant.json", "manifest.json"}


@pytest.fixture(scope="module")
def shop(sources: Registry, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    shop = Workshop(tmp_path_factory.mktemp("catalogue"))
    for slug in SLUGS:
        write_tree(load_fixture(slug).contents(), shop.folder / "raw" / slug, sources[slug].card)
    return shop


def build_all(shop: Workshop, sources: Registry, slugs: list[str]) -> None:
    result = build(sources, shop.folder / "raw", shop.out, slugs=slugs, salt=b"test", cache=shop.folder / "cache")
    assert {source.slug: source.failure for source in result.sources if source.failure} == {}


@pytest.mark.slow
def test_every_config_of_every_source_loads_and_one_more_source_is_only_itself(
    shop: Workshop, sources: Registry, hub: HubServer, client: Clients
) -> None:
    admitted = [source.slug for source in sources if (shop.folder / "raw" / source.card.raw_slug).exists()]
    # The last that was admitted: an earlier one may rightly change what later ones offer as wrong answers.
    added = next(slug for slug in reversed(admitted) if sources[slug].card.redistribution == "images")
    before = [slug for slug in admitted if slug not in admitted[admitted.index(added) :]]
    build_all(shop, sources, before)
    first = client(run_push, None, shop.out, REPO, public=True)
    assert {source.right.slug for source in first.sources} == set(before)
    assert client(run_verify, REPO).problems == ()
    check_configs(sources, client, with_rows(first))

    published = hub.repos[REPO]
    tree, stored = published.head.tree, len(published.stored)
    build_all(shop, sources, [*before, added])
    with hub.requests() as asked:
        second = client(run_push, None, shop.out, REPO)
    assert second.changed == {"added": [added], "removed": [], "rows": [], "columns": []}
    assert second.version == "1.1.0"
    after = published.head.tree
    changed = {path for path in tree.keys() | after.keys() if tree.get(path) != after.get(path)}
    shards = {path.relative_to(shop.out).as_posix() for path in (shop.out / "data" / added).iterdir()}
    assert shards <= changed <= shards | PAGES
    assert len(published.stored) - stored == len(shards) == len([req for req in asked if req.method == "PUT"])
    with hub.requests() as asked:
        loaded = client(read_configs, REPO, [added])
    assert loaded[added]
    assert len(asked) < 25
    touched = {request.path.partition("/data/")[2].partition("/")[0] for request in asked if "/data/" in request.path}
    # datasets also lists the folder of the first config; it opens nothing there.
    assert touched <= {added, with_rows(second)[0]}
    opened = {request.path for request in asked if "/resolve/" in request.path and request.path.endswith(".parquet")}
    assert len(opened) == len(shards)
    assert all(f"/data/{added}/" in path for path in opened)


def with_rows(result: PushResult) -> list[str]:
    """Sources of which rows are served, in order of admission."""
    return [source.right.slug for source in result.sources if source.rows]


def check_configs(sources: Registry, client: Clients, slugs: list[str]) -> None:
    cards = [sources[slug].card for slug in slugs]
    names = client(config_names, REPO)
    assert set(names) == {"default", "everything"} | {name for card in cards for name in configs_of(card)}
    of_source = client(read_configs, REPO, [card.slug for card in cards])
    # What merges sources is streamed: the same files are found, and none is converted again.
    merging = [name for name in names if name not in of_source]
    rows = {**of_source, **client(read_configs, REPO, merging, streaming=True)}
    for name in names:
        members = [card for card in cards if name == "everything" or name in configs_of(card)]
        if name == "default":
            members = [card for card in cards if card.redistribution == "images"]
        assert rows[name] == sum(of_source[card.slug] for card in members) > 0, name
    both = ["default", cards[0].slug, merging[-1]]
    assert client(read_configs, REPO, both) == client(read_configs, REPO, both, streaming=True)
    assert client(read_configs, REPO, both) == {name: rows[name] for name in both}
