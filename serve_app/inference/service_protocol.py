"""The protocol that a Qdrant server speaks to its inference service (its config: `inference.address`).

Source: Qdrant, src/common/inference/service.rs and its neighbours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import orjson
from pydantic import BaseModel, Field

from deployments.catalogue.records import untrusted
from deployments.contract import Direction, Vector
from deployments.errors import MalformedRequest
from serve_app.inference import find_json
from serve_app.inference.objects import InferenceObject, Slot
from serve_app.inference.usage import Usage, models
from serve_app.protocol import json_text

_NAME = b'"token"'
_TOKEN = re.compile(rb'"token"[ \t\r\n]*:[ \t\r\n]*("[ !#-\[\]-~]{1,8192}")')
"""A key has visible ASCII characters only, and none of them has to be escaped but a quote or a backslash."""

_MANY = 65_536
"""Inputs that are looked at; how many are allowed is a setting (`objects`)."""


class Input(BaseModel):
    """One input. Keys that newer servers add are not refused."""

    data: Any
    data_type: Literal["text", "image", "object"]
    model: str = Field(min_length=1)
    options: dict[str, Any] | None = None


class Question(BaseModel):
    """The body of a request."""

    inputs: list[Input] = Field(max_length=_MANY, fail_fast=True)
    inference: Direction
    token: str | None = None


class Reading(NamedTuple):
    """What a request asks for: a slot for every input, and the list that the slots write into.

    `token` is the one of Qdrant's configuration (`inference.token`), or its caller's.
    """

    direction: Direction
    slots: list[Slot]
    vectors: list[Vector | None]
    token: str | None


def tokens_in(body: bytes) -> list[bytes]:
    """What could be the token of a request, found without parsing its body: where the word stands first and last."""
    places = {body.find(_NAME), body.rfind(_NAME)}
    found = [_TOKEN.match(body, place) for place in sorted(places) if place >= 0]
    return [str(orjson.loads(match[1])).encode() for match in found if match]


def read(body: bytes) -> Reading:
    """Read the body of a request.

    Raises:
        MalformedRequest: the body is not of this protocol.
    """
    question = untrusted(Question, json_text.parse(body), MalformedRequest)
    vectors: list[Vector | None] = [None] * len(question.inputs)
    slots = [
        Slot(f"inputs[{position}]", _object(asked), named=True, put=partial(vectors.__setitem__, position))
        for position, asked in enumerate(question.inputs)
    ]
    return Reading(question.inference, slots, vectors, question.token)


def _object(asked: Input) -> InferenceObject:
    return InferenceObject(asked.data_type, asked.data, asked.model, asked.options or {})


def dump(vectors: Sequence[Vector | None], usage: Usage) -> bytes:
    """The answer: embeddings in the order of the inputs, and the tokens of each model."""
    return find_json.dump({"embeddings": list(vectors), "usage": models(usage)})
