"""Fine-tuning with TRL's SFTTrainer: the answer alone is learnt, pictures are prepared in workers."""

from __future__ import annotations

import json
import resource
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from med_mat.baselines import runs
from med_mat.baselines.errors import BaselineError
from med_mat.baselines.models import (
    TINY,
    Loaded,
    Precision,
    load_model,
    text_module,
    vision_module,
)
from med_mat.baselines.processes import this_process
from med_mat.baselines.prompts import Prompter, answer_text
from med_mat.baselines.questions import Data, Questions, open_picture, resolved
from med_mat.baselines.tiny import save_tiny
from med_mat.baselines.variants import reordered

if TYPE_CHECKING:
    import torch
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import SFTTrainer

MODEL_FOLDER = "model"
BASE_FOLDER = "base"
CHECKPOINTS_FOLDER = "checkpoints"

_IGNORED = -100  # what losses of torch and transformers leave out
_PROJECTIONS = "q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj"


@dataclass(frozen=True, slots=True)
class Lora:
    """LoRA on all projections of the language model (Hu et al., arXiv 2106.09685).

    Attributes:
        rank: Rank of the update.
        alpha: Its scale is ``alpha / rank``.
        dropout: On the update's input.
    """

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.05


@dataclass(frozen=True, slots=True)
class Training:
    """Settings of a training run. Defaults are the paper's: 5 epochs, 32 questions a step, learning rate 5e-6.

    Attributes:
        model: Hub id, folder, ``config:`` and one of these, or ``tiny``.
        model_revision: Commit, tag or branch on the Hub.
        epochs: Times that each question is seen.
        max_steps: Stop after so many steps; None for all epochs.
        batch_size: Questions a step, over all devices.
        device_batch_size: Questions at once on a device; None for all of its share. Smaller needs less memory.
        learning_rate: At its highest.
        schedule: Name of a schedule of transformers.
        warmup: Share of steps in which the learning rate rises.
        weight_decay: AdamW's.
        lora: None trains all weights.
        freeze_vision: Leave the vision tower as it is, as LLaVA's own fine-tuning does.
        gradient_checkpointing: Compute activations twice to hold fewer.
        option_orders: How often a question stands in an epoch, each time with its options in another order.
        precision: Type of the weights. ``auto``: bfloat16 under LoRA, else float32, where the device can both with
            bfloat16 arithmetic.
        save_steps: Steps between checkpoints.
        log_steps: Steps between lines of the log.
        workers: Processes that open and prepare pictures.
        seed: Of weights and order.
    """

    model: str
    model_revision: str | None = None
    epochs: float = 5.0
    max_steps: int | None = None
    batch_size: int = 32
    device_batch_size: int | None = None
    learning_rate: float = 5e-6
    schedule: str = "cosine"
    warmup: float = 0.03
    weight_decay: float = 0.0
    lora: Lora | None = None
    freeze_vision: bool = False
    gradient_checkpointing: bool = True
    option_orders: int = 1
    precision: Precision = "auto"
    save_steps: int = 200
    log_steps: int = 10
    workers: int = 4
    seed: int = 0


@dataclass(frozen=True)
class AnswerCollator:
    """Turns questions with opened pictures into a batch; runs in the workers.

    Attributes:
        prompter: How the model's processor puts questions.
    """

    prompter: Prompter

    def __call__(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """Builds a batch whose ``labels`` are -100 but on the answers' tokens.

        Of a choice that is the letter's one token. A question without options teaches where to stop too.

        Args:
            examples: N mappings with ``text``, ``answer``, ``is_choice`` and ``images``.

        Returns:
            What the model takes; ``input_ids`` and ``labels`` have shape (N, longest), filled up on the right.
        """
        lead, closing = self.prompter.lead, self.prompter.closing
        contexts = [example["text"] + lead for example in examples]
        texts = [
            context + example["answer"] + ("" if example["is_choice"] else closing)
            for context, example in zip(contexts, examples, strict=True)
        ]
        batch = self.prompter.encode(texts, [example["images"] for example in examples], side="right")
        labels = batch["input_ids"].new_full(batch["input_ids"].shape, _IGNORED)
        ends = batch["attention_mask"].sum(dim=1).tolist()
        for place, (context, text, end) in enumerate(zip(contexts, texts, ends, strict=True)):
            start = end - self._answer_tokens(context, text)
            labels[place, start:end] = batch["input_ids"][place, start:end]
        return {**batch, "labels": labels}

    def _answer_tokens(self, context: str, text: str) -> int:
        tokenizer = self.prompter.processor.tokenizer
        before = tokenizer(context, add_special_tokens=False)["input_ids"]
        whole = tokenizer(text, add_special_tokens=False)["input_ids"]
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, whole, strict=False)))
        return len(whole) - shared


