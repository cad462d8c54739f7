"""The HTTP server: routes, the log of requests, and faults on demand."""

from __future__ import annotations

import copy
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from hub_server.faults import Fault
from hub_server.repo import RefusedError, Repo

TOKEN = "hf_loopback_token_that_must_not_be_printed"


@dataclass(frozen=True)
class Request:
    """A line of the log: what was asked for, and how many bytes of body came with it."""

    method: str
    path: str
    query: str
    received: int

    def __str__(self) -> str:
        return f"{self.method} {self.path}{'?' + self.query if self.query else ''}"


@dataclass(frozen=True)
class Answer:
    """``body`` is JSON unless it is bytes."""

    body: Any = None
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


class DroppedError(Exception):
    """The connection is to be closed without an answer."""


class HubServer:
    """Serves repositories on a free port of loopback, in threads, until closed.

    Attributes:
        repos: By name.
        log: All requests so far, in order of arrival.
        faults: What goes wrong; the first that strikes a request decides.
        page: Entries of one page of a tree listing.
        part: Objects above this size are uploaded in parts of it.
        sent: Bytes of large files that were sent so far.
    """

    def __init__(self, folder: Path, page: int = 1000, part: int = 1 << 30) -> None:
        self.folder, self.page, self.part = folder, page, part
        self.repos: dict[str, Repo] = {}
        self.log: list[Request] = []
        self.sent = 0
        self.faults: list[Fault] = []
        self.lock = threading.RLock()
        self._http = _Http(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        # Large files come from another host, as on the Hub: the client treats a redirect within one host differently.
        self.store_url = f"http://localhost:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def create(self, name: str, *, private: bool = False) -> Repo:
        with self.lock:
            if name in self.repos:
                raise RefusedError(409, "You already created this dataset repo")
            repo = self.repos[name] = Repo(name, self.folder / name.replace("/", "--"), private)
            return repo

    def repo(self, name: str, token: str | None) -> Repo:
        if name not in self.repos or (self.repos[name].private and token != TOKEN):
            raise RefusedError(404 if token == TOKEN else 401, f"no repository {name}", "RepoNotFound")
        return self.repos[name]

    @contextmanager
    def requests(self) -> Iterator[list[Request]]:
        """Gives a list that holds, after the block, what was asked for during it."""
        start = len(self.log)
        seen: list[Request] = []
        yield seen
        seen.extend(self.log[start:])

    @contextmanager
    def undone(self, name: str) -> Iterator[Repo]:
        """Puts a repository back, after the block, as it was before."""
        repo = self.repos[name]
        state = dict(repo.commits), dict(repo.refs), copy.deepcopy(repo.pulls), list(repo.stored), repo.private
        objects = set(repo.folder.iterdir())
        try:
            yield repo
        finally:
            repo.commits, repo.refs, repo.pulls, repo.stored, repo.private = state
            for path in set(repo.folder.iterdir()) - objects:
                path.unlink()

    @contextmanager
    def failing(self, *faults: Fault) -> Iterator[None]:
        """Lets requests of the block go wrong."""
        self.faults.extend(faults)
        try:
            yield
        finally:
            del self.faults[-len(faults) :]


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, address: object) -> None:
        # Clients of these tests are killed in the middle of requests.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, address)  # type: ignore[arg-type] # of whatever type, it is passed on


def _handler(hub: HubServer) -> type[BaseHTTPRequestHandler]:
    from hub_server.routes import find

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: object) -> None:
            pass

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            line = f"{self.command} {parts.path}"
            with hub.lock:
                hub.log.append(Request(self.command, unquote(parts.path), parts.query, length))
                fault = next((fault for fault in hub.faults if fault.strikes(line)), None)
            try:
                self._answer(self._work(fault, parts.path, parts.query, length))
            except (DroppedError, BrokenPipeError, ConnectionResetError):
                self._hang_up()

        def _work(self, fault: Fault | None, path: str, query: str, length: int) -> Answer:
            effect = fault.effect if fault else None
            if fault and effect == "slow":
                time.sleep(fault.seconds)
            if fault and effect == "call" and fault.action:
                fault.action()
            if effect == "drop":
                raise DroppedError
            if effect == "cut":
                self.rfile.read(length // 2)
                raise DroppedError
            body = self._body(length)
            if fault and effect == "status":
                wait = fault.retry_after
                headers = (("Retry-After", str(wait)),) if wait is not None else ()
                return Answer({"error": "made to fail"}, fault.status, headers)
            answer = self._route(path, query, body)
            if fault and effect == "call_after" and fault.action:
                fault.action()
            if effect in ("drop_answer", "call_after"):
                raise DroppedError
            return answer

        def _body(self, length: int) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                body = self.rfile.read(length)
                if len(body) < length:
                    raise DroppedError
                return body
            body = b""
            while size := int(self.rfile.readline().strip() or b"0", 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def _route(self, path: str, query: str, body: bytes) -> Answer:
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
            call = Call(hub, self.command, {name: values[-1] for name, values in parse_qs(query).items()}, body, token)
            call.headers = self.headers
            try:
                return find(self.command, path)(call)
            except RefusedError as refused:
                headers = [("X-Error-Message", refused.message)]
                if refused.code:
                    headers.append(("X-Error-Code", refused.code))
                return Answer({"error": refused.message}, refused.status, tuple(headers))

        def _answer(self, answer: Answer) -> None:
            body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            names = {name.lower() for name, _ in answer.headers}
            for name, value in answer.headers:
                self.send_header(name, value)
            if "content-length" not in names:
                self.send_header("Content-Length", str(len(body)))
            if "content-type" not in names:
                plain = isinstance(answer.body, bytes)
                self.send_header("Content-Type", "application/octet-stream" if plain else "application/json")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def _hang_up(self) -> None:
            self.close_connection = True
            # A reset, not an orderly end: the other side must not take it for an empty answer.
            linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()

    for method in ("GET", "HEAD", "POST", "PUT", "DELETE"):
        setattr(Handler, f"do_{method}", Handler._serve)
    return Handler


@dataclass
class Call:
    """A request as a route sees it."""

    hub: HubServer
    method: str
    query: dict[str, str]
    body: bytes
    token: str | None

    def __post_init__(self) -> None:
        self.headers: Message = Message()

    def json(self) -> Any:
        return json.loads(self.body or b"null")

    def repo(self, name: str, *, write: bool = False) -> Repo:
        if write and self.token != TOKEN:
            raise RefusedError(401 if self.token is None else 403, "you have no right to write here")
        return self.hub.repo(name, self.token)


Route = Callable[[Call], Answer]
