"""Models by Hub id, folder or config, LoRA adapters on top of them, and ``tiny``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from med_mat.baselines.errors import BaselineError
from med_mat.baselines.processes import this_process
from med_mat.baselines.prompts import Prompter

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, ProcessorMixin

TINY = "tiny"
CONFIG = "config:"
"""Before a folder or Hub id: its architecture with random weights. The processor is its own."""

ADAPTER_FILE = "adapter_config.json"
Precision = Literal["auto", "bfloat16", "float32"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready to run.

    Attributes:
        name: What it was loaded by.
        model: The weights.
        prompter: Its processor, and how that puts questions.
    """

    name: str
    model: PreTrainedModel
    prompter: Prompter


def load_model(
    name: str,
    *,
    revision: str | None = None,
    precision: Precision = "auto",
    device: str | None = None,
    seed: int = 0,
) -> Loaded:
    """Loads any image-text-to-text model that transformers knows. An adapter is folded into its base.

    Args:
        name: Hub id; folder with weights or with an adapter; run folder; or ``config:`` and a folder or Hub id.
        revision: Commit, tag or branch on the Hub.
        precision: Type of the weights; ``auto`` takes bfloat16 where the device computes in it, else float32.
        device: ``cpu``, ``cuda:0`` and so on; the best there is if None.
        seed: Of random weights.

    Raises:
        BaselineError: There is no such model, it is of another kind, or its processor needs a package that is missing.
    """
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    if name == TINY:
        raise BaselineError(f"{TINY!r} is made by `med-mat baselines train`: name its run folder, or the base/ in it")
    folder = model_folder(name)
    base = base_of(folder) if folder is not None and (folder / ADAPTER_FILE).exists() else None
    where = str(base or folder or name.removeprefix(CONFIG))
    target = torch.device(device or best_device())
    dtype = _dtype(precision, target)
    prompter = Prompter(load_processor(str(folder or where), revision=revision))
    try:
        if name.startswith(CONFIG):
            config = AutoConfig.from_pretrained(where, revision=revision)
            torch.manual_seed(seed)
            with target:
                model = AutoModelForImageTextToText.from_config(config, dtype=dtype)
        else:
            model = AutoModelForImageTextToText.from_pretrained(where, revision=revision, dtype=dtype)
    except (OSError, ValueError, ImportError) as error:
        raise BaselineError(_not_loaded(name, error)) from None
    if base is not None:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, str(folder)).merge_and_unload()
    return Loaded(name, model.to(target).eval(), prompter)


def load_processor(name: str, *, revision: str | None = None) -> ProcessorMixin:
    """Loads a model's processor.

    Raises:
        BaselineError: There is none, it takes no pictures, or it needs torchvision, which is not installed.
    """
    from transformers import AutoProcessor, ProcessorMixin

    try:
        processor = AutoProcessor.from_pretrained(name, revision=revision)
    except ImportError as error:
        if "torchvision" in str(error).lower():
            raise BaselineError(
                f"{name}: its processor needs torchvision, which is not installed (Qwen-VL and SmolVLM use it for "
                "video). Install the build of torchvision that fits your torch"
            ) from None
        raise BaselineError(_not_loaded(name, error)) from None
    except (OSError, ValueError) as error:
        raise BaselineError(_not_loaded(name, error)) from None
    if not isinstance(processor, ProcessorMixin):
        raise BaselineError(
            f"{name}: expected a model that takes pictures and text, found one with a {type(processor).__name__}"
        )
    return processor


def model_folder(name: str) -> Path | None:
    """Returns the folder of weights or adapter that a name means; None for a Hub id. A run folder means its model.

    Raises:
        BaselineError: A run folder whose training is not done.
    """
    folder = Path(name.removeprefix(CONFIG))
    if not folder.is_dir():
        return None
    if (folder / "run.json").exists():
        if json.loads((folder / "run.json").read_text(encoding="utf-8"))["status"] != "done":
            raise BaselineError(
                f"{folder}: training is not done; start `med-mat baselines train` again, and it goes on"
            )
        return folder / "model"
    return folder


def base_of(adapter: Path) -> Path | str:
    """Returns the model that an adapter was trained on: the run's own copy where there is one."""
    own = adapter.parent / "base"
    if own.is_dir():
        return own
    name: str = json.loads((adapter / ADAPTER_FILE).read_text(encoding="utf-8"))["base_model_name_or_path"]
    return name


def best_device() -> str:
    """Returns the device that this process computes on: its own GPU where there is one, else the CPU."""
    return str(this_process().device)


def text_module(model: PreTrainedModel) -> str:
    """Returns the name of the module that holds the language model, for LoRA to stay out of the vision tower."""
    return _name_of(model, model.get_decoder(), "language model")


def vision_module(model: PreTrainedModel) -> str:
    """Returns the name of the module that holds the vision tower."""
    return _name_of(model, model.get_encoder(modality="image"), "vision tower")


def _name_of(model: PreTrainedModel, wanted: torch.nn.Module, what: str) -> str:
    names = [name for name, module in model.named_modules() if module is wanted and name]
    if not names:
        raise BaselineError(f"{type(model).__name__}: its {what} is not a module of its own")
    return str(names[0])


def _dtype(precision: Precision, device: torch.device) -> torch.dtype:
    import torch

    if precision == "auto":
        return torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else torch.float32
    return {"bfloat16": torch.bfloat16, "float32": torch.float32}[precision]


def _not_loaded(name: str, error: Any) -> str:
    found = str(error).strip().splitlines()[0].rstrip(".")
    return (
        f"model {name!r}: {found}. Expected a Hub id or folder of an image-text-to-text model of transformers, a run "
        f"folder, or {CONFIG!r} and a Hub id or folder"
    )
