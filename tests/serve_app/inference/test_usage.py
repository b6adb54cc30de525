"""Qdrant's answer with the tokens in it: put at its end as it is, or put together anew, it says the same."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from serve_app.inference.usage import add_to_json

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
