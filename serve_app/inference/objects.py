"""Inference objects, and the slots in a request where they stand."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Union

from deployments.contract import Vector
from deployments.errors import MalformedRequest, WrongInput

Input = Literal["text", "image", "object", "pair"]
"""What there is to embed; a pair stands in no request of Qdrant's, but is what a reranker reads."""

INPUTS: tuple[Input, ...] = ("text", "image", "object")
_INPUTS = frozenset(INPUTS)
_KEYS = frozenset({*INPUTS, "model", "options"})
NO_OPTIONS: Mapping[str, Any] = {}

Path = Union[str, tuple["Path", Union[str, int]]]
"""The way to a place in a request, which is put into words only if somebody has to read it: what it begins with, or the
way to what holds it and its name or position there."""

ANY_NUMBER = sys.maxsize
SHOWN = 100
"""Characters of a caller's name that stand in an error."""


@dataclass(slots=True, eq=False)
class InferenceObject:
    """What stands where a vector may stand: `data` to embed, the `model` to do it with, and its `options`.

    Qdrant calls one of `text` a Document, one of `image` an Image, one of `object` an InferenceObject.
    """

    input: Input
    data: Any = field(repr=False)
    model: str
    options: Mapping[str, Any] = field(repr=False)  # there may be keys among them


@dataclass(slots=True, eq=False)
class Slot:
    """A place in a request where an inference object stood; `put` writes a vector there instead.

    `named` says whether the vector there belongs to a named vector of the collection, `in_json` whether it may be
    written as JSON already.
    """

    path: Path
    wanted: InferenceObject
    named: bool
    put: Callable[[Vector], None] = field(repr=False)
    in_json: bool = False

    @property
    def where(self) -> str:
        """The place in the words of the request (`points[3].vector.image`)."""
        return in_words(self.path)

    def __str__(self) -> str:
        """The same, for errors that may not be raised."""
        return in_words(self.path)


def in_words(path: Path) -> str:
    """A path as errors name it."""
    steps: list[str] = []
    while not isinstance(path, str):
        path, step = path
        steps.append(f"[{step}]" if isinstance(step, int) else f".{step[:SHOWN]}")
    text = "".join(reversed(steps))
    return path + text if path else text.removeprefix(".")


def object_in(value: Mapping[str, Any], path: Path) -> InferenceObject | None:
    """The inference object that a JSON object is, rather than a sparse vector, a map of named vectors, or a query.

    It has `model` beside `text`, `image` or `object`. A named vector may be called `text` or `model`, but is never a
    string; and `{"text": "red"}` alone is a query of Qdrant's (1.20: it ranks by a text index).

    Raises:
        MalformedRequest: its model has no name, it has not exactly one input, or keys that mean nothing.
    """
    model = value.get("model")
    if not isinstance(model, str):
        return None
    if model and len(value) == 2 and "text" in value:  # noqa: PLR2004  nothing but these two, as in most
        return InferenceObject("text", value["text"], model, NO_OPTIONS)
    return None if value.keys().isdisjoint(INPUTS) else _read(value, model, path)


def lacks_model(value: Mapping[str, Any]) -> bool:
    """Whether a JSON object where only a vector may stand reads like an inference object without `model`."""
    return "model" not in value and any(isinstance(value.get(key), str) for key in ("text", "image"))


def _read(value: Mapping[str, Any], model: str, path: Path) -> InferenceObject:
    if not model:
        raise no_model(in_words(path))
    keys, options = value.keys(), value.get("options") or NO_OPTIONS
    given = _INPUTS.intersection(keys)
    if len(given) != 1:
        raise MalformedRequest(f"{in_words(path)}: an inference object has exactly one of 'text', 'image' and 'object'")
    if not keys <= _KEYS:
        unknown = min(keys - _KEYS)[:40]
        raise MalformedRequest(f"{in_words(path)}: an inference object has no '{unknown}'; allowed: {sorted(_KEYS)}")
    if not isinstance(options, dict):
        raise MalformedRequest(f"{in_words(path)}.options: expected an object")
    (name,) = given
    return InferenceObject(name, value[name], model, options)


def too_many(most: int) -> WrongInput:
    """What to say if there are more inference objects than a request may have."""
    return WrongInput(f"the request has too many inference objects; at most {most} are allowed (objects)")


def no_model(where: str) -> MalformedRequest:
    """What to say of an inference object without a model."""
    return MalformedRequest(f"{where}: an inference object needs 'model', the name of a model")
