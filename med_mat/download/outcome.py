"""What became of a download."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """What became of a source.

    Attributes:
        slug: The source.
        folder: Its raw root.
        fetched: Files that came now, by path below the raw root.
        present: Files that were there and are as recorded.
        todo: What is left to a person, in order.
        error: Why it failed; None if it did not.
        alternatives: Where else the download is offered, by the number for ``--from``; given with an error.
    """

    slug: str
    folder: Path
    fetched: tuple[str, ...] = ()
    present: tuple[str, ...] = ()
    todo: tuple[str, ...] = ()
    error: str | None = None
    alternatives: Mapping[int, str] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """``complete``, ``todo`` (something is left to a person) or ``failed``."""
        return "failed" if self.error else "todo" if self.todo else "complete"

    def as_dict(self) -> dict[str, Any]:
        """The outcome as JSON has it."""
        found = {name: getattr(self, name) for name in ("slug", "state", "fetched", "present", "todo", "error")}
        return {**found, "folder": str(self.folder), "alternatives": dict(self.alternatives)}
