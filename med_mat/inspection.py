"""One image file, looked at as the package looks at it: what would be published of it, and what not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from med_mat.errors import ImageError, visible
from med_mat.images import RULES, Block, Facts, dropped, examine, publish


@dataclass(frozen=True, slots=True)
class Inspection:
    """What would be published of one picture, and what not.

    Attributes:
        path: The file.
        size: Its bytes.
        facts: Facts of the published picture.
        pixel_hash: 32 hex digits.
        perceptual_hash: 16 hex digits.
        dropped: Metadata that is not published: names and sizes, never content.
        reason: The rule that was applied, in words.
        written: Where the published bytes were written; None if nowhere.
    """

    path: Path
    size: int
    facts: Facts
    pixel_hash: str
    perceptual_hash: str
    dropped: tuple[Block, ...]
    reason: str
    written: Path | None


def inspect_file(path: Path, out: Path | None = None, frame: int | None = None) -> Inspection:
    """Look at one file, and write what would be published of it.

    Args:
        path: The file.
        out: Where to write the published bytes. They are JPEG or PNG; the suffix is set to match.
        frame: Frame, page or slice, from 0, of a file that holds several.

    Raises:
        ImageError: The file is missing, or nothing of it can be published; the message names it.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    try:
        examined = examine(data, frame=frame)
        blocks = dropped(data)
        written = _write(out, publish(data, frame=frame)) if out else None
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error
    return Inspection(
        path=path,
        size=len(data),
        facts=examined.facts,
        pixel_hash=examined.pixel_hash,
        perceptual_hash=examined.perceptual_hash,
        dropped=blocks,
        reason=RULES[examined.facts.rule],
        written=written,
    )


def render(inspection: Inspection) -> RenderableType:
    """An inspection as tables for the terminal."""
    facts = inspection.facts
    table = Table(title=Text(visible(str(inspection.path), lines=False)), show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    size = "exactly" if facts.passed_through else "at most about"
    for name, value in (
        ("raw", f"{facts.format}, {inspection.size:,} bytes, {facts.frames} frame(s)"),
        ("published", f"{facts.mode}, {facts.width} x {facts.height}, {size} {facts.published_bytes:,} bytes"),
        ("rule", f"{facts.rule}: {inspection.reason}"),
        ("pixel hash", inspection.pixel_hash),
        ("perceptual hash", inspection.perceptual_hash),
        ("written", str(inspection.written or "no")),
    ):
        table.add_row(name, Text(value))
    lost = Table(title="not published", title_justify="left")
    lost.add_column("metadata")
    lost.add_column("bytes", justify="right")
    for block in inspection.dropped:
        lost.add_row(Text(block.name), f"{block.size:,}")
    return Group(table, lost if inspection.dropped else Text("no metadata to drop"))


def _write(out: Path, data: bytes) -> Path:
    target = out.with_suffix(".jpg" if data.startswith(b"\xff\xd8") else ".png")
    target.write_bytes(data)
    return target
