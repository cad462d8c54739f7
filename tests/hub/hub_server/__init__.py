"""A Hub on loopback: enough of its HTTP interface for huggingface_hub and datasets as they are installed."""

from hub_server.app import HubServer, Request
from hub_server.faults import Fault
from hub_server.repo import Repo

__all__ = ["Fault", "HubServer", "Repo", "Request"]
