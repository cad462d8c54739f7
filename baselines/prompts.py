"""How a processor's chat template puts a question, and the tokens of the option letters there.

Training and scoring render the same text, so a letter that was learnt is the letter that is read. Where a template
puts a blank before an answer, tokenisers merge it into the letter (``▁A``) or not, according to what stands before;
here a letter is always tokenised behind the prompt, never alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from med_mat.baselines.errors import BaselineError
from med_mat.questions.ask import LETTERS
from med_mat.rows import prompt

if TYPE_CHECKING:
    from PIL.Image import Image
    from transformers import BatchFeature, ProcessorMixin

Message = dict[str, Any]


@dataclass(frozen=True)
class Prompter:
    """Puts questions the way a processor's chat template does.

    Attributes:
        processor: With a chat template and a tokeniser.
    """

    processor: ProcessorMixin

    def __post_init__(self) -> None:
        tokenizer = self.processor.tokenizer
        if self.processor.chat_template is None:
            raise BaselineError(
                f"the processor {type(self.processor).__name__} has no chat template: choose a model that was tuned to "
                "follow instructions, or put a chat_template.jinja beside its files"
            )
        if tokenizer.pad_token is None:
            # Batches need a token to fill with; masks keep it out of attention and loss.
            tokenizer.pad_token = tokenizer.eos_token

    def text(self, question: Mapping[str, Any], pictures: int = 1) -> str:
        """Renders a question up to where the answer begins."""
        return self.render([user_message(question_text(question), pictures)])

    def render(self, messages: Sequence[Message]) -> str:
        """Renders messages up to where the next answer begins."""
        text: str = self.processor.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
        return text

    @cached_property
    def lead(self) -> str:
        """What the template puts between the prompt and an answer: nothing, or white space."""
        return self._frame[0]

    @cached_property
    def closing(self) -> str:
        """What ends an answer: the template's closing tokens, or the end-of-text token where it has none."""
        closing = self._frame[1].rstrip()
        return closing or str(self.processor.tokenizer.eos_token or "")

    @cached_property
    def letters(self) -> tuple[int, ...]:
        """Tokens of ``A`` to ``D`` behind a prompt.

        Raises:
            BaselineError: A letter is more than one token there, or two letters share theirs.
        """
        context = self.render([user_message("?", 0)]) + self.lead
        encoded = [self._ids(context + letter) for letter in LETTERS]
        tokens = tuple(ids[-1] for ids in encoded)
        if len({tuple(ids[:-1]) for ids in encoded}) != 1 or len(set(tokens)) != len(LETTERS):
            raise BaselineError(
                f"the tokeniser {type(self.processor.tokenizer).__name__} does not put one token for each of "
                f"{', '.join(LETTERS)} behind {context[-20:]!r}: found {[ids[-2:] for ids in encoded]}. "
                "Score by generation instead"
            )
        return tokens

    def encode(
        self, texts: Sequence[str], pictures: Sequence[Sequence[Image]], *, side: Literal["left", "right"]
    ) -> BatchFeature:
        """Turns rendered texts and their pictures into a batch of tensors.

        Args:
            texts: N rendered texts.
            pictures: N lists of pictures, each as many as the text has places for.
            side: Which side shorter texts are filled up on.

        Returns:
            What the model's ``forward`` takes; ``input_ids`` has shape (N, longest).
        """
        bos = self.processor.tokenizer.bos_token
        return self.processor(
            text=list(texts),
            images=[list(some) for some in pictures] if any(pictures) else None,
            padding=True,
            padding_side=side,
            return_tensors="pt",
            # Some templates write the token that opens a text, others leave it to the tokeniser.
            add_special_tokens=bos is None or not texts[0].startswith(bos),
        )

    @cached_property
    def _frame(self) -> tuple[str, str]:
        asked = [user_message("?", 0)]
        before = self.render(asked)
        mark = LETTERS[0]
        answered = [*asked, {"role": "assistant", "content": [{"type": "text", "text": mark}]}]
        whole: str = self.processor.apply_chat_template(answered, tokenize=False)
        lead, found, closing = whole.removeprefix(before).partition(mark)
        if not whole.startswith(before) or not found or lead.strip():
            raise BaselineError(
                f"the chat template of {type(self.processor).__name__} does not put an answer behind the prompt that "
                f"asks for it: the prompt ends in {before[-40:]!r}, a whole exchange in {whole[-60:]!r}"
            )
        return lead, closing

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.processor.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids


def question_text(question: Mapping[str, Any]) -> str:
    """Returns the choice form of a question with options, and the question itself of one without."""
    return prompt(question) if question["options"] else str(question["question"])


def answer_text(question: Mapping[str, Any]) -> str:
    """Returns what is to be answered: the letter of a choice, or the answer of a question without options."""
    return LETTERS[question["answer_index"]] if question["options"] else str(question["answer"])


def user_message(text: str, pictures: int) -> Message:
    """Returns a user's turn: pictures first, then text."""
    return {"role": "user", "content": [{"type": "image"}] * pictures + [{"type": "text", "text": text}]}
