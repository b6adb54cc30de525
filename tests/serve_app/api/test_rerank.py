"""Rerankers over HTTP, in the words of Cohere, Jina and text-embeddings-inference."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import Any

import pytest

from deployments.contract import Batch, Pair
from serve_app.api.rerank import MOST_DOCUMENTS, sigmoid
from serve_app.config.settings import IngressSettings
from tests.support.fakes import FakeReranker
from tests.support.management import KEYS, Answer, MakeWorld, World, card, tenants_file

NAME = "r/reranker"
QUERY = "how to bake cookies"
DOCUMENTS = ["the capital of France", "how to bake bread", "how are cookies made"]
COHERES = pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank"])


async def rank(here: World, path: str = "/v2/rerank", **changes: Any) -> Answer:
    return await here.ask("POST", path, {"model": NAME, "query": QUERY, "documents": DOCUMENTS, **changes})


async def tei(here: World, **changes: Any) -> Answer:
    return await here.ask("POST", "/rerank", {"query": QUERY, "texts": DOCUMENTS, **changes})


@COHERES
async def test_the_best_document_comes_first(world: MakeWorld, path: str) -> None:
    answer = (await rank(world(), path)).json
    found = [(one["index"], one["relevance_score"]) for one in answer["results"]]
    assert found == [(1, pytest.approx(sigmoid(2))), (2, pytest.approx(sigmoid(1))), (0, pytest.approx(sigmoid(-1)))]
    assert answer["model"] == NAME
    tokens = len(QUERY) * 3 + sum(map(len, DOCUMENTS))
    assert answer["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}
    assert "document" not in answer["results"][0]


async def test_documents_come_back_if_they_are_asked_for_and_as_many_as_are_asked_for(world: MakeWorld) -> None:
    documents = [DOCUMENTS[0], {"text": DOCUMENTS[1], "title": "x"}]
    answer = (await rank(world(), documents=documents, top_n=1, return_documents=True)).json
    (only,) = answer["results"]
    assert (only["index"], only["document"]) == (1, {"text": DOCUMENTS[1]})
    assert len((await rank(world(), top_n=99)).json["results"]) == 3


async def test_what_text_embeddings_inference_answers(world: MakeWorld) -> None:
    here = world()
    assert (await tei(here)).json == [
        {"index": 1, "score": pytest.approx(sigmoid(2))},
        {"index": 2, "score": pytest.approx(sigmoid(1))},
        {"index": 0, "score": pytest.approx(sigmoid(-1))},
    ]
    raw = (await tei(here, raw_scores=True, return_text=True, truncate=True, model=NAME)).json
    assert raw[0] == {"index": 1, "score": 2.0, "text": DOCUMENTS[1]}


def test_a_sigmoid_has_no_number_that_is_too_large_for_it() -> None:
    assert [sigmoid(score) for score in (-1e9, 0, 1e9)] == [0, 0.5, 1]
    assert sigmoid(2.5) == pytest.approx(1 / (1 + math.exp(-2.5)))


async def test_equal_scores_keep_their_order_and_equal_documents_are_computed_once(world: MakeWorld) -> None:
    model = FakeReranker()
    answer = (await rank(world(models={NAME: model}), documents=["a", "b", "a"])).json
    assert [one["index"] for one in answer["results"]] == [0, 1, 2]
    assert model.batches == [Batch([Pair(QUERY, "a"), Pair(QUERY, "b")], "search", {})]


async def test_pairs_of_different_requests_share_a_batch(world: MakeWorld) -> None:
    """So they do with other models: a query is no option."""

    class Slow(FakeReranker):
        async def __call__(self, batch: Batch) -> Any:
            await asyncio.sleep(0.01)
            return await super().__call__(batch)

    model = Slow()
    here = world(models={NAME: model})
    await asyncio.gather(*(rank(here, query=f"query {number}") for number in range(8)))
    assert len(model.batches) < 8


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"model": "nothing"}, 404, "model: no model 'nothing' here"),
        ({"model": "d/Dense"}, 400, "model: d/Dense is no reranker; there are r/reranker"),
        ({"documents": []}, 400, "documents"),
        ({"documents": [1]}, 400, "documents"),
        ({"documents": [{"title": "x"}]}, 400, "documents"),
        ({"documents": ["x"] * (MOST_DOCUMENTS + 1)}, 400, f"at most {MOST_DOCUMENTS} are allowed"),
        ({"query": None}, 400, "query"),
        ({"top_n": 0}, 400, "top_n"),
    ],
)
async def test_errors_have_the_shape_of_each_api(world: MakeWorld, changes: Any, status: int, said: str) -> None:
    here = world()
    for path, key in (("/v1/rerank", "detail"), ("/v2/rerank", "message")):
        answer = await rank(here, path, **changes)
        assert answer.status == status
        assert said in answer.json[key]
    if "top_n" not in changes:
        as_tei = {"texts" if name == "documents" else name: value for name, value in changes.items()}
        answer = await tei(here, **as_tei)
        assert (answer.status, answer.json["error_type"]) == (status, "validation")
        assert said.replace("documents", "texts") in answer.json["error"]


async def test_of_several_rerankers_one_has_to_be_named(world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    here = world(external=[card("r/second", "cross-encoder", context_window=8)])
    refused = await tei(here)
    assert (refused.status, refused.json["error"]) == (
        400,
        "model: say which reranker; there are r/reranker, r/second",
    )
    assert (await tei(here, model=NAME)).status == 200


async def test_a_reranker_gives_no_vectors(world: MakeWorld) -> None:
    here = world()
    refused = await here.query(NAME)
    assert refused.status == 400
    assert "query: r/reranker is a reranker, without vectors: POST /v2/rerank" in refused.json["status"]["error"]
    assert (await here.ask("POST", "/v1/embeddings", {"model": NAME, "input": "x"})).status == 400


async def test_the_playground_says_where_rerankers_are_asked(world: MakeWorld) -> None:
    body = {"inputs": [{"text": "x"}], "models": [NAME, "d/Dense"]}
    reranker, dense = (await world().ask("POST", "/inference/playground", body)).result["models"]
    assert (reranker["error"], reranker["outputs"]) == (
        f"models: {NAME} is a reranker, without vectors: POST /v2/rerank",
        [],
    )
    assert dense["error"] is None


async def test_what_is_bounded_elsewhere_is_bounded_here(world: MakeWorld) -> None:
    model = FakeReranker()
    here = world(models={NAME: model})
    here.settings.replace(IngressSettings(text_characters=30, objects=3))
    for changes, said in (
        ({"query": "x" * 31}, "query: has 31 characters; at most 30 are allowed (text_characters)"),
        ({"documents": ["x", "x" * 31]}, "documents[1]: has 31 characters; at most 30 are allowed (text_characters)"),
        ({"documents": ["x"] * 4}, "the request has 4 inference objects; at most 3 are allowed (objects)"),
    ):
        refused = await rank(here, **changes)
        assert (refused.status, refused.json["message"]) == (400, said)
    assert not model.batches


async def test_a_long_query_is_not_multiplied_by_many_documents(world: MakeWorld) -> None:
    model = FakeReranker()
    here = world(models={NAME: model})
    here.settings.replace(IngressSettings(body_bytes=30_000))
    refused = await rank(here, query="x" * 1000, documents=[str(number) for number in range(40)])
    assert (refused.status, model.batches) == (400, [])
    assert "counts with each of 40 documents" in refused.json["message"]


async def test_a_key_is_needed_as_for_the_service(world: MakeWorld) -> None:
    here = world(**KEYS)
    body = {"query": QUERY, "texts": DOCUMENTS, "documents": DOCUMENTS, "model": NAME}
    for path in ("/v1/rerank", "/v2/rerank", "/rerank"):
        assert (await here.ask("POST", path, body)).status == 401
        assert (await here.ask("POST", path, body, authorization="Bearer " + "k" * 20)).status == 200
        assert (await here.ask("GET", path, api_key="k" * 20)).status == 404


async def test_use_is_counted_limited_and_switched_off_as_that_of_other_models(
    world: MakeWorld, tmp_path: Path
) -> None:
    quotas = ", quotas: {'*': {tokens_per_month: 100}}"
    here = world(
        qdrant_inference_admin_key="a" * 20,
        qdrant_api_key="k" * 20,
        qdrant_inference_tenants=tenants_file(tmp_path, quotas),
    )
    body = {"model": NAME, "query": QUERY, "documents": DOCUMENTS}
    let_in = await here.ask("POST", "/v2/rerank", body, api_key="shop" * 10)
    assert let_in.status == 200
    counted = {(key.model, key.tenant, key.operation): count for key, count in here.ledger.meter.take()}
    tokens = let_in.json["usage"]["total_tokens"]
    assert counted[NAME, "shop", "rerank"] == (1, 3, tokens, 1)
    assert (await here.ask("POST", "/v2/rerank", body, api_key="shop" * 10)).status == 429
    await here.ask("PUT", "/inference/settings", {"models": {NAME: False}}, api_key="a" * 20)
    off = await here.ask("POST", "/v2/rerank", body, api_key="k" * 20)
    assert (off.status, "off" in off.json["message"]) == (400, True)
