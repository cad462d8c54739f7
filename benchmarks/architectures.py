"""Architectures of full size with random weights: a folder with config and processor, which ``config:`` loads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from med_mat.baselines.tiny import PATCH, SIDE, llava_processor, tiny_config, train_tokenizer

QWEN_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for c in m['content'] %}{% if c['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ c['text'] }}{% endif %}{% endfor %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
QWEN_TOKENS = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")


def tiny(folder: Path, texts: Iterable[str]) -> None:
    processor = llava_processor(train_tokenizer(texts), side=SIDE, patch=PATCH)
    tiny_config(len(processor.tokenizer)).save_pretrained(folder)
    processor.save_pretrained(folder)


def llava_7b(folder: Path, texts: Iterable[str]) -> None:
    """LLaVA-1.5-7B: CLIP ViT-L/14 at 336 pixels and a Llama of 32 layers (arXiv 2310.03744)."""
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig

    processor = llava_processor(train_tokenizer(texts), side=336, patch=14)
    LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=1024,
            intermediate_size=4096,
            num_hidden_layers=24,
            num_attention_heads=16,
            image_size=336,
            patch_size=14,
            projection_dim=768,
        ),
        text_config=LlamaConfig(
            vocab_size=32064,
            hidden_size=4096,
            intermediate_size=11008,
            num_hidden_layers=32,
            num_attention_heads=32,
            num_key_value_heads=32,
            max_position_embeddings=4096,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
        ),
        image_token_index=processor.image_token_id,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    ).save_pretrained(folder)
    processor.save_pretrained(folder)


def qwen2_vl_7b(folder: Path, texts: Iterable[str]) -> None:
    """Qwen2-VL-7B (arXiv 2409.12191). Its processor needs torchvision."""
    from transformers import Qwen2VLConfig, Qwen2VLImageProcessor, Qwen2VLProcessor, Qwen2VLVideoProcessor

    tokenizer = train_tokenizer(texts)
    tokenizer.add_special_tokens({"additional_special_tokens": list(QWEN_TOKENS)})
    processor = Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(),
        chat_template=QWEN_TEMPLATE,
    )
    ids: dict[str, int] = {name: tokenizer.convert_tokens_to_ids(name) for name in QWEN_TOKENS}
    Qwen2VLConfig(
        text_config={
            "vocab_size": 152064,
            "hidden_size": 3584,
            "intermediate_size": 18944,
            "num_hidden_layers": 28,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
            "pad_token_id": tokenizer.pad_token_id,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
        },
        vision_config={"depth": 32, "embed_dim": 1280, "hidden_size": 3584, "num_heads": 16, "mlp_ratio": 4},
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    ).save_pretrained(folder)
    processor.save_pretrained(folder)


ARCHITECTURES: dict[str, Callable[[Path, Iterable[str]], Any]] = {
    "tiny": tiny,
    "llava-1.5-7b": llava_7b,
    "qwen2-vl-7b": qwen2_vl_7b,
}
