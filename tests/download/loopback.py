"""A small internet on loopback: a proxy that answers for any host name, with certificates of its own authority.

The platforms' real clients talk to it under the platforms' real names, because they honour ``HTTPS_PROXY`` and a
bundle of authorities. A host or path that no test has set up gets 404; nothing is passed on.
"""

from __future__ import annotations

import email.utils
import json
import re
import socketserver
import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import trustme

PIECE = 1 << 16


@dataclass(frozen=True)
class Request:
    method: str
    host: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """``cut`` breaks the connection after so many bytes of the body; ``pause`` is between pieces of it, in seconds."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    pause: float = 0.0


Answer = Callable[[Request], Reply]


def as_json(value: Any, status: int = 200) -> Reply:
    return Reply(status, json.dumps(value).encode(), {"Content-Type": "application/json"})


def redirect(url: str) -> Answer:
    return lambda _: Reply(302, b"", {"Location": url})


@dataclass
class Served:
    """A file as a good server gives it out, after some troubles that are used up one by one.

    A trouble is a reply to give in place of the file, or a number: bytes after which the connection breaks.
    """

    data: bytes
    troubles: list[Reply | int] = field(default_factory=list)
    etag: str | None = '"one"'
    ranges: bool = True
    kind: str = "application/octet-stream"

    def __call__(self, request: Request) -> Reply:
        trouble = self.troubles.pop(0) if self.troubles else None
        if isinstance(trouble, Reply):
            return trouble
        headers = {"Content-Type": self.kind, **({"ETag": self.etag} if self.etag else {})}
        found = re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", ""))
        condition = request.headers.get("if-range")
        if self.ranges and found and (condition is None or condition == self.etag):
            start = int(found[1])
            if start >= len(self.data):
                return Reply(416, b"", {"Content-Range": f"bytes */{len(self.data)}"})
            headers["Content-Range"] = f"bytes {start}-{len(self.data) - 1}/{len(self.data)}"
            return Reply(206, self.data[start:], headers, trouble)
        return Reply(200, self.data, headers, trouble)


class Loopback:
    """The routes, what was asked, and the server."""

    def __init__(self, folder: Path) -> None:
        self.routes: dict[str, Answer] = {}
        self.asked: list[Request] = []
        self.busiest: dict[str, int] = defaultdict(int)
        self._busy: dict[str, int] = defaultdict(int)
        self._guard = threading.Lock()
        self._authority = trustme.CA()
        self._contexts: dict[str, ssl.SSLContext] = {}
        self.bundle = folder / "authority.pem"
        self._authority.cert_pem.write_to_path(str(self.bundle))
        loopback = self

        class Handler(_Handler):
            world = loopback

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Connections that a test breaks are no news."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.proxy = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def environment(self) -> dict[str, str]:
        """What makes clients talk to this internet."""
        proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), self.proxy)
        return {
            **proxies,
            "NO_PROXY": "",
            "no_proxy": "",
            "REQUESTS_CA_BUNDLE": str(self.bundle),
            "SSL_CERT_FILE": str(self.bundle),
        }

    def serve(self, url: str, answer: Answer) -> str:
        parts = urlsplit(url)
        self.routes[f"{parts.netloc}{parts.path}"] = answer
        return url

    def paths(self, method: str = "GET") -> list[str]:
        return [f"{request.host}{request.path}" for request in self.asked if request.method == method]

    def context(self, host: str) -> ssl.SSLContext:
        with self._guard:
            if host not in self._contexts:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                self._authority.issue_cert(host).configure_cert(context)
                self._contexts[host] = context
            return self._contexts[host]

    def answer(self, request: Request) -> Reply:
        with self._guard:
            self.asked.append(request)
            self._busy[request.host] += 1
            self.busiest[request.host] = max(self.busiest[request.host], self._busy[request.host])
        try:
            route = self.routes.get(f"{request.host}{request.path}")
            return route(request) if route else Reply(404, b"no such thing", {"Content-Type": "text/plain"})
        finally:
            with self._guard:
                self._busy[request.host] -= 1


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    world: Loopback
    tunnel: str | None = None

    def log_message(self, *_: object) -> None:
        pass

    def do_CONNECT(self) -> None:
        host, _, port = self.path.rpartition(":")
        self.send_response(200)
        self.end_headers()
        if port == "443":
            self.connection = self.world.context(host).wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb", -1)
        self.wfile = self.connection.makefile("wb", 0)
        self.tunnel = host
        self.close_connection = False

    def _any(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        headers = {name.lower(): value for name, value in self.headers.items()}
        host = self.tunnel or parts.netloc
        reply = self.world.answer(Request(self.command, host, parts.path, parse_qs(parts.query), headers, body))
        self.send_response(reply.status)
        for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            body = reply.body if reply.cut is None else reply.body[: reply.cut]
            for start in range(0, len(body), PIECE):
                self.wfile.write(body[start : start + PIECE])
                time.sleep(reply.pause)
        self.close_connection = reply.cut is not None

    def do_GET(self) -> None:
        self._any()

    def do_POST(self) -> None:
        self._any()

    def do_HEAD(self) -> None:
        self._any()


def http_date(seconds: float) -> str:
    return email.utils.formatdate(seconds, usegmt=True)
