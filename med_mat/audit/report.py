"""An audit on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from med_mat.audit.run import Audit, Family, Overlap

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
    if len(found.unseen) < len(found.overlaps):
        yield _overlaps(found)
    if found.undeclared:
        yield Text(f"No card says so (lineage): {_pairs(found.undeclared)}.")
    if found.unseen:
        yield Text(f"Cards say so, and nothing was found here: {_pairs(found.unseen)}.")
    contradictions = "Contradictions (a build keeps such rows out of the configs that merge sources)"
    for title, families in (("In several splits", found.leaks), (contradictions, found.contradictions)):
        if families:
            yield _families(title, families)
    if found.torn_groups:
        yield Text(f"Groups in several splits: {', '.join(found.torn_groups[:_MOST_FAMILIES])}")


def _pairs(overlaps: Iterable[Overlap]) -> str:
    return ", ".join(f"{one.first} and {one.second}" for one in overlaps)


def _overlaps(found: Audit) -> Table:
    table = Table(title="What sources share", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("first", "second"):
        table.add_column(name, overflow="fold")
    for name in ("file", "pixels", "near", "groups", "across"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("said", no_wrap=True)
    for one in found.overlaps:
        if one not in found.unseen:
            counts = (one.same_file, one.same_pixels, one.near, one.groups, one.across_splits)
            said = Text("yes") if one.declared else Text("no", style="red")
            table.add_row(one.first, one.second, *map(str, counts), said)
    table.caption = (
        "Pictures of the first that the second holds too: as the same file, with the same pixels, as near duplicates; "
        "groups of both; rows of the second in another split; whether cards say so (--json and --html tell what)."
    )
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
