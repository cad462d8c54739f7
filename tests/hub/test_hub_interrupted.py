"""Pushes that are killed, cut off or refused at every step, and what a reader sees meanwhile and after."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from hub_clients import ClientError, Clients, KilledError
from hub_server import Fault, HubServer, Repo
from hub_tasks import read, run_push
from hub_workshop import Workshop

REPO = "org/interrupted"


class Scene:
    """A repository with one version, and a build that makes the next: a source more, one changed, one resharded."""

    def __init__(self, hub: HubServer, client: Clients, workshop: Workshop) -> None:
        self.hub, self.client, self.workshop = hub, client, workshop
        workshop.source("kept")
        workshop.source("changed", "annotations")
        client(run_push, workshop.loaders, workshop.build(), REPO)
        workshop.source("added")
        workshop.source("changed", "annotations", rows=16)
        # Small shards: several files of a source, under other names than before.
        workshop.build(shard_bytes=10_000)
        self.old = self.seen()
        self.head = hub.repos[REPO].head
        with hub.undone(REPO) as repo, hub.requests() as asked:
            result = self.push()
            assert result.version == "2.0.0"
            self.new = self.seen()
            self.tree = repo.head.tree
            self.uploaded = repo.stored[:]
        self.writes = len([request for request in asked if request.method in ("POST", "PUT")])
        assert self.old != self.new

    def push(self):
        return self.client(run_push, self.workshop.loaders, self.workshop.out, REPO)

    def seen(self, *, streaming: bool = False):
        return self.client(read, REPO, "everything", streaming=streaming)

    def check_finished(self, repo: Repo) -> None:
        assert repo.head.tree == self.tree
        assert sorted(repo.stored) == sorted(self.uploaded), "an object was uploaded twice, or one too many"
        assert repo.refs["refs/tags/v2.0.0"] == repo.head.oid
        assert [pull.status for pull in repo.pulls.values()] == ["merged"] * len(repo.pulls)


@pytest.fixture(scope="module")
def scene(hub: HubServer, client: Clients, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    return Scene(hub, client, Workshop(tmp_path_factory.mktemp("interrupted")))


@pytest.mark.slow
def test_killed_before_each_request_that_writes(scene: Scene) -> None:
    """A kill before one such request is a kill after the last one was done and before its answer was used.

    Between two of them the Hub does not change, and the process that is killed keeps nothing: kills before requests
    that read leave the same state.
    """
    streaming = False
    for step in range(200):
        with scene.hub.undone(REPO) as repo:
            kill = Fault("call", "POST|PUT", after=step, action=scene.client.kill)
            with scene.hub.failing(kill):
                try:
                    scene.push()
                except KilledError:
                    pass
                else:
                    break
            assert repo.head.tree in (scene.head.tree, scene.tree), f"half a state on main after step {step}"
            if step % 5 == 0:
                # The same tree reads the same: some steps are read to show that it does.
                streaming = not streaming
                expected = scene.old if repo.head == scene.head else scene.new
                assert scene.seen(streaming=streaming) == expected
            scene.push()
            scene.check_finished(repo)
            if step % 5 == 0:
                assert scene.seen(streaming=not streaming) == scene.new
    else:
        pytest.fail("the push never ends")
    assert step == scene.writes > 15


LIBRARY_RETRIES = 5
GET, POST, PUT = "GET /api/datasets", "POST /api/datasets", "PUT /lfs"


@pytest.mark.parametrize(
    "fault",
    [
        Fault("status", ".*", status=429, retry_after=0, after=3, times=2),
        Fault("status", f"{GET}.*/refs", status=500, times=2),
        Fault("status", f"{GET}.*/tree/", status=503, times=LIBRARY_RETRIES + 2),
        Fault("status", f"{POST}.*/commit/", status=504, times=2),
        Fault("status", f"{POST}.*/merge", status=500, times=2),
        Fault("status", f"{POST}.*/preupload/", status=502, times=LIBRARY_RETRIES + 2),
        Fault("status", PUT, status=500, times=LIBRARY_RETRIES + 2),
        Fault("cut", PUT, after=1, times=3),
        Fault("cut", PUT, times=LIBRARY_RETRIES + 2),
        Fault("drop", f"{POST}.*/commit/", times=3),
        Fault("drop_answer", PUT, times=2),
        Fault("drop_answer", f"{POST}.*/discussions$", times=1),
        Fault("drop_answer", f"{POST}.*/commit/", times=1),
        Fault("drop_answer", f"{POST}.*/commit/", after=1, times=1),
        Fault("drop_answer", f"{POST}.*/status", times=1),
        Fault("drop_answer", f"{POST}.*/merge", times=1),
        Fault("drop_answer", f"{POST}.*/tag/", times=1),
        Fault("slow", ".*", seconds=0.02, times=1000),
    ],
    ids=lambda fault: f"{fault.effect}-{fault.pattern}-{fault.status}-{fault.after}-{fault.times}",
)
def test_goes_on_by_itself_after_faults_that_pass(scene: Scene, fault: Fault) -> None:
    with scene.hub.undone(REPO) as repo, scene.hub.failing(fault):
        assert scene.push().version == "2.0.0"
        assert fault.seen > fault.after, "the fault never struck"
        assert repo.head.tree == scene.tree
        assert len(repo.pulls) == 2
        # An object whose upload was applied and not answered is sent again by the library itself, not by us.
        again = fault.times if fault.effect == "drop_answer" and fault.pattern == PUT else 0
        assert len(repo.stored) <= len(scene.uploaded) + again
        assert set(repo.stored) == set(scene.uploaded)
        assert repo.refs["refs/tags/v2.0.0"] == repo.head.oid


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault("status", f"{POST}.*/commit/", status=403, times=1000), "no right to write"),
        (Fault("status", PUT, status=500, times=1000), "what is uploaded stays"),
        (Fault("drop", f"{GET}.*/revision/refs%2Fpr", times=1000), "no connection to the Hub"),
        (Fault("drop", "(HEAD|GET) .*/resolve/.*/manifest.json", times=1000), "no connection to the Hub"),
        (Fault("status", f"{POST}.*/merge", status=409, times=1000), "answered 409"),
    ],
    ids=["403", "500", "connection", "manifest", "409"],
)
def test_gives_up_with_a_message_and_leaves_main_alone(scene: Scene, fault: Fault, says: str) -> None:
    # What the client has read of this commit before would be read from its disk.
    shutil.rmtree(scene.client.home / "hub")
    with scene.hub.undone(REPO) as repo:
        with scene.hub.failing(fault), pytest.raises(ClientError, match=says) as failed:
            scene.push()
        assert failed.value.kind == "HubError"
        assert "hf_" not in failed.value.message
        assert repo.head.tree == scene.head.tree
        scene.push()
        scene.check_finished(repo)


def test_somebody_else_changes_main_meanwhile(scene: Scene) -> None:
    def meddle() -> None:
        repo = scene.hub.repos[REPO]
        lines = [{"key": "header", "value": {"summary": "a note"}}]
        lines += [{"key": "file", "value": {"path": "NOTES.md", "content": "aGVsbG8="}}]
        repo.commit("main", lines)

    with scene.hub.undone(REPO) as repo:
        meddling = Fault("call", f"{POST}.*/commit/", action=meddle)
        with scene.hub.failing(meddling), pytest.raises(ClientError, match="main moved"):
            scene.push()
        assert repo.head.tree == {**scene.head.tree, "NOTES.md": repo.head.tree["NOTES.md"]}
        stored = repo.stored[:]
        scene.push()
        assert repo.stored == stored, "what was uploaded is not uploaded again"
        assert repo.head.tree == {**scene.tree, "NOTES.md": repo.head.tree["NOTES.md"]}
        assert sorted(pull.status for pull in repo.pulls.values()) == ["closed", "merged", "merged"]


def test_main_changes_at_the_moment_of_the_merge(scene: Scene) -> None:
    def meddle() -> None:
        lines = [{"key": "header", "value": {"summary": "a note"}}]
        lines += [{"key": "file", "value": {"path": "README.md", "content": "aGVsbG8="}}]
        scene.hub.repos[REPO].commit("main", lines)

    with scene.hub.undone(REPO) as repo:
        with scene.hub.failing(Fault("call", f"{POST}.*/merge", action=meddle)), pytest.raises(ClientError):
            scene.push()
        assert {path: file for path, file in repo.head.tree.items() if path.startswith("data/")} == {
            path: file for path, file in scene.head.tree.items() if path.startswith("data/")
        }
