"""Ray: several nodes on this machine, raw roots and output on an S3 server; what is lost on the way is done again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import s3fs
from moto.server import ThreadedMotoServer
from ray.cluster_utils import Cluster
from ray_units import die, die_once, in_trouble, refuse, square
from tiny import LABELS, Row, add_source, med_mat, plain_rows, registry_of, write_raw

from med_mat import engine_ray
from med_mat.build import WORK, build
from med_mat.engine import Engine
from med_mat.engine_ray import ray_cluster
from med_mat.errors import LayoutError, MedMatError, WorkerError

NODES = 3
# A node that is gone is noticed after three seconds, not after fifteen; one that is slow has as long as ever to answer.
NOTICED = {"health_check_initial_delay_ms": 1000, "health_check_period_ms": 1000, "health_check_failure_threshold": 3}


@pytest.fixture(scope="module")
def environment() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        # Nodes are started from here, and find this module's functions by it.
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        patch.setenv("RAY_DISABLE_IMPORT_WARNING", "1")
        patch.setenv("AWS_ACCESS_KEY_ID", "nobody")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield patch


@pytest.fixture(scope="module")
def store(environment: pytest.MonkeyPatch) -> Iterator[s3fs.S3FileSystem]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environment.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    files = s3fs.S3FileSystem(use_listings_cache=False)
    files.mkdir("bucket")
    yield files
    server.stop()


@pytest.fixture(scope="module")
def cluster(store: s3fs.S3FileSystem) -> Iterator[Cluster]:
    assert store.exists("bucket")  # nodes take its address from the environment
    found = Cluster(initialize_head=True, head_node_args={**node(0), "_system_config": NOTICED})
    for _ in range(NODES - 1):
        found.add_node(**node(1))
    found.wait_for_nodes()
    yield found
    found.shutdown()


def node(cores: int) -> dict[str, Any]:
    # The head holds no work, so that any node with work may be lost.
    return {
        "num_cpus": cores,
        "object_store_memory": 80 << 20,
        "include_dashboard": False,
        "include_log_monitor": False,
    }


@pytest.fixture(scope="module")
def engine(cluster: Cluster) -> Iterator[Engine]:
    with ray_cluster(cluster.address) as found:
        yield found


def test_every_unit_is_done_once(engine: Engine) -> None:
    assert sorted(engine(square, range(20))) == [number * number for number in range(20)]
    assert list(engine(square, [])) == []


def test_what_a_unit_raises_is_raised_here(engine: Engine) -> None:
    with pytest.raises(LayoutError, match=r"^three is not wanted$") as raised:
        list(engine(refuse, range(8)))
    assert type(raised.value) is LayoutError


def test_units_are_taken_as_there_is_room(engine: Engine) -> None:
    taken = []

    def units() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    results = engine(square, units())
    next(results)
    assert len(taken) <= 2 * (NODES - 1) + 1
    results.close()


def test_a_process_that_is_lost_is_replaced(engine: Engine, tmp_path: Path) -> None:
    assert sorted(engine(partial(die_once, tmp_path), range(8))) == list(range(8))
    assert (tmp_path / "died").exists()


def test_what_is_lost_again_and_again_is_told(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_ray, "RETRIES", 1)
    with pytest.raises(WorkerError, match=r"lost 2 times.*fewer --workers"):
        list(engine(die, [0]))


def test_no_cluster_there() -> None:
    with (
        pytest.raises(ValueError, match="workers must be at least 1, found 0"),
        ray_cluster(workers=0),
    ):
        pass


def make_raw(folder: Path) -> None:
    add_source(folder / "loaders", "single", groups={"of": "patient", "how": "x"})
    write_raw(
        folder / "raw" / "single",
        [Row(f"{n}.bmp", list(LABELS)[n % 4], f"p{n // 3}") for n in range(132)],
        pictures={"7.bmp": b"no picture"},
    )
    add_source(folder / "loaders", "several", kind="multilabel", presence="Is there {label}?")
    write_raw(folder / "raw" / "several", [Row(f"{n}.png", "cyst|stone" if n % 3 else "tumor") for n in range(16)])
    add_source(folder / "loaders", "late")
    write_raw(folder / "raw" / "late", plain_rows(10))


class Stages:
    """A progress that keeps what it was told."""

    def __init__(self) -> None:
        self.told: dict[str, list[int]] = {}
        self.stage = ""

    def start(self, stage: str, total: int) -> None:
        self.stage = stage
        self.told[stage] = [total, 0]

    def advance(self, number: int) -> None:
        self.told[self.stage][1] += number


def published(files: Iterable[tuple[str, bytes]]) -> dict[str, bytes]:
    return {name: data for name, data in files if WORK not in name.split("/")}


def lose_node(cluster: Cluster, folder: Path, done: threading.Event) -> None:
    """Takes away the node that a unit has named."""
    while not done.wait(0.05):
        if (folder / "node id").exists() and (name := (folder / "node id").read_text(encoding="utf-8")):
            lost = next(one for one in cluster.list_all_nodes() if one.node_id == name)
            cluster.remove_node(lost, allow_graceful=False)
            (folder / "lost").touch()
            return


@pytest.mark.slow
def test_a_build_on_shared_storage_is_the_local_one_whatever_is_lost(
    engine: Engine, cluster: Cluster, store: s3fs.S3FileSystem, tmp_path: Path
) -> None:
    make_raw(tmp_path)
    sources = registry_of(tmp_path / "loaders")
    local_stages, stages = Stages(), Stages()
    local = build(sources, tmp_path / "raw", tmp_path / "out", shard_bytes=3000, progress=local_stages)
    store.put(str(tmp_path / "raw") + "/", "bucket/raw/", recursive=True)

    def troubled(function: Callable[[Any], Any], units: Iterable[Any]) -> Iterator[Any]:
        return engine(partial(in_trouble, tmp_path, function), units)

    done = threading.Event()
    taker = threading.Thread(target=lose_node, args=(cluster, tmp_path, done))
    taker.start()
    try:
        remote = build(
            sources, "s3://bucket/raw", "s3://bucket/out", engine=troubled, shard_bytes=3000, progress=stages
        )
    finally:
        done.set()
        taker.join()
    assert (tmp_path / "lost").exists()
    expected = published(
        (path.relative_to(tmp_path / "out").as_posix(), path.read_bytes())
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    )
    assert len(expected) > 10
    found = published((name.removeprefix("bucket/out/"), store.cat_file(name)) for name in store.find("bucket/out"))
    assert found == expected
    assert remote.manifest == local.manifest
    assert stages.told == local_stages.told
    assert [source.shards for source in remote.sources] == [source.shards for source in local.sources]
    # Once more: nothing is done twice.
    times = {name: store.info(name)["LastModified"] for name in store.find("bucket/out/data")}
    again = build(sources, "s3://bucket/raw", "s3://bucket/out", engine=engine, shard_bytes=3000)
    assert [source.written for source in again.sources] == [0, 0, 0]
    assert {name: store.info(name)["LastModified"] for name in store.find("bucket/out/data")} == times
    # What is no longer planned goes.
    fewer = build(sources, "s3://bucket/raw", "s3://bucket/out", engine=engine)
    assert {name.removeprefix("bucket/out/") for name in store.find("bucket/out/data")} == {
        name for entry in fewer.manifest["sources"].values() for name in entry["shards"]
    }


class Meddler:
    """A progress that starts a second build into the same place."""

    def __init__(self, again: Callable[[], object]) -> None:
        self.again = again
        self.error = ""

    def start(self, stage: str, _: int) -> None:
        if stage == "encode":
            with pytest.raises(MedMatError) as raised:
                self.again()
            self.error = str(raised.value)

    def advance(self, _: int) -> None: ...


def test_one_build_at_a_time_writes_to_a_place(store: s3fs.S3FileSystem, tmp_path: Path) -> None:
    add_source(tmp_path / "loaders", "tiny")
    write_raw(tmp_path / "raw" / "tiny", plain_rows(8))
    run = partial(build, registry_of(tmp_path / "loaders"), tmp_path / "raw", "s3://bucket/locked")
    meddler = Meddler(run)
    run(progress=meddler)
    assert "s3://bucket/locked: another build is writing into this folder" in meddler.error
    assert store.exists("bucket/locked/manifest.json")


@pytest.mark.slow
def test_the_command_builds_on_a_file_url(cluster: Cluster, tmp_path: Path) -> None:
    make_raw(tmp_path)
    slugs = ["single", "late"]
    local = build(registry_of(tmp_path / "loaders"), tmp_path / "raw", tmp_path / "local", slugs=slugs)
    spread = med_mat(
        "build", *slugs, "--loaders", tmp_path / "loaders", "--raw", f"file://{tmp_path}/raw",
        "--out", f"file://{tmp_path}/ray", "--engine", "ray", "--address", cluster.address,
    )  # fmt: skip
    assert (local.exit_code, spread.returncode) == (1, 1), spread.stderr
    trees = [
        published(
            (path.relative_to(tmp_path / name).as_posix(), path.read_bytes())
            for path in (tmp_path / name).rglob("*")
            if path.is_file()
        )
        for name in ("local", "ray")
    ]
    assert trees[0] == trees[1]
    assert any(name.endswith(".parquet") for name in trees[0])