def train(questions: Questions, training: Training, out: Path) -> Path:
    """Fine-tunes a model.

    A run that was stopped goes on from its last checkpoint; one that is done is left as it is. Under ``accelerate
    launch`` every process calls this.

    Args:
        questions: What to learn, in the columns of ``QUESTION``.
        training: Settings.
        out: Run folder.

    Returns:
        ``out``; ``out / "model"`` is the adapter or the whole model, with its processor.

    Raises:
        BaselineError: No questions, settings that contradict one another, a folder with another run, or a model that
            does not load.
    """
    if not len(questions):
        raise BaselineError("there are no questions to train on")
    state = this_process()
    listed = asdict(training)
    about = {"workers": listed.pop("workers"), "without_pixels": questions.without_pixels}
    settings = {
        **listed,
        "data": resolved(questions.data),
        "questions": len(questions),
        "questions_sha256": runs.digest(questions),
    }
    done = runs.begin(out, "training", settings, about) if state.is_main_process else False
    if not done and state.is_main_process:
        runs.write_questions(out / runs.QUESTIONS_FILE, questions)
        _write_base(questions, training, out)
    state.wait_for_everyone()
    if runs.read_json(out / runs.RUN_FILE)["status"] == "done":
        return out
    loaded = load_model(
        str(out / BASE_FOLDER) if training.model == TINY else training.model,
        revision=training.model_revision,
        precision=_weights(training),
        device="cpu" if state.num_processes > 1 else None,
        seed=training.seed,
    )
    trainer = _trainer(loaded, reordered(questions, training.option_orders), training, out)
    trainer.train(resume_from_checkpoint=_has_checkpoint(out))
    trainer.save_model(str(out / MODEL_FOLDER))
    if state.is_main_process:
        loaded.prompter.processor.save_pretrained(out / MODEL_FOLDER)
        runs.write_json(out / runs.METRICS_FILE, _metrics(trainer))
        runs.finish(out)
        shutil.rmtree(out / CHECKPOINTS_FOLDER, ignore_errors=True)
    state.wait_for_everyone()
    return out


