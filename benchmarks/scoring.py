"""Scoring with our lm-eval model beside the harness's own ``hf-multimodal``: same model, questions, device and harness.

    python benchmarks/scoring.py --architecture llava-1.5-7b --questions 400

The harness's model can only generate, so it writes ``--new-tokens`` tokens per question: two are a letter and the end
of text, sixteen are what a task allows that does not trust the model to be brief. Weights are random, so no answer
ends early. Both ways run the harness's ``simple_evaluate`` with a loaded model, after a few questions to warm up.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from architectures import ARCHITECTURES
from pictures import build_pictures

WARM_UP = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--architecture", choices=ARCHITECTURES, default="llava-1.5-7b")
    parser.add_argument("--questions", type=int, default=400)
    parser.add_argument("--size", type=int, default=512, help="side of a picture in pixels")
    parser.add_argument("--batch-size", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--new-tokens", type=int, nargs="+", default=[2, 16])
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = measure(Path(folder), arguments)
    print(report(results))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    import torch

    if not torch.cuda.is_available() and arguments.architecture != "tiny":
        sys.exit(f"no GPU here: {arguments.architecture} needs one; --architecture tiny shows that the script runs")
    from lm_eval.models.hf_vlms import HFMultimodalLM

    from med_mat.baselines import runs
    from med_mat.baselines.harness import MedMatLM
    from med_mat.baselines.models import best_device, load_model
    from med_mat.baselines.prompts import question_text
    from med_mat.baselines.questions import Data, load_questions
    from med_mat.baselines.tasks import write_tasks

    # A tenth of the pictures is the test split.
    build_pictures(folder, 10 * arguments.questions, arguments.size)
    questions = load_questions(Data(str(folder / "med-mat")), ["default"], "test")
    questions = questions.with_table(questions.table.slice(0, arguments.questions))
    ARCHITECTURES[arguments.architecture](folder / "model", map(question_text, questions.table.to_pylist()))
    write_tasks(folder / "letters", {"med_mat_default": questions})
    write_tasks(folder / "text", {"med_mat_default": questions}, method="generation", opened=True)
    device = best_device()
    loaded = load_model(f"config:{folder / 'model'}", device=device)
    loaded.model.save_pretrained(folder / "weights")
    loaded.prompter.processor.save_pretrained(folder / "weights")
    del loaded
    results: dict[str, Any] = {
        "architecture": arguments.architecture,
        **runs.environment(),
        "questions": len(questions),
        "pictures": f"JPEGs of {arguments.size}x{arguments.size}",
        "seconds": {},
    }
    for batch_size in arguments.batch_size:
        ours = MedMatLM(str(folder / "weights"), batch_size=batch_size, workers=arguments.workers, device=device)
        name = f"letters, batch {batch_size}"
        results["seconds"][name] = [timed(ours, folder / "letters", None) for _ in range(arguments.runs)]
        precision = str(ours._loaded.model.dtype).removeprefix("torch.")
        del ours
        _free()
        theirs = HFMultimodalLM(
            str(folder / "weights"), batch_size=batch_size, device=device, dtype=precision, convert_img_format=True
        )
        for tokens in arguments.new_tokens:
            name = f"hf-multimodal, {tokens} tokens, batch {batch_size}"
            results["seconds"][name] = [timed(theirs, folder / "text", tokens) for _ in range(arguments.runs)]
        del theirs
        _free()
    return results


def timed(model: Any, folder: Path, new_tokens: int | None) -> float:
    """Seconds that the harness takes for all questions, its own bookkeeping included."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    def run(limit: int | None) -> None:
        simple_evaluate(
            model=model,
            tasks=["med_mat_default"],
            task_manager=TaskManager(include_path=str(folder / "tasks"), include_defaults=False),
            apply_chat_template=True,
            limit=limit,
            bootstrap_iters=0,
            gen_kwargs=None if new_tokens is None else {"max_gen_toks": new_tokens},
        )

    run(WARM_UP)
    start = time.perf_counter()
    run(None)
    return time.perf_counter() - start


def _free() -> None:
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def report(results: dict[str, Any]) -> str:
    lines = [
        f"{results['architecture']}, random weights; {results['device']}; {results['questions']} questions on "
        f"{results['pictures']}; torch {results['versions']['torch']}, lm-eval {results['versions']['lm-eval']}",
        "",
        "| way | seconds, best (all) | questions/s |",
        "| --- | ---: | ---: |",
    ]
    for name, seconds in results["seconds"].items():
        every = ", ".join(f"{value:.1f}" for value in seconds)
        lines.append(f"| {name} | {min(seconds):.1f} ({every}) | {results['questions'] / min(seconds):.1f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
