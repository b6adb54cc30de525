"""What is wrong with a record, in our own words: one sentence a fault, with the nearest key for an unknown one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

Keys = tuple["int | str", ...]

_LISTED = 8
"""An unknown key that is like no other is told those that there are, if they are so few."""

_WORDS: Mapping[str, str] = {
    "missing": "is missing",
    **dict.fromkeys(("int_type", "int_parsing", "int_parsing_size", "int_from_float"), "expected a whole number"),
    **dict.fromkeys(("float_type", "float_parsing", "finite_number"), "expected a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "expected true or false"),
    **dict.fromkeys(("list_type", "tuple_type"), "expected a list"),
    **dict.fromkeys(("dict_type", "mapping_type", "model_type", "model_attributes_type"), "expected keys with values"),
    "string_type": "expected text",
    "path_not_file": "there is no such file",
}
"""By pydantic's types of errors; of others, its own words without `Input should be`."""


_KINDS = {"integer": "expected a whole number", "number": "expected a number", "boolean": "expected true or false"}
"""The same for a message alone, by the kind that it names."""

_CHARACTERS = 400


def faults(error: ValidationError, model: type[BaseModel], most: int) -> Iterator[tuple[Keys, str]]:
    """The first `most` faults: the keys on the way to each, and what is wrong there. No value is repeated."""
    for item in error.errors(include_url=False, include_context=False, include_input=False)[:most]:
        keys = tuple(part for part in item["loc"] if not _is_tag(part))
        if item["type"] == "extra_forbidden":
            yield keys, unknown(str(keys[-1]), _fields(model, item["loc"][:-1]))
        else:
            yield keys, _WORDS.get(item["type"]) or plain(item["msg"])


def unknown(key: str, known: Iterable[str]) -> str:
    """What to say of a key that nobody knows."""
    known = list(known)
    nearest = difflib.get_close_matches(key[:100], known, 1)
    if nearest:
        return f"unknown key (did you mean '{nearest[0]}'?)"
    return f"unknown key; there are {', '.join(known)}" if 0 < len(known) <= _LISTED else "unknown key"


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The pydantic models in a type, such as the one in `Optional[list[Model]]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


def tag(name: str) -> str:
    """What a member of a union is called on the way to an error, so that it is not taken for a key."""
    return f"<{name}>"


def _is_tag(part: int | str) -> bool:
    return isinstance(part, str) and part.startswith("<") and part.endswith(">")


def _fields(model: type[BaseModel], loc: Iterable[int | str]) -> Iterable[str]:
    """The keys that the model at a place has; none if several models may stand there."""
    found = [model]
    for part in loc:
        if isinstance(part, str) and _is_tag(part):
            found = [one for one in found if tag(one.__name__) == part]
        elif isinstance(part, str) and len(found) == 1:
            field = found[0].model_fields.get(part)
            found = list(models_in(field.annotation)) if field else []
    return found[0].model_fields if len(found) == 1 else ()


def plain(message: str) -> str:
    """A message of pydantic's in our words: `Input should be greater than 0` as `must be greater than 0`."""
    message = re.sub(r"^(Value error|Assertion failed), ", "", message[:_CHARACTERS])
    for kind, words in _KINDS.items():
        message = re.sub(rf"Input should be a valid {kind}(, .*)?$", words, message, flags=re.DOTALL)
    return message.replace("Input should", "must")
