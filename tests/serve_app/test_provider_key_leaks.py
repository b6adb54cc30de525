"""Marker keys go through every API, by every way, in success and in failure, and are looked for everywhere."""

from __future__ import annotations

import gc
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from qdrant_client import grpc as q
from qdrant_client.conversions.conversion import RestToGrpc
from qdrant_client.http import models

from deployments.catalogue import options
from deployments.contract import ProviderBatch
from deployments.errors import InferenceError
from deployments.metrics.instruments import METRICS
from serve_app.observability.record import Watch
from serve_app.observability.tracing import Tracing
from tests.support.gateway import Gateway
from tests.support.management import World
from tests.support.provider_calls import EXAMPLES, WithMetadata, asks, bodies, option, search, with_key
from tests.support.provider_sites import (
    KEYS,
    LocalProviders,
    ProviderSite,
    breaks_off,
    catalogue,
    echoes,
    entry,
    says,
)

MARKERS = ("marker", "MARKER")


def clean(what: str, where: str) -> None:
    for marker in MARKERS:
        at = what.find(marker)
        assert at < 0, f"{where}: ...{what[max(0, at - 200) : at + 100]}..."


class Traced:
    """A gateway that traces and logs all that it does."""

    def __init__(self, site: ProviderSite, outside: LocalProviders, folder: Path) -> None:
        self.spans = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.spans))
        self.log = folder / "requests.log"
        self.watch = watch = Watch(Tracing(provider))
        watch.log_as("json", lambda: self.log)
        self.outside = outside
        self.gateway = Gateway(catalogue(site, entry(site, "tei", "own/tei")), providers=self.call, watch=watch)
        self.told: list[str] = []

    async def call(self, batch: ProviderBatch) -> Any:
        self.told += [repr(batch), str(batch)]
        try:
            return await self.outside.embed(batch)
        except InferenceError as error:
            self.told.append(repr(error))
            raise

    async def everything(self, kind: str) -> None:
        """All APIs, with a key in an option and in a header."""
        name, key = option(f"{kind}-api-key")
        stored, searched = EXAMPLES[kind]
        for wanted, headers in ((with_key(kind, searched), {}), (searched, {name: key})):
            await self._rest({"query": wanted}, headers)
            await self._grpc(wanted, headers)
            text = {"data": wanted["text"], "data_type": "text", "model": wanted["model"], "options": wanted["options"]}
            body = {"inputs": [text], "inference": "search", "token": None}
            self._said(await self.gateway.client.post("/inference", json=body, headers=headers))
        self._said(await self.gateway.put({"points": [{"id": 1, "vector": with_key(kind, stored)}]}))
        self._said(await search(self.gateway, asks("org/dense", **{name: key}), **{name: key}))
        self._said(await search(self.gateway, asks("own/tei", **{name: key}), **{name: key}))
        lenient = await search(self.gateway, {**asks("qdrant/bm25", **{name: key}), "using": "words"})
        assert lenient.status_code == 200, lenient.text
        self._said(lenient)
        self._said(await search(self.gateway, asks(searched["model"], **{name: [key]})))
        self._said(await search(self.gateway, asks(searched["model"], **{name: f"{key}\n"})))

    async def _rest(self, body: Any, headers: Mapping[str, str]) -> None:
        self._said(await self.gateway.client.post("/collections/c/points/query", json=body, headers=headers))

    async def _grpc(self, wanted: Any, headers: Mapping[str, str]) -> None:
        context = WithMetadata(*headers.items())
        query = RestToGrpc.convert_query(models.NearestQuery(nearest=models.Document(**wanted)))
        answer = await self.gateway.grpc.answer("Query", q.QueryPoints(collection_name="c", query=query), context)
        self.told += [repr(answer), context.details, repr(context.metadata)]

    def _said(self, response: Any) -> None:
        self.told += [response.text, repr(response.headers)]

    def check(self, caplog: pytest.LogCaptureFixture) -> None:
        self.watch.close()
        clean("".join(self.told), "answers and errors")
        clean(bodies(self.gateway.qdrant), "Qdrant")
        clean(self.log.read_text(), "the request log")
        clean("".join(span.to_json() for span in self.spans.get_finished_spans()), "traces")
        clean(caplog.text, "logs")
        clean("".join(repr(sample) for metric in METRICS for sample in metric.samples()), "metrics")
        clean(repr(options._checked._kept), "the cache of options")
        clean(repr([*self.gateway.embedder.meter.take()]), "the ledger")
        assert self.gateway.embedder.router.queues == 0


@pytest.mark.parametrize(
    "fault", [None, echoes, breaks_off, says(401), says(429, retry_after="60"), says(500)], ids=range(6)
)
async def test_keys_are_nowhere_but_at_their_provider(
    fault: Any, site: ProviderSite, outside: LocalProviders, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    site.usual = fault
    traced = Traced(site, outside, tmp_path)
    for kind in EXAMPLES:
        await traced.everything(kind)
    gc.collect()
    traced.check(caplog)
    for asked in site.asked:
        others = [key for kind, key in KEYS.items() if kind != asked.kind]
        assert not [key for key in others if key in repr(asked)], f"{asked.kind} got the key of another"
        clean(repr(asked.body), f"the body for {asked.kind}")


async def test_the_console_and_openais_api_tell_no_key(world: Any, caplog: pytest.LogCaptureFixture) -> None:
    made: World = world()
    caplog.set_level(logging.DEBUG)
    key = {"openai_api_key": KEYS["openai"]}
    body = {"inputs": [{"text": "tea"}], "models": ["d/Dense"], "options": {"d/Dense": {"openai-api-key": "marker"}}}
    answers = [
        await made.ask("POST", "/inference/playground", body, **key),
        await made.ask("POST", "/v1/embeddings", {"model": "openai/m", "input": "tea"}, **key),
        await made.ask("GET", "/inference/models", None, **key),
    ]
    clean("".join(f"{answer.headers}{answer.content!r}" for answer in answers) + caplog.text, "answers and logs")
