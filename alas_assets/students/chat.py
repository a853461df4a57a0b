"""The one place that turns questions into chat messages, for training, probing and serving alike (spec T1).

Also the one place that loads a student's tokenizer, because the chat template is part of it. What is asked and how
answers are decoded is `students.answering`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TEMPLATE_FILE = "chat_template.jinja"

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
"""For causal models that come without a chat template; the answer ends with the model's own end-of-text token.

Before it stands the token that begins a text, where the tokenizer puts one there: such models never read a text without it."""

_SETTLED = (
    (re.compile(r"\benable_thinking\b"), "{% set enable_thinking = false %}\n"),
    (re.compile(r"\bthinking\b"), "{% set thinking = false %}\n"),
    (
        re.compile(r"\bstrftime_now\b"),
        "{% macro strftime_now(format) %}{{ format.replace('%Y', '2024').replace('%y', '24').replace('%m', '07').replace('%B', 'July')"
        ".replace('%b', 'Jul').replace('%d', '26').replace('%A', 'Friday') }}{% endmacro %}\n",
    ),
)
"""What a template that asks for it is told, at its head: not to think, since an answer of 24 tokens would be cut within its thoughts, and
the day that Llama's templates write where they have no clock, since an answer must not depend on the day it is asked on."""

_QUESTION, _ANSWER = "Which one?", "That one."
"""What templates are tried with."""

ANY_MARKER = re.compile(
    r"(?P<open><)(?=[|\uff5c])"
    r"|(?P<tag><)(?=/?(?:s|bos|eos|pad|unk|start_of_turn|end_of_turn|<SYS>|</SYS>)>)"
    r"|(?P<bracket>\[)(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_RESULTS|TOOL_CALLS)\])",
    re.IGNORECASE,
)
"""The first character of what is a chat control marker to some family of models; for text whose student is not known."""

_NO_MARKER = re.compile(r"(?!)")
_WRITTEN_MARKER = re.compile(r"<[|\uff5c][^<>\n]{1,60}?[|\uff5c]>|</?\w+>|\[/?\w+\]|<</?SYS>>")


def markers_of(folder: Path) -> re.Pattern[str]:
    """Return what finds the first character of a student's own control markers: its tokenizer's, and what its template writes as text.

    A fact may look like the marker of another family, as `<s>` or `[INST]` do; broken up it would be trained and graded as something else.

    Args:
        folder: The student's, or that of an adapter or a merged model of it. Without a tokenizer.json there, every family's count.

    Raises:
        OSError: A file cannot be read.
        ValueError: One is damaged.
    """
    path, config = folder / "tokenizer.json", folder / "tokenizer_config.json"
    if not path.is_file():
        return ANY_MARKER
    added: list[dict[str, Any]] = list(json.loads(path.read_text(encoding="utf-8")).get("added_tokens") or ())
    if config.is_file():
        added += (json.loads(config.read_text(encoding="utf-8")).get("added_tokens_decoder") or {}).values()
    tokens, template = {str(one["content"]) for one in added}, own_template(folder) or ""
    opening = {token for token in tokens if token[:1] in ("<", "[") and (ANY_MARKER.match(token) or token in template)}
    written = {text for text in _WRITTEN_MARKER.findall(template) if ANY_MARKER.match(text)}
    found = sorted(text for text in opening | written if len(text) > 1)
    return re.compile("|".join(f"{re.escape(text[0])}(?={re.escape(text[1:])})" for text in found)) if found else _NO_MARKER


def neutralise(text: str, markers: re.Pattern[str] = ANY_MARKER) -> str:
    """Break every chat control marker in foreign text, so that a page or a row cannot open a turn of its own.

    Tokenizers read `<|im_end|>` inside a passage as the control token; a space after the bracket makes it plain text.

    Args:
        text: The text.
        markers: From `markers_of`.
    """
    return markers.sub(lambda match: match.group(0) + " ", text)


def user_message(question: str, context: str | None = None, markers: re.Pattern[str] = ANY_MARKER) -> str:
    """Return what the user's turn says.

    Args:
        question: The question, asked as it stands.
        context: Retrieved passages for an open-book answer (spec E5); None asks closed-book.
        markers: The student's (`markers_of`).
    """
    asked = neutralise(question.strip(), markers)
    if context is None:
        return asked
    # this wording answered 20 of 20 invented facts with the embedded student; passages first and the task last: 13
    return f"Answer the question from the passages.\n\nPassages:\n{neutralise(context.strip(), markers)}\n\nQuestion: {asked}"


def messages(question: str, context: str | None = None, markers: re.Pattern[str] = ANY_MARKER) -> list[dict[str, str]]:
    """Return the chat of one question, up to where the student answers; see `user_message` for the arguments."""
    return [{"role": "user", "content": user_message(question, context, markers)}]


def training_example(
    question: str, answer: str, context: str | None = None, markers: re.Pattern[str] = ANY_MARKER
) -> dict[str, list[dict[str, str]]]:
    """Return one row for TRL's SFTTrainer: conversational prompt and completion, loss on the completion (spec T1)."""
    return {"prompt": messages(question, context, markers), "completion": [_assistant(answer, markers)]}


def preference_example(question: str, chosen: str, rejected: str, markers: re.Pattern[str] = ANY_MARKER) -> dict[str, list[dict[str, str]]]:
    """Return one row for TRL's DPOTrainer: conversational prompt, chosen and rejected answer (spec D1)."""
    return {
        "prompt": messages(question, markers=markers),
        "chosen": [_assistant(chosen, markers)],
        "rejected": [_assistant(rejected, markers)],
    }


def _assistant(answer: str, markers: re.Pattern[str] = ANY_MARKER) -> dict[str, str]:
    return {"role": "assistant", "content": neutralise(answer.strip(), markers)}


