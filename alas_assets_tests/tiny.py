"""A tiny random Llama with a ChatML tokenizer of its own: the mechanics of a student in a second, without its knowledge."""

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
