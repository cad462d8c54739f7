"""``docs/questions.md``: every instruction of every subset on one page, for readers and reviewers."""

from __future__ import annotations

import json
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

from med_mat.questions.instructions import Instructions, instructed_subsets, load_instructions

_NOMINAL = 1.96

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
box of several is the answer, and, where regions are things to count, one for their number.

## Options

*One label of several* (`choice`). Options are labels of the source itself. They are offered in sets, and a set is shown
equally often for each of its labels. Labels that can be true of one picture never stand in one set. In three sources
that leaves no even sets: in `ct_of_brain` a cancer is a tumor, in `oral_diseases` four conditions come together, in
`aod` any two diseases may. There, labels that can be true together are one option ("cancer or tumor"), and yes/no
questions ask for each of them, as many with yes as with no.

*One label set of several* (`choice_of_sets`). Options are label sets that pictures of the source bear. The sets are
divided into blocks of two to four, sets that are about equally frequent together, and every picture of a block is
asked with the whole block. Of two sets in a block each names a label that a picture with the other surely lacks.

*One box of several* (`choice_of_boxes`). Pictures are put in blocks of two to four whose boxes of a label lie apart,
and each is asked with the boxes of all. Where a label always stands in one place there is no such question.

Blocks of sets and boxes are made of training pictures or of test pictures, never of both: who knows which box is right
of another picture of a block knows that it is wrong here.

What remains: a picture without any region can be asked nothing but whether a label is there, so the *first* question of
such a row is always answered no. Train and score yes/no questions on all of them (`med_mat.explode`), where yes and no
are balanced for each label.

{measured}
The yes/no form asks for one label, which takes the place of `{label}`. A label that says that nothing was found is
never asked for in this way. A source outside the published subsets brings its own questions in its card.

This page is written by `python -m med_mat.questions.table docs/questions.md` from
`med_mat/questions/subset_NN.yaml`, and the table from `measured.json` beside them.
"""

_ATTACKS = """\
## What text alone tells

Measured by `benchmarks/questions.py` on pictures made up from the cards, {pictures} of each source or a few more,
through the plan of a build. The sample has every answer of a source and split equally often; the prior is that of the
questions as they are, where class frequencies tell much. These rules see no picture:

- a classifier (logistic regression on question, words, letters, length and place of an option, its neighbours alone and
  in pairs; of boxes their coordinates and ranks), trained on one half and asked on the other;
- the longest and shortest option, the one of most and fewest labels, most and least like the others, most and least
  often offered, of the most frequent and the rarest words;
- of boxes the largest and smallest, the most and least central, usual, and like the others;
- each letter.

{verdict}

| subset | kind | questions | prior | sample | chance | text alone | 99% overall | best rule, deviations |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |
{rows}
"""


def _section(entry: Instructions) -> str:
    questions = "\n".join(f"{number}. {text}" for number, text in enumerate(entry.instructions, start=1))
    lines = [
        f"## {entry.subset}: {entry.noun}",
        f"Kind: {entry.kind}. Anchors: {', '.join(entry.anchors)}.",
        questions,
    ]
    for name, text in (("Yes/no", entry.presence), ("One box of several", entry.box), ("Number", entry.count)):
        if text is not None:
            lines.append(f"{name}: {text}")
    return "\n\n".join(lines) + "\n"


def _measured() -> str:
    measured = json.loads(files(__package__).joinpath("measured.json").read_text(encoding="utf-8"))
    lines = measured["subsets"]
    tried = [one for one in lines if one["text"] is not None]
    rules = sum(one["rules"] for one in lines)
    telling = [f"{one['subset']} ({one['kind']}: {', '.join(one['telling'])})" for one in tried if one["telling"]]
    above = sum(one["deviation"] > _NOMINAL for one in tried)
    verdict = (
        f"{rules} rules were tried on {len(tried)} samples. The interval is for all of them together (Bonferroni): "
        "were all answers chance, one in a hundred runs of the whole would leave it anywhere. "
        f"{'Above it: ' + '; '.join(telling) if telling else 'None is above it'}. Taken alone at 95%, the classifier "
        f"is above chance in {above} of {len(tried)} samples, where luck gives {0.025 * len(tried):.1f}; it can be "
        "below chance by more, since a sample with equal answers has fewer left of what one half had more of."
    )
    return _ATTACKS.format(pictures=measured["pictures"], verdict=verdict, rows="\n".join(map(_row, lines)))


def _row(one: dict[str, Any]) -> str:
    if one["text"] is None:
        found = ["too few", "", "", "", ""]
    else:
        worst = f"{one['worst_rule']}, {one['worst_deviation']:+.1f}"
        found = [str(one["sample"]), f"{one['chance']:.3f}", f"{one['text']:.3f}", f"up to {one['high']:.3f}", worst]
    cells = [one["subset"], one["kind"], str(one["questions"]), f"{one['prior']:.2f}", *found]
    return f"| {' | '.join(cells)} |"


def markdown() -> str:
    """The page as Markdown text, subsets in ascending order."""
    introduction = _INTRODUCTION.replace("{measured}", _measured())
    return "\n".join([introduction, *(_section(load_instructions(subset)) for subset in instructed_subsets())])


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(markdown(), encoding="utf-8")
