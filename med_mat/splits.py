"""Which split each picture goes to. A pure function of groups, hashes, official splits and what came before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from med_mat.hashing import uniform
from med_mat.sample import Split

TEST_SHARE = 0.1
"""Share of groups that go to the test split where no official split is kept."""

_RANK: dict[Split, int] = {"test": 0, "validation": 1, "train": 2}

ACROSS_SPLITS = "its picture or group is in another split already"
IN_OFFICIAL_TEST = "its picture or group is also on the official evaluation side"


@dataclass(frozen=True, slots=True)
class Item:
    """What decides a picture's split.

    Attributes:
        id: The row's id.
        group: Group with its namespace; None for a picture that stands alone.
        pixel_hash: Pictures that share it are the same picture.
        official: Official split; None where the release gives none or the card calls it void.
        labels: Clean labels.
        ties: What ties it to other items of its source beyond the group.
    """

    id: str
    group: str | None
    pixel_hash: str
    official: Split | None
    labels: tuple[str, ...]
    ties: tuple[str, ...] = ()


@dataclass
class Claims:
    """On which side the groups and pictures of the sources admitted so far stand."""

    groups: dict[str, Split] = field(default_factory=dict)
    pictures: dict[str, Split] = field(default_factory=dict)

    def sides(self, items: Iterable[Item]) -> set[Split]:
        """Returns the splits in which groups or pictures of the items already stand."""
        found: set[Split] = set()
        for item in items:
            if item.group is not None and item.group in self.groups:
                found.add(self.groups[item.group])
            if item.pixel_hash in self.pictures:
                found.add(self.pictures[item.pixel_hash])
        return found

    def record(self, item: Item, split: Split) -> None:
        """Notes where an item went. The earlier source keeps."""
        if item.group is not None:
            self.groups.setdefault(item.group, split)
        self.pictures.setdefault(item.pixel_hash, split)


@dataclass(frozen=True, slots=True)
class Assignment:
    """Where the items of a source go.

    Attributes:
        splits: Id to split.
        dropped: Id to the reason why the item can be in no split.
        moved: Ids that follow an earlier source against their own official split.
    """

    splits: dict[str, Split]
    dropped: dict[str, str]
    moved: frozenset[str]


@dataclass(slots=True)
class _Component:
    """Items that share groups or pictures, hence a split."""

    items: list[Item]
    place: float
    free: bool = False
    split: Split = "train"


def assign(items: Sequence[Item], claims: Claims, *, official: bool, hold_out_ungrouped: bool = True) -> Assignment:
    """Assigns the items of one source to splits and records them in ``claims``.

    A component (items that share a group or a picture) never crosses splits. It follows an earlier source where it
    has met one; else its official split, where evaluation keeps and training loses what stands on both sides; else
    it is test if the hash of its group is below ``TEST_SHARE``. A label without a test component gets the one of
    lowest hash, one without a training component the one of highest; training comes first.

    Args:
        items: The source's items, in any order.
        claims: The sources admitted before; changed.
        official: The card keeps the official split.
        hold_out_ungrouped: Pictures without a group may be test. False where copies of one original cannot be told.
    """
    splits: dict[str, Split] = {}
    dropped: dict[str, str] = {}
    moved: set[str] = set()
    components = _components(items)
    for component in components:
        sides = claims.sides(component.items)
        if len(sides) > 1:
            dropped.update((item.id, ACROSS_SPLITS) for item in component.items)
            component.items = []
        elif sides:
            component.split = next(iter(sides))
            moved.update(item.id for item in component.items if item.official not in (None, component.split))
        elif official:
            theirs = {item.official for item in component.items if item.official is not None}
            component.split = min(theirs, key=_RANK.__getitem__) if theirs else "train"
            lost = [item for item in component.items if item.official not in (None, component.split)]
            dropped.update((item.id, IN_OFFICIAL_TEST) for item in lost)
            component.items = [item for item in component.items if item.id not in dropped]
        elif hold_out_ungrouped or any(item.group is not None for item in component.items):
            component.free = True
            component.split = "test" if component.place < TEST_SHARE else "train"
    _give_each_label_both_sides(components)
    for component in components:
        for item in component.items:
            splits[item.id] = component.split
    for item in items:
        if item.id in splits:
            claims.record(item, splits[item.id])
    return Assignment(splits, dropped, frozenset(moved))


def _components(items: Sequence[Item]) -> list[_Component]:
    parent = list(range(len(items)))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    pictures: dict[str, int] = {}
    groups: dict[str, int] = {}
    ties: dict[str, int] = {}
    for number, item in enumerate(items):
        others = [pictures.setdefault(item.pixel_hash, number)]
        if item.group is not None:
            others.append(groups.setdefault(item.group, number))
        if item.ties:
            others += [ties.setdefault(tie, number) for tie in item.ties]
        for other in others:
            if other != number:
                parent[root(number)] = root(other)
    members: dict[int, list[Item]] = {}
    for number, item in enumerate(items):
        members.setdefault(root(number) if parent[number] != number else number, []).append(item)
    components = [_Component(together, _place(together)) for together in members.values()]
    components.sort(key=_order)
    return components


def _order(component: _Component) -> tuple[float, str]:
    items = component.items
    return component.place, items[0].id if len(items) == 1 else min(item.id for item in items)


def _place(items: Sequence[Item]) -> float:
    # Sources of one lineage agree on a group without seeing each other: its own name decides, never a row's.
    if len(items) == 1:
        return uniform("split", items[0].group if items[0].group is not None else items[0].id)
    groups = [item.group for item in items if item.group is not None]
    return uniform("split", min(groups) if groups else min(item.id for item in items))


def _give_each_label_both_sides(components: Sequence[_Component]) -> None:
    by_label: dict[str, list[_Component]] = {}
    number: Counter[tuple[str, Split]] = Counter()
    for component in components:
        for label in _labels(component):
            by_label.setdefault(label, []).append(component)
            number[label, component.split] += 1

    def move(component: _Component, split: Split) -> None:
        for label in _labels(component):
            number[label, component.split] -= 1
            number[label, split] += 1
        component.split = split

    # Training first: what it takes back from test may be the only test component of another label.
    for label in sorted(by_label):
        if number[label, "train"] == 0:
            for component in reversed(by_label[label]):
                if component.free:
                    move(component, "train")
                    break
    for label in sorted(by_label):
        if number[label, "test"] == 0:
            for component in by_label[label]:
                if component.free and all(number[name, "train"] > 1 for name in _labels(component)):
                    move(component, "test")
                    break


def _labels(component: _Component) -> Collection[str]:
    if len(component.items) == 1:
        return dict.fromkeys(component.items[0].labels)
    return {label for item in component.items for label in item.labels}
