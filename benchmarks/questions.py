"""Whether questions can be answered from their text: every subset and kind, on pictures made up from cards.

    python benchmarks/questions.py --json med_mat/questions/measured.json
    python -m med_mat.questions.table docs/questions.md

Labels are as frequent as cards count them (``med_mat.audit.made``), rare ones drawn more often than they are, so that
something can be said of them. The plan is the one of a build. Needs scikit-learn (``med-mat[audit]``).
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from med_mat.audit.guesses import Asked
from med_mat.audit.made import made_input
from med_mat.audit.questions import SubsetCheck, asked_of, check
from med_mat.plan import plan
from med_mat.registry import registry

DOUBTS = {"chexpert_small": 0.2}
"""Share of pictures with findings that leave a label in doubt: of the release that has such, about."""


def line(found: SubsetCheck) -> dict[str, object]:
    text = found.text
    worst = max(found.guesses, key=lambda guess: guess.deviation, default=None)
    return {
        "subset": found.subset,
        "kind": found.kind,
        "questions": found.questions,
        "faults": sum(not fault.doubt for fault in found.faults),
        "prior": round(found.prior, 3),
        "first_yes": found.first_yes,
        "sample": text.questions if text else 0,
        "chance": round(text.chance, 3) if text else None,
        "text": round(text.right, 3) if text else None,
        "low": round(text.low, 3) if text else None,
        "high": round(text.high, 3) if text else None,
        "deviation": round(text.deviation, 2) if text else None,
        "worst_rule": worst.rule if worst else None,
        "worst_deviation": round(worst.deviation, 2) if worst else None,
        "rules": len(found.guesses),
        "telling": [guess.rule for guess in found.guesses if guess.tells],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=2500, help="of each source, about")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    sources = registry()
    cards = [source.card for source in sources]
    asked: list[Asked] = []
    begun = time.perf_counter()
    for card in cards:
        made = made_input(card, arguments.pictures, DOUBTS.get(card.slug, 0.0))
        (planned,) = plan([made], cards, salt=b"made")
        asked += asked_of(planned.table)
    print(f"{len(asked)} questions of {len(cards)} sources in {time.perf_counter() - begun:.0f} s", flush=True)
    lines = [line(found) for found in check(asked, sources).subsets]
    for one in lines:
        print(json.dumps(one))
    if arguments.json:
        result = {"pictures": arguments.pictures, "subsets": lines}
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
