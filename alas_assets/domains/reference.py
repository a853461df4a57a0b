"""Every key of the domain file and of a training recipe as Markdown, from the models that validate them (U3).

Rendering only: what a key means is its field's description, in `domains.config`, `domains.sources` and `training.spec`.
"""

from __future__ import annotations

import math
import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from alas_assets.domains.config import Domain
from alas_assets.domains.mistakes import model_of
from alas_assets.training.spec import Recipe
from alas_assets.wording import without_ids

_KINDS = {str: "text", int: "whole number", float: "number", bool: "true or false"}
_LIMITS = {"ge": "from", "gt": "above", "le": "to", "lt": "below"}
_LENGTHS = {"min_length": "at least", "max_length": "at most"}
_HEAD = ("| key | value | default | meaning |", "|---|---|---|---|")


def reference() -> str:
    """Return the reference of all keys; the same for the same code, so that `docs/keys.md` can be held against it."""
    lines = [
        "# Keys",
        "",
        "Written by `alas keys > docs/keys.md`.",
        "",
        "## The domain file",
        "",
        "`$ALAS_HOME/domains/DOMAIN.toml`, or `data/domains` in the clone; its name is the domain's key. `alas new` writes one. Only",
        "`title`, `description` and something under `[sources]` must be set. Keys without a table stand at the top of the file.",
        "",
        *_tables(Domain, ""),
        "## A recipe",
        "",
        "A table of `$ALAS_HOME/recipes.toml`, which `[student] recipe` names. With `based_on` it changes a recipe that ships and states",
        "only what differs; a recipe of your own that has the name of one that ships takes its place. Those that ship, with what was",
        "measured of each, are in `alas_assets/training/recipes.toml`.",
        "",
        "```toml",
        '["my-qwen"]',
        'based_on = "gpu-0.6b-8b"',
        "learning_rate = 2e-4",
        "[my-qwen.dpo]",
        "min_pairs = 20",
        "```",
        "",
        *_tables(Recipe, "my-qwen"),
    ]
    return "\n".join(lines)


def _tables(model: type[BaseModel], name: str, listed: bool = False) -> Iterator[str]:
    """Yield a table of keys for a model and for every model within it; `listed` where there may be several."""
    yield f"### `{f'[[{name}]]' if listed else f'[{name}]' if name else 'top of the file'}`"
    yield ""
    if model.__doc__:
        yield from (_plain(model.__doc__.split("\n\n")[0]), "")
    yield from _HEAD
    inner: list[tuple[str, FieldInfo, type[BaseModel]]] = []
    for key, field in model.model_fields.items():
        if within := model_of(field.annotation):
            inner.append((key, field, within))
        elif (model, key) != (Domain, "key"):
            yield f"| `{key}` | {_value(field)} | {_default(field)} | {_plain(field.description or '')} |"
    yield ""
    for key, field, within in inner:
        yield from _tables(within, f"{name}.{key}" if name else key, get_origin(field.annotation) is tuple)


def _plain(text: str) -> str:
    """Return a text for a cell of a table, without the ids of requirements in it."""
    return without_ids(" ".join(text.split())).replace("|", "\\|")


def _value(field: FieldInfo) -> str:
    """Say what a key takes, with its limits."""
    limits = [(words, getattr(one, name)) for one in field.metadata for name, words in _LIMITS.items() if hasattr(one, name)]
    lengths = [(words, getattr(one, name)) for one in field.metadata for name, words in _LENGTHS.items() if hasattr(one, name)]
    counted = [f"{words} {_counted(number, field.annotation is str)}" for words, number in lengths]
    return ", ".join([_kind(field.annotation), *(f"{words} {number:.12g}" for words, number in limits), *counted])


def _counted(number: int, of_text: bool) -> str:
    one, several = ("character", "characters") if of_text else ("entry", "entries")
    return f"{number} {one if number == 1 else several}"


def _kind(annotation: Any) -> str:
    origin, inside = get_origin(annotation), [one for one in get_args(annotation) if one not in (type(None), Ellipsis)]
    if origin is Literal:
        return " or ".join(f'`"{one}"`' for one in inside)
    if origin in (Union, types.UnionType):
        return " or ".join(map(_kind, inside))
    if origin is tuple:
        return f"list of {_kind(inside[0])}s"
    return _KINDS[annotation]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be set"
    return "unset" if field.default is None else f"`{_toml(field.default)}`"


def _toml(value: Any) -> str:
    """Return a value as it is written in TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return str(int(value)) if isinstance(value, float) and value.is_integer() and not math.isinf(value) else str(value)
