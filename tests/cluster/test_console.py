"""The console of a real service: its models, switches, playground, OpenAI's embeddings, and the ledger."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import openai
import orjson
import pytest
from qdrant_client import QdrantClient, models

from tests.support.running import RunningService

DENSE = "sentence-transformers/all-minilm-l6-v2"
TEXT = "Recipe for baking chocolate chip cookies"


def ask(service: RunningService, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    request = urllib.request.Request(service.rest_address + path, method=method)
    if body is not None:
        request.data = orjson.dumps(body)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, orjson.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, orjson.loads(error.read())


def result(service: RunningService, method: str, path: str, body: Any = None) -> Any:
    status, answer = ask(service, method, path, body)
    assert status == 200, answer
    return answer["result"]


def eventually(condition: Callable[[], bool], within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture
def collection(service: RunningService) -> str:
    name = f"console_{time.monotonic_ns()}"
    client = QdrantClient(url=service.rest_address, timeout=30)
    client.create_collection(name, models.VectorParams(size=384, distance=models.Distance.COSINE))
    client.close()
    return name


def test_every_model_says_that_it_is_ready_and_how_it_runs(service: RunningService) -> None:
    def models_by_name() -> dict[str, Any]:
        return {model["name"]: model for model in result(service, "GET", "/inference/models")["models"]}

    # A busy replica may need longer for its first answer than the page waits.
    eventually(lambda: models_by_name()[DENSE]["provider"] is not None, within_s=30)
    described = models_by_name()
    assert {model["state"] for model in described.values()} == {"ready"}
    assert {model["replicas"]["running"] for model in described.values()} == {1}
    assert described[DENSE]["provider"] in {"cpu", "openvino", "cuda"}
    assert described[DENSE]["precision"] in {"float32", "bfloat16", "float16"}
    assert described["qdrant/bm25"]["provider"] is None
    assert described["starter/clip-shapes-text"]["shared_with"] == ["starter/clip-shapes-vision"]
    assert result(service, "GET", "/inference/access")["grpc_port"] == service.grpc_port


def test_a_model_is_switched_off_for_rest_and_grpc_and_on_again(service: RunningService, collection: str) -> None:
    query = {"query": {"text": TEXT, "model": DENSE}}
    by_grpc = QdrantClient(
        host="127.0.0.1", port=service.rest_port, grpc_port=service.grpc_port, prefer_grpc=True, cloud_inference=True
    )
    try:
        result(service, "PUT", "/inference/settings", {"models": {DENSE: False}})
        status, answer = ask(service, "POST", f"/collections/{collection}/points/query", query)
        assert (status, answer["status"]["error"]) == (400, f"inference is switched off for the model '{DENSE}'")
        with pytest.raises(grpc.RpcError) as refused:
            by_grpc.query_points(collection, query=models.Document(text=TEXT, model=DENSE))
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION  # type: ignore[attr-defined]
        assert by_grpc.count(collection).count == 0
        (state,) = (m["state"] for m in result(service, "GET", "/inference/models")["models"] if m["name"] == DENSE)
        assert state == "off"
    finally:
        result(service, "PUT", "/inference/settings", {"models": {DENSE: True}})
    result(service, "POST", f"/collections/{collection}/points/query", query)
    assert by_grpc.query_points(collection, query=models.Document(text=TEXT, model=DENSE)).points == []
    by_grpc.close()


def test_usage_is_told_within_two_seconds_of_a_request(service: RunningService, collection: str) -> None:
    def used() -> int:
        rows = result(service, "GET", "/inference/usage?group_by=model,operation")["rows"]
        return sum(row["tokens"] for row in rows if (row["model"], row["operation"]) == (DENSE, "search"))

    before = used()
    status, answer = ask(
        service, "POST", f"/collections/{collection}/points/query", {"query": {"text": TEXT, "model": DENSE}}
    )
    assert status == 200
    tokens = answer["usage"]["inference"]["models"][DENSE]["tokens"]
    eventually(lambda: used() >= before + tokens, within_s=5)
    live = result(service, "GET", "/inference/live")
    assert live["models"][DENSE]["tokens_per_s"] > 0
    assert live["ledger"]["behind"] is False


def test_the_playground_shows_tokens_words_and_where_a_text_was_cut(service: RunningService) -> None:
    question = {
        "inputs": [{"text": TEXT}, {"text": "word " * 1000}],
        "models": [DENSE, "qdrant/bm25", "starter/splade-tiny", "starter/clip-shapes-vision"],
    }
    dense, bm25, splade, vision = result(service, "POST", "/inference/playground", question)["models"]
    short, long = dense["outputs"]
    assert [token["text"] for token in short["tokens"]] == [
        "[CLS]", "recipe", "for", "baking", "chocolate", "chip", "cookies", "[SEP]"
    ]  # fmt: skip
    assert [TEXT[token["start"] : token["end"]] for token in short["tokens"][1:-1]] == TEXT.split()
    assert short["truncated_at"] is None
    assert len(short["dense"]) == 384
    assert (len(long["tokens"]), long["tokens_cut"], long["truncated_at"]) == (256, 746, 254 * 5 - 1)
    words = dict(zip(bm25["outputs"][0]["sparse"]["indices"], bm25["outputs"][0]["sparse"]["words"], strict=True))
    assert words == {
        112174620: "cookies", 177304315: "chocolate", 662344706: "baking", 771857363: "chip", 1617337648: "Recipe"
    }  # fmt: skip
    assert {"chocolate", "cookies"} <= set(splade["outputs"][0]["sparse"]["words"])
    assert vision["outputs"] == []


def test_openais_own_client_gets_the_same_vectors(service: RunningService) -> None:
    client = openai.OpenAI(base_url=f"{service.rest_address}/v1", api_key="none", max_retries=0)
    try:
        assert DENSE in {model.id for model in client.models.list().data}
        assert client.models.retrieve(DENSE).id == DENSE
        answer = client.embeddings.create(model=DENSE, input=[TEXT, "another"])  # base64 on the wire
        floats = client.embeddings.create(model=DENSE, input=TEXT, encoding_format="float").data[0].embedding
        np.testing.assert_allclose(answer.data[0].embedding, floats, atol=1e-2)
        assert np.linalg.norm(floats) == pytest.approx(1, abs=1e-3)
        assert answer.usage.prompt_tokens == 8 + 3
        short = client.embeddings.create(model=DENSE, input=TEXT, dimensions=64).data[0].embedding
        np.testing.assert_allclose(short, np.array(floats[:64]) / np.linalg.norm(floats[:64]), atol=1e-2)
        with pytest.raises(openai.BadRequestError, match="check_embedding_ctx_length=False"):
            client.embeddings.create(model=DENSE, input=[[7592, 2088]])
        with pytest.raises(openai.NotFoundError, match="available: sentence-transformers"):
            client.embeddings.create(model="text-embedding-3-small", input=TEXT)
        with pytest.raises(openai.BadRequestError, match="no dense vectors"):
            client.embeddings.create(model="qdrant/bm25", input=TEXT)
    finally:
        client.close()
