"""What is refused before the work that it would have cost."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from qdrant_client import grpc as q

from serve_app.config.settings import IngressSettings
from tests.support.gateway import UPSERT, Context, Gateway, impatient


async def test_a_message_over_the_limit_is_refused_with_its_size() -> None:
    gateway = Gateway(settings=IngressSettings(body_bytes=100))
    vector = q.Vector(document=q.Document(text="tea" * 50, model="org/dense"))
    message = q.UpsertPoints(collection_name="c", points=[q.PointStruct(vectors=q.Vectors(vector=vector))])
    context = Context()
    await gateway.grpc.answer("Upsert", message, context)
    assert (context.code, context.details) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        f"the message has {message.ByteSize()} bytes; at most 100 are allowed (body_bytes)",
    )
    assert gateway.model.batches == gateway.qdrant.messages == []


async def test_a_client_that_hangs_up_gives_its_place_back() -> None:
    gateway = impatient(queue_tokens=5)
    waiting = asyncio.create_task(gateway.put(UPSERT))
    await asyncio.sleep(0.05)
    assert (await gateway.put(UPSERT)).status_code == 429
    waiting.cancel()
    await asyncio.wait([waiting])
    again = asyncio.create_task(gateway.put(UPSERT))
    await asyncio.sleep(0.05)
    assert not again.done()
    again.cancel()
    assert gateway.qdrant.requests == []


async def test_nesting_is_limited_as_the_configuration_says() -> None:
    gateway = Gateway(settings=IngressSettings(depth=5))
    query: Any = {"query": {"text": "tea", "model": "org/dense"}}
    path = "/collections/c/points/query"
    assert (await gateway.client.post(path, json={"prefetch": query})).status_code == 200
    for _ in range(5):
        query = {"prefetch": query}
    answer = await gateway.client.post(path, json=query)
    assert answer.status_code == 400
    assert answer.json()["status"]["error"] == "the body is nested deeper than 5 levels (depth)"


async def test_too_much_waiting_work_is_refused_with_a_time_to_come_back() -> None:
    gateway = impatient(queue_tokens=5, timeout_s=0.2)
    waiting = asyncio.create_task(gateway.put(UPSERT))
    await asyncio.sleep(0.05)
    refused = await gateway.put({"points": [{"id": 1, "vector": {"text": "x" * 30, "model": "org/dense"}}]})
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert (await waiting).status_code == 504
    assert gateway.qdrant.requests == []


async def test_a_request_over_a_limit_reaches_neither_model_nor_store() -> None:
    gateway = Gateway(settings=IngressSettings(objects=1))
    points = [{"id": n, "vector": {"text": "tea", "model": "org/dense"}} for n in range(2)]
    answer = await gateway.put({"points": points})
    assert answer.status_code == 400
    assert "at most 1 are allowed (objects)" in answer.json()["status"]["error"]
    assert gateway.model.batches == gateway.qdrant.requests == []
