"""What is counted of a request, in both protocols."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from deployments.errors import DeadlineExceeded, Forbidden, QuotaUsedUp, UpstreamUnavailable, WrongInput
from serve_app.observability.metrics import count_error
from serve_app.observability.record import Record
from serve_app.upstream.base import UpstreamStatus
from tests.support.fakes import FakeModel
from tests.support.gateway import UPSERT, Context
from tests.support.seeing import Seen, counted, query


async def test_an_upload_is_counted_with_its_objects_tokens_and_stages() -> None:
    gateway = Seen()
    with counted() as added:
        await gateway.put(UPSERT)
    assert added == {
        "requests_total{rest,update,200}": 1,
        "request_seconds_count{rest,update}": 1,
        "objects_total{org/dense,update}": 1,
        "tokens_total{org/dense,update}": len("passage: tea"),
        "upstream_seconds_count{rest}": 1,
        "upstream_responses_total{rest,200}": 1,
        **{f"stage_seconds_count{{{stage},,update}}": 1 for stage in ("read", "decode", "encode", "store")},
        **{f"stage_seconds_count{{{stage},org/dense,update}}": 1 for stage in ("wait", "call", "embed")},
    }


async def test_a_search_over_grpc_is_counted_in_the_same_way() -> None:
    gateway = Seen()
    with counted() as added:
        await gateway.grpc.answer("Query", query(), Context())
    assert added["requests_total{grpc,search,OK}"] == 1
    assert added["tokens_total{org/dense,search}"] == len("query: tea")
    assert added["upstream_responses_total{grpc,OK}"] == 1


async def test_what_passes_through_is_counted_as_other() -> None:
    gateway = Seen()
    with counted() as added:
        await gateway.client.get("/collections/secret")
        await gateway.put({"points": [{"id": 1, "vector": [0.1]}]})
    assert added["requests_total{rest,other,200}"] == 2
    assert not any("secret" in name for name in added)


async def test_qdrants_own_statuses_are_counted() -> None:
    gateway = Seen()
    gateway.qdrant.status = 404
    with counted() as added:
        await gateway.client.get("/collections/c")
    assert added["requests_total{rest,other,404}"] == added["upstream_responses_total{rest,404}"] == 1
    assert not any(name.startswith("errors") for name in added)


async def test_a_grpc_status_of_qdrant_is_no_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = Seen()

    async def refuse(*_: Any) -> None:
        raise UpstreamStatus(grpc.StatusCode.NOT_FOUND, "no such collection")

    monkeypatch.setattr(gateway.qdrant, "grpc", refuse)
    with counted() as added:
        await gateway.grpc.answer("Query", query(), Context())
    assert added["requests_total{grpc,search,NOT_FOUND}"] == added["upstream_responses_total{grpc,NOT_FOUND}"] == 1
    assert not any(name.startswith("errors") for name in added)


@pytest.mark.parametrize(
    ("error", "status"), [(UpstreamUnavailable("away"), "unreachable"), (DeadlineExceeded("late"), "timeout")]
)
async def test_a_qdrant_that_does_not_answer_is_counted(
    monkeypatch: pytest.MonkeyPatch, error: Exception, status: str
) -> None:
    gateway = Seen()

    async def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(gateway.qdrant, "rest", fail)
    with counted() as added:
        await gateway.put(UPSERT)
    assert added[f"upstream_responses_total{{rest,{status}}}"] == 1
    assert added["upstream_seconds_count{rest}"] == 1


async def test_a_bad_request_is_an_error_by_kind() -> None:
    gateway = Seen()
    body = {"points": [{"id": 1, "vector": {"text": "a", "model": "no/such"}}]}
    with counted() as added:
        await gateway.put(body)
        await gateway.client.post("/inference", content=b"{}")
    assert added["errors_total{bad request}"] == 2
    assert added["requests_total{rest,other,400}"] == 2
    assert not any(name.startswith("rejected") for name in added)


@pytest.mark.parametrize(
    ("error", "reason"), [(Forbidden("no"), "forbidden"), (QuotaUsedUp("used", 1.0, 5), "quota used up")]
)
def test_what_a_limit_turns_away_is_counted_by_its_reason(error: Any, reason: str) -> None:
    with counted() as added:
        count_error(error)
        count_error(WrongInput("x"))
    assert added[f"rejected_total{{{reason}}}"] == 1
    assert sum(value for name, value in added.items() if name.startswith("rejected")) == 1


async def test_a_truncated_input_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    model = FakeModel()

    async def cutting(batch: Any) -> Any:
        answer = await model(batch)
        object.__setattr__(answer, "truncated", 1)
        return answer

    gateway = Seen(models={"org/dense": cutting})
    with counted() as added:
        await gateway.put(UPSERT)
    assert added["truncated_inputs_total{org/dense,update}"] == 1


def test_a_request_that_plans_again_counts_each_object_and_token_once() -> None:
    record = Record("rest")
    with counted() as added:
        for model in ("a", "b"):
            record.planned("search", {model: 3})
            record.used({model: 5})
    assert added == {
        f"{figure}_total{{{model},search}}": n for figure, n in (("objects", 3), ("tokens", 5)) for model in "ab"
    }
    record.planned("search", {"a": 1})
    record.used({"a": 2})
    assert (record.objects, record.tokens) == ({"a": 4, "b": 3}, {"a": 7, "b": 5})