class TemplateError(ValueError):
    """A chat template cannot be trained on: it does not write question, answer and end; the message says what it does."""


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Load a student's tokenizer as training, probing and serving use it: with a settled chat template and a padding token.

    Raises:
        OSError: The folder has no tokenizer.
        TemplateError: Its chat template fails on a question.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    _settle_template(tokenizer)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def own_template(folder: Path) -> str | None:
    """Return the chat template that a student's folder has, as text and without loading its tokenizer; None where it has none.

    Raises:
        OSError: It cannot be read.
        ValueError: Its tokenizer_config.json is damaged.
    """
    path, config = folder / TEMPLATE_FILE, folder / "tokenizer_config.json"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    given: Any = json.loads(config.read_text(encoding="utf-8")).get("chat_template") if config.is_file() else None
    if isinstance(given, list):  # several, each with its name
        given = next((one.get("template") for one in given if one.get("name") == "default"), None)
    return given or None


def adapter_template(adapter: Path) -> str:
    """Return the chat template that an adapter was trained with, from its folder; an older one has none where its student has none.

    Raises:
        OSError: It cannot be read.
        ValueError: Its tokenizer_config.json is damaged.
    """
    return own_template(adapter) or PLAIN_TEMPLATE


def _settle_template(tokenizer: PreTrainedTokenizerBase) -> None:
    """Give a tokenizer the template that everything asks with.

    The template itself says what is settled, and not each call, so that an exported or served model cannot be asked otherwise than it was
    evaluated.
    """
    if not tokenizer.chat_template:
        tokenizer.chat_template = ("{{ bos_token }}" if _begins(tokenizer) else "") + PLAIN_TEMPLATE
        return
    own = tokenizer.get_chat_template()
    head = "".join(line for names, line in _SETTLED if names.search(own))
    if head and _written(tokenizer, own) != _written(tokenizer, head + own):
        tokenizer.chat_template = head + own


def _written(tokenizer: PreTrainedTokenizerBase, template: str) -> tuple[str, str]:
    """Return what a template makes of a question, and of the question with its answer."""
    from jinja2 import TemplateError as JinjaError

    chat = messages(_QUESTION)
    render: Any = tokenizer.apply_chat_template
    try:
        asked = render(chat, chat_template=template, add_generation_prompt=True, tokenize=False)
        return asked, render([*chat, _assistant(_ANSWER)], chat_template=template, tokenize=False)
    except (JinjaError, TypeError, ValueError) as error:
        raise TemplateError(f"its chat template fails on a question and its answer ({error})") from error


def require_trainable_template(tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a template whose question with its answer is not the question as it is asked, the answer, and a token that ends it.

    Training would otherwise teach what is never asked, or answers that never end.

    Args:
        tokenizer: From `load_tokenizer`.

    Raises:
        TemplateError: It is such a template.
    """
    asked, answered = _written(tokenizer, tokenizer.get_chat_template())
    if not answered.startswith(asked) or _QUESTION not in asked or not _opens(tokenizer, asked, answered):
        raise TemplateError(f"its chat template asks with {asked[-40:]!r} and writes {answered[-60:]!r} where the answer is known")
    said, answer, end = answered[len(asked) :].partition(_ANSWER)
    if said.strip() or not answer:
        raise TemplateError(f"its chat template asks with {asked[-40:]!r} and writes {answered[len(asked) :][:60]!r} for {_ANSWER!r}")
    if not _ends(tokenizer, end):
        raise TemplateError(f"its chat template writes no token of the tokenizer's that ends an answer, but {end!r}")


def require_padding(tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a tokenizer with neither a padding nor an end token: no batch of questions could be put together.

    Args:
        tokenizer: From `load_tokenizer`.

    Raises:
        ValueError: It is one.
    """
    if tokenizer.pad_token_id is None:
        raise ValueError("its tokenizer names neither pad_token nor eos_token (tokenizer_config.json)")


def turn(tokenizer: PreTrainedTokenizerBase) -> tuple[str, str, str]:
    """Return what is written before a question, between it and its answer, and after that, for readers that know no Jinja.

    The token that begins every text is left out where the tokenizer adds it by itself, as such readers do.

    Args:
        tokenizer: From `load_tokenizer`.

    Raises:
        TemplateError: Its template fails on a question.
    """
    asked, answered = _written(tokenizer, tokenizer.get_chat_template())
    before, _, between = asked.partition(_QUESTION)
    if begins := _begins(tokenizer):
        before = before.removeprefix(begins)
    gap, _, end = answered[len(asked) :].partition(_ANSWER)
    return before, between + gap, end


def _begins(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return the token that a tokenizer puts before every text; "" where it puts none."""
    first = tokenizer.encode("x")[:1]
    return str(tokenizer.bos_token) if tokenizer.bos_token and first == [tokenizer.bos_token_id] else ""


def _opens(tokenizer: PreTrainedTokenizerBase, asked: str, answered: str) -> bool:
    opened = tokenizer.encode(asked, add_special_tokens=False)
    return tokenizer.encode(answered, add_special_tokens=False)[: len(opened)] == opened


def _ends(tokenizer: PreTrainedTokenizerBase, end: str) -> bool:
    special = _special_tokens(tokenizer)
    return any(token in special for token in tokenizer.encode(end, add_special_tokens=False))


def _special_tokens(tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """Return the ids of all special tokens, those too that have no name of their own, as the end of a turn in some families."""
    added: dict[int, Any] = tokenizer.added_tokens_decoder
    return {*tokenizer.all_special_ids, *(token for token, one in added.items() if one.special)}


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
    special = _special_tokens(tokenizer)
    stops.update(token for token in list(closed)[len(opened) :] if token in special)  # the turn's own end, such as <|im_end|>
    return sorted(stops)
