"""An audit on the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from med_mat.audit.run import Audit, Family

_MOST_FAMILIES = 20


def report(found: Audit) -> RenderableType:
    """What an audit found, as a page for the terminal: a verdict, what sources share, and what does harm."""
    return Group(*_parts(found))


def _parts(found: Audit) -> Iterator[RenderableType]:
    total = sum(found.sources.values())
    yield Text(
        f"{total} pictures of {len(found.sources)} sources: {len(found.families)} are there more than once; "
        f"{len(found.leaks)} of these stand in several splits, {len(found.contradictions)} have answers that "
        f"contradict; {len(found.torn_groups)} groups stand in several splits.",
        style="bold",
    )
    same = sum(pair.agreement is not None and pair.agreement.same for pair in found.pairs)
    yield Text(
        f"{len(found.pairs)} pairs have near fingerprints: {same} are one picture, "
        f"{len(found.pairs) - same - found.unconfirmed} are not, of {found.unconfirmed} no pixels are at hand"
        + (" (give --raw to compare what became no row)." if found.unconfirmed else ".")
        + (f" {found.crowded} meetings were too crowded to compare all." if found.crowded else "")
    )
    if found.overlaps:
        yield _overlaps(found)
    if found.undeclared:
        pairs = ", ".join(f"{one.first} and {one.second}" for one in found.undeclared)
        yield Text(f"No card says so (lineage): {pairs}.")
    for title, families in (("In several splits", found.leaks), ("Contradictions", found.contradictions)):
        if families:
            yield _families(title, families)
    if found.torn_groups:
        yield Text(f"Groups in several splits: {', '.join(found.torn_groups[:_MOST_FAMILIES])}")


def _overlaps(found: Audit) -> Table:
    table = Table(title="What sources share", title_justify="left")
    for name in ("first", "second"):
        table.add_column(name)
    for name in ("same file", "same pixels", "near", "groups", "across splits"):
        table.add_column(name, justify="right")
    table.add_column("declared")
    for one in found.overlaps:
        counts = (one.same_file, one.same_pixels, one.near, one.groups, one.across_splits)
        table.add_row(one.first, one.second, *map(str, counts), "yes" if one.declared else "")
    return table


def _families(title: str, families: tuple[Family, ...]) -> Table:
    table = Table(title=title, title_justify="left")
    for name in ("how", "picture", "split", "labels"):
        table.add_column(name)
    for family in families[:_MOST_FAMILIES]:
        for number, member in enumerate(family.members):
            table.add_row(
                family.how if number == 0 else "",
                f"{member.source}: {member.key}",
                member.split or "(no row)",
                "; ".join(member.labels),
            )
        table.add_section()
    if len(families) > _MOST_FAMILIES:
        table.caption = f"… and {len(families) - _MOST_FAMILIES} more; --json lists all."
    return table
