"""Which label sets are offered together as options, such that the options alone do not tell which of them is right."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from med_mat.hashing import rank
from med_mat.labels import LabelSpace
from med_mat.questions.offers import MOST_OPTIONS

ROUNDS = 8
"""Ways in which the frequent label sets of a source are divided into blocks."""

FREQUENT = 64
"""Pictures that bear a frequent label set, at least.

Rarer sets are divided one way only: were each asked beside others than those that it is offered to, whoever counts how
often a set is offered in all questions would know a little.
"""

_WINDOW = 256

LabelSet = tuple[str, ...]
"""Labels of a picture, sorted."""


@dataclass(frozen=True)
class SetOffers:
    """Label sets of a source in blocks, divided anew in each of several rounds.

    Every picture of a block's sets is asked with the same options, and each set stands in one block of a round. So
    who sees the options knows no more than how frequent each set is: not by size, not by likeness, not by what stands
    beside it.

    Attributes:
        space: The source's labels.
        rounds: For each round, label set to its block, itself included; a set that fits beside no other has none.
            Rare sets have the same block in each.
    """

    space: LabelSpace
    rounds: tuple[Mapping[LabelSet, tuple[LabelSet, ...]], ...]

    def wrong(self, row_id: str, labels: Sequence[str], uncertain: Collection[str] = ()) -> tuple[LabelSet, ...]:
        """Returns the label sets to show beside the right one; none if there are none that are surely wrong.

        Args:
            row_id: The row.
            labels: Its labels.
            uncertain: Labels that the release neither affirms nor denies of the picture: neither they nor what can be
                true beside them make a set wrong.
        """
        truth = tuple(sorted(labels))
        first = rank("distractor", row_id)
        doubtful = {label for one in uncertain for label in (one, *self.space.related[one])}
        likely = could_hold(truth, self.space) | doubtful
        for number in range(len(self.rounds)):
            block = self.rounds[(first + number) % len(self.rounds)].get(truth, ())
            wrong = tuple(other for other in block if other != truth)
            if wrong and not any(likely.issuperset(other) for other in wrong):
                return wrong
        return ()


def could_hold(labels: Sequence[str], space: LabelSpace) -> set[str]:
    """Returns the labels that are or could be true of a picture with these labels."""
    return {one for label in labels for one in (label, *space.related.get(label, ()))}


def set_offers(counts: Mapping[LabelSet, int], space: LabelSpace) -> SetOffers:
    """Divides the label sets of a source into blocks of up to four, each wrong where any other of them is right.

    A set is wrong where it names a label that the picture surely lacks. Of two sets in a block each names a label that
    the other lacks, so that none is part of another. Sets that are about equally frequent stand together: else the
    most frequent of four would nearly always be right.

    Args:
        counts: Label set to the number of the source's pictures that bear it.
        space: The source's labels.
    """
    bits = {label: 1 << place for place, label in enumerate(space.own)}
    sets = sorted(counts)
    masks = [sum(bits[label] for label in one) for one in sets]
    covers = [sum(bits.get(label, 0) for label in could_hold(one, space)) for one in sets]

    def apart(one: int, other: int) -> bool:
        return bool(masks[one] & ~covers[other]) and bool(masks[other] & ~covers[one])

    def divided(some: list[int], number: int) -> dict[LabelSet, tuple[LabelSet, ...]]:
        hashes = {one: rank("offers", str(number), *sets[one]) for one in some}
        order = sorted(some, key=lambda one: (-counts[sets[one]].bit_length(), hashes[one], one))
        blocks, alone = in_blocks(order, apart, _WINDOW)
        for one in alone:
            _join(one, blocks, apart)
        return {sets[one]: tuple(sets[other] for other in block) for block in blocks for one in block}

    frequent = [one for one in range(len(sets)) if counts[sets[one]] >= FREQUENT]
    rounds = [divided(frequent, number) for number in range(ROUNDS)]
    # A set must be asked beside those that it is offered to, so one without a block in any round has none in all.
    while len(settled := [one for one in frequent if all(sets[one] in found for found in rounds)]) < len(frequent):
        frequent = settled
        rounds = [divided(frequent, number) for number in range(ROUNDS)]
    rest = divided([one for one in range(len(sets)) if one not in set(frequent)], ROUNDS)
    return SetOffers(space, tuple(found | rest for found in rounds))


def in_blocks(
    order: Sequence[int], apart: Callable[[int, int], bool], window: int
) -> tuple[list[list[int]], list[int]]:
    """Divides things into blocks of two to four that are apart from one another, neighbours in the order together.

    Args:
        order: The things.
        apart: Whether two of them may stand in one block.
        window: How many of those that follow are tried beside a thing.

    Returns:
        The blocks, and what is apart from none of those that were tried beside it.
    """
    blocks: list[list[int]] = []
    alone: list[int] = []
    coming = iter(order)
    near: list[int] = []
    while True:
        near += islice(coming, window + 1 - len(near))
        if not near:
            return blocks, alone
        block = [near[0]]
        for one in near[1:]:
            if all(apart(one, member) for member in block):
                block.append(one)
                if len(block) == MOST_OPTIONS:
                    break
        near = [one for one in near if one not in block]
        if len(block) > 1:
            blocks.append(block)
        else:
            alone += block


def _join(one: int, blocks: list[list[int]], apart: Callable[[int, int], bool]) -> None:
    """Puts a thing that is left over into a block that has room, or takes a member of a full one to stand beside it."""
    for block in reversed(blocks):
        if len(block) < MOST_OPTIONS and all(apart(one, member) for member in block):
            block.append(one)
            return
    for block in reversed(blocks):
        if len(block) > 2:
            for member in block:
                if apart(one, member):
                    block.remove(member)
                    blocks.append([member, one])
                    return
