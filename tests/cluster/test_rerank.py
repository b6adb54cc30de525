"""A reranker on a real service gives what it gives in this process."""

from __future__ import annotations

from pathlib import Path

import httpx
import numpy as np
import pytest

from deployments.contract import Batch, Pair
from deployments.families.loading import load_family
from deployments.networks.settings import SessionSettings
from deployments.onboarding import in_process
from serve_app.api.rerank import sigmoid
from tests.support.models import RERANKER
from tests.support.running import RunningService

pytestmark = pytest.mark.cluster

QUERY = "the capital of France"
DOCUMENTS = [
    "vectors are text",
    "Paris is the capital",
    "text " * 300,
    "a recipe",
    *(f"text number {number}" for number in range(200)),
]


def test_a_request_with_many_documents_is_answered_as_in_one_process(service: RunningService, tmp_path: Path) -> None:
    family = load_family(RERANKER.card, RERANKER.folder(tmp_path / "model"), SessionSettings(provider="cpu"))
    pairs = [Pair(QUERY, document) for document in DOCUMENTS]
    found = in_process.embed(family, Batch(pairs, "search"))
    expected = [float(np.ravel(found.vectors[position])[0]) for position in range(len(pairs))]  # type: ignore[arg-type]
    body = {"model": RERANKER.card.name, "query": QUERY, "documents": DOCUMENTS}
    answer = httpx.post(f"{service.rest_address}/v2/rerank", json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    scores = {one["index"]: one["relevance_score"] for one in answer.json()["results"]}
    assert [scores[position] for position in range(len(pairs))] == pytest.approx(
        [sigmoid(score) for score in expected], abs=1e-4
    )
    assert list(scores.values()) == sorted(scores.values(), reverse=True)
    assert answer.json()["usage"]["total_tokens"] == found.tokens.sum()
    raw = httpx.post(
        f"{service.rest_address}/rerank", json={"query": QUERY, "texts": DOCUMENTS[:2], "raw_scores": True}
    )
    assert [one["score"] for one in raw.json()] == pytest.approx(sorted(expected[:2], reverse=True), abs=1e-4)
