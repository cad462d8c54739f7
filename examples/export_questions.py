"""Writes the training questions of a choice of sources for another trainer, and shows the first.

The choice is made by triplet: MRI of the brain unless told otherwise, sources with one label a picture alone.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import med_mat
from med_mat.export import FORMATS, export_rows


def main() -> None:
    """Exports and shows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default="med-mat", help="folder of a build, or repository on the Hub")
    parser.add_argument("--modality", default="mri")
    parser.add_argument("--anatomy", default="brain")
    parser.add_argument("--format", default="llava", choices=FORMATS)
    parser.add_argument("--out", type=Path, default=Path("export"))
    options = parser.parse_args()

    rows = med_mat.load(
        "everything",
        dataset=options.dataset,
        split="train",
        streaming=True,
        modality=options.modality,
        anatomy=options.anatomy,
        kind="classification",
    )
    done = export_rows(rows, options.out, options.format)
    print(f"{sum(done.questions.values()):,} questions about {done.pictures:,} pictures in {options.out}")
    listed = options.out / "train.json"
    if listed.exists():
        print(json.dumps(json.loads(listed.read_text(encoding="utf-8"))[0], indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
