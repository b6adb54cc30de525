"""The gateway's metrics. OBSERVABILITY.md says what each is for."""

from __future__ import annotations

from collections.abc import Mapping

from deployments.errors import (
    Forbidden,
    InferenceError,
    Overloaded,
    QuotaUsedUp,
    SwitchedOff,
    TooLarge,
    Unauthenticated,
)
from deployments.metrics.instruments import SECONDS, Counter, Gauge, Histogram

_OF_MODEL = ("model", "operation")

REQUESTS = Counter("requests", ("protocol", "operation", "status"), "requests", "Requests and calls that were answered")
REQUEST_SECONDS = Histogram(
    "request_seconds", ("protocol", "operation"), "seconds", "Time from a request's head to its answer's end", SECONDS
)
OBJECTS = Counter("objects", _OF_MODEL, "objects", "Inference objects in requests")
TOKENS = Counter("tokens", _OF_MODEL, "tokens", "Tokens that were read for requests, as told to their callers")
TRUNCATED = Counter("truncated_inputs", _OF_MODEL, "inputs", "Inputs longer than the model's context window")
ERRORS = Counter("errors", ("kind",), "requests", "Requests that this software refused or failed, by kind of error")
REJECTED = Counter("rejected", ("reason",), "requests", "Those of them that a limit, a key or a switch turned away")
VECTOR_CACHE = Counter(
    "vector_cache", ("model", "result"), "searches", "Searches with one text for a model: whether its vector was known"
)
WAITING_TOKENS = Gauge("waiting_tokens", ("model",), "tokens", "Tokens of admitted requests that are not done yet")
BATCHES_IN_FLIGHT = Gauge("batches_in_flight", ("model",), "batches", "Batches under way to a model's replicas")
UPSTREAM_SECONDS = Histogram(
    "upstream_seconds", ("protocol",), "seconds", "Time until Qdrant's answer began, or the store's", SECONDS
)
UPSTREAM_RESPONSES = Counter("upstream_responses", ("protocol", "status"), "requests", "Qdrant's answers by status")
UPSTREAM_UP = Gauge("upstream_up", (), "0 or 1", "Whether Qdrant, or the embedded store, answered when asked last")
QUOTA_USED = Gauge(
    "quota_used_ratio", ("model", "window"), "0 to 1", "The share that is used of the fullest quota of any tenant"
)
LEDGER_BEHIND = Gauge("ledger_behind", (), "0 or 1", "Whether the ledger's database is away and usage waits in memory")

_REASONS: Mapping[type[InferenceError], str] = {
    Overloaded: "queue full",
    QuotaUsedUp: "quota used up",
    SwitchedOff: "switched off",
    TooLarge: "too large",
    Unauthenticated: "unauthenticated",
    Forbidden: "forbidden",
}


def count_error(error: InferenceError) -> None:
    """Count a request that ended with an error of ours."""
    ERRORS.add(1, error.kind.value)
    reason = _REASONS.get(type(error))
    if reason:
        REJECTED.add(1, reason)
