"""Which labels may stand side by side as options: relations between the labels of one subset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

from med_mat.card import Card
from med_mat.questions.offers import Offers, even_offers

MOST_DISTRACTORS = 3
"""Wrong options of a single-choice question, as in the paper."""

EVEN = 0.01
"""A reader of the options alone may be right this much more often than by guessing."""


@dataclass(frozen=True)
class LabelSpace:
    """The labels that can be offered in the questions of one source, and which pairs may both be right.

    Attributes:
        labels: Clean labels of the subset, in the order of the ledger and of the cards.
        own: Clean labels of the source itself.
        related: Label to the labels that could be right beside it: synonyms, parents, children, declared overlaps
            (with the broader labels of both), and, for a label of no finding, every other label of no finding.
        no_finding: Labels which say that nothing was found.
    """

    labels: tuple[str, ...]
    own: tuple[str, ...]
    related: dict[str, frozenset[str]]
    no_finding: frozenset[str]

    @cached_property
    def offers(self) -> Offers:
        """Which of the source's own labels are offered together in its questions of one label.

        Its own alone: a label that the source never uses is never right in it, and who has seen its questions knows.
        Where relations leave no way to offer them evenly, whatever can be true together is one option. Empty if that
        makes one option of all: only labels of other sources are wrong then.
        """
        if all(self.rivals(label, self.own) for label in self.own):
            offers = even_offers(self.own, self.related)
            if offers.excess <= EVEN:
                return offers
        joint = tuple(dict.fromkeys(_joint(group) for group in self._groups))
        return even_offers(joint, dict.fromkeys(joint, ())) if len(joint) > 1 else Offers(0, (), (), 0.0)

    @cached_property
    def answers(self) -> Mapping[str, str]:
        """Own label to the option that is right where it is: itself, or all that can be true together with it."""
        if not self.merged:
            return {label: label for label in self.own}
        return {label: _joint(group) for group in self._groups for label in group}

    @cached_property
    def merged(self) -> bool:
        """Whether some options of questions of one label are several labels at once."""
        shown = {label for chosen in self.offers.sets for label in chosen}
        return bool(shown) and not shown.issuperset(self.own)

    @cached_property
    def _groups(self) -> tuple[tuple[str, ...], ...]:
        """Own labels, each with all that it leads to by relations."""
        groups: list[set[str]] = []
        for label in self.own:
            beside = {label, *self.related[label]}.intersection(self.own)
            met = [group for group in groups if group & beside]
            groups = [group for group in groups if not group & beside] + [beside.union(*met)]
        return tuple(tuple(sorted(group)) for group in groups)

    def excludes_all(self, label: str) -> bool:
        """Tells whether the label says that nothing was found, so that it stands beside no other."""
        return label in self.no_finding

    def rivals(self, label: str, among: Iterable[str]) -> list[str]:
        """Returns the labels of ``among`` that are wrong wherever ``label`` is right."""
        return [other for other in among if other != label and other not in self.related[label]]

    def apart(self, names: Sequence[str], number: int) -> tuple[str, ...]:
        """Returns the first ``number`` of ``names``, in their order, of which no two can be right together.

        Two options that can be right together would show that both are wrong. Empty where there are not so many.
        """
        if self._entangled.isdisjoint(names):
            return tuple(names[:number]) if len(names) >= number else ()
        for chosen in combinations(names, number):
            if all(other not in self.related[one] for one, other in combinations(chosen, 2)):
                return chosen
        return ()

    def distractors_of(self, label: str) -> list[str]:
        """Returns the labels of ``distractors`` that are wrong wherever ``label`` is right."""
        found = self._distractors_of.get(label)
        if found is None:
            found = self._distractors_of[label] = self.rivals(label, self.distractors[0])
        return found

    @cached_property
    def _entangled(self) -> frozenset[str]:
        return frozenset(label for label, others in self.related.items() if others)

    # Pictures of a source are many and their label sets few.
    @cached_property
    def _distractors_of(self) -> dict[str, list[str]]:
        return {}

    @cached_property
    def distractors(self) -> tuple[tuple[str, ...], int]:
        """Labels to take distractors from, and how many a question of one label has: the same for all own labels.

        Were there fewer beside some label than beside another, their number would hint at the answer. Where not all
        own labels allow three, the source's own labels serve if they suffice: each is then offered beside each.
        """
        number = min((room for label in self.own if (room := self._room(label, self.labels))), default=0)
        if number < MOST_DISTRACTORS and all(self._room(label, self.own) >= number for label in self.own):
            return self.own, number
        return self.labels, number

    def _room(self, label: str, among: Sequence[str]) -> int:
        rivals = self.rivals(label, among)
        return next((number for number in range(MOST_DISTRACTORS, 0, -1) if self.apart(rivals, number)), 0)


def _joint(labels: Sequence[str]) -> str:
    """Several labels as one option: "cancer or tumor"."""
    *others, last = labels
    return f"{', '.join(others)} or {last}" if others else last


def label_space(card: Card, peers: Iterable[Card]) -> LabelSpace:
    """Builds the label space of a source.

    Args:
        card: The source's card.
        peers: Cards of the same subset admitted before it. Later ones are left out, so that admitting a source
            changes no published question.
    """
    cards = [*peers, card]
    labels = tuple(dict.fromkeys(label for peer in cards for label in peer.clean_labels))
    no_finding = frozenset(
        entry.label for peer in cards for entry in peer.labels.values() if entry.no_finding and entry.label
    )
    return LabelSpace(labels, card.clean_labels, _relations(cards, no_finding), no_finding)


def _relations(cards: Iterable[Card], no_finding: frozenset[str]) -> dict[str, frozenset[str]]:
    parents: dict[str, set[str]] = {}
    synonyms: dict[str, set[str]] = {}
    overlaps: dict[str, set[str]] = {}
    for card in cards:
        for entry in card.labels.values():
            if entry.label is None:
                continue
            parents.setdefault(entry.label, set()).update(entry.is_a)
            for other in entry.is_a:
                parents.setdefault(other, set())
            _add_pairs(synonyms, entry.label, entry.same_as)
            _add_pairs(overlaps, entry.label, entry.overlaps)
    names = {*parents, *synonyms, *overlaps}
    # A synonym's parents are one's own, hence one closure over both kinds of step.
    up = {name: _reach(name, parents, synonyms) for name in names}
    related: dict[str, set[str]] = {name: set() for name in names}
    for name in names:
        for ancestor in up[name]:
            _add_pairs(related, name, {ancestor})
    # Two labels that can be true of one picture make their broader labels true of it as well; of their narrower
    # ones that says nothing.
    for name, others in overlaps.items():
        for other in others:
            for broader in up[name]:
                _add_pairs(related, broader, up[other])
    # Added last: what overlaps one label of no finding need not overlap another.
    for label in no_finding:
        _add_pairs(related, label, no_finding - {label})
    return {name: frozenset(others - {name}) for name, others in related.items()}


def _add_pairs(relation: dict[str, set[str]], label: str, others: Iterable[str]) -> None:
    for other in others:
        relation.setdefault(label, set()).add(other)
        relation.setdefault(other, set()).add(label)


def _reach(start: str, *steps: dict[str, set[str]]) -> set[str]:
    seen = {start}
    frontier = [start]
    while frontier:
        name = frontier.pop()
        for step in steps:
            for other in step.get(name, ()):
                if other not in seen:
                    seen.add(other)
                    frontier.append(other)
    return seen
