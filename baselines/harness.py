"""The model that lm-eval scores: registered in process, since the harness has no plugin hook for models.

Its own multimodal model can only generate. This one answers ``multiple_choice`` with pictures: the harness asks once
per letter, and all letters of a question are answered from one forward pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from lm_eval.api.model import LM
from lm_eval.api.registry import register_model

from med_mat.baselines.errors import BaselineError
from med_mat.baselines.letters import Request, generate, score_letters
from med_mat.baselines.models import Precision, load_model
from med_mat.baselines.processes import this_process
from med_mat.questions.ask import LETTERS

if TYPE_CHECKING:
    import torch
    from lm_eval.api.instance import Instance

MODEL_NAME = "med-mat"
PLACEHOLDER = "<image>"
"""Where lm-eval's tasks put a picture in their text."""

_NEW_TOKENS = 32


@register_model(MODEL_NAME)
class MedMatLM(LM):  # type: ignore[misc] # its types are not read
    """Any image-text-to-text model of transformers. Under ``accelerate launch`` each process scores its share."""

    MULTIMODAL = True

    def __init__(
        self,
        model: str,
        revision: str | None = None,
        precision: Precision = "auto",
        workers: int = 4,
        batch_size: int | str = 8,
        max_batch_size: int | None = None,
        device: str | None = None,
    ) -> None:
        """Loads a model.

        Args:
            model: As for ``load_model``.
            revision: Commit, tag or branch on the Hub.
            precision: Type of the weights.
            workers: Processes that open and prepare pictures.
            batch_size: Questions at once.
            max_batch_size: The harness's ceiling for a batch size that is found by trying, which this model does not.
            device: The process's own if None.

        Raises:
            BaselineError: The model does not load, or the batch size is no number.
        """
        super().__init__()
        if max_batch_size is not None or not str(batch_size).isdigit():
            raise BaselineError(f"batch size {batch_size!r}: expected a number; this model does not try sizes out")
        state = this_process()
        self._rank, self._world_size = state.process_index, state.num_processes
        self._loaded = load_model(
            model,
            revision=revision,
            precision=precision,
            device=device if state.num_processes == 1 else str(state.device),
        )
        self._device = self._loaded.model.device
        self._batch_size, self._workers = int(batch_size), int(workers)

    @property
    def tokenizer_name(self) -> str:
        """Name that the harness's cache of requests knows this model's templates by."""
        return self._loaded.name.replace("/", "__")

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """Returns the template, for the harness's record."""
        if isinstance(chat_template, str):
            raise BaselineError(f"chat template {chat_template!r}: only the processor's own is known")
        return cast("str | None", self._loaded.prompter.processor.chat_template) if chat_template else None

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """Renders a conversation whose texts have ``<image>`` where a picture stands."""
        if not add_generation_prompt:
            raise BaselineError("a task with gen_prefix cannot be scored: letters are read where the answer begins")
        messages = []
        for message in chat_history:
            pictures = message["content"].count(PLACEHOLDER)
            text = message["content"].replace(PLACEHOLDER, "").strip("\n")
            content = [{"type": "image"}] * pictures + [{"type": "text", "text": text}]
            messages.append({"role": message["role"], "content": content})
        return self._loaded.prompter.render(messages)

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        """Returns log-probability and whether it is the likeliest token, for each letter that is asked about.

        Raises:
            BaselineError: A continuation is not an option letter.
        """
        places: dict[Any, int] = {}
        asked: list[Request] = []
        for request in requests:
            key = _question_of(request)
            if key not in places:
                places[key] = len(asked)
                asked.append(_request(request))
        scores = score_letters(self._loaded, asked, batch_size=self._batch_size, workers=self._workers)
        answers = []
        for request in requests:
            letter = request.args[1].strip()
            if letter not in LETTERS or not letter:
                raise BaselineError(
                    f"task {request.task_name}: continuation {letter!r} is no option letter ({LETTERS})"
                )
            score = scores[places[_question_of(request)]]
            answers.append((score.log_probs[LETTERS.index(letter)], score.top == letter))
        return answers

    def generate_until(self, requests: list[Instance]) -> list[str]:
        """Returns the likeliest continuations, cut where the task says."""
        budgets: dict[int, list[int]] = {}
        for place, request in enumerate(requests):
            budgets.setdefault(int(request.args[1].get("max_gen_toks", _NEW_TOKENS)), []).append(place)
        texts = [""] * len(requests)
        for budget, places in budgets.items():
            some = [_request(requests[place]) for place in places]
            found = generate(self._loaded, some, new_tokens=budget, batch_size=self._batch_size, workers=self._workers)
            for place, text in zip(places, found, strict=True):
                texts[place] = _until(text, requests[place].args[1].get("until", ()))
        return texts

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        """Not for this model: perplexity of a text says nothing about pictures."""
        raise BaselineError(
            f"this model scores option letters and generates; it has no perplexity of texts, which {len(requests)} "
            "requests ask for"
        )

    def all_gather(self, tensor: torch.Tensor) -> torch.Tensor:
        """Gathers a tensor of every process."""
        from accelerate.utils import gather

        return cast("torch.Tensor", gather(tensor))

    def gather_object(self, obj: Any, dst: int = 0) -> list[Any] | None:
        """Gathers an object of every process to one."""
        from accelerate.utils import gather_object

        found: list[Any] = gather_object([obj])
        return found if self._rank == dst else None

    def barrier(self) -> None:
        """Waits for every process."""
        this_process().wait_for_everyone()


def _question_of(request: Instance) -> tuple[Any, ...]:
    return request.task_name, request.doc_id, request.args[0]


def _request(request: Instance) -> Request:
    pictures = request.args[2]["visual"] if len(request.args) > 2 else ()
    return Request(request.args[0], tuple(pictures))


def _until(text: str, stops: str | Sequence[str]) -> str:
    for stop in [stops] if isinstance(stops, str) else stops:
        text = text.split(stop)[0] if stop else text
    return text
