"""What names say: junk, archives, and members that must not be followed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

ArchiveKind = Literal["zip", "tar"]

_ZIP = (".zip",)
_TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz", ".tbz2", ".tar.xz", ".txz")
_FOREIGN = re.compile(r"(?P<stem>.+?)(?:\.part\d+\.rar|\.rar|\.r\d\d+|\.7z(?:\.\d{3})?|\.zip\.\d{3}|\.z\d\d)", re.I)
_JUNK = re.compile(
    r"(?:.*/)?(?:__MACOSX|thumbs\.db|desktop\.ini|PaxHeader[^/]*|@eaDir|\.(?!\.(?:/|$))[^/]*)(?:/.*)?", re.I | re.DOTALL
)

READABLE = ".zip, .tar, .tar.gz, .tgz, .tar.bz2, .tar.xz"


def is_junk(path: str) -> bool:
    """Whether a file of a path (``/`` between its parts) is left behind by an operating system or a tool.

    Junk is ``__MACOSX``, ``Thumbs.db``, ``desktop.ini``, ``PaxHeader*``, ``@eaDir`` and whatever starts with
    a dot (``.DS_Store``, ``._*``, ``.ipynb_checkpoints``), files and folders alike.
    """
    return _JUNK.fullmatch(path) is not None


def archive_kind(name: str) -> ArchiveKind | None:
    """The kind of archive that a file name claims, of those that are read in place."""
    lower = name.lower()
    if lower.endswith(_ZIP):
        return "zip"
    return "tar" if lower.endswith(_TAR) else None


def foreign_stem(path: str) -> str | None:
    """The path without its extension, if it names (a part of) an archive that is not read in place."""
    folder, slash, name = path.rpartition("/")
    match = _FOREIGN.fullmatch(name)
    return folder + slash + match["stem"] if match else None


def first_volume(paths: Iterable[str]) -> str:
    """The file to hand to an unpacker, of the parts of one archive."""
    # The first part of an old-style set is .rar, of a split zip .zip; elsewhere it has the lowest number.
    return min(paths, key=lambda path: (bool(re.search(r"\.[rz]\d\d+$", path, re.I)), len(path), path))


def unpack_command(volume: str) -> str:
    """The shell command that unpacks an archive that cannot be read in place."""
    if volume.lower().endswith(".rar"):
        return f"unrar x {_quote(volume)}"
    return f"7z x {_quote(re.sub(r'[.]z[0-9]+$', '.zip', volume, flags=re.I))}"


def _quote(path: str) -> str:
    return path if re.fullmatch(r"[\w./+-]+", path) else '"' + path.replace('"', '\\"') + '"'


def member_path(name: str) -> tuple[str, str | None]:
    """Path of an archive member below its archive, and why it must not be read (None if it may).

    ``.`` segments and doubled slashes are dropped. Absolute names, drive letters and ``..`` climb out.
    """
    parts = [part for part in name.split("/") if part not in ("", ".")]
    path = "/".join(parts)
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        return path, "absolute name inside an archive"
    if ".." in parts:
        return path, "name that climbs out of its archive"
    if not is_text(name):
        return printable(path), "name is not UTF-8; unpack the archive and rename the file"
    return path, None


def is_text(name: str) -> bool:
    """Whether a name can be written as UTF-8 (names of unknown encoding come with surrogates)."""
    return name.isascii() or not any("\ud800" <= char <= "\udfff" for char in name)


def printable(name: str) -> str:
    """A name with bytes of unknown encoding written as escapes."""
    return name.encode("utf-8", "backslashreplace").decode()