def training_rows(questions: Questions, prompter: Prompter) -> Dataset:
    """Returns questions as a dataset whose pictures are opened when a row is read.

    Returns:
        Rows with ``id``, ``text`` (the rendered question), ``answer``, ``is_choice`` and ``images``.
    """
    from datasets import Dataset

    data = questions.data

    def opened(batch: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
        return prepared(batch, data, prompter)

    return Dataset(questions.table.replace_schema_metadata(None)).with_transform(opened)


def prepared(batch: Mapping[str, Sequence[Any]], data: Data, prompter: Prompter) -> dict[str, list[Any]]:
    """Renders questions and opens their pictures.

    Args:
        batch: Columns of ``QUESTION``.
        data: Where the pictures are.
        prompter: How to put them.
    """
    questions = [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]
    shown = [[] if question["picture"] is None else [question["picture"]] for question in questions]
    return {
        "id": list(batch["id"]),
        "text": [prompter.text(question, len(some)) for question, some in zip(questions, shown, strict=True)],
        "answer": [answer_text(question) for question in questions],
        "is_choice": [bool(question["options"]) for question in questions],
        "images": [[open_picture(data, reference) for reference in some] for some in shown],
    }


def _write_base(questions: Questions, training: Training, out: Path) -> None:
    base = out / BASE_FOLDER
    if training.model == TINY and not (base / "config.json").exists():
        shutil.rmtree(base, ignore_errors=True)
        save_tiny(base, questions.table.select(["question", "options", "answer"]).to_pylist(), training.seed)


def _weights(training: Training) -> Precision:
    # AdamW's steps at a learning rate of 5e-6 are too small for bfloat16 weights to move.
    return "float32" if training.precision == "auto" and training.lora is None else training.precision


def _has_checkpoint(out: Path) -> bool:
    return any((out / CHECKPOINTS_FOLDER).glob("checkpoint-*"))


def _trainer(loaded: Loaded, questions: Questions, training: Training, out: Path) -> SFTTrainer:
    import torch
    from peft import LoraConfig
    from trl import SFTConfig

    share, odd = divmod(training.batch_size, this_process().num_processes)
    at_once = training.device_batch_size or share
    if odd or not share or share % at_once:
        raise BaselineError(
            f"{training.batch_size} questions a step do not divide into {this_process().num_processes} processes with "
            f"{at_once} questions at once each"
        )
    model = loaded.model
    if training.freeze_vision:
        model.get_submodule(vision_module(model)).requires_grad_(False)
    lora = None
    if training.lora is not None:
        lora = LoraConfig(
            r=training.lora.rank,
            lora_alpha=training.lora.alpha,
            lora_dropout=training.lora.dropout,
            target_modules=rf"{text_module(model).replace('.', '[.]')}[.].*[.]({_PROJECTIONS})",
            task_type="CAUSAL_LM",
        )
    on_gpu = torch.cuda.is_available()
    arguments = SFTConfig(
        output_dir=str(out / CHECKPOINTS_FOLDER),
        num_train_epochs=training.epochs,
        max_steps=training.max_steps or -1,
        per_device_train_batch_size=at_once,
        gradient_accumulation_steps=share // at_once,
        learning_rate=training.learning_rate,
        lr_scheduler_type=training.schedule,
        warmup_steps=training.warmup,
        weight_decay=training.weight_decay,
        bf16=on_gpu and torch.cuda.is_bf16_supported(),
        use_cpu=not on_gpu,
        activation_checkpointing=training.gradient_checkpointing,
        logging_steps=training.log_steps,
        save_steps=training.save_steps,
        save_total_limit=2,
        dataloader_num_workers=training.workers,
        dataloader_prefetch_factor=4 if training.workers else None,
        dataloader_persistent_workers=training.workers > 0,
        remove_unused_columns=False,
        max_length=None,
        seed=training.seed,
        data_seed=training.seed,
        report_to="none",
        disable_tqdm=not sys.stderr.isatty(),
    )
    return _timed_trainer()(
        model=model,
        args=arguments,
        train_dataset=training_rows(questions, loaded.prompter),
        data_collator=AnswerCollator(loaded.prompter),
        processing_class=loaded.prompter.processor,
        peft_config=lora,
        callbacks=[_log_writer(out / runs.LOG_FILE)],
    )


def _timed_trainer() -> type[SFTTrainer]:
    """Returns an SFTTrainer that notes how long it waits for data. Defined on call, for its base imports torch."""
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText
    from trl import SFTTrainer

    class Timed(SFTTrainer):  # type: ignore[misc] # its types are not read
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.waits: list[float] = []

        def get_batch_samples(self, epoch_iterator: Iterator[Any], num_batches: int, device: Any) -> Any:
            start = time.perf_counter()
            samples = super().get_batch_samples(epoch_iterator, num_batches, device)
            self.waits.append(time.perf_counter() - start)
            return samples

        def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
            if self.is_fsdp_enabled or isinstance(self.model, PeftModel):
                super()._load_from_checkpoint(resume_from_checkpoint, model)
                return
            # Checkpoints keep the names that weights had in older releases. The trainer does not translate them: it
            # would warn, and go on with the weights it started from.
            stored = AutoModelForImageTextToText.from_pretrained(resume_from_checkpoint, dtype=self.model.dtype)
            self.model.load_state_dict(stored.state_dict())

    return Timed


def _log_writer(path: Path) -> TrainerCallback:
    from transformers import TrainerCallback

    class LogWriter(TrainerCallback):  # type: ignore[misc] # its types are not read
        def on_train_begin(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
            # A run that goes on forgets what was logged after its checkpoint.
            if state.is_world_process_zero:
                lines = [json.dumps(entry) + "\n" for entry in state.log_history]
                path.write_text("".join(lines), encoding="utf-8")

        def on_log(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
            if state.is_world_process_zero:
                with path.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(state.log_history[-1]) + "\n")

    return LogWriter()


def _metrics(trainer: Any) -> dict[str, Any]:
    import torch

    last = trainer.state.log_history[-1]
    seconds = last["train_runtime"]
    # The first wait starts the workers; the mean of the others is what a long run pays.
    waits = trainer.waits
    on_gpu = torch.cuda.is_available()
    peak = torch.cuda.max_memory_allocated() if on_gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    parameters = list(trainer.model.parameters())
    tokens = max((entry.get("num_tokens", 0) for entry in trainer.state.log_history), default=0)
    return {
        "steps": trainer.state.global_step,
        "loss": last["train_loss"],
        "seconds": seconds,
        "questions_per_second": last["train_samples_per_second"],
        "tokens": tokens,
        "tokens_per_second": tokens / seconds,
        "waiting_share": sum(waits[1:]) / seconds,
        "first_wait_seconds": waits[0] if waits else None,
        "peak_memory_bytes": peak,
        "parameters": sum(each.numel() for each in parameters),
        "trainable_parameters": sum(each.numel() for each in parameters if each.requires_grad),
    }
