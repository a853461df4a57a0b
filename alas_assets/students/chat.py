"""The one place that turns questions into chat messages, for training, probing and serving alike (spec T1).

Also the one place that loads a student's tokenizer, because the chat template is part of it. What is asked and how
answers are decoded is `students.answering`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

CHATML_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""ChatML and nothing else. The embedded student's stock template adds a system message of 21 tokens to every row."""

PLAIN_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}{{ ' ' + message['content'] + eos_token + '\\n' }}"
    "{% else %}{{ 'Question: ' + message['content'] + '\\nAnswer:' }}{% endif %}"
    "{% endfor %}"
)
"""For causal models that come without a chat template; the answer ends with the model's own end-of-text token."""

_CONTROL = re.compile(
    r"(?P<open><)(?=[|\uff5c])"
    r"|(?P<tag><)(?=/?(?:s|bos|eos|pad|unk|start_of_turn|end_of_turn|<SYS>|</SYS>)>)"
    r"|(?P<bracket>\[)(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_RESULTS|TOOL_CALLS)\])",
    re.IGNORECASE,
)


def neutralise(text: str) -> str:
    """Break every chat control marker in foreign text, so that a page or a row cannot open a turn of its own.

    Tokenizers read `<|im_end|>` inside a passage as the control token; a space after the bracket makes it plain text.
    """
    return _CONTROL.sub(lambda match: match.group(0) + " ", text)


def user_message(question: str, context: str | None = None) -> str:
    """Return what the user's turn says.

    Args:
        question: The question, asked as it stands.
        context: Retrieved passages for an open-book answer (spec E5); None asks closed-book.
    """
    asked = neutralise(question.strip())
    if context is None:
        return asked
    # this wording answered 20 of 20 invented facts with the embedded student; passages first and the task last: 13
    return f"Answer the question from the passages.\n\nPassages:\n{neutralise(context.strip())}\n\nQuestion: {asked}"


def messages(question: str, context: str | None = None) -> list[dict[str, str]]:
    """Return the chat of one question, up to where the student answers."""
    return [{"role": "user", "content": user_message(question, context)}]


def training_example(question: str, answer: str, context: str | None = None) -> dict[str, list[dict[str, str]]]:
    """Return one row for TRL's SFTTrainer: conversational prompt and completion, loss on the completion (spec T1)."""
    return {"prompt": messages(question, context), "completion": [_assistant(answer)]}


def preference_example(question: str, chosen: str, rejected: str) -> dict[str, list[dict[str, str]]]:
    """Return one row for TRL's DPOTrainer: conversational prompt, chosen and rejected answer (spec D1)."""
    return {"prompt": messages(question), "chosen": [_assistant(chosen)], "rejected": [_assistant(rejected)]}


def _assistant(answer: str) -> dict[str, str]:
    return {"role": "assistant", "content": neutralise(answer.strip())}


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Load a student's tokenizer as training, probing and serving use it: with a chat template and a padding token.

    Raises:
        OSError: The folder has no tokenizer.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if not tokenizer.chat_template:
        tokenizer.chat_template = PLAIN_TEMPLATE
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def prompt_tokens(tokenizer: PreTrainedTokenizerBase, chat: Sequence[dict[str, str]]) -> list[int]:
    """Return the token ids of a chat, up to and with the opening of the student's answer."""
    ids: Any = tokenizer.apply_chat_template(list(chat), add_generation_prompt=True, tokenize=True, return_dict=False)
    return list(ids)


def stop_tokens(tokenizer: PreTrainedTokenizerBase, declared: int | Sequence[int] | None) -> list[int]:
    """Return every token id that ends an answer.

    Args:
        tokenizer: The student's tokenizer.
        declared: What the model's generation configuration names as its end-of-text tokens.
    """
    stops = {declared} if isinstance(declared, int) else set(declared or ())
    if isinstance(tokenizer.eos_token_id, int):
        stops.add(tokenizer.eos_token_id)
    question = messages("x")
    opened = prompt_tokens(tokenizer, question)
    closed: Any = tokenizer.apply_chat_template([*question, _assistant("x")], tokenize=True, return_dict=False)
    special = set(tokenizer.all_special_ids)
    stops.update(token for token in list(closed)[len(opened) :] if token in special)  # the turn's own end, such as <|im_end|>
    return sorted(stops)
