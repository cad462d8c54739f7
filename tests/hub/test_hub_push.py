from __future__ import annotations

from conftest import Workshop
from hub_clients import Clients
from hub_server import HubServer
from hub_tasks import read, run_push, run_verify, run_withdraw


def test_first(hub: HubServer, client: Clients, repo: str, workshop: Workshop) -> None:
    workshop.source("open_one")
    workshop.source("closed_one", "annotations")
    workshop.source("secret_one", "none")
    out = workshop.build()
    with hub.requests() as seen:
        result = client(run_push, workshop.loaders, out, repo, public=True)
    print(*seen, sep="\n")
    print(result)
    with hub.requests() as seen:
        print(client(read, repo, "closed_one"))
    print(*seen, sep="\n")
    print(client(run_verify, repo))
    print(client(run_push, workshop.loaders, out, repo))
    print(client(run_withdraw, workshop.loaders, "closed_one", repo))
