"""Error texts that show what a raw root holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from med_mat.raw.files import Skipped

_FOLDERS = 15
_SKIPPED = 8


def what_is_there(paths: Sequence[str], skipped: Sequence[Skipped]) -> str:
    """The top of a tree in words: its first folders, files counted by extension, and what was skipped."""
    lines = [f"There are {len(paths):,} files:" if paths else "There is no file that can be read."]
    counts: dict[str, Counter[str]] = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        suffix = PurePosixPath(name).suffix.lower() or "(no extension)"
        counts.setdefault(folder, Counter())[suffix] += 1
    folders = sorted(counts, key=lambda folder: (folder.count("/") + bool(folder), folder))
    for folder in folders[:_FOLDERS]:
        kinds = ", ".join(f"{count:,} {suffix}" for suffix, count in sorted(counts[folder].items()))
        lines.append(f"  {folder or '.'}/  {kinds}")
    if len(folders) > _FOLDERS:
        lines.append(f"  and {len(folders) - _FOLDERS:,} more folders")
    if skipped:
        lines.append(f"Not read ({len(skipped):,}):")
        lines += [f"  {entry.path}: {entry.reason}" for entry in skipped[:_SKIPPED]]
        if len(skipped) > _SKIPPED:
            lines.append(f"  and {len(skipped) - _SKIPPED:,} more")
    return "\n".join(lines)
