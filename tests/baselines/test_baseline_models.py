"""Models and prompts: what loads, what is refused and why, and which tokens stand for the letters."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor, LlamaConfig, LlamaForCausalLM, LlavaProcessor

from med_mat.baselines.errors import BaselineError
from med_mat.baselines.models import (
    Loaded,
    base_of,
    load_model,
    load_processor,
    model_folder,
    text_module,
    vision_module,
)
from med_mat.baselines.prompts import Prompter, answer_text, question_text
from med_mat.baselines.questions import Questions, open_picture
from med_mat.baselines.tiny import CHAT_TEMPLATE, llava_processor, save_tiny, train_tokenizer

QUESTION = {"question": "What is it?", "options": ["cyst", "stone", "tumor"], "answer": "stone", "answer_index": 1}

TEMPLATES = {
    "tiny": (CHAT_TEMPLATE, "", "</s>"),
    # As LLaVA-1.5 writes it: a blank before the answer and one behind it, and no token that ends a turn.
    "blank": (
        "{% for m in messages %}{{ m['role'].upper() }}: {% for c in m['content'] if c['type'] == 'image' %}<image>\n"
        "{% endfor %}{% for c in m['content'] if c['type'] == 'text' %}{{ c['text'] }} {% endfor %}{% endfor %}"
        "{% if add_generation_prompt %}ASSISTANT:{% endif %}",
        " ",
        "</s>",
    ),
    # As Qwen writes it: turns between tokens, the answer right behind a line break.
    "turns": (
        "<s>{% for m in messages %}<|start|>{{ m['role'] }}\n{% for c in m['content'] %}{{ '<image>' if c['type'] == "
        "'image' else c['text'] }}{% endfor %}<|end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}",
        "",
        "<|end|>",
    ),
}


@pytest.fixture(params=TEMPLATES)
def template(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def _processor(template: str, texts: list[str] | None = None) -> LlavaProcessor:
    tokenizer = train_tokenizer(texts or ["ASSISTANT: A B C D", question_text(QUESTION)] * 3)
    processor = llava_processor(tokenizer, side=32, patch=16)
    processor.chat_template = template
    return processor


def test_the_core_imports_no_torch() -> None:
    code = "import sys, med_mat, med_mat.cli, med_mat.commands.baselines; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_tiny_is_a_real_model_in_a_folder(tiny_folder: Path) -> None:
    model = AutoModelForImageTextToText.from_pretrained(tiny_folder)
    assert type(model).__name__ == "LlavaForConditionalGeneration"
    assert isinstance(AutoProcessor.from_pretrained(tiny_folder), LlavaProcessor)
    assert 1e6 < sum(each.numel() for each in model.parameters()) < 5e6


def test_tiny_is_the_same_for_the_same_seed(train_questions: Questions, tiny_folder: Path, tmp_path: Path) -> None:
    rows = train_questions.table.to_pylist()
    state = torch.random.get_rng_state()
    save_tiny(tmp_path / "same", rows)
    save_tiny(tmp_path / "other", rows, seed=1)
    assert torch.equal(state, torch.random.get_rng_state())
    weights = {name: (tmp_path / name / "model.safetensors").read_bytes() for name in ("same", "other")}
    assert weights["same"] == (tiny_folder / "model.safetensors").read_bytes() != weights["other"]
    for name in ("tokenizer.json", "processor_config.json", "chat_template.jinja"):
        assert (tmp_path / "same" / name).read_bytes() == (tiny_folder / name).read_bytes()


def test_a_template_puts_the_question_and_a_place_for_the_picture(template: str) -> None:
    text, lead, closing = TEMPLATES[template]
    prompter = Prompter(_processor(text))
    shown = prompter.text(QUESTION)
    assert question_text(QUESTION) in shown
    assert shown.count("<image>") == 1
    assert "<image>" not in prompter.text(QUESTION, pictures=0)
    assert (prompter.lead, prompter.closing) == (lead, closing)


def test_letters_are_the_tokens_that_follow_the_prompt(template: str) -> None:
    """Whatever template and tokeniser do at the seam: the prompt's tokens do not change with the letter behind it."""
    for texts in (None, ["ASSISTANT: A", "ASSISTANT: B", "ASSISTANT: C", "ASSISTANT: D"] * 3):
        processor = _processor(TEMPLATES[template][0], texts)
        prompter = Prompter(processor)
        whole = [
            processor.tokenizer(prompter.text(QUESTION, 0) + prompter.lead + letter, add_special_tokens=False)[
                "input_ids"
            ]
            for letter in "ABCD"
        ]
        assert [ids[-1] for ids in whole] == list(prompter.letters)
        assert len({tuple(ids[:-1]) for ids in whole}) == 1


