"""Inference objects, and the slots in a request where they stand."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from deployments.contract import Vector
from deployments.errors import MalformedRequest, WrongInput

Input = Literal["text", "image", "object"]
INPUTS: tuple[Input, ...] = ("text", "image", "object")
_KEYS = {*INPUTS, "model", "options"}

ANY_NUMBER = sys.maxsize
SHOWN = 100
"""Characters of a caller's name that stand in an error."""


@dataclass(frozen=True)
class InferenceObject:
    """What stands where a vector may stand: `data` to embed, the `model` to do it with, and its `options`.

    Qdrant calls one of `text` a Document, one of `image` an Image, one of `object` an InferenceObject.
    """

    input: Input
    data: Any = field(repr=False)
    model: str
    options: Mapping[str, Any] = field(repr=False)  # there may be keys among them


@dataclass(frozen=True)
class Slot:
    """A place in a request where an inference object stood; `put` writes a vector there instead.

    `where` is the place in the words of the request (`points[3].vector.image`); `named` says whether the vector
    there belongs to a named vector of the collection.
    """

    where: str
    wanted: InferenceObject
    named: bool
    put: Callable[[Vector], None] = field(repr=False)


def is_inference_object(value: Mapping[str, Any]) -> bool:
    """Whether a JSON object is an inference object, rather than a sparse vector, a map of named vectors, or a query.

    It has `model` beside `text`, `image` or `object`. A named vector may be called `text` or `model`, but is never a
    string; and `{"text": "red"}` alone is a query of Qdrant's (1.20: it ranks by a text index).
    """
    return isinstance(value.get("model"), str) and not value.keys().isdisjoint(INPUTS)


def lacks_model(value: Mapping[str, Any]) -> bool:
    """Whether a JSON object where only a vector may stand reads like an inference object without `model`."""
    return "model" not in value and any(isinstance(value.get(key), str) for key in ("text", "image"))


def read(value: Mapping[str, Any], where: str) -> InferenceObject:
    """The inference object in a JSON object.

    Raises:
        MalformedRequest: its model has no name, it has not exactly one input, or keys that mean nothing.
    """
    inputs = [key for key in INPUTS if key in value]
    options = value.get("options") or {}
    if not value["model"]:
        raise no_model(where)
    if len(inputs) != 1:
        raise MalformedRequest(f"{where}: an inference object has exactly one of 'text', 'image' and 'object'")
    if unknown := sorted(value.keys() - _KEYS):
        raise MalformedRequest(f"{where}: an inference object has no '{unknown[0][:40]}'; allowed: {sorted(_KEYS)}")
    if not isinstance(options, dict):
        raise MalformedRequest(f"{where}.options: expected an object")
    return InferenceObject(inputs[0], value[inputs[0]], value["model"], options)


def check_number(count: int, most: int) -> None:
    """Make sure that there are no more inference objects than a request may have.

    Raises:
        WrongInput: there are.
    """
    if count > most:
        raise WrongInput(f"the request has too many inference objects; at most {most} are allowed (objects)")


def no_model(where: str) -> MalformedRequest:
    """What to say of an inference object without a model."""
    return MalformedRequest(f"{where}: an inference object needs 'model', the name of a model")
