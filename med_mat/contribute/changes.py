"""Which sources a change touches, and whether it keeps the ledger append-only. Asks git."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from med_mat.contribute.verdict import Finding
from med_mat.errors import MedMatError

LEDGER = "cards/LEDGER"
_PLACES = (
    re.compile(r"loaders/([a-z0-9][a-z0-9_]*)\.py"),
    re.compile(r"cards/([a-z0-9][a-z0-9_]*)\.md"),
    re.compile(r"tests/sources/([a-z0-9][a-z0-9_]*)\.yaml"),
)


def changed_sources(checkout: Path, ref: str) -> list[str]:
    """Names the sources of which a file differs from that of a commit, and which still have a loader or a card.

    Args:
        checkout: A folder of the checkout.
        ref: The commit, such as ``origin/main``. What it got since the two parted does not count.

    Raises:
        MedMatError: If git does not know the commit, or the folder is no checkout.
    """
    top = _top(checkout)
    base = _git(top, "merge-base", ref, "HEAD").strip()
    names = _git(top, "diff", "--name-only", "-z", base).split("\0")
    names += _git(top, "ls-files", "--others", "--exclude-standard", "-z").split("\0")
    found = {match[1] for name in names for place in _PLACES if (match := place.fullmatch(name))}
    return sorted(
        slug for slug in found if (top / "loaders" / f"{slug}.py").is_file() or (top / "cards" / f"{slug}.md").is_file()
    )


def ledger_findings(checkout: Path, ref: str) -> Iterator[Finding]:
    """Says whether the ledger of a commit is the beginning of the present one.

    Raises:
        MedMatError: As ``changed_sources``.
    """
    top = _top(checkout)
    base = _git(top, "merge-base", ref, "HEAD").strip()
    before = _git(top, "show", f"{base}:{LEDGER}").split()
    now = (top / LEDGER).read_text(encoding="utf-8").split()
    for place, slug in enumerate(before):
        if place >= len(now) or now[place] != slug:
            found = now[place] if place < len(now) else "nothing"
            yield Finding(
                "error",
                f"line {place + 1} was {slug} and is {found}: the ledger is append-only, since published rows would "
                "change their split",
                LEDGER,
            )
            return


def _top(folder: Path) -> Path:
    top = Path(_git(folder, "rev-parse", "--show-toplevel").strip())
    if not (top / LEDGER).is_file():
        raise MedMatError(f"{top}: no {LEDGER}; run in a checkout of this project")
    return top


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise MedMatError("git is not installed, and --changed-since asks it") from error
    if done.returncode:
        raise MedMatError(
            f"git {' '.join(arguments)} failed in {folder}: {done.stderr.strip()}. A shallow clone lacks the commit: "
            "fetch it first"
        )
    return done.stdout
