"""Tokens per model, and how an answer tells them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

Usage = Mapping[str, int]
"""Tokens by the catalogue's name of the model."""


def models(usage: Usage) -> dict[str, Any]:
    """Qdrant's InferenceUsage."""
    return {"models": {model: {"tokens": tokens} for model, tokens in usage.items()}}


def add_to_json(answer: bytes, usage: Usage) -> bytes:
    """Qdrant's answer with `usage.inference` added to what stands there already."""
    told = orjson.dumps(models(usage))
    if b'"usage"' not in answer and answer.startswith(b'{"') and answer.endswith(b"}"):
        return b'%b,"usage":{"inference":%b}}' % (answer[:-1], told)  # nothing stands there, and the rest stays
    body = orjson.loads(answer)
    body["usage"] = {**(body.get("usage") or {}), "inference": orjson.Fragment(told)}
    return orjson.dumps(body)


def add_to_proto(answer: Any, usage: Usage) -> bytes:
    """The same for a gRPC response."""
    for model, tokens in usage.items():
        answer.usage.inference.models[model].tokens = tokens
    encoded: bytes = answer.SerializeToString()
    return encoded
