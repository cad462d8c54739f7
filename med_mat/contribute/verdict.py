"""What a check says of a source: findings by part, and a verdict, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from med_mat.errors import visible

if TYPE_CHECKING:
    from rich.console import RenderableType

Level = Literal["error", "warning", "note"]
Status = Literal["failed", "warned", "passed", "skipped"]

_STYLES: dict[str, str] = {
    "error": "red",
    "failed": "red",
    "warning": "yellow",
    "warned": "yellow",
    "passed": "green",
    "skipped": "dim",
    "note": "dim",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a reviewer would say.

    Attributes:
        level: ``error`` must be mended; ``warning`` is for a person to look at; ``note`` is to be known.
        message: What was expected, what was found, what to do.
        where: File, with line where one is known; empty for the source as a whole.
    """

    level: Level
    message: str
    where: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a check.

    Attributes:
        name: One word.
        about: What is asked.
        findings: What was found; nothing if all is well.
        skipped: Why the part could not be done, or was not asked for; None if it was done.
    """

    name: str
    about: str
    findings: tuple[Finding, ...] = ()
    skipped: str | None = None

    @property
    def status(self) -> Status:
        """``failed`` with an error, ``warned`` with a warning, ``skipped`` if it was not done, else ``passed``."""
        levels = {finding.level for finding in self.findings}
        if "error" in levels:
            return "failed"
        if self.skipped is not None:
            return "skipped"
        return "warned" if "warning" in levels else "passed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """All that is said of a source.

    Attributes:
        slug: The source.
        parts: Parts of the check, in order.
    """

    slug: str
    parts: tuple[Part, ...]

    @property
    def exit_code(self) -> int:
        """0 if nothing must be mended, else 1."""
        return 1 if any(part.status == "failed" for part in self.parts) else 0

    def count(self, level: Level) -> int:
        """Number of findings of a level."""
        return sum(finding.level == level for part in self.parts for finding in part.findings)

    def as_dict(self) -> dict[str, Any]:
        """Returns what ``med-mat check --json`` prints of a source."""
        return {
            "slug": self.slug,
            "verdict": "mend" if self.exit_code else "ready",
            "errors": self.count("error"),
            "warnings": self.count("warning"),
            "parts": [
                {
                    "name": part.name,
                    "about": part.about,
                    "status": part.status,
                    "skipped": part.skipped,
                    "findings": [asdict(finding) for finding in part.findings],
                }
                for part in self.parts
            ],
        }


def verdict_page(verdict: Verdict) -> RenderableType:
    """Shows a verdict: a line per part, the findings below it, and what it comes to."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    lines: list[RenderableType] = [Text(verdict.slug, style="bold")]
    for part in verdict.parts:
        head = Text("  ")
        head.append(f"{part.status:<8}", style=_STYLES[part.status])
        head.append(f"{part.name}: {part.about}")
        if part.skipped is not None:
            head.append(f" ({visible(part.skipped, lines=False)})", style="dim")
        lines.append(head)
        for finding in part.findings:
            text = Text(f"{finding.level}: ", style=_STYLES[finding.level])
            text.append(f"{finding.where}: " if finding.where else "", style="bold")
            text.append(visible(finding.message), style="default")
            lines.append(Padding(text, (0, 0, 0, 12)))
    lines.append(_summary(verdict))
    return Group(*lines)


def _summary(verdict: Verdict) -> RenderableType:
    from rich.text import Text

    errors, warnings = verdict.count("error"), verdict.count("warning")
    if errors:
        return Text(f"{verdict.slug}: {errors} to mend, {warnings} to look at.", style="bold red")
    if warnings:
        return Text(f"{verdict.slug}: ready; {warnings} to look at.", style="bold yellow")
    return Text(f"{verdict.slug}: ready.", style="bold green")


def cut(findings: Iterable[Finding], most: int = 20) -> list[Finding]:
    """Returns the first findings, and one that counts the others."""
    every = list(findings)
    if len(every) <= most:
        return every
    rest = every[most:]
    level: Level = "error" if any(finding.level == "error" for finding in rest) else rest[0].level
    return [*every[:most], Finding(level, f"… and {len(rest)} more like these")]
