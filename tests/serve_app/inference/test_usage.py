"""Qdrant's answer with the tokens in it: put at its end as it is, or put together anew, it says the same."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from serve_app.inference.places import GRPC_PLACES
from serve_app.inference.usage import add_to_json, add_to_proto
from serve_app.protocol.grpc_services import response_class
from serve_app.protocol.qdrant_messages import grpc

USED = {"org/dense": 7, 'a "model"': 0}
INFERENCE = {"models": {"org/dense": {"tokens": 7}, 'a "model"': {"tokens": 0}}}


@pytest.mark.parametrize(
    "answer",
    [
        {"result": {"points": [{"id": 1, "payload": {"a": "}"}}]}, "status": "ok", "time": 0.1},
        {"result": {"points": [{"id": 1, "payload": {"usage": "much"}}]}, "status": "ok", "time": 0.1},
        {"result": [], "usage": None},
        {"result": [], "usage": {"hardware": {"cpu": 3}, "inference": {"models": {}}}},
        {},
    ],
)
@pytest.mark.parametrize("spaces", [b"", b" \n"])
def test_usage_stands_in_the_answer_and_all_else_stays(answer: dict[str, Any], spaces: bytes) -> None:
    told = orjson.loads(add_to_json(spaces + orjson.dumps(answer) + spaces, USED))
    assert told == {**answer, "usage": {**(answer.get("usage") or {}), "inference": INFERENCE}}


HARDWARE = grpc.Usage(hardware=grpc.HardwareUsage(cpu=3))


@pytest.mark.parametrize("standing", [None, grpc.Usage(), HARDWARE], ids=["nothing", "an empty one", "another part"])
@pytest.mark.parametrize("method", sorted(method for method, direction in GRPC_PLACES.items() if direction))
def test_it_does_in_a_message_too(method: str, standing: Any) -> None:
    kind: Any = response_class(method)
    answer = kind(time=0.5, usage=standing).SerializeToString()
    told = add_to_proto(method, answer, USED)
    expected = kind(time=0.5, usage=standing)
    for model, tokens in USED.items():
        expected.usage.inference.models[model].tokens = tokens
    assert kind.FromString(told) == expected
    assert told.count(b"org/dense") == 1
    assert told.startswith(answer) or standing == HARDWARE
