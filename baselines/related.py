"""Which data are related to a target, which are not, and which are kept out: computed from MAT triplets.

Related data share one or two of modality, area and task with the target; data that share all three are the target's own
combination and are excluded, since learning from them recombines nothing; unrelated data share none. Two bases: the
published triplets, subset by subset, as in the paper; and the corrected ones of the cards, source by source, since
some published triplets are wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from med_mat.baselines.errors import BaselineError
from med_mat.vocabulary import Kind, subsets

if TYPE_CHECKING:
    from med_mat.card import Card

Element = Literal["modality", "area", "task"]
Basis = Literal["published", "corrected"]

ELEMENTS: tuple[Element, ...] = ("modality", "area", "task")
CLASSIFICATION: tuple[Kind, ...] = ("classification", "multilabel")
"""The kinds that the paper's generalisation tables train on and test."""


@dataclass(frozen=True, slots=True)
class Member:
    """A subset or a source with its triplet.

    Attributes:
        config: Name of the config that loads it.
        subset: Number of the published subset, two digits.
        modality: Modality code.
        area: Anatomical area, lower case.
        elements: Coarse task words of the paper's tables; it has a task in common with whatever bears one of them.
        kind: Kind of label.
    """

    config: str
    subset: str
    modality: str
    area: str
    elements: frozenset[str]
    kind: Kind

    def shared(self, other: Member) -> frozenset[Element]:
        """Returns what the triplets have in common."""
        same: dict[Element, bool] = {
            "modality": self.modality == other.modality,
            "area": self.area == other.area,
            "task": bool(self.elements & other.elements),
        }
        return frozenset(element for element in ELEMENTS if same[element])


@dataclass(frozen=True, slots=True)
class Relations:
    """All data seen from one target. Each config stands in exactly one of the three lists, in the order of members.

    Attributes:
        target: Configs of the target.
        related: Configs that share one or two elements with it.
        unrelated: Configs that share none.
        excluded: Configs of the target, and those that share all three elements with a part of it.
        shared: Related config to what it shares.
    """

    target: tuple[str, ...]
    related: tuple[str, ...]
    unrelated: tuple[str, ...]
    excluded: tuple[str, ...]
    shared: Mapping[str, frozenset[Element]]

    def without(self, element: Element) -> tuple[str, ...]:
        """Returns the related configs that do not share this element with the target."""
        return tuple(config for config in self.related if element not in self.shared[config])


def published_members(kinds: Sequence[Kind] = CLASSIFICATION) -> tuple[Member, ...]:
    """Returns the subsets of these kinds with their published triplets, by number."""
    return tuple(
        Member(
            f"subset_{subset.number}",
            subset.number,
            subset.modality,
            subset.area.lower(),
            frozenset(subset.elements),
            subset.kind,
        )
        for subset in subsets().values()
        if subset.kind in kinds
    )


def corrected_members(cards: Iterable[Card], kinds: Sequence[Kind] = CLASSIFICATION) -> tuple[Member, ...]:
    """Returns the sources of these kinds with the true modality and area of their cards, in the order given.

    The coarse task words are those of the source's subset, which the cards do not contradict. Sources without a subset
    are no part of the paper's study and are left out.
    """
    return tuple(
        Member(
            card.slug, card.subset, card.modality, card.anatomy, frozenset(subsets()[card.subset].elements), card.kind
        )
        for card in cards
        if card.subset is not None and card.kind in kinds
    )


def relations(members: Sequence[Member], subset: str) -> Relations:
    """Sorts all members by what they share with a subset.

    Where the sources of a subset have different corrected triplets, data count as sharing what they share with any of
    them.

    Args:
        members: Of ``published_members`` or ``corrected_members``.
        subset: Number of the target, two digits.

    Raises:
        BaselineError: No member is of that subset.
    """
    target = [member for member in members if member.subset == subset]
    if not target:
        known = ", ".join(sorted({member.subset for member in members}))
        raise BaselineError(f"no data of subset {subset!r} to be the target; there are those of {known or 'none'}")
    related, unrelated, excluded = [], [], []
    shared: dict[str, frozenset[Element]] = {}
    for member in members:
        common = [member.shared(part) for part in target]
        some = frozenset[Element]().union(*common)
        if member.subset == subset or any(len(each) == len(ELEMENTS) for each in common):
            excluded.append(member.config)
        elif some:
            related.append(member.config)
            shared[member.config] = some
        else:
            unrelated.append(member.config)
    return Relations(
        tuple(member.config for member in target), tuple(related), tuple(unrelated), tuple(excluded), shared
    )


def of_subset(members: Sequence[Member], subset: str) -> tuple[str, ...]:
    """Returns the configs of a subset: its own where members are subsets, its sources' where they are sources."""
    return tuple(member.config for member in members if member.subset == subset)
