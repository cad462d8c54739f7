"""Answers of a model: log-probabilities of option letters from one forward pass, or generated text.

A question with four options costs one pass, not four: all letters are read off the same distribution. Texts are
filled up on the right, so that what is added stands behind everything that is read, and no position shifts.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from PIL import Image

from med_mat.baselines.models import Loaded
from med_mat.baselines.prompts import Prompter
from med_mat.baselines.questions import Data, open_picture
from med_mat.questions.ask import LETTERS

if TYPE_CHECKING:
    import torch

_STANDING_ALONE = re.compile(rf"(?<![A-Za-z0-9])([{LETTERS}])(?![A-Za-z0-9])")


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that a worker opens.

    Attributes:
        location: Of the dataset.
        revision: Of the dataset.
        reference: Value of ``picture`` in a table of questions.
    """

    location: str
    revision: str | None
    reference: str

    def open(self) -> Image.Image:
        """Opens it, mode ``RGB``."""
        return open_picture(Data(self.location, self.revision), self.reference)


@dataclass(frozen=True, slots=True)
class Request:
    """A rendered question.

    Attributes:
        text: Up to where the answer begins.
        pictures: As many as the text has places for.
    """

    text: str
    pictures: tuple[Picture | Image.Image, ...]


@dataclass(frozen=True, slots=True)
class LetterScores:
    """What a model holds of the letters behind a prompt.

    Attributes:
        log_probs: Natural logarithms of the probabilities of ``A`` to ``D`` among all tokens.
        top: The likeliest of all tokens is this letter; None if it is another token.
    """

    log_probs: tuple[float, ...]
    top: str | None


def score_letters(
    loaded: Loaded, requests: Sequence[Request], *, batch_size: int = 8, workers: int = 0
) -> list[LetterScores]:
    """Reads the log-probabilities of the letters, with one forward pass per request.

    Args:
        loaded: The model.
        requests: N questions.
        batch_size: Most requests at once.
        workers: Processes that open and prepare pictures.

    Returns:
        N scores, in the order of the requests.

    Raises:
        BaselineError: The tokeniser has no single token for a letter, or a picture does not open.
    """
    import torch

    letters = torch.tensor(loaded.prompter.letters, device=loaded.model.device)
    scores: list[LetterScores | None] = [None] * len(requests)
    prepare = partial(_with_letter, loaded.prompter)
    for places, batch in _batches(loaded, requests, prepare, batch_size, workers):
        behind = batch["attention_mask"].sum(dim=1) - 1
        if not bool((batch["input_ids"].gather(1, behind[:, None])[:, 0] == letters[0]).all()):
            raise AssertionError("the letter is not the last token of a prompt that it was put behind")
        logits = _logits_at(loaded, batch, behind - 1).float()
        log_probs = logits.log_softmax(dim=-1)
        found, top = log_probs[:, letters].cpu().tolist(), logits.argmax(dim=-1).cpu().tolist()
        names = dict(zip(loaded.prompter.letters, LETTERS, strict=True))
        for place, values, token in zip(places, found, top, strict=True):
            scores[place] = LetterScores(tuple(values), names.get(token))
    return [score for score in scores if score is not None]


