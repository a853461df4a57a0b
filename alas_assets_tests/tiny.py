"""A tiny random Llama with a ChatML tokenizer of its own: the mechanics of a student in a second, without its knowledge."""

import json
import re
import shutil
from pathlib import Path

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def build_tiny_student(folder: Path, seed: int = 0) -> Path:
    """Write a two-layer Llama and a byte-level tokenizer into `folder`; equal seeds give equal files.

    Its answers are printable ASCII with a word in it on every processor, whatever a training of a minute makes of it: judges are not asked
    about others, and a character cut in its middle is streamed by nobody.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate([*specials, *alphabet])}
    raw = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    raw.add_special_tokens(specials)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|im_end|>", pad_token="<|endoftext|>", bos_token="<|im_start|>")
    tokenizer.chat_template = CHATML
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=1024,
        tie_word_embeddings=False,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    folder.mkdir(parents=True, exist_ok=True)
    model = LlamaForCausalLM(config)
    plain = {token for text, token in vocabulary.items() if text not in specials and "!" <= raw.decode([token]) <= "~"}
    unsaid = [token for token in vocabulary.values() if token not in plain]
    with torch.no_grad():  # their score is always 0, and of nearly a hundred others one is above that
        model.lm_head.weight[unsaid] = 0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def template_of(family: str) -> str:
    """Return the chat template of a family of models, as TRL carries it."""
    import trl

    return (Path(trl.__file__).parent / "chat_templates" / f"{family}.jinja").read_text(encoding="utf-8")


def family_student(tiny: Path, folder: Path, family: str) -> Path:
    """Write the tiny student with the chat template of a family of models, and the control tokens that are named there."""
    shutil.copytree(tiny, folder)
    template = template_of(family)
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    path = folder / "tokenizer.json"
    raw = json.loads(path.read_text(encoding="utf-8"))
    known = {one["content"] for one in raw["added_tokens"]}
    named = sorted(set(re.findall(r"<\|\w+\|>|<\|?\w+>|<\w+\|>|</?\w+>|\[gMASK\]", template)) - known)
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    first = len(raw["model"]["vocab"])
    raw["added_tokens"] += [
        {"id": first + number, "content": token, **flags, "special": "think" not in token and "tool" not in token}
        for number, token in enumerate(named)
    ]
    path.write_text(json.dumps(raw), encoding="utf-8")
    return folder


def without_template(tiny: Path, folder: Path, *, in_config: bool = False) -> Path:
    """Write the tiny student without its file of a chat template; `in_config`, it stands in tokenizer_config.json, as it used to."""
    shutil.copytree(tiny, folder)
    template = (folder / "chat_template.jinja").read_text(encoding="utf-8")
    (folder / "chat_template.jinja").unlink()
    if in_config:
        path = folder / "tokenizer_config.json"
        path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"chat_template": template}), encoding="utf-8")
    return folder
