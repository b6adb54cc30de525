"""How long a request may take: the caller's time, the config's, and what is left of it for Qdrant."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import grpc
import orjson
import pytest
from qdrant_client import grpc as q

from serve_app.config.settings import IngressSettings
from tests.support.fakes import FakeModel
from tests.support.gateway import UPSERT, Context, Gateway, impatient


def late(seconds: float) -> re.Pattern[str]:
    """What is said of so much time, of which a busy machine has used some before."""
    digits = [f"{seconds * part / 100:.2f}".rstrip("0").rstrip(".") for part in range(101)]
    rest = "what was left of the time for the request (timeout_s, or the caller's own)"
    return re.compile(f"the models did not answer within ({'|'.join(map(re.escape, digits))}) s, {re.escape(rest)}")


async def test_the_callers_timeout_counts_where_it_is_shorter() -> None:
    gateway = impatient(timeout_s=30)
    answer = await gateway.put(UPSERT, "/collections/c/points?wait=true&timeout=1")
    assert answer.status_code == 504
    assert late(1).fullmatch(answer.json()["status"]["error"])
    request = q.QueryPoints(
        collection_name="c",
        query=q.Query(nearest=q.VectorInput(document=q.Document(text="tea", model="org/dense"))),
        timeout=1,
    )
    context = Context()
    await gateway.grpc.answer("Query", request, context)
    assert context.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert late(1).fullmatch(context.details or "")
    assert gateway.qdrant.requests == gateway.qdrant.messages == []


async def test_a_model_without_replicas_is_503_with_the_time_after_which_to_ask_again() -> None:
    async def states() -> dict[str, str]:
        return {"org/dense": "loading"}

    answer = await impatient(states, timeout_s=0.05).put(UPSERT)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    assert answer.json()["status"]["error"].startswith("org/dense is loading: no replica came within 0")


async def test_a_model_whose_state_nobody_tells_is_504(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent() -> dict[str, str]:
        await asyncio.Event().wait()
        return {}

    monkeypatch.setattr("serve_app.embedder._STATES_S", 0.01)
    assert (await impatient(silent, timeout_s=0.05).put(UPSERT)).status_code == 504


@pytest.mark.parametrize(
    "query", ["", "?timeout=60", "?timeout=x", "?timeout=" + "9" * 5000, "?xtimeout=1", "?timeout=0", "?timeout="]
)
async def test_the_configured_timeout_counts_otherwise(query: str) -> None:
    answer = await impatient(timeout_s=0.05).put(UPSERT, f"/collections/c/points{query}")
    assert late(0.05).fullmatch(answer.json()["status"]["error"])


async def test_what_inference_used_of_the_callers_time_is_gone_for_qdrant(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = Gateway(settings=IngressSettings(timeout_s=30))
    embed = FakeModel.__call__

    async def slow(self: FakeModel, batch: Any) -> Any:
        await asyncio.sleep(1.1)
        return await embed(self, batch)

    monkeypatch.setattr(FakeModel, "__call__", slow)
    answer, context = await asyncio.gather(
        gateway.put(UPSERT, "/collections/c/points?timeout=3&wait=true"), _asked_over_grpc(gateway, timeout=3)
    )
    assert (answer.status_code, context.code) == (200, None)
    ((_, message),) = gateway.qdrant.messages
    assert gateway.qdrant.requests[0].query == "timeout=2&wait=true"
    assert message.timeout == 2
    for limit in (gateway.qdrant.requests[0].time, gateway.qdrant.calls[0].time):
        assert 1.5 < limit.left_s <= 1.9


async def _asked_over_grpc(gateway: Gateway, timeout: int | None) -> Context:
    document = q.VectorInput(document=q.Document(text="coffee", model="org/dense"))
    context = Context()
    message = q.QueryPoints(collection_name="c", query=q.Query(nearest=document), timeout=timeout)
    await gateway.grpc.answer("Query", message, context)
    return context


async def test_what_was_asked_for_is_passed_on_as_it_is_where_nothing_is_inferred(gateway: Gateway) -> None:
    await gateway.client.get("/collections/c/points/1?timeout=7&a=%20")
    await gateway.grpc.answer("Delete", q.DeletePoints(collection_name="c", timeout=7), Context())
    assert gateway.qdrant.requests[0].query == "timeout=7&a=%20"
    assert gateway.qdrant.messages[0][1].timeout == 7
    for limit in (gateway.qdrant.requests[0].time, gateway.qdrant.calls[0].time):
        assert 6 < limit.left_s <= 7
        assert limit.idle_timeout_s == IngressSettings().qdrant_timeout_s


async def test_without_a_timeout_qdrant_has_what_the_configuration_says() -> None:
    gateway = Gateway(settings=IngressSettings(timeout_s=20, qdrant_timeout_s=40))
    await gateway.put(UPSERT)
    await gateway.client.get("/collections")
    await _asked_over_grpc(gateway, timeout=None)
    await gateway.grpc.answer("Count", q.CountPoints(collection_name="c"), Context())
    upsert, listing = (request.time.left_s for request in gateway.qdrant.requests)
    query, count = (call.time.left_s for call in gateway.qdrant.calls)
    assert upsert == pytest.approx(20, abs=1) == query
    assert listing == pytest.approx(40, abs=1) == count
    assert not gateway.qdrant.messages[0][1].HasField("timeout")


async def test_a_caller_may_have_more_patience_with_qdrant_than_the_configuration() -> None:
    gateway = Gateway(settings=IngressSettings(qdrant_timeout_s=40))
    await gateway.client.put("/collections/c?timeout=200", content=b"{}")
    assert gateway.qdrant.requests[0].time.left_s == pytest.approx(200, abs=1)


async def test_what_comes_in_after_its_time_is_not_begun() -> None:
    async def late() -> Any:
        yield orjson.dumps(UPSERT)[:5]
        await asyncio.sleep(1.1)
        yield orjson.dumps(UPSERT)[5:]

    gateway = Gateway()
    answer = await gateway.client.put("/collections/c/points?timeout=1", content=late())
    assert answer.status_code == 504
    assert gateway.model.batches == gateway.qdrant.requests == []
