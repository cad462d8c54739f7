"""``tiny``: a LLaVA of one to two million parameters that is made on the spot and learns on a CPU.

The architecture is the real one: a CLIP vision tower, a projector and a Llama. Weights start random; the tokeniser is
trained on the questions and takes a label for one token, so that within a minute so small a model can learn which
option names what it sees. The whole path, from chat template to score, runs as it does for a model of full size.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from med_mat.baselines.prompts import question_text
from med_mat.questions.ask import LETTERS

if TYPE_CHECKING:
    from transformers import LlavaConfig, LlavaProcessor, PreTrainedTokenizerFast

PAD, BOS, EOS, IMAGE = "<pad>", "<s>", "</s>", "<image>"
MOST_TOKENS = 2048
SIDE = 64
PATCH = 16

_BETWEEN_PHRASES = r"\n|: |; "

CHAT_TEMPLATE = """\
{%- for message in messages -%}
{{ 'USER: ' if message['role'] == 'user' else 'ASSISTANT:\n' }}
{%- for part in message['content'] if part['type'] == 'image' -%}{{ '<image>\n' }}{%- endfor -%}
{%- for part in message['content'] if part['type'] == 'text' -%}{{ part['text'] }}{%- endfor -%}
{{ '\n' if message['role'] == 'user' else '</s>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ 'ASSISTANT:\n' }}{%- endif -%}
"""


def save_tiny(folder: Path, questions: Iterable[dict[str, Any]], seed: int = 0) -> None:
    """Writes a random tiny LLaVA as a folder that ``from_pretrained`` loads.

    Args:
        folder: Where to.
        questions: What the tokeniser learns from: mappings with ``question``, ``options`` and ``answer``.
        seed: Of the weights. Equal seeds and questions give equal weights.
    """
    import torch
    from transformers import LlavaForConditionalGeneration

    processor = llava_processor(train_tokenizer(_texts(questions), phrases=True), side=SIDE, patch=PATCH)
    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    model = LlavaForConditionalGeneration(tiny_config(len(processor.tokenizer)))
    torch.random.set_rng_state(state)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def tiny_config(vocabulary: int) -> LlavaConfig:
    """Returns the architecture for a vocabulary of this size."""
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig

    return LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=128,
            intermediate_size=512,
            num_hidden_layers=2,
            num_attention_heads=4,
            image_size=SIDE,
            patch_size=PATCH,
            projection_dim=128,
        ),
        text_config=LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=128,
            intermediate_size=512,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=MOST_TOKENS,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
            initializer_range=0.05,
        ),
        image_token_index=3,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
    )


def train_tokenizer(texts: Iterable[str], *, vocabulary: int = 8192, phrases: bool = False) -> PreTrainedTokenizerFast:
    """Trains a byte-level BPE tokeniser; no text is unknown to it.

    Args:
        texts: To learn from.
        vocabulary: Most tokens.
        phrases: Let a token span words, so that a label or a question that is met often becomes one.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not phrases)
    if phrases:
        # A letter and the option behind it stay apart.
        lines = pre_tokenizers.Split(Regex(_BETWEEN_PHRASES), "isolated")
        raw.pre_tokenizer = pre_tokenizers.Sequence([lines, raw.pre_tokenizer])
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, BOS, EOS, IMAGE],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(texts, trainer)
    raw.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        extra_special_tokens={"image_token": IMAGE},
        model_max_length=MOST_TOKENS,
    )


def llava_processor(tokenizer: PreTrainedTokenizerFast, *, side: int, patch: int) -> LlavaProcessor:
    """Returns a LLaVA processor with a chat template.

    Args:
        tokenizer: With an image token.
        side: Pixels of a picture's side, as the vision tower takes it.
        patch: Pixels of a patch's side.
    """
    from transformers import LlavaProcessor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    return LlavaProcessor(
        image_processor=CLIPImageProcessorPil(
            # Not cut to a square: what is at the rim of a medical image counts.
            size={"height": side, "width": side},
            do_center_crop=False,
        ),
        tokenizer=tokenizer,
        patch_size=patch,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
        image_token=IMAGE,
    )


def _texts(questions: Iterable[dict[str, Any]]) -> Iterable[str]:
    for question in questions:
        yield "\n".join(["USER:", question_text(question), "ASSISTANT:", *LETTERS, str(question["answer"])])
