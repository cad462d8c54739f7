"""Answers the multiple-choice questions of a split with a classifier, and compares with guessing by frequency.

Of a question's options the classifier takes the one that it finds most likely. An option that it was not trained on has
no chance.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Mapping
from statistics import mean
from typing import Any

import torch
from train_classifier import pixels
from transformers import AutoModelForImageClassification

import med_mat


def macro(right: Mapping[str, list[bool]]) -> float:
    """Returns the mean over labels of the share that was right: frequent labels count no more than rare ones."""
    return mean(mean(found) for found in right.values())


def choose(row: Mapping[str, Any], score: Mapping[str, float]) -> str:
    """Returns the option with the highest score."""
    return max(row["options"], key=lambda option: score.get(option, float("-inf")))


def main() -> None:
    """Scores and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default="med-mat", help="folder of a build, or repository on the Hub")
    parser.add_argument("--config", default="ct_kidney", help="a source, or subset_NN")
    parser.add_argument("--split", default="test")
    parser.add_argument("--model", default="classifier", help="what train_classifier.py saved")
    parser.add_argument("--side", type=int, default=64, help="as in training")
    options = parser.parse_args()

    model = AutoModelForImageClassification.from_pretrained(options.model).eval()
    labels = model.config.id2label
    prior = Counter(med_mat.load(options.config, dataset=options.dataset, split="train")["answer"])
    by_model: dict[str, list[bool]] = defaultdict(list)
    by_prior: dict[str, list[bool]] = defaultdict(list)
    for row in med_mat.load(options.config, dataset=options.dataset, split=options.split, streaming=True):
        with torch.no_grad():
            logits = model(pixels(row["image"], options.side)[None]).logits[0]
        score = {labels[number]: float(logit) for number, logit in enumerate(logits)}
        by_model[row["answer"]].append(choose(row, score) == row["answer"])
        by_prior[row["answer"]].append(choose(row, prior) == row["answer"])
    print(f"questions: {sum(map(len, by_model.values())):,}")
    print(f"accuracy, mean over labels: {macro(by_model):.3f}")
    print(f"most frequent option:       {macro(by_prior):.3f}")


if __name__ == "__main__":
    main()
