"""Whatever is sent to a running service is answered as Qdrant would: with success or refusal, never with a failure.

Each test sends 40 requests, the same ones on every run. `make fuzz` sends more (FUZZ_EXAMPLES), and always others.
"""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import orjson
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serve_app.inference.places import GRPC_PLACES, REST_PLACES
from serve_app.protocol.grpc_services import request_class, response_class
from tests.support.running import RunningService

MINILM = "sentence-transformers/all-minilm-l6-v2"
VISION = "starter/clip-shapes-vision"
ASKED = os.environ.get("FUZZ_EXAMPLES")
MANY = settings(
    max_examples=int(ASKED or 40),
    deadline=None,
    derandomize=not ASKED,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

KEYS = st.sampled_from(
    """points operations batch vectors upsert update_vectors id ids vector payload query prefetch searches using nearest
    recommend positive negative discover target context mmr diversity relevance_feedback text image object model
    options mrl filter limit offset with_payload group_by dense""".split()  # noqa: SIM905  a list would take a page
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from([MINILM, "qdrant/bm25", VISION, "http://127.0.0.1:1/x", "data:,"])
)
OBJECT = st.fixed_dictionaries({"text": LEAVES, "model": st.just(MINILM)}, optional={"options": LEAVES})
IMAGE = st.fixed_dictionaries({"image": LEAVES, "model": st.just(VISION)})
JSON = st.recursive(
    LEAVES | OBJECT | IMAGE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
SOUND: dict[str, Any] = {
    "points": {"points": [{"id": 1, "vector": {"text": "bread", "model": MINILM}, "payload": {"a": [1, None, "x"]}}]},
    "points/vectors": {"points": [{"id": 1, "vector": {"text": "a \\u00e9\n", "model": MINILM}}]},
    "points/batch": {"operations": [{"upsert": {"batch": {"ids": [1], "vectors": [{"text": "x", "model": MINILM}]}}}]},
    "points/query": {
        "query": {"text": "x", "model": MINILM},
        "prefetch": [{"query": {"text": "y", "model": MINILM}}],
        "filter": {"must": [{"key": "a", "match": {"value": 1}}]},
    },
    "points/query/batch": {"searches": [{"query": {"text": "x", "model": MINILM}}]},
    "points/query/groups": {"query": {"text": "x", "model": MINILM}, "group_by": "a"},
}


TYPE = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def http(service: RunningService) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.rest_address, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def collection(http: httpx.Client) -> Iterator[str]:
    name = f"strange-{uuid.uuid4()}"
    assert http.put(f"/collections/{name}", json={"vectors": {"size": 384, "distance": "Cosine"}}).status_code == 200
    yield name
    http.delete(f"/collections/{name}")


def send(http: httpx.Client, collection: str, place: tuple[str, str], body: bytes) -> None:
    """Send a body to a place and look at the shape of the answer."""
    method, route = place
    answer = http.request(method, f"/collections/{collection}/{route}?wait=true", content=body, headers=TYPE)
    content = answer.json()
    assert 200 <= answer.status_code < 500, content
    if answer.status_code == 200:
        assert content["status"] == "ok"
    else:
        assert isinstance(content["status"]["error"], str)
        assert content["result"] is None


def as_json(body: Any) -> bytes:
    return json.dumps(body).encode()


@pytest.mark.parametrize("place", REST_PLACES, ids=" ".join)
@MANY
@given(body=st.binary(max_size=100))
def test_random_bytes(http: httpx.Client, collection: str, place: tuple[str, str], body: bytes) -> None:
    send(http, collection, place, body)


@pytest.mark.parametrize("place", REST_PLACES, ids=" ".join)
@MANY
@given(body=st.dictionaries(KEYS, JSON, max_size=4) | JSON)
def test_random_json(http: httpx.Client, collection: str, place: tuple[str, str], body: Any) -> None:
    send(http, collection, place, as_json(body))


@pytest.mark.parametrize("place", REST_PLACES, ids=" ".join)
@MANY
@given(data=st.data())
def test_sound_requests_with_a_part_spoiled(
    http: httpx.Client, collection: str, place: tuple[str, str], data: st.DataObject
) -> None:
    sound = orjson.dumps(SOUND[place[1]])
    start = data.draw(st.integers(0, len(sound)))
    end = data.draw(st.integers(start, min(len(sound), start + 12)))
    send(http, collection, place, sound[:start] + data.draw(st.binary(max_size=6)) + sound[end:])


@pytest.mark.parametrize("place", REST_PLACES, ids=" ".join)
def test_the_sound_requests_are_indeed_sound(http: httpx.Client, collection: str, place: tuple[str, str]) -> None:
    http.put(f"/collections/{collection}/points?wait=true", json=SOUND["points"])
    method, route = place
    answer = http.request(method, f"/collections/{collection}/{route}?wait=true", json=SOUND[route])
    assert answer.status_code == 200, answer.text


INPUT = st.fixed_dictionaries(
    {"data": LEAVES, "data_type": st.sampled_from(["text", "image", "object", "x"]), "model": LEAVES},
    optional={"options": LEAVES | st.dictionaries(KEYS, LEAVES, max_size=2)},
)
QUESTION = st.fixed_dictionaries(
    {"inputs": st.lists(INPUT, max_size=3), "inference": st.sampled_from(["search", "update", "x"])},
    optional={"token": LEAVES},
)


@MANY
@given(body=st.binary(max_size=100) | (QUESTION | JSON).map(as_json))
def test_the_second_door_refuses_in_its_own_shape(http: httpx.Client, body: bytes) -> None:
    answer = http.post("/inference", content=body, headers=TYPE)
    content = answer.json()
    assert answer.status_code in {200, 400}, content
    assert isinstance(content["embeddings"], list) if answer.status_code == 200 else isinstance(content["error"], str)


ROUTES = sorted(json.loads(Path(__file__).parent.parent.joinpath("data", "qdrant-openapi.json").read_text())["paths"])
PARTS = st.sampled_from(["passed-on", "nothing", "1", "a", "..", "%00", "%2F", "%", "\u00e9", "a b", "", "x" * 300])
LACKS = 501
"""What the embedded store, which is Qdrant here, answers for what local mode has not."""


@st.composite
def paths(draw: st.DrawFn) -> str:
    """A path of Qdrant's API with anything for its parameters, or any path."""
    route = draw(st.sampled_from([*ROUTES, "/{a}", "/collections/{a}/{b}"]))
    return "/".join(draw(PARTS) if part.startswith("{") else part for part in route.split("/"))


@MANY
@given(
    method=st.sampled_from(["GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS"]),
    path=paths(),
    query=st.dictionaries(st.sampled_from(["wait", "timeout", "ordering", "a"]), st.text(max_size=4), max_size=2),
    body=st.binary(max_size=50) | JSON.map(as_json) | st.just(b'{"vectors": {"size": 3, "distance": "Dot"}}'),
)
def test_what_is_passed_on_comes_back_as_success_or_refusal(
    http: httpx.Client, method: str, path: str, query: dict[str, str], body: bytes
) -> None:
    answer = http.request(method, path, params=query, content=body, headers=TYPE)
    assert 200 <= answer.status_code < 500 or answer.status_code == LACKS, (answer.status_code, answer.text)


def messages(descriptor: Descriptor, depth: int = 4) -> st.SearchStrategy[Message]:
    """Random messages of a type, as deep as `depth`."""
    fields = [field for field in descriptor.fields if depth or field.message_type is None]
    # A set of fields would come in another order on every draw.
    chosen = st.lists(st.sampled_from(range(len(fields))), max_size=4, unique=True) if fields else st.just([])
    return chosen.flatmap(
        lambda some: st.fixed_dictionaries({fields[at].name: values(fields[at], depth - 1) for at in some})
    ).map(lambda given: descriptor._concrete_class(**given))


SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.CPPTYPE_STRING: st.sampled_from(["", "text", MINILM, "qdrant/bm25", "a"]),
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
    FieldDescriptor.CPPTYPE_FLOAT: st.floats(width=32),
    FieldDescriptor.CPPTYPE_DOUBLE: st.floats(),
    FieldDescriptor.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: st.integers(0, 20),
    FieldDescriptor.CPPTYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT64: st.integers(0, 20),
}


def values(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        key, value = field.message_type.fields
        return st.dictionaries(values(key, depth), values(value, depth), max_size=2)
    if field.message_type is not None:
        single: st.SearchStrategy[Any] = messages(field.message_type, depth)
    elif field.enum_type is not None:
        single = st.sampled_from([value.number for value in field.enum_type.values])
    else:
        single = SCALARS[field.cpp_type]
    return st.lists(single, max_size=2) if field.is_repeated else single


REFUSALS = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.FAILED_PRECONDITION,
}


@pytest.fixture(scope="module")
def channel(service: RunningService) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{service.grpc_port}") as channel:
        yield channel


@pytest.mark.parametrize("method", GRPC_PLACES)
@MANY
@given(data=st.data())
def test_random_messages(channel: grpc.Channel, collection: str, method: str, data: st.DataObject) -> None:
    request: Any = data.draw(messages(request_class(method).DESCRIPTOR))
    request.collection_name = collection
    call: Any = channel.unary_unary(method, request_class(method).SerializeToString, response_class(method).FromString)
    try:
        call(request, timeout=30)
    except grpc.RpcError as error:
        status: Any = error
        assert status.code() in REFUSALS, status.details()


def test_the_health_service_answers_for_qdrant(channel: grpc.Channel) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    assert health.Check(health_pb2.HealthCheckRequest(), timeout=30).status == health_pb2.HealthCheckResponse.SERVING


async def test_a_body_that_never_ends_hangs_nobody_else(service: RunningService, http: httpx.Client) -> None:
    """A caller who announces more than it sends waits alone, and can go away."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.rest_port)
    writer.write(b"PUT /collections/x/points HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{")
    await writer.drain()
    assert (await asyncio.to_thread(http.get, "/")).status_code == 200
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.5)
    writer.close()
    assert (await asyncio.to_thread(http.get, "/collections")).status_code == 200
