"""Fine-tuning of a full-size architecture with random weights: tokens/s, FLOP utilisation, memory, waiting for data.

    python benchmarks/training.py --architecture llava-1.5-7b --lora 16 --steps 60

Needs a GPU for sizes other than tiny. Pictures are generated JPEGs, built as a source is built.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from architectures import ARCHITECTURES
from pictures import build_pictures

PEAKS = {"H100 PCIe": 756e12, "H100 NVL": 835e12, "H100": 989.4e12, "H200": 989.4e12, "A100": 312e12}
"""Dense bfloat16 FLOP/s from NVIDIA's data sheets, by a part of the device's name; the first that fits counts."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--architecture", choices=ARCHITECTURES, default="llava-1.5-7b")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--lora", type=int, help="rank; all weights without")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--device-batch-size", type=int, default=16)
    parser.add_argument("--no-checkpointing", action="store_true", help="hold all activations")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--size", type=int, default=512, help="side of a picture in pixels")
    parser.add_argument("--peak-tflops", type=float, help="of the device, where its name is not known")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = measure(Path(folder), arguments)
    print(json.dumps(results, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    import torch

    from med_mat.baselines import runs
    from med_mat.baselines.prompts import question_text
    from med_mat.baselines.questions import Data, load_questions
    from med_mat.baselines.train import Lora, Training, train

    if not torch.cuda.is_available() and arguments.architecture != "tiny":
        sys.exit(f"no GPU here: {arguments.architecture} needs one; --architecture tiny shows that the script runs")
    build_pictures(folder, arguments.pictures, arguments.size)
    questions = load_questions(Data(str(folder / "med-mat")), ["default"], "train")
    ARCHITECTURES[arguments.architecture](folder / "model", map(question_text, questions.table.to_pylist()))
    training = Training(
        f"config:{folder / 'model'}",
        max_steps=arguments.steps,
        batch_size=arguments.batch_size,
        device_batch_size=min(arguments.device_batch_size, arguments.batch_size),
        lora=None if arguments.lora is None else Lora(arguments.lora, 2 * arguments.lora),
        freeze_vision=True,
        gradient_checkpointing=not arguments.no_checkpointing,
        workers=arguments.workers,
        save_steps=10 * arguments.steps,
    )
    out = train(questions, training, folder / "run")
    metrics, run = runs.read_json(out / runs.METRICS_FILE), runs.read_json(out / runs.RUN_FILE)
    length = metrics["tokens"] / arguments.batch_size / arguments.steps
    flops = flops_per_token(
        folder / "model", length, share_of_pictures(folder / "model", questions), bool(training.lora)
    )
    peak = arguments.peak_tflops * 1e12 if arguments.peak_tflops else _peak(run["device"])
    used = metrics["tokens_per_second"] * flops
    return {
        "architecture": arguments.architecture,
        "lora": arguments.lora,
        "device": run["device"],
        "processes": run["processes"],
        "versions": run["versions"],
        "pictures": f"{arguments.pictures} JPEGs of {arguments.size}x{arguments.size}",
        "steps": arguments.steps,
        "batch_size": arguments.batch_size,
        "tokens_per_second": metrics["tokens_per_second"],
        "questions_per_second": metrics["questions_per_second"],
        "model_flops_per_token": flops,
        "model_flop_utilisation": None if peak is None else used / peak / run["processes"],
        "peak_memory_gib": metrics["peak_memory_bytes"] / 2**30,
        "waiting_share": metrics["waiting_share"],
        "first_wait_seconds": metrics["first_wait_seconds"],
    }


def share_of_pictures(folder: Path, questions: Any) -> float:
    """Share of a text's tokens that stand for its picture, in the first question."""
    from med_mat.baselines.models import load_processor
    from med_mat.baselines.prompts import Prompter
    from med_mat.baselines.questions import open_picture

    prompter = Prompter(load_processor(str(folder)))
    row = questions.table.slice(0, 1).to_pylist()[0]
    picture = open_picture(questions.data, row["picture"])
    ids = prompter.encode([prompter.text(row)], [[picture]], side="right")["input_ids"]
    return float((ids == prompter.processor.image_token_id).float().mean())


def flops_per_token(folder: Path, length: float, pictures: float, frozen: bool) -> float:
    """Model FLOPs that one token of a question costs in training, its share of the picture included.

    A weight costs two FLOPs per token forwards, two for the gradient of its input and, if it is trained, two for its
    own; attention costs 4 * width * length forwards per layer and twice that backwards (as arXiv 2204.02311, appendix
    B). The vision tower runs forwards only: it is frozen. What checkpointing computes again does not count. The head
    is left out: it is applied to one token of a question.
    """
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    config = AutoConfig.from_pretrained(folder)
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config)
    language = model.get_decoder()
    vision = model.get_encoder(modality="image")
    count = {name: sum(each.numel() for each in part.parameters()) for name, part in (("l", language), ("v", vision))}
    count["l"] -= language.get_input_embeddings().weight.numel()
    text = config.get_text_config()
    attention = 4 * text.hidden_size * length * text.num_hidden_layers
    forwards = 2 * count["l"] + attention
    backwards = forwards if frozen else 2 * forwards
    if frozen:
        backwards += attention
    # In the tower a picture is as many tokens as in the text, times what merging takes together.
    merged = getattr(config.vision_config, "spatial_merge_size", 1) ** 2
    return float(forwards + backwards + 2 * count["v"] * merged * pictures)


def _peak(device: str) -> float | None:
    return next((peak for name, peak in PEAKS.items() if name in device), None)


if __name__ == "__main__":
    main()
