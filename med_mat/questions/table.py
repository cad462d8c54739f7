"""``docs/questions.md``: every instruction of every subset on one page, for readers and reviewers."""

from __future__ import annotations

import sys
from pathlib import Path

from med_mat.questions.instructions import Instructions, instructed_subsets, load_instructions

_INTRODUCTION = """\
# Questions

Each subset has six instructions. A row of a classification subset shows one of them with its picture, above two to
four options. The six differ in clinical content: they come to the same label from the sign, the report, the treatment,
the tissue, the register. In a subset of kind *multilabel* they ask for all labels of the picture.

What holds for each of them, and is tested:

- It can be answered by every label of the subset's sources. Where a picture may be normal it takes nothing abnormal
  for granted.
- It names no label, and no word that only some of the labels hold.
- It is true of every picture of the subset. Subset 03 holds radiographs among its CT slices, 08 holds ordinary
  photographs, 32 is published as X-ray and holds MRI: their instructions say "chest image", "image", "brain scan".
- It fits no other subset: it holds an anchor of its own subset and of no other.

Subsets 38 to 53 ask for boxes: `{label}` stands for the label whose boxes are the answer, written as
`docs/regions.md` says. Beside the six they have the yes/no form, a question for models that only choose, to which one
box of four is the answer, and, where regions are things to count, one for their number.

The yes/no form asks for one label, which takes the place of `{label}`. A label that says that nothing was found is
never asked for in this way. A source outside the published subsets brings its own questions in its card.

This page is written by `python -m med_mat.questions.table docs/questions.md` from
`med_mat/questions/subset_NN.yaml`.
"""


def _section(entry: Instructions) -> str:
    questions = "\n".join(f"{number}. {text}" for number, text in enumerate(entry.instructions, start=1))
    lines = [
        f"## {entry.subset}: {entry.noun}",
        f"Kind: {entry.kind}. Anchors: {', '.join(entry.anchors)}.",
        questions,
    ]
    for name, text in (("Yes/no", entry.presence), ("One box of four", entry.box), ("Number", entry.count)):
        if text is not None:
            lines.append(f"{name}: {text}")
    return "\n\n".join(lines) + "\n"


def markdown() -> str:
    """The page as Markdown text, subsets in ascending order."""
    return "\n".join([_INTRODUCTION, *(_section(load_instructions(subset)) for subset in instructed_subsets())])


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(markdown(), encoding="utf-8")
