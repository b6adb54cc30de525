"""Quotas, as callers of each API see them."""

from __future__ import annotations

import re
from pathlib import Path

import grpc
import pytest
from qdrant_client import grpc as models

from deployments.errors import QuotaUsedUp, SwitchedOff
from serve_app.inference.message_heads import head
from serve_app.ledger.switches import Switches
from serve_app.protocol.error_responses import GRPC, headers_of
from serve_app.protocol.messages import Call
from tests.support.management import MakeWorld, tenants_file


async def test_a_tenant_that_used_up_its_quota_is_refused_and_told_what_is_left(
    world: MakeWorld, tmp_path: Path
) -> None:
    quotas = ", quotas: {'*': {tokens_per_month: 20}, short: {tokens_per_month: 40}}"
    here = world(qdrant_api_key="k" * 20, qdrant_inference_tenants=tenants_file(tmp_path, quotas))
    let_in = await here.query(api_key="shop" * 10)
    assert let_in.status == 200
    assert let_in.headers["x-ratelimit-limit-tokens"] == "40"
    assert let_in.headers["x-ratelimit-remaining-tokens"] == str(40 - len("query: hello you"))
    assert re.fullmatch(r"\d+s", let_in.headers["x-ratelimit-reset-tokens"])
    while (await here.query(api_key="shop" * 10)).status == 200:
        pass
    refused = await here.query(api_key="shop" * 10)
    assert refused.status == 429
    assert refused.json["status"]["error"] == "the quota of 40 tokens a month for d/Dense is used up"
    assert int(refused.headers["retry-after"]) > 0
    assert refused.headers["x-ratelimit-remaining-tokens"] == "0"
    assert (await here.query("s/sparse", api_key="shop" * 10)).headers["x-ratelimit-limit-tokens"] == "20"
    assert (await here.query(api_key="bakery" * 10)).status == 200
    assert "x-ratelimit-limit-tokens" not in (await here.query(api_key="k" * 20)).headers


async def test_every_api_tells_a_tenant_what_is_left(world: MakeWorld, tmp_path: Path) -> None:
    here = world(
        qdrant_api_key="k" * 20,
        qdrant_inference_tenants=tenants_file(tmp_path, ", quotas: {'*': {tokens_per_month: 1000}}"),
    )
    inputs = [{"data": "x", "data_type": "text", "model": "s/sparse"}]
    for path, body in (
        ("/inference", {"inputs": inputs, "inference": "search"}),
        ("/inference/playground", {"inputs": [{"text": "x"}], "models": ["s/sparse", "nothing"]}),
        ("/v1/embeddings", {"model": "d/Dense", "input": "x"}),
        ("/v2/rerank", {"model": "r/reranker", "query": "x", "documents": ["x"]}),
        ("/rerank", {"query": "x", "texts": ["x"]}),
    ):
        answer = await here.ask("POST", path, body, api_key="shop" * 10)
        assert answer.status == 200
        assert answer.headers["x-ratelimit-limit-tokens"] == "1000"
        assert int(answer.headers["x-ratelimit-remaining-tokens"]) < 1000
        assert "x-ratelimit-limit-tokens" not in (await here.ask("POST", path, body, api_key="k" * 20)).headers


async def test_grpc_tells_what_is_left_and_refuses_in_its_own_way(world: MakeWorld, tmp_path: Path) -> None:
    quotas = ", quotas: {'*': {tokens_per_minute: 20}}"
    here = world(qdrant_api_key="k" * 20, qdrant_inference_tenants=tenants_file(tmp_path, quotas))
    document = models.Document(text="hello you", model="d/Dense")
    query = models.QueryPoints(
        collection_name="recipes", query=models.Query(nearest=models.VectorInput(document=document))
    )
    call = Call("/qdrant.Points/Query", tenant="shop")
    message = query.SerializeToString()
    known = head(call.method, message)
    reply = await here.pipeline.grpc(message, known, call)
    assert dict(reply.metadata)["x-ratelimit-remaining-tokens"] == "4"
    await here.pipeline.grpc(message, known, call)
    with pytest.raises(QuotaUsedUp) as refused:
        await here.pipeline.grpc(message, known, call)
    assert GRPC[refused.value.kind] is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert dict(headers_of(refused.value)).keys() >= {"retry-after", "x-ratelimit-remaining-tokens"}
    here.switchboard.turn(Switches(collections=frozenset({"recipes"})))
    with pytest.raises(SwitchedOff, match="for the collection 'recipes'") as off:
        await here.pipeline.grpc(message, known, call._replace(tenant=None))
    assert GRPC[off.value.kind] is grpc.StatusCode.FAILED_PRECONDITION
