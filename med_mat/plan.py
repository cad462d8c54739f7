"""Plan: the rows of every source without pixels. A pure function of indexes, scans, cards and their order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import pyarrow as pa

from med_mat.card import Card
from med_mat.errors import CardError, LayoutError
from med_mat.hashing import row_id, salted
from med_mat.index import Oddity, declare
from med_mat.labels import LabelSpace, label_space
from med_mat.questions.ask import Question, ask_label, ask_label_set, ask_presence, presence_labels
from med_mat.questions.instructions import load_instructions
from med_mat.sample import Split
from med_mat.schema import PLAN
from med_mat.splits import Assignment, Claims, Item, assign
from med_mat.vocabulary import subsets

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
SHARD_BYTES = 400_000_000
"""Aim for the size of a shard; a shard of one row may be larger."""

ONE_COLOUR = ("0" * 16, "8" + "0" * 15)
"""Perceptual hashes of pictures of one colour: no frequency but the mean."""

UNREADABLE = "unreadable"
CONTRADICTION = "contradictory labels on one picture"


@dataclass(frozen=True)
class Input:
    """What the plan knows of a source.

    Attributes:
        card: The source's card.
        index: Columns of ``schema.INDEX``.
        scan: Columns of ``schema.SCAN``; a line for each of the index.
    """

    card: Card
    index: pa.Table
    scan: pa.Table


@dataclass(frozen=True, slots=True)
class Loss:
    """A sample that becomes no row, and why.

    Attributes:
        kind: ``unreadable_image``, ``contradiction`` or ``split``.
        raw_path: Where it stands in the raw root.
        reason: One of the reasons that the manifest counts.
        detail: What exactly was found.
    """

    kind: str
    raw_path: str
    reason: str
    detail: str


@dataclass(frozen=True)
class SourcePlan:
    """The rows of a source.

    Attributes:
        card: The source's card.
        table: Columns of ``schema.PLAN``, sorted by split, shard and id.
        losses: Samples that become no row.
        moved: Number of rows that follow an earlier source against their official split.
    """

    card: Card
    table: pa.Table
    losses: tuple[Loss, ...]
    moved: int

    @property
    def left_out(self) -> dict[str, int]:
        """Reason to number of samples that become no row."""
        return dict(sorted(Counter(loss.reason for loss in self.losses).items()))

    @property
    def undeclared(self) -> tuple[Oddity, ...]:
        """Losses of scan and plan that the card does not expect. What splits cost is no fault of the download."""
        odd = [Oddity(loss.kind, loss.raw_path, loss.detail) for loss in self.losses if loss.kind != "split"]
        return tuple(oddity for oddity in declare(self.card, odd) if not oddity.declared)


@dataclass(frozen=True)
class _Candidate:
    id: str
    line: dict[str, Any]
    seen: dict[str, Any]


def plan(
    inputs: Iterable[Input], cards: Sequence[Card], *, salt: bytes = b"", shard_bytes: int = SHARD_BYTES
) -> list[SourcePlan]:
    """Plans the rows of sources.

    Args:
        inputs: The sources to plan, in order of admission: where pictures or groups of two collide, the earlier
            keeps its split and the later follows.
        cards: All cards in order of admission, also of sources that are not planned: distractors come from the
            cards admitted up to a source's own, so that they do not depend on which downloads are at hand.
        salt: The maintainer's secret for hashed groups and private keys; empty for none.
        shard_bytes: Aim for the size of a shard.

    Raises:
        CardError: If a source's path ids are private and there is no salt, or its labels allow no question.
        LayoutError: If a scan lacks a picture of its index.
    """
    claims = Claims()
    plans = []
    for source in inputs:
        card = source.card
        if card.path_ids == "private" and not salt:
            raise CardError(
                f"{card.slug}: its file names may not be published (path_ids: private), so a salt is needed; "
                "set --salt-file"
            )
        candidates, losses = _candidates(source, salt)
        items = [_item(card, candidate) for candidate in candidates]
        assignment = assign(
            items, claims, official=card.official_splits == "kept", hold_out_ungrouped=not card.no_test_split
        )
        losses += [
            Loss("split", candidate.line["raw_path"], assignment.dropped[candidate.id], "")
            for candidate in candidates
            if candidate.id in assignment.dropped
        ]
        rows = _rows(card, label_space(card, _peers(card, cards)), candidates, assignment, salt)
        _cut_into_shards(rows, shard_bytes)
        plans.append(SourcePlan(card, pa.Table.from_pylist(rows, schema=PLAN), tuple(losses), len(assignment.moved)))
    return plans


def _peers(card: Card, cards: Sequence[Card]) -> list[Card]:
    peers = []
    for peer in cards:
        if peer.slug == card.slug:
            break
        # Findings of a multi-label source can stand beside any diagnosis: they are no wrong answers to one.
        if card.subset is not None and (peer.subset, peer.kind) == (card.subset, card.kind):
            peers.append(peer)
    return peers


def _candidates(source: Input, salt: bytes) -> tuple[list[_Candidate], list[Loss]]:
    card = source.card
    seen = {(line["raw_path"], line["frame"]): line for line in source.scan.to_pylist()}
    candidates = []
    losses = []
    labels_of: dict[str, set[tuple[str, ...]]] = {}
    for line in source.index.to_pylist():
        facts = seen.get((line["raw_path"], line["frame"]))
        if facts is None:
            raise LayoutError(
                f"{card.slug}: {line['raw_path']} was found and never scanned, since a build was stopped there; build "
                f"{card.slug} again"
            )
        if facts["error"] is not None:
            losses.append(Loss("unreadable_image", line["raw_path"], UNREADABLE, facts["error"]))
            continue
        candidates.append(_Candidate(row_id(card.slug, _public_key(card, line, salt), line["frame"]), line, facts))
        labels_of.setdefault(facts["pixel_hash"], set()).add(tuple(line["labels"]))
    torn = {pixels for pixels, labels in labels_of.items() if len(labels) > 1}
    if card.kind not in ("classification", "multilabel"):
        torn = set()
    kept = []
    for candidate in candidates:
        pixels = candidate.seen["pixel_hash"]
        if pixels in torn:
            detail = " against ".join(sorted("; ".join(labels) for labels in labels_of[pixels]))
            losses.append(Loss("contradiction", candidate.line["raw_path"], CONTRADICTION, detail))
        else:
            kept.append(candidate)
    return kept, losses


def _public_key(card: Card, line: dict[str, Any], salt: bytes) -> str:
    key = cast(str, line["key"])
    return salted("key", f"{card.slug}:{key}", salt) if card.path_ids == "private" else key


def _item(card: Card, candidate: _Candidate) -> Item:
    line, seen = candidate.line, candidate.seen
    return Item(
        id=candidate.id,
        group=line["group"],
        # An all-black slice is the same picture in every patient, and ties none of them.
        pixel_hash=candidate.id if seen["perceptual_hash"] in ONE_COLOUR else seen["pixel_hash"],
        official=line["split"] if card.official_splits == "kept" else None,
        labels=tuple(line["labels"]),
        ties=tuple(line["ties"] or ()),
    )


def _rows(
    card: Card, space: LabelSpace, candidates: Sequence[_Candidate], assignment: Assignment, salt: bytes
) -> list[dict[str, Any]]:
    constants = _constants(card)
    instructions, presence = _instructions(card)
    rows = []
    for split in SPLITS:
        chosen = sorted(
            (candidate for candidate in candidates if assignment.splits.get(candidate.id) == split),
            key=lambda candidate: candidate.id,
        )
        asked = (
            presence_labels(
                {candidate.id: candidate.line["labels"] for candidate in chosen},
                space,
                {candidate.id: _uncertain(candidate) for candidate in chosen},
            )
            if card.kind == "multilabel" and presence is not None
            else {}
        )
        for candidate in chosen:
            line, seen = candidate.line, candidate.seen
            more = [ask_presence(label, present, presence or "") for label, present in asked.get(candidate.id, ())]
            primary = _primary(card, candidate, space, instructions, more)
            rows.append(
                {
                    **constants,
                    "split": split,
                    "raw_path": line["raw_path"],
                    "id": candidate.id,
                    "question": primary.question,
                    "options": primary.options,
                    "answer": primary.answer,
                    "answer_index": primary.answer_index,
                    "more_questions": [asdict(question) for question in more if question is not primary],
                    "labels": line["labels"],
                    "objects": [],
                    "mask_labels": [],
                    "group": salted("group", line["group"] or candidate.id, salt),
                    "key": _public_key(card, line, salt),
                    "frame": line["frame"],
                    "raw_sha256": seen["raw_sha256"],
                    "pixel_hash": seen["pixel_hash"],
                    "perceptual_hash": seen["perceptual_hash"],
                    "width": seen["width"],
                    "height": seen["height"],
                    "extra": line["extra"],
                    "published_bytes": seen["published_bytes"],
                }
            )
    return rows


def _constants(card: Card) -> dict[str, Any]:
    published = card.published_triplet
    return {
        "kind": card.kind,
        "source": card.slug,
        "subset": card.subset,
        "modality": card.modality,
        "anatomy": card.anatomy,
        "task": card.task,
        "task_elements": list(subsets()[card.subset].elements) if card.subset else [],
        "published_modality": published.modality,
        "published_anatomy": published.anatomy,
        "published_task": published.task,
        "licence": card.licence.spdx or card.licence.name,
    }


def _instructions(card: Card) -> tuple[Sequence[str], str | None]:
    if card.instructions or card.subset is None:
        return card.instructions, card.presence
    texts = load_instructions(card.subset)
    return texts.instructions, texts.presence


def _primary(
    card: Card,
    candidate: _Candidate,
    space: LabelSpace,
    instructions: Sequence[str],
    more: Sequence[Question],
) -> Question:
    labels = candidate.line["labels"]
    if card.kind == "classification":
        if len(labels) != 1:
            raise CardError(
                f"{card.slug}: kind classification means one label a picture, {candidate.line['raw_path']} has "
                f"{len(labels)}: {', '.join(labels)}; kind: multilabel allows several"
            )
        return ask_label(candidate.id, labels[0], space, instructions)
    question = ask_label_set(candidate.id, labels, space, instructions, _uncertain(candidate))
    if question is not None:
        return question
    # A picture that bears nearly every label of its source leaves none to make a wrong set of: it is asked yes or no.
    for question in more:
        return question
    raise CardError(
        f"{card.slug}: {candidate.line['raw_path']} with labels {', '.join(labels)} leaves no wrong option, and "
        "its subset has no yes/no question; give the card more labels or a presence question"
    )


def _uncertain(candidate: _Candidate) -> list[str]:
    return candidate.line["uncertain"] or []


def _cut_into_shards(rows: Sequence[dict[str, Any]], shard_bytes: int) -> None:
    split, shard, size = None, 0, 0
    for row in rows:
        published = row.pop("published_bytes")
        if row["split"] != split:
            split, shard, size = row["split"], 0, 0
        elif size + published > shard_bytes:
            shard, size = shard + 1, 0
        row["shard"] = shard
        size += published
