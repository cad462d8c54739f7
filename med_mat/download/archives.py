"""Checks archives, and unpacks those that are not read in place."""

from __future__ import annotations

import os
import shutil
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

from med_mat.download.digest import Tick, quiet
from med_mat.download.errors import DownloadError, RefusedError, SpaceError, UnpackError
from med_mat.download.transfer import Policy, require_space
from med_mat.errors import LayoutError, visible
from med_mat.raw.archives import DAMAGE, Archives
from med_mat.raw.names import archive_kind, foreign_stem, is_junk, member_path, unpack_command
from med_mat.raw.storage import storage_of

# Beyond these sizes content that shrinks so well is a decompression bomb.
BOMB_BYTES, BOMB_RATIO = 1 << 30, 500
_CHUNK = 1 << 20
_FIRST_BYTES = {".rar": b"Rar!\x1a\x07", ".7z": b"7z\xbc\xaf\x27\x1c"}


def verify(path: Path, tick: Tick = quiet) -> bool:
    """Reads an archive to its end: names, sizes, checksums.

    Args:
        path: The file; its name tells what it should be.
        tick: Is told how much was read.

    Returns:
        Whether the content was checked: True for ``.zip`` and tars, False for other files, which hold nothing to
        check them by.

    Raises:
        RefusedError: It is broken, holds names that climb out of it, or is a decompression bomb.
    """
    name = path.name
    kind = archive_kind(name)
    try:
        if kind == "zip":
            _verify_zip(path, tick)
        elif kind == "tar":
            _verify_tar(path, tick)
        else:
            _verify_magic(path)
    except DownloadError:
        raise
    except (LayoutError, *DAMAGE) as error:
        raise RefusedError(f"{name}: the archive is broken ({visible(str(error))[:300]}). Download it again") from error
    return kind is not None


def is_foreign(name: str) -> bool:
    """Whether a file is an archive that is not read in place, whole or a part of one."""
    return foreign_stem(name) is not None


def unpack(archive: Path, folder: Path, policy: Policy, tick: Tick = quiet) -> int:
    """Unpacks a ``.rar`` or ``.7z`` into a folder that does not exist yet.

    Nothing is written outside of the folder; links, devices and junk of operating systems are left out. The folder
    appears when all is in it.

    Args:
        archive: The file, whole.
        folder: Where to.
        policy: How much of the disk stays free.
        tick: Is told how much was written.

    Returns:
        Number of files.

    Raises:
        RefusedError: It is broken, climbs out of its folder, or is a bomb.
        UnpackError: It is in several parts, or there is no libarchive.
        SpaceError: The disk has no room for it.
    """
    by_hand = f"Unpack it yourself: `{unpack_command(archive.name)}`"
    if not archive.name.lower().endswith((".rar", ".7z")) or ".part" in archive.stem.lower():
        raise UnpackError(f"{archive}: one of several parts. {by_hand}")
    try:
        import libarchive
        from libarchive.exception import ArchiveError
    except (ImportError, OSError, AttributeError) as error:
        raise UnpackError(
            f"{archive}: the system has no libarchive ({error}); install it (libarchive13, libarchive). {by_hand}"
        ) from error
    fresh = folder.with_name(f".{folder.name}.unpacking")
    shutil.rmtree(fresh, ignore_errors=True)
    limit = max(BOMB_BYTES, BOMB_RATIO * archive.stat().st_size)
    written = count = 0
    checksums = _rar_checksums(archive) if archive.suffix.lower() == ".rar" else {}
    try:
        with libarchive.file_reader(str(archive)) as entries:
            for entry in entries:
                path, reason = member_path(entry.pathname.replace("\\", "/"))
                if reason:
                    raise RefusedError(f"{archive}: {visible(entry.pathname)}: {reason}. Nothing was unpacked")
                if not entry.isreg or not path or is_junk(path):
                    continue
                target = fresh / path
                target.parent.mkdir(parents=True, exist_ok=True)
                require_space(target.parent, entry.size or 0, policy, path)
                crc = 0
                with target.open("wb") as sink:
                    for block in entry.get_blocks(_CHUNK):
                        written += len(block)
                        tick(written)
                        if written > limit:
                            raise RefusedError(f"{archive}: holds more than {limit:,} bytes (decompression bomb)")
                        sink.write(block)
                        crc = zlib.crc32(block, crc)
                if checksums.get(path, crc) != crc:
                    raise RefusedError(f"{archive}: {visible(path)} is damaged in it. Download it again. {by_hand}")
                count += 1
        if not count:
            raise RefusedError(f"{archive}: holds no file. {by_hand}")
        fresh.replace(folder)
    except ArchiveError as error:
        raise RefusedError(
            f"{archive}: cannot be unpacked ({visible(str(error))}). Download it again. {by_hand}"
        ) from error
    except OSError as error:
        if error.errno is None:
            raise
        raise SpaceError(f"{folder}: {archive.name} cannot be unpacked there ({os.strerror(error.errno)})") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return count


