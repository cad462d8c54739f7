"""Sources of the tests' own, what is downloaded of them, and archives good and bad."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from loopback import Loopback, Reply, Served, as_json, redirect
from tiny import card_text

from med_mat.card import Card
from med_mat.download.outcome import Outcome
from med_mat.download.run import Options, download
from med_mat.download.transfer import Policy
from med_mat.registry import Registry, Source

SITE = "https://data.example.org"


class Sandbox:
    """A folder of cards, a folder of raw roots, and the waits that downloads asked for."""

    def __init__(self, internet: Loopback, folder: Path) -> None:
        self.internet = internet
        self.cards = folder / "cards"
        self.raw = folder / "raw"
        self.waits: list[float] = []
        self.cards.mkdir()
        self.sources: dict[str, Source] = {}

    @property
    def registry(self) -> Registry:
        return Registry(dict(self.sources))

    def source(self, *places: Mapping[str, Any], slug: str = "tiny", **fields: Any) -> str:
        """Adds a source whose card names these places."""
        fields["download"] = {"where": "loopback", "how": "Ask for it.", "places": list(places)}
        (self.cards / f"{slug}.py").write_text('"""Not read here."""\n\n\ndef samples(raw):\n    return iter(())\n')
        (self.cards / f"{slug}.md").write_text(card_text(**fields), encoding="utf-8")
        self.sources[slug] = Source(slug, self.cards / f"{slug}.py", self.cards / f"{slug}.md", f"_test.{slug}")
        return slug

    def get(
        self,
        *slugs: str,
        accept: Iterable[str] | None = None,
        options: Options | None = None,
        policy: Policy | None = None,
        **more: Any,
    ) -> list[Outcome]:
        """Downloads, terms accepted, without really waiting and on however full a disk."""
        policy = policy or Policy(keep_free=0)
        slugs = slugs or ("tiny",)
        return download(
            self.registry,
            slugs,
            self.raw,
            accept=slugs if accept is None else accept,
            options=options,
            policy=replace(policy, wait=self.waits.append),
            **more,
        )

    def one(self, **more: Any) -> Outcome:
        """Downloads the one source."""
        return self.get(**more)[0]

    def files(self, slug: str = "tiny") -> dict[str, bytes]:
        """What lies in the raw root."""
        root = self.raw / slug
        found = sorted(path for path in root.rglob("*") if path.is_file())
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}

    def url(self, name: str, answer: Any) -> str:
        return self.internet.serve(f"{SITE}/{name}", answer)

    def kaggle(self, owner: str, name: str, served: Served, version: int = 3) -> None:
        """A data set on Kaggle: its version, and an archive behind a signed address."""
        signed = f"https://storage.googleapis.com/kaggle-data-sets/{owner}/{name}/{version}.zip"
        api = "https://api.kaggle.com/v1/datasets.DatasetApiService"
        self.internet.serve(f"{api}/GetDataset", lambda _: as_json({"currentVersionNumber": version}))
        self.internet.serve(f"{api}/DownloadDataset", redirect(f"{signed}?X-Goog-Signature=secret"))
        self.internet.serve(signed, served)

    def doi(self, doi: str, page: str) -> None:
        """A DOI that leads to a page."""
        self.internet.serve(f"https://doi.org/{doi}", redirect(page))
        self.internet.serve(page, lambda _: Reply(200, b"<html>", {"Content-Type": "text/html"}))


def card_of(sandbox: Sandbox, slug: str = "tiny") -> Card:
    return sandbox.registry[slug].card


def zipped(files: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return stream.getvalue()


def zip_bomb() -> bytes:
    """A zip whose directory declares two gigabytes for a member of a few bytes."""
    data = bytearray(zipped({"bomb.png": bytes(1000)}))
    entry = data.index(b"PK\x01\x02")
    struct.pack_into("<I", data, entry + 24, 2_000_000_000)
    return bytes(data)


def tarred(files: Mapping[str, bytes], mode: str = "w:gz") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def seven_zipped(path: Path, files: Mapping[str, bytes]) -> bytes:
    import libarchive

    with libarchive.file_writer(str(path), "7zip") as archive:
        for name, data in files.items():
            archive.add_file_from_memory(name, len(data), data)
    return path.read_bytes()


def rarred(files: Mapping[str, bytes]) -> bytes:
    """A RAR 4 archive of stored files: marker, archive header, a header and the bytes per file, end."""

    def block(kind: int, flags: int, rest: bytes, content: bytes = b"") -> bytes:
        header = struct.pack("<BHH", kind, flags, 7 + len(rest)) + rest
        return struct.pack("<H", zlib.crc32(header) & 0xFFFF) + header + content

    parts = [b"Rar!\x1a\x07\x00", block(0x73, 0, bytes(6))]
    for name, data in files.items():
        encoded = name.encode()
        fields = struct.pack(
            "<IIBIIBBHI", len(data), len(data), 3, zlib.crc32(data), 0, 20, 0x30, len(encoded), 0o100644
        )
        parts.append(block(0x74, 0x8000, fields + encoded, data))
    parts.append(block(0x7B, 0x4000, b""))
    return b"".join(parts)