def test_an_opening_token_stands_once(template: str, train_questions: Questions) -> None:
    processor = _processor(TEMPLATES[template][0])
    prompter = Prompter(processor)
    row = train_questions.table.slice(0, 1).to_pylist()[0]
    picture = open_picture(train_questions.data, row["picture"])
    batch = prompter.encode([prompter.text(row)], [[picture]], side="left")
    ids = batch["input_ids"][0].tolist()
    assert ids.count(processor.tokenizer.bos_token_id) == 1
    assert ids.count(processor.image_token_id) == 4  # 32 pixels in patches of 16


def test_letters_of_several_tokens_are_refused() -> None:
    processor = _processor(CHAT_TEMPLATE.replace("part['text'] }}", "part['text'] | lower }}"))
    with pytest.raises(BaselineError, match="does not put an answer behind the prompt"):
        _ = Prompter(processor).lead
    processor = _processor(CHAT_TEMPLATE)
    processor.tokenizer.add_tokens(["\nA"])
    with pytest.raises(BaselineError, match="does not put one token for each"):
        _ = Prompter(processor).letters


def test_a_processor_without_a_template_is_refused() -> None:
    processor = _processor(CHAT_TEMPLATE)
    processor.chat_template = None
    with pytest.raises(BaselineError, match="no chat template"):
        Prompter(processor)


def test_answers() -> None:
    assert answer_text(QUESTION) == "B"
    assert answer_text({**QUESTION, "options": [], "answer": "[0, 0, 1, 1]"}) == "[0, 0, 1, 1]"
    assert question_text(QUESTION).splitlines()[1:4] == ["A: cyst", "B: stone", "C: tumor"]
    assert question_text({**QUESTION, "options": []}) == "What is it?"


def test_a_config_gives_random_weights_of_its_seed(tiny_folder: Path) -> None:
    first = load_model(f"config:{tiny_folder}", device="cpu", seed=3).model
    again = load_model(f"config:{tiny_folder}", device="cpu", seed=3).model
    stored = load_model(str(tiny_folder), device="cpu").model
    name = "lm_head.weight"
    assert torch.equal(first.get_parameter(name), again.get_parameter(name))
    assert not torch.equal(first.get_parameter(name), stored.get_parameter(name))


def test_precision(tiny_folder: Path) -> None:
    assert load_model(str(tiny_folder), device="cpu").model.dtype == torch.float32
    assert load_model(str(tiny_folder), device="cpu", precision="bfloat16").model.dtype == torch.bfloat16


def test_parts_of_a_model(tiny_model: Loaded) -> None:
    assert text_module(tiny_model.model) == "model.language_model"
    assert vision_module(tiny_model.model) == "model.vision_tower"


def test_what_is_no_model(tmp_path: Path, tiny_folder: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in (str(tmp_path / "empty"), "nobody/nothing", f"config:{tmp_path / 'empty'}"):
        with pytest.raises(BaselineError, match="Expected a Hub id or folder"):
            load_model(name, device="cpu")
    text = tmp_path / "text"
    LlamaForCausalLM(
        LlamaConfig(vocab_size=64, hidden_size=8, num_hidden_layers=1, num_attention_heads=1)
    ).save_pretrained(text)
    AutoProcessor.from_pretrained(tiny_folder).tokenizer.save_pretrained(text)
    with pytest.raises(BaselineError, match="image-text-to-text"):
        load_model(str(text), device="cpu")


def test_tiny_has_no_weights_before_it_is_trained() -> None:
    with pytest.raises(BaselineError, match="name its run folder"):
        load_model("tiny")


def test_a_processor_for_video_needs_torchvision(tmp_path: Path) -> None:
    train_tokenizer(["A"]).save_pretrained(tmp_path)
    kinds = {"image_processor": "Qwen2VLImageProcessor", "video_processor": "Qwen2VLVideoProcessor"}
    config = {name: {f"{name}_type": kind} for name, kind in kinds.items()}
    (tmp_path / "processor_config.json").write_text(json.dumps({"processor_class": "Qwen2VLProcessor", **config}))
    if find_spec("torchvision"):
        assert type(load_processor(str(tmp_path))).__name__ == "Qwen2VLProcessor"
    else:
        with pytest.raises(BaselineError, match="its processor needs torchvision, which is not installed"):
            load_processor(str(tmp_path))


def test_a_run_folder_means_its_model(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"status": "started"}', encoding="utf-8")
    with pytest.raises(BaselineError, match="training is not done"):
        model_folder(str(tmp_path))
    (tmp_path / "run.json").write_text('{"status": "done"}', encoding="utf-8")
    assert model_folder(str(tmp_path)) == tmp_path / "model"
    assert model_folder("someone/something") is None


def test_an_adapter_finds_the_runs_own_base_wherever_it_lies(tmp_path: Path) -> None:
    adapter = tmp_path / "model"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text('{"base_model_name_or_path": "someone/something"}', encoding="utf-8")
    assert base_of(adapter) == "someone/something"
    (tmp_path / "base").mkdir()
    assert base_of(adapter) == tmp_path / "base"