def _rar_checksums(archive: Path) -> dict[str, int]:
    """CRC-32 by member: libarchive does not check those of stored members."""
    import rarfile

    try:
        with rarfile.RarFile(archive) as listed:
            return {member_path(info.filename)[0]: info.CRC for info in listed.infolist() if info.CRC is not None}
    except rarfile.Error as error:
        raise RefusedError(f"{archive}: cannot be read ({visible(str(error))}). Download it again") from error


def _verify_zip(path: Path, tick: Tick) -> None:
    if not zipfile.is_zipfile(path):
        raise RefusedError(f"{path.name}: is no zip archive. {_beginning(path)}")
    # The raw root's own reader says which members it would not follow.
    archives = Archives(storage_of(path), path.parent)
    try:
        archive = archives.get(path.name)
        _refuse(path.name, archive.skipped)
        for member, size in archive.members():
            with archive.open(member) as stream:
                _drain(stream, size, f"{path.name}: {member}", tick)
    finally:
        archives.close()


def _verify_tar(path: Path, tick: Tick) -> None:
    name = path.name
    limit = max(BOMB_BYTES, BOMB_RATIO * path.stat().st_size)
    total = 0
    with tarfile.open(path, "r|*") as tar:
        for member in tar:
            _refuse(name, [(member.name, member_path(member.name)[1] or "")])
            total += member.size
            if total > limit:
                raise RefusedError(f"{name}: holds more than {limit:,} bytes (decompression bomb)")
            content = tar.extractfile(member) if member.isreg() else None
            if content is not None:
                with content:
                    _drain(content, member.size, f"{name}: {member.name}", tick)  # type: ignore[arg-type] # typed as IO[bytes], which is no BinaryIO though it reads alike


def _verify_magic(path: Path) -> None:
    suffix = path.suffix.lower()
    expected = _FIRST_BYTES.get(suffix)
    if expected is None:
        return
    with path.open("rb") as stream:
        if stream.read(len(expected)) != expected:
            raise RefusedError(f"{path.name}: is no {suffix} archive. {_beginning(path)}")


def _refuse(name: str, skipped: list[tuple[str, str]]) -> None:
    for member, reason in skipped:
        if "climbs out" in reason or "absolute name" in reason or "bomb" in reason:
            raise RefusedError(f"{name}: {visible(member)}: {reason}. The archive is refused")


def _drain(stream: BinaryIO, size: int, what: str, tick: Tick) -> None:
    found = 0
    while chunk := stream.read(_CHUNK):
        found += len(chunk)
        tick(found)
        if found > size:
            raise RefusedError(f"{what}: holds more than the {size:,} bytes that it declares")
    if found != size:
        raise RefusedError(f"{what}: {size:,} bytes expected, {found:,} found. Download the archive again")


def _beginning(path: Path) -> str:
    with path.open("rb") as stream:
        start = stream.read(60)
    return f"It begins with {visible(start.decode('utf-8', 'backslashreplace'), lines=False)!r}"
