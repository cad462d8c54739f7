"""What a repository holds: commits with parents, branches, tags, pull requests, and files by content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MAIN = "refs/heads/main"


class RefusedError(Exception):
    """An answer other than 2xx."""

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


@dataclass(frozen=True)
class File:
    """A file of a tree: ``sha256`` names its bytes in the LFS store, else ``oid`` names them among the blobs."""

    oid: str
    size: int
    sha256: str | None = None

    def as_json(self, path: str) -> dict[str, Any]:
        lfs = {"lfs": {"oid": self.sha256, "size": self.size, "pointerSize": 130}} if self.sha256 else {}
        return {"type": "file", "path": path, "oid": self.oid, "size": self.size, **lfs}


Tree = Mapping[str, File]


@dataclass(frozen=True)
class Commit:
    oid: str
    parents: tuple[str, ...]
    tree: Tree
    title: str
    message: str


@dataclass
class PullRequest:
    number: int
    title: str
    base: str
    status: str = "draft"
    merge_commit: str | None = None
    comments: list[str] = field(default_factory=list)

    @property
    def ref(self) -> str:
        return f"refs/pr/{self.number}"


class Repo:
    """One dataset repository. LFS objects lie in ``folder``; the rest is memory."""

    def __init__(self, name: str, folder: Path, private: bool) -> None:
        self.name, self.folder, self.private = name, folder, private
        self.blobs: dict[str, bytes] = {}
        self.commits: dict[str, Commit] = {}
        self.refs: dict[str, str] = {}
        self.pulls: dict[int, PullRequest] = {}
        self.stored: list[str] = []
        folder.mkdir(parents=True)
        attributes = self.add_blob(b"*.parquet filter=lfs diff=lfs merge=lfs -text\n")
        self._append(MAIN, {".gitattributes": attributes}, "initial commit", "")

    # Contents

    def add_blob(self, data: bytes) -> File:
        oid = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        self.blobs[oid] = data
        return File(oid, len(data))

    def lfs_path(self, sha256: str) -> Path:
        return self.folder / sha256

    def store(self, sha256: str, received: Path) -> None:
        """Takes an uploaded object in, if its bytes are what its name says."""
        with received.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != sha256:
            raise RefusedError(422, f"object {sha256} arrived as {found}")
        received.replace(self.lfs_path(sha256))
        self.stored.append(sha256)

    def lfs_file(self, sha256: str) -> File:
        path = self.lfs_path(sha256)
        if not path.is_file():
            raise RefusedError(422, f"no LFS object {sha256}")
        size = path.stat().st_size
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()
        return File(hashlib.sha1(b"blob %d\0" % len(pointer) + pointer).hexdigest(), size, sha256)

    def read(self, file: File) -> bytes:
        return self.lfs_path(file.sha256).read_bytes() if file.sha256 else self.blobs[file.oid]

    # Revisions

    def everything(self) -> Iterator[bytes]:
        """All bytes that were ever taken in, whichever commit names them."""
        yield from self.blobs.values()
        yield from (path.read_bytes() for path in self.folder.iterdir())

    def resolve(self, revision: str) -> Commit:
        for ref in (revision, f"refs/heads/{revision}", f"refs/tags/{revision}"):
            if ref in self.refs:
                return self.commits[self.refs[ref]]
        if revision in self.commits:
            return self.commits[revision]
        raise RefusedError(404, f"no revision {revision}", "RevisionNotFound")

    @property
    def head(self) -> Commit:
        return self.resolve("main")

    def history(self, revision: str) -> Iterator[Commit]:
        commit: Commit | None = self.resolve(revision)
        while commit is not None:
            yield commit
            commit = self.commits[commit.parents[0]] if commit.parents else None

    def _append(self, ref: str, tree: Tree, title: str, message: str) -> Commit:
        parents = (self.refs[ref],) if ref in self.refs else ()
        text = repr((len(self.commits), parents, sorted(tree.items()), title, message))
        commit = Commit(hashlib.sha1(text.encode()).hexdigest(), parents, dict(tree), title, message)
        self.commits[commit.oid] = commit
        self.refs[ref] = commit.oid
        return commit

    def commit(self, revision: str, lines: list[dict[str, Any]]) -> Commit:
        """Applies the lines of a commit request to a branch or the head of a pull request."""
        ref = revision if revision.startswith("refs/") else f"refs/heads/{revision}"
        if ref not in self.refs or ref.startswith("refs/tags/"):
            raise RefusedError(404, f"no branch {revision}", "RevisionNotFound")
        head = self.commits[self.refs[ref]]
        tree = dict(head.tree)
        header: dict[str, Any] = {}
        for line in lines:
            value = line["value"]
            match line["key"]:
                case "header":
                    header = value
                case "file":
                    import base64

                    tree[value["path"]] = self.add_blob(base64.b64decode(value["content"]))
                case "lfsFile":
                    tree[value["path"]] = self.lfs_file(value["oid"])
                case "deletedFile":
                    if tree.pop(value["path"], None) is None:
                        raise RefusedError(404, "A file with this name doesn't exist", "EntryNotFound")
                case "deletedFolder":
                    inside = [path for path in tree if path.startswith(value["path"].rstrip("/") + "/")]
                    if not inside:
                        raise RefusedError(404, "A folder with this name doesn't exist", "EntryNotFound")
                    for path in inside:
                        del tree[path]
                case other:
                    raise RefusedError(400, f"unknown line {other}")
        parent = header.get("parentCommit")
        if parent is not None and not head.oid.startswith(parent):
            raise RefusedError(412, f"{revision} is at {head.oid}, not at {parent}")
        return self._append(ref, tree, header["summary"], header.get("description", ""))

    # Pull requests

    def open_pull(self, title: str) -> PullRequest:
        pull = PullRequest(len(self.pulls) + 1, title, self.head.oid)
        self.pulls[pull.number] = pull
        self.refs[pull.ref] = self.head.oid
        return pull

    def pull(self, number: int) -> PullRequest:
        if number not in self.pulls:
            raise RefusedError(404, f"no discussion {number}")
        return self.pulls[number]

    def merge(self, number: int) -> None:
        """Puts the changes of a pull request on main as one commit; changes of one file on both sides conflict."""
        pull = self.pull(number)
        if pull.status != "open":
            raise RefusedError(403, f"pull request {number} is {pull.status}, not open")
        base = self.commits[pull.base].tree
        mine, theirs = self.resolve(pull.ref).tree, self.head.tree
        merged = dict(theirs)
        for path in base.keys() | mine.keys():
            if mine.get(path) == base.get(path):
                continue
            if theirs.get(path) != base.get(path):
                raise RefusedError(409, f"conflict in {path}")
            if path in mine:
                merged[path] = mine[path]
            else:
                del merged[path]
        pull.merge_commit = self._append(MAIN, merged, f"{pull.title} (#{number})", "").oid
        pull.status = "merged"
