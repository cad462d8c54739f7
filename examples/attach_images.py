"""Fills in the pictures that a published dataset may not hold, from your own download, and saves the result.

python examples/attach_images.py --dataset ORG/med-mat --config subset_02 --raw ct_kidney=raw/ct_kidney --out kidney
"""

from __future__ import annotations

import argparse
from pathlib import Path

from datasets import load_dataset

import med_mat


def main() -> None:
    """Attaches and saves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="med-mat", help="folder of a build, or repository on the Hub")
    parser.add_argument("--config", default="everything", help="a source, subset_NN, modality_<code>, …")
    parser.add_argument("--raw", action="append", default=[], metavar="SOURCE=PATH", help="your download of a source")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("attached"))
    options = parser.parse_args()

    raw = dict(pair.split("=", 1) for pair in options.raw)
    rows = load_dataset(options.dataset, options.config)
    for split, part in rows.items():
        empty = part.filter(lambda image: image is None, input_columns="image").num_rows
        print(f"{split}: {part.num_rows:,} rows, {empty:,} without picture")
    # What stays empty is left out with a warning; empty="error" would stop here and name what is missing.
    filled = med_mat.attach_images(rows, raw, empty="drop", workers=options.workers)
    for split, part in filled.items():
        print(f"{split}: {part.num_rows:,} rows with picture")
    filled.save_to_disk(str(options.out))


if __name__ == "__main__":
    main()
