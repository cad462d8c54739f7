"""Trains a picture classifier on a source or subset, with transformers and nothing else.

The label of a row is the answer to its primary question, so sources with one label a picture are meant.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoModelForImageClassification, ResNetConfig, Trainer, TrainingArguments, set_seed

import med_mat


def pixels(image: Image.Image, side: int) -> torch.Tensor:
    """Returns a picture as numbers from -1 to 1, shape (3, side, side)."""
    array = np.asarray(image.convert("RGB").resize((side, side)), np.float32)
    return torch.from_numpy(array).permute(2, 0, 1) / 127.5 - 1


def new_model(names: dict[str, dict[Any, Any]]) -> Any:
    """Makes a small residual network from nothing; `--start` takes a pretrained model instead."""
    config = ResNetConfig(
        embedding_size=32,
        hidden_sizes=[32, 64],
        depths=[1, 1],
        layer_type="basic",
        downsample_in_first_stage=True,
        **names,
    )
    return AutoModelForImageClassification.from_config(config)


def main() -> None:
    """Trains and saves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default="med-mat", help="folder of a build, or repository on the Hub")
    parser.add_argument("--config", default="ct_kidney", help="a source, or subset_NN")
    parser.add_argument("--start", help="an image classifier of transformers to start from")
    parser.add_argument("--out", type=Path, default=Path("classifier"))
    parser.add_argument("--epochs", type=float, default=5)
    parser.add_argument("--side", type=int, default=64, help="pictures are brought to this width and height")
    options = parser.parse_args()

    set_seed(0)
    rows = med_mat.load(options.config, dataset=options.dataset, split="train")
    labels = sorted(set(rows["answer"]))
    names = {"label2id": {label: place for place, label in enumerate(labels)}, "id2label": dict(enumerate(labels))}
    if options.start:
        start = AutoModelForImageClassification.from_pretrained
        model = start(options.start, ignore_mismatched_sizes=True, **names)
    else:
        model = new_model(names)
    number_of = model.config.label2id

    def encode(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        return {
            "pixel_values": [pixels(image, options.side) for image in batch["image"]],
            "labels": [number_of[answer] for answer in batch["answer"]],
        }

    arguments = TrainingArguments(
        output_dir=str(options.out),
        num_train_epochs=options.epochs,
        per_device_train_batch_size=16,
        learning_rate=1e-3,
        remove_unused_columns=False,
        report_to=[],
        save_strategy="no",
        seed=0,
    )
    # Pictures are decoded when a batch asks for them: memory does not grow with the dataset.
    Trainer(model=model, args=arguments, train_dataset=rows.with_transform(encode)).train()
    model.save_pretrained(options.out)
    print(f"{options.out}: trained on {len(rows):,} pictures of {len(labels)} labels")


if __name__ == "__main__":
    main()