def generate(
    loaded: Loaded, requests: Sequence[Request], *, new_tokens: int, batch_size: int = 8, workers: int = 0
) -> list[str]:
    """Lets a model write its likeliest continuation, token by token.

    Args:
        loaded: The model.
        requests: N questions.
        new_tokens: Most tokens per answer.
        batch_size: Most requests at once.
        workers: Processes that open and prepare pictures.

    Returns:
        N texts, in the order of the requests, without special tokens.
    """
    import torch

    tokenizer = loaded.prompter.processor.tokenizer
    texts = [""] * len(requests)
    prepare = partial(_left_padded, loaded.prompter)
    for places, batch in _batches(loaded, requests, prepare, batch_size, workers):
        with torch.inference_mode():
            ids = loaded.model.generate(
                **batch, max_new_tokens=new_tokens, do_sample=False, pad_token_id=tokenizer.pad_token_id
            )
        answers = tokenizer.batch_decode(ids[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
        for place, answer in zip(places, answers, strict=True):
            texts[place] = answer
    return texts


def letter_of(text: str, options: Sequence[str]) -> int:
    """Finds the option that a generated answer chooses.

    A letter that stands alone counts first (``B``, ``(B)``, ``Answer: B.``), the first of several; then an option that
    is named, if it is the only one.

    Args:
        text: What was generated.
        options: Two to four.

    Returns:
        Place among the options from 0, or -1 if the text chooses none.
    """
    match = _STANDING_ALONE.search(text)
    # The article is a letter too: "A tumor" names no option.
    if match and not re.match(r"A [a-z]", text[match.start() :]):
        place = LETTERS.index(match[1])
        return place if place < len(options) else -1
    words = text.casefold()
    named = [place for place, option in enumerate(options) if option.casefold() in words]
    # "no tumor" names "tumor" too; what is part of another option that is named does not count.
    named = [
        place
        for place in named
        if not any(other != place and options[place].casefold() in options[other].casefold() for other in named)
    ]
    return named[0] if len(named) == 1 else -1


def _with_letter(prompter: Prompter, texts: Sequence[str], pictures: Sequence[Sequence[Image.Image]]) -> Any:
    # The letter itself is put behind: so the prompt before it is tokenised as it is in training.
    return prompter.encode([text + prompter.lead + LETTERS[0] for text in texts], pictures, side="right")


def _left_padded(prompter: Prompter, texts: Sequence[str], pictures: Sequence[Sequence[Image.Image]]) -> Any:
    return prompter.encode(texts, pictures, side="left")


def _logits_at(loaded: Loaded, batch: Any, ends: torch.Tensor) -> torch.Tensor:
    """Returns the logits behind one position of each text: shape (N, vocabulary)."""
    import torch

    rows = torch.arange(len(ends), device=ends.device)
    with torch.inference_mode():
        if "logits_to_keep" not in inspect.signature(loaded.model.forward).parameters:
            return loaded.model(**batch).logits[rows, ends]
        # Texts of one length share a position: a few columns of the vocabulary's width are held, not all.
        kept, column = ends.unique(return_inverse=True)
        return loaded.model(**batch, logits_to_keep=kept).logits[rows, column]


def _batches(
    loaded: Loaded, requests: Sequence[Request], prepare: Any, batch_size: int, workers: int
) -> Iterator[tuple[list[int], Any]]:
    from torch.utils.data import DataLoader

    device, dtype = loaded.model.device, loaded.model.dtype

    def collate(places: list[int]) -> tuple[list[int], Any]:
        some = [requests[place] for place in places]
        pictures = [[_opened(picture) for picture in request.pictures] for request in some]
        return places, prepare([request.text for request in some], pictures)

    loader = DataLoader(
        range(len(requests)),
        batch_sampler=_plan(requests, batch_size),
        collate_fn=collate,
        num_workers=workers,
        pin_memory=device.type == "cuda",
        prefetch_factor=4 if workers else None,
    )
    for places, batch in loader:
        yield places, batch.to(device, dtype=dtype, non_blocking=True)


def _plan(requests: Sequence[Request], batch_size: int) -> list[list[int]]:
    """Puts texts of like length together, the longest first, so that lack of memory shows at once."""
    batches: list[list[int]] = []
    by_pictures: dict[int, list[int]] = {}
    for place, request in enumerate(requests):
        by_pictures.setdefault(len(request.pictures), []).append(place)
    for places in by_pictures.values():
        places.sort(key=lambda place: -len(requests[place].text))
        batches += [places[start : start + batch_size] for start in range(0, len(places), batch_size)]
    return batches


def _opened(picture: Picture | Image.Image) -> Image.Image:
    return picture.open() if isinstance(picture, Picture) else picture.convert("RGB")
