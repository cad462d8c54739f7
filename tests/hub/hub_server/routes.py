"""What each address answers."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

from hub_server.app import Answer, Call, Route
from hub_server.repo import PullRequest, RefusedError, Repo

DATE = "2026-01-01T00:00:00.000Z"
_ROUTES: list[tuple[str, re.Pattern[str], Callable[..., Answer]]] = []


def _route(methods: str, pattern: str) -> Callable[[Callable[..., Answer]], Callable[..., Answer]]:
    pattern = pattern.replace("{repo}", "(?P<name>[^/]+/[^/]+)").replace("{rev}", "(?P<rev>[^/]+)")

    def add(function: Callable[..., Answer]) -> Callable[..., Answer]:
        _ROUTES.extend((method, re.compile(pattern), function) for method in methods.split())
        return function

    return add


def find(method: str, path: str) -> Route:
    for known, pattern, function in _ROUTES:
        match = pattern.fullmatch(path)
        if match and known == method:
            return partial(function, **{name: unquote(value or "") for name, value in match.groupdict().items()})
    return lambda _: Answer({"error": f"no route {method} {path}"}, 404)


# Repositories


@_route("POST", "/api/repos/create")
def _create(call: Call) -> Answer:
    wanted = call.json()
    name = f"{wanted['organization']}/{wanted['name']}"
    if not call.token:
        raise RefusedError(401, "log in first")
    call.hub.create(name, private=wanted.get("visibility") == "private" or bool(wanted.get("private")))
    return Answer({"url": f"{call.hub.url}/datasets/{name}", "name": name})


@_route("POST", "/api/validate-yaml")
def _validate(_: Call) -> Answer:
    return Answer({"errors": [], "warnings": []})


@_route("GET", "/api/datasets/{repo}(/revision/{rev})?")
def _info(call: Call, name: str, rev: str) -> Answer:
    repo = call.repo(name)
    commit = repo.resolve(rev or "main")
    return Answer(
        {
            "id": name,
            "sha": commit.oid,
            "private": repo.private,
            "gated": False,
            "disabled": False,
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "createdAt": DATE,
            "lastModified": DATE,
            "siblings": [{"rfilename": path} for path in sorted(commit.tree)],
        }
    )


# Reading


@_route("GET", "/api/datasets/{repo}/tree/{rev}(/(?P<folder>.*))?")
def _tree(call: Call, name: str, rev: str, folder: str) -> Answer:
    commit = call.repo(name).resolve(rev)
    prefix = f"{folder}/" if folder else ""
    recursive = call.query.get("recursive", "").lower() == "true"
    entries = _entries(commit.tree, prefix, recursive)
    if prefix and not entries:
        raise RefusedError(404, f"no folder {folder}", "EntryNotFound")
    start = int(call.query.get("cursor", "0"))
    page = entries[start : start + call.hub.page]
    headers: tuple[tuple[str, str], ...] = ()
    if start + call.hub.page < len(entries):
        where = f"{call.hub.url}/api/datasets/{name}/tree/{rev.replace('/', '%2F')}{'/' + folder if folder else ''}"
        link = f"{where}?recursive={recursive}&expand=False&cursor={start + call.hub.page}"
        headers = (("Link", f'<{link}>; rel="next"'),)
    return Answer(page, headers=headers)


def _entries(tree: Any, prefix: str, recursive: bool) -> list[dict[str, Any]]:
    folders: set[str] = set()
    entries = []
    for path, file in tree.items():
        if not path.startswith(prefix):
            continue
        steps = path[len(prefix) :].split("/")
        folders.update(prefix + "/".join(steps[:depth]) for depth in range(1, len(steps) if recursive else 2))
        if recursive or len(steps) == 1:
            entries.append(file.as_json(path))
    entries += [_folder(path) for path in folders if path not in tree]
    return sorted(entries, key=lambda entry: entry["path"])


def _folder(path: str) -> dict[str, Any]:
    return {"type": "directory", "path": path, "oid": "0" * 40, "size": 0}


@_route("POST", "/api/datasets/{repo}/paths-info/{rev}")
def _paths(call: Call, name: str, rev: str) -> Answer:
    tree = call.repo(name).resolve(rev).tree
    form = call.headers.get("Content-Type", "").startswith("application/x-www-form")
    paths = parse_qs(call.body.decode())["paths"] if form else call.json()["paths"]
    found = []
    for path in paths:
        if path in tree:
            found.append(tree[path].as_json(path))
        elif any(known.startswith(f"{path}/") for known in tree):
            found.append(_folder(path))
    return Answer(found)


@_route("GET HEAD", "/datasets/{repo}/resolve/{rev}/(?P<path>.+)")
def _resolve(call: Call, name: str, rev: str, path: str) -> Answer:
    repo = call.repo(name)
    commit = repo.resolve(rev)
    headers = [("X-Repo-Commit", commit.oid)]
    if path not in commit.tree:
        missing = (*headers, ("X-Error-Code", "EntryNotFound"), ("X-Error-Message", f"no file {path}"))
        return Answer({"error": "no such file"}, 404, missing)
    file = commit.tree[path]
    if file.sha256 is None:
        return _content(call, repo.read(file), [*headers, ("ETag", f'"{file.oid}"')])
    where = f"{call.hub.store_url}/objects/{name}/{file.sha256}"
    linked = [("X-Linked-Etag", f'"{file.sha256}"'), ("X-Linked-Size", str(file.size)), ("Location", where)]
    return Answer(b"", 302, (*headers, *linked))


@_route("GET HEAD", "/objects/{repo}/(?P<sha256>[0-9a-f]{64})")
def _object(call: Call, name: str, sha256: str) -> Answer:
    # As on the Hub, the address itself is the right to read: it was handed out by who may.
    answer = _content(call, call.hub.repos[name].lfs_path(sha256).read_bytes(), [("ETag", f'"{sha256}"')])
    if call.method == "GET":
        with call.hub.lock:
            call.hub.sent += len(answer.body)
    return answer


def _content(call: Call, data: bytes, headers: list[tuple[str, str]]) -> Answer:
    headers.append(("Accept-Ranges", "bytes"))
    wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", call.headers.get("Range", ""))
    if not wanted or call.method == "HEAD":
        return Answer(data, headers=(*headers, ("Content-Length", str(len(data)))))
    first, last = wanted.groups()
    start = int(first) if first else max(0, len(data) - int(last))
    end = min(len(data) - 1, int(last)) if first and last else len(data) - 1
    if start >= len(data):
        return Answer(b"", 416, (*headers, ("Content-Range", f"bytes */{len(data)}")))
    headers.append(("Content-Range", f"bytes {start}-{end}/{len(data)}"))
    return Answer(data[start : end + 1], 206, tuple(headers))


# Writing


@_route("POST", "/api/datasets/{repo}/preupload/{rev}")
def _preupload(call: Call, name: str, rev: str) -> Answer:
    tree = call.repo(name, write=True).resolve(rev).tree
    files = []
    for file in call.json()["files"]:
        there = tree.get(file["path"])
        mode = "lfs" if file["path"].endswith(".parquet") or file["size"] > 10_000_000 else "regular"
        oid = (there.sha256 or there.oid) if there else None
        files.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
    return Answer({"files": files})


@_route("POST", r"/datasets/{repo}\.git/info/lfs/objects/batch")
def _lfs_batch(call: Call, name: str) -> Answer:
    repo = call.repo(name, write=True)
    return Answer({"transfer": "basic", "objects": [_lfs_object(call, repo, item) for item in call.json()["objects"]]})


def _lfs_object(call: Call, repo: Repo, wanted: dict[str, Any]) -> dict[str, Any]:
    sha256, size = wanted["oid"], wanted["size"]
    if repo.lfs_path(sha256).is_file():
        return {"oid": sha256, "size": size}
    href = f"{call.hub.url}/lfs/{repo.name}/{sha256}"
    verify = {"href": f"{call.hub.url}/lfs-verify/{repo.name}/{sha256}"}
    if size <= call.hub.part:
        return {"oid": sha256, "size": size, "actions": {"upload": {"href": href}, "verify": verify}}
    parts = -(-size // call.hub.part)
    header = {"chunk_size": str(call.hub.part), **{str(part): f"{href}/{part}" for part in range(1, parts + 1)}}
    return {"oid": sha256, "size": size, "actions": {"upload": {"href": href, "header": header}, "verify": verify}}


@_route("PUT", "/lfs/{repo}/(?P<sha256>[0-9a-f]{64})(/(?P<part>[0-9]+))?")
def _lfs_put(call: Call, name: str, sha256: str, part: str) -> Answer:
    repo = call.hub.repos[name]
    if part:
        (repo.folder / f"{sha256}.{int(part):05d}").write_bytes(call.body)
        return Answer({}, headers=(("ETag", f'"{part}"'),))
    _take_in(repo, sha256, call.body)
    return Answer({})


@_route("POST", "/lfs/{repo}/(?P<sha256>[0-9a-f]{64})")
def _lfs_complete(call: Call, name: str, sha256: str) -> Answer:
    repo = call.hub.repos[name]
    parts = sorted(repo.folder.glob(f"{sha256}.*"))
    if len(parts) != len(call.json()["parts"]):
        raise RefusedError(400, f"{len(parts)} parts arrived")
    _take_in(repo, sha256, b"".join(part.read_bytes() for part in parts))
    for part in parts:
        part.unlink()
    return Answer({})


def _take_in(repo: Repo, sha256: str, data: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=repo.folder, suffix=".new", delete=False) as stream:
        stream.write(data)
    repo.store(sha256, Path(stream.name))


@_route("POST", "/lfs-verify/{repo}/(?P<sha256>[0-9a-f]{64})")
def _lfs_verify(call: Call, name: str, sha256: str) -> Answer:
    call.repo(name, write=True).lfs_file(sha256)
    return Answer({})


@_route("POST", "/api/datasets/{repo}/commit/{rev}")
def _commit(call: Call, name: str, rev: str) -> Answer:
    repo = call.repo(name, write=True)
    with call.hub.lock:
        commit = repo.commit(rev, [json.loads(line) for line in call.body.splitlines() if line])
    url = f"{call.hub.url}/datasets/{name}/commit/{commit.oid}"
    return Answer({"success": True, "commitOid": commit.oid, "commitUrl": url})


# Branches, tags, history


@_route("GET", "/api/datasets/{repo}/refs")
def _refs(call: Call, name: str) -> Answer:
    repo = call.repo(name)

    def listed(prefix: str) -> list[dict[str, str]]:
        return [
            {"name": ref.removeprefix(prefix), "ref": ref, "targetCommit": oid}
            for ref, oid in repo.refs.items()
            if ref.startswith(prefix)
        ]

    pulls = {"pullRequests": listed("refs/pr/")} if "include_prs" in call.query else {}
    return Answer({"branches": listed("refs/heads/"), "tags": listed("refs/tags/"), "converts": [], **pulls})


@_route("POST", "/api/datasets/{repo}/tag/{rev}")
def _tag(call: Call, name: str, rev: str) -> Answer:
    repo = call.repo(name, write=True)
    ref = f"refs/tags/{call.json()['tag']}"
    if ref in repo.refs:
        raise RefusedError(409, "Tag reference exists already")
    repo.refs[ref] = repo.resolve(rev).oid
    return Answer({})


@_route("GET", "/api/datasets/{repo}/commits/{rev}")
def _commits(call: Call, name: str, rev: str) -> Answer:
    return Answer(
        [
            {"id": commit.oid, "authors": [], "date": DATE, "title": commit.title, "message": commit.message}
            for commit in call.repo(name).history(rev)
        ]
    )


@_route("GET", "/api/datasets/{repo}/lfs-files")
def _lfs_files(call: Call, name: str) -> Answer:
    repo = call.repo(name, write=True)
    found = {
        file.sha256: {"fileOid": file.oid, "filename": path, "oid": file.sha256, "pushedAt": DATE, "size": file.size}
        for commit in repo.commits.values()
        for path, file in commit.tree.items()
        if file.sha256
    }
    return Answer(list(found.values()))


# Pull requests


@_route("GET POST", "/api/datasets/{repo}/discussions")
def _discussions(call: Call, name: str) -> Answer:
    if call.method == "POST":
        repo = call.repo(name, write=True)
        wanted = call.json()
        with call.hub.lock:
            return Answer({"num": repo.open_pull(wanted["title"]).number})
    found = [_discussion(name, pull) for pull in reversed(call.repo(name).pulls.values())]
    start = 10 * int(call.query.get("p", "0"))
    return Answer({"count": len(found), "start": start, "discussions": found[start : start + 10]})


def _discussion(name: str, pull: PullRequest) -> dict[str, Any]:
    return {
        "num": pull.number,
        "title": pull.title,
        "status": pull.status,
        "isPullRequest": True,
        "createdAt": DATE,
        "author": {"name": "maintainer"},
        "repo": {"name": name, "type": "dataset"},
    }


@_route("GET", "/api/datasets/{repo}/discussions/(?P<number>[0-9]+)")
def _details(call: Call, name: str, number: str) -> Answer:
    pull = call.repo(name).pull(int(number))
    changes = {"base": "refs/heads/main", **({"mergeCommitId": pull.merge_commit} if pull.merge_commit else {})}
    return Answer({**_discussion(name, pull), "changes": changes, "filesWithConflicts": [], "events": [], "diff": ""})


@_route("POST", "/api/datasets/{repo}/discussions/(?P<number>[0-9]+)/status")
def _status(call: Call, name: str, number: str) -> Answer:
    pull = call.repo(name, write=True).pull(int(number))
    wanted = call.json()
    if pull.status == "merged" or pull.status == wanted["status"]:
        raise RefusedError(400, f"pull request {number} is {pull.status}")
    pull.status = wanted["status"]
    event = {"id": "1", "type": "status-change", "createdAt": DATE, "data": {"status": pull.status}}
    return Answer({"newStatus": event})


@_route("POST", "/api/datasets/{repo}/discussions/(?P<number>[0-9]+)/merge")
def _merge(call: Call, name: str, number: str) -> Answer:
    repo = call.repo(name, write=True)
    with call.hub.lock:
        repo.merge(int(number))
    return Answer({})
