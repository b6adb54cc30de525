"""Properties of finding and filling, with bodies made at random."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.errors import InferenceError
from serve_app.inference import find_json
from serve_app.inference.places import REST_PLACES, SCHEMAS
from serve_app.protocol import json_text

pytestmark = pytest.mark.slow

LEAVES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
OBJECT = st.builds(lambda text: {"text": text, "model": "m"}, st.text(max_size=8))
NUMBERS = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=3)
VECTOR = OBJECT | NUMBERS | st.just({"indices": [1, 2], "values": [0.5, 0.25]})
NAMES = st.text(alphabet="abcxyz", min_size=1, max_size=3)
PAYLOAD = st.dictionaries(st.text(max_size=5), JSON | OBJECT, max_size=2)

POINT = st.fixed_dictionaries(
    {"id": st.integers(0, 9), "vector": VECTOR | st.dictionaries(NAMES, VECTOR, max_size=3)},
    optional={"payload": PAYLOAD},
)
INPUT = VECTOR | st.integers(0, 9)
PAIR = st.fixed_dictionaries({"positive": INPUT, "negative": INPUT})
QUERY = (
    INPUT
    | st.fixed_dictionaries({"nearest": INPUT}, optional={"mmr": st.just({"diversity": 0.5})})
    | st.fixed_dictionaries({"recommend": st.fixed_dictionaries({"positive": st.lists(INPUT, max_size=3)})})
    | st.fixed_dictionaries(
        {"discover": st.fixed_dictionaries({"target": INPUT, "context": st.lists(PAIR, max_size=2)})}
    )
    | st.fixed_dictionaries({"context": PAIR | st.lists(PAIR, max_size=2)})
    | st.just({"fusion": "rrf"})
)
SEARCH = st.recursive(
    st.fixed_dictionaries({"query": QUERY}, optional={"using": NAMES, "filter": PAYLOAD}),
    lambda inner: st.fixed_dictionaries({"prefetch": inner | st.lists(inner, max_size=2), "query": QUERY}),
)
BODIES = {
    "PointInsertOperations": st.fixed_dictionaries({"points": st.lists(POINT, max_size=4)}),
    "QueryRequest": SEARCH,
    "QueryRequestBatch": st.fixed_dictionaries({"searches": st.lists(SEARCH, max_size=3)}),
}


def replaced(value: Any, key: str = "") -> Any:
    """What filling has to give: every object outside of payloads and filters made a vector, told apart by its text."""
    if key in {"payload", "filter"}:
        return value
    if isinstance(value, dict):
        if set(value) == {"text", "model"}:
            return [float(len(value["text"]))]
        return {name: replaced(item, name) for name, item in value.items()}
    return [replaced(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("schema", BODIES)
@given(data=st.data())
def test_exactly_the_objects_are_replaced(schema: str, data: st.DataObject) -> None:
    body = data.draw(BODIES[schema])
    expected = replaced(copy.deepcopy(body))
    for slot in find_json.find(body, schema):
        slot.put(np.array([len(slot.wanted.data)], np.float32))
    assert orjson.loads(find_json.dump(body)) == orjson.loads(orjson.dumps(expected))


@pytest.mark.parametrize("schema", sorted({place.schema for place in REST_PLACES.values()}))
@given(body=JSON | st.dictionaries(st.sampled_from(["points", "batch", "query", "prefetch", "searches"]), JSON))
def test_any_json_is_walked_or_refused(schema: str, body: Any) -> None:
    assert schema in SCHEMAS
    try:
        find_json.find(body, schema)
    except InferenceError as error:
        assert error.message


@given(body=st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused(body: bytes) -> None:
    try:
        json_text.parse(body)
    except InferenceError as error:
        assert error.message.startswith("the body is not JSON")
