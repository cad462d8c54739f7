"""What the commands print and how they end."""

from __future__ import annotations

from hub_clients import Clients
from hub_server import Fault, HubServer
from hub_server.app import TOKEN
from hub_tasks import run_command
from hub_workshop import Workshop


def test_push_verify_withdraw(client: Clients, hub: HubServer, repo: str, workshop: Workshop) -> None:
    workshop.source("open_one")
    workshop.source("closed_one", "annotations")
    workshop.source("secret_one", "none")
    out = workshop.build()
    loaders = ("--loaders", str(workshop.loaders))

    def run(*arguments: str) -> tuple[int, str]:
        code, printed, errors = client(run_command, *arguments)
        assert TOKEN not in printed + errors
        return code, printed + errors

    code, printed = run("push", str(out), "--repo", repo, "--dry-run", *loaders)
    assert code == 0
    assert repo not in hub.repos
    for line in ("open_one", "rows with pictures", "rows without pixels", "nothing", "Nothing was changed"):
        assert line in printed
    code, printed = run("push", str(out), "--repo", repo, "--public", *loaders)
    assert (code, "tag v1.0.0" in printed) == (0, True)
    code, printed = run("push", str(out), "--repo", repo, *loaders)
    assert (code, f"{repo} is up to date at version 1.0.0" in printed) == (0, True)
    code, printed = run("push", str(out), "--repo", repo, "--allow-pixels", "closed_one", *loaders)
    assert (code, "works for private repositories only" in printed) == (2, True)
    code, printed = run("verify", f"{repo}@v1.0.0")
    assert (code, "Nothing is wrong." in printed) == (0, True)
    code, printed = run("withdraw", "open_one", "--repo", repo, *loaders)
    assert code == 0
    for line in ("version 2.0.0", "tags: v1.0.0", "permanently_delete_lfs_files", "refs/pr/1"):
        assert line in printed
    hub.repos[repo].commit(
        "main",
        [
            {"key": "header", "value": {"summary": "meddling"}},
            {"key": "deletedFolder", "value": {"path": "data/closed_one/"}},
        ],
    )
    code, printed = run("verify", repo)
    assert (code, "README.md: its configs cannot be read" in printed) == (1, True)


def test_token_is_never_printed(client: Clients, hub: HubServer, repo: str, workshop: Workshop) -> None:
    workshop.source("first")
    out = workshop.build()
    everything = Fault("status", ".*", status=403, times=1000)
    with hub.failing(everything):
        code, printed, errors = client(
            run_command, "push", str(out), "--repo", repo, "--loaders", str(workshop.loaders)
        )
    assert code == 2
    assert errors.startswith(f"med-mat: {repo}: ")
    assert "Traceback" not in errors
    assert TOKEN not in printed + errors
