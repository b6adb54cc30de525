"""Models of external providers, as callers see them: Qdrant Cloud's documented examples over all APIs, and faults."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qdrant_client import grpc as q
from qdrant_client.conversions.conversion import RestToGrpc
from qdrant_client.http import models

from deployments.catalogue.card import Instruction, Prefixes
from deployments.catalogue.providers import host_of
from deployments.contract import Embeddings, ProviderBatch
from deployments.providers.providers import Providers
from serve_app.config.settings import IngressSettings
from serve_app.inference.objects import InferenceObject
from serve_app.inference.provider_keys import OperatorKeys
from serve_app.ledger.meter import Meter
from serve_app.ledger.quotas import Quota, Quotas
from tests.support.browser import listening
from tests.support.fakes import dense
from tests.support.gateway import Gateway
from tests.support.management import MakeWorld, World, tenants_file
from tests.support.provider_calls import EXAMPLES, IMAGE, WithMetadata, asks, bodies, option, search, with_key
from tests.support.provider_sites import (
    KEYS,
    PNG,
    LocalProviders,
    ProviderSite,
    catalogue,
    echoes,
    entry,
    hangs,
    routes,
    says,
    vector,
)

KINDS = {"cohere": ("image", "search_query"), "jina": ("", "retrieval.query")}


def expected(kind: str, wanted: dict[str, Any], *, search: bool) -> list[float]:
    name = wanted["model"].partition("/")[2]
    size = next(iter(wanted["options"].values()), None)
    return vector(name, wanted.get("text") or wanted["image"], size, KINDS.get(kind, ("", ""))[search])


@pytest.fixture
def made(site: ProviderSite, outside: LocalProviders) -> Gateway:
    return Gateway(catalogue(site), providers=outside.embed)


@pytest.mark.parametrize("kind", EXAMPLES)
@pytest.mark.parametrize("place", ["option", "header"])
async def test_the_documented_examples_over_rest(kind: str, place: str, made: Gateway) -> None:
    stored, searched = EXAMPLES[kind]
    name, key = option(f"{kind}-api-key")
    headers = {name: key} if place == "header" else {}
    wanted = [with_key(kind, one) if place == "option" else one for one in (stored, searched)]
    response = await made.put({"points": [{"id": 1, "vector": wanted[0]}]}, headers=headers)
    assert response.status_code == 200, response.text
    assert response.json()["usage"]["inference"]["models"][stored["model"]]["tokens"] > 0
    point = made.qdrant.body["points"][0]
    np.testing.assert_allclose(point["vector"], expected(kind, stored, search=False), rtol=1e-6)
    response = await made.client.post("/collections/c/points/query", json={"query": wanted[1]}, headers=headers)
    assert response.status_code == 200, response.text
    np.testing.assert_allclose(made.qdrant.body["query"], expected(kind, searched, search=True), rtol=1e-6)
    assert key not in bodies(made.qdrant)
    assert name not in bodies(made.qdrant)


@pytest.mark.parametrize("kind", EXAMPLES)
@pytest.mark.parametrize("place", ["option", "metadata"])
async def test_the_documented_examples_over_grpc(kind: str, place: str, made: Gateway) -> None:
    stored, searched = EXAMPLES[kind]
    context = WithMetadata(*([option(f"{kind}-api-key")] if place == "metadata" else []))
    wanted = with_key(kind, searched) if place == "option" else searched
    message = q.QueryPoints(
        collection_name="c", query=RestToGrpc.convert_query(models.NearestQuery(nearest=models.Document(**wanted)))
    )
    await made.grpc.answer("Query", message, context)
    assert context.code is None, context.details
    ((_, sent),) = made.qdrant.messages
    np.testing.assert_allclose(sent.query.nearest.dense.data, expected(kind, searched, search=True), rtol=1e-6)  # type: ignore[attr-defined]
    point = with_key(kind, stored) if place == "option" else stored
    document = models.Image(**point) if "image" in point else models.Document(**point)
    points = [RestToGrpc.convert_point_struct(models.PointStruct(id=1, vector=document, payload={}))]
    await made.grpc.answer("Upsert", q.UpsertPoints(collection_name="c", points=points), context)
    assert context.code is None, context.details
    assert option(f"{kind}-api-key")[1] not in bodies(made.qdrant)


@pytest.mark.parametrize("kind", EXAMPLES)
async def test_the_documented_examples_behind_qdrant(kind: str, made: Gateway) -> None:
    stored, _ = EXAMPLES[kind]
    what = "image" if "image" in stored else "text"
    asked = {"data": stored[what], "data_type": what, "model": stored["model"], "options": stored["options"]}
    body = {"inputs": [asked], "inference": "update", "token": None}
    response = await made.client.post("/inference", json=body, headers=dict([option(f"{kind}-api-key")]))
    assert response.status_code == 200, response.text
    np.testing.assert_allclose(response.json()["embeddings"][0], expected(kind, stored, search=False), rtol=1e-6)


def shown(model: str, image: str, **options: Any) -> dict[str, Any]:
    return {"query": {"image": image, "model": model, "options": options}}


async def until(it_is: Callable[[], bool]) -> None:
    while not it_is():  # noqa: ASYNC110  what is waited for has no event
        await asyncio.sleep(0.001)


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (asks(), 400, "query: openai/m needs a key"),
        (asks(openai_api_key="x"), 400, "needs a key"),
        (asks("openai/*"), 400, "put one's name for the star"),
        (asks("openai/"), 400, "is no name of a model"),
        (asks("openai/" + "x" * 500), 400, "is no name of a model"),
        (asks("voyage/m"), 400, "no model 'voyage/m' here"),
        (asks(**{"openai-api-key": "wrong"}), 400, "refused the key of the request (401)"),
        (asks(**{"openai-api-key": KEYS["openai"], "input": ["x"]}), 400, "'input' is set here"),
        (asks(**{"openai-api-key": KEYS["openai"], "no": 1}), 400, "Unrecognized request argument supplied: no"),
        (asks("openai/no-such-model", **{"openai-api-key": KEYS["openai"]}), 400, "does not exist"),
        (asks(**{"openai-api-key": KEYS["openai"], "mrl": 9}), 400, "the vector has 8 numbers"),
        (asks(**{"openai-api-key": KEYS["openai"], "mrl": 10**6}), 400, "a whole number from 1 to 65536"),
        (asks(**{"openai-api-key": KEYS["openai"], "user": "x" * 17_000}), 400, "more than 16384"),
        (shown("openai/m", PNG, **{"openai-api-key": "k"}), 400, "takes 'text', not 'image'"),
        (shown("cohere/m", IMAGE, **{"cohere-api-key": "k"}), 400, "takes no URLs of images"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_said(body: dict[str, Any], status: int, text: str, made: Gateway) -> None:
    response = await search(made, body)
    assert (response.status_code, text in response.text) == (status, True), response.text
    assert not made.qdrant.requests
    assert len(response.content) < 2500


async def test_all_is_off_by_default(gateway: Gateway) -> None:
    response = await search(gateway, asks(**{"openai-api-key": KEYS["openai"]}))
    assert "no model 'openai/m' here" in response.text
    assert KEYS["openai"] not in response.text


async def test_mrl_cuts_what_the_provider_gave(made: Gateway) -> None:
    response = await search(made, asks(mrl=3, dimensions=5), openai_api_key=KEYS["openai"])
    assert response.status_code == 200, response.text
    head = np.array(vector("m", "tea", 5)[:3])
    np.testing.assert_allclose(made.qdrant.body["query"], head / np.linalg.norm(head), rtol=1e-5)


async def test_a_limit_of_the_provider_is_passed_on(site: ProviderSite, made: Gateway) -> None:
    site.usual = says(429, retry_after="21")
    response = await search(made, asks(), openai_api_key=KEYS["openai"])
    assert (response.status_code, response.headers["retry-after"]) == (429, "21")
    site.usual = says(500)
    response = await search(made, asks(), openai_api_key="sk-another")
    assert response.status_code == 503


class Held:
    """Lets calls through when it is told to."""

    def __init__(self, outside: LocalProviders) -> None:
        self.outside = outside
        self.go = asyncio.Event()

    async def embed(self, batch: ProviderBatch) -> Embeddings:
        await self.go.wait()
        return await self.outside.embed(batch)


async def test_only_requests_with_the_same_key_share_a_call(site: ProviderSite, outside: LocalProviders) -> None:
    site.usual = None
    held = Held(outside)
    gateway = Gateway(catalogue(site), providers=held.embed)
    keys = [KEYS["openai"], "sk-another-key"]
    searches = [asyncio.create_task(search(gateway, asks(text=f"{n}"), openai_api_key=keys[n % 2])) for n in range(40)]
    await until(lambda: gateway.embedder.admission.waiting().get("openai/*", 0) >= 40 * 2)
    held.go.set()
    statuses = [response.status_code for response in await asyncio.gather(*searches)]
    assert statuses == [200, 400] * 20
    assert 2 < len(outside.calls) < 40  # those with the wrong key, too: none of them is tried alone
    for call in outside.calls:
        assert call.key
        assert call.key.secret
        assert {int(str(text)) % 2 for text in call.batch.inputs} == {keys.index(call.key.secret.get_secret_value())}
    assert gateway.embedder.router.queues == 0


async def test_one_requests_fault_is_not_that_of_others_that_share_its_call(
    site: ProviderSite, outside: LocalProviders
) -> None:
    held = Held(outside)
    gateway = Gateway(catalogue(site), providers=held.embed)
    texts = [*(f"{n}" for n in range(11)), ""]
    searches = [asyncio.create_task(search(gateway, asks(text=one), openai_api_key=KEYS["openai"])) for one in texts]
    await until(lambda: gateway.embedder.admission.waiting().get("openai/*", 0) >= 24)
    held.go.set()
    statuses = [response.status_code for response in await asyncio.gather(*searches)]
    assert statuses == [200] * 11 + [400]


@pytest.mark.parametrize(("kind", "most"), [("openai", 256), ("cohere", 96), ("tei", 32)])
async def test_no_call_is_larger_than_the_provider_takes(
    kind: Any, most: int, site: ProviderSite, outside: LocalProviders
) -> None:
    name = f"{kind}-api-key"
    gateway = Gateway(catalogue(site, entry(site, kind, "own/model", key=name)), providers=outside.embed)
    points = [{"id": n, "vector": {"text": f"text {n}", "model": "own/model"}} for n in range(300)]
    response = await gateway.put({"points": points}, headers={name: KEYS.get(kind, "any")})
    assert response.status_code == 200, response.text
    assert max(len(call.batch) for call in outside.calls) == most
    assert sum(len(call.batch) for call in outside.calls) == 300


async def test_a_hung_provider_holds_up_no_model_of_this_cluster(site: ProviderSite, outside: LocalProviders) -> None:
    site.usual = hangs
    gateway = Gateway(catalogue(site), providers=outside.embed, settings=IngressSettings(provider_requests=3))
    waiting = [asyncio.create_task(search(gateway, asks(text=f"{n}"), openai_api_key="k")) for n in range(3)]
    await until(lambda: len(site.asked) >= 3)
    local = await search(gateway, asks("org/dense"))
    assert local.status_code == 200
    refused = await search(gateway, asks(text="one more"), openai_api_key="k")
    assert (refused.status_code, "provider_requests" in refused.text) == (429, True)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    await asyncio.sleep(0)
    assert gateway.embedder.admission.waiting()["openai/*"] == 0


@pytest.fixture
def metered(site: ProviderSite, outside: LocalProviders) -> Callable[..., Gateway]:
    def make(**quotas: Quota) -> Gateway:
        named = {"": {name.replace("__", "/"): quota for name, quota in quotas.items()}}
        cards = catalogue(site, entry(site, "tei", "own/tei"))
        return Gateway(cards, providers=outside.embed, meter=Meter(Quotas(named)))

    return make


async def test_usage_is_what_the_provider_counted_under_names_that_are_few(metered: Any) -> None:
    gateway = metered()
    for number in range(20):
        response = await search(gateway, asks(f"openai/m{number}", "two words"), openai_api_key=KEYS["openai"])
        assert response.json()["usage"]["inference"]["models"] == {f"openai/m{number}": {"tokens": 2}}
    assert (await search(gateway, asks("own/tei"))).json()["usage"]["inference"]["models"]["own/tei"]["tokens"] == 7
    counted = {key.model: count for key, count in gateway.embedder.meter.take()}
    assert {model: (count.objects, count.tokens) for model, count in counted.items()} == {
        "openai/*": (20, 40), "own/tei": (1, 7)
    }  # fmt: skip
    assert gateway.embedder.admission.waiting().keys() == {"openai/*", "own/tei"}
    assert gateway.embedder.router.in_flight().keys() >= {"openai/*", "own/tei"}
    assert not [name for name in gateway.embedder.router.in_flight() if name.startswith("openai/m")]


@pytest.mark.parametrize(("account", "model"), [("openai/*", "openai/m"), ("own/tei", "own/tei")])
async def test_a_used_up_quota_spares_the_provider(  # noqa: PLR0913  all of it makes the world
    *, account: str, model: str, world: MakeWorld, site: ProviderSite, outside: LocalProviders, tmp_path: Path
) -> None:
    tenants = tenants_file(tmp_path, f", quotas: {{'{account}': {{tokens_per_month: 20}}}}")
    external = [*routes(site), entry(site, "tei", "own/tei")]
    here = world(outside=outside, external=external, qdrant_api_key="k" * 20, qdrant_inference_tenants=tenants)
    caller = {"api_key": "shop" * 10, "openai_api_key": KEYS["openai"]}
    while (answer := await here.query(model, "two words", **caller)).status == 200:
        assert answer.headers["x-ratelimit-limit-tokens"] == "20"
    asked = len(site.asked)
    assert 2 <= asked <= 10, "of 20 tokens, 2 or 7 a call"
    assert (answer.status, answer.json["status"]["error"]) == (
        429,
        f"the quota of 20 tokens a month for {account} is used up",
    )
    assert (await here.query(model, "two words", **caller)).status == 429
    assert len(site.asked) == asked
    other = {"openai/m": "own/tei", "own/tei": "openai/m"}[model]
    assert (await here.query(other, "two words", **caller)).status == 200


async def test_what_a_provider_was_paid_for_is_counted_when_the_request_fails(
    site: ProviderSite, outside: LocalProviders
) -> None:
    gateway = Gateway(catalogue(site), providers=outside.embed)
    body = {"points": [{"id": 1, "vector": {"text": "one two three", "model": "openai/m", "options": {"mrl": 9}}}]}
    response = await gateway.put(body, headers={"openai-api-key": KEYS["openai"]})
    assert response.status_code == 400
    assert [(key.model, count.tokens) for key, count in gateway.embedder.meter.take()] == [("openai/*", 3)]


async def test_an_operators_server_needs_no_key_and_never_gets_a_callers(
    site: ProviderSite, outside: LocalProviders
) -> None:
    gateway = Gateway(catalogue(site, entry(site, "tei", "own/tei")), providers=outside.embed)
    keys = {f"{kind}-api-key": key for kind, key in KEYS.items()}
    response = await search(gateway, asks("own/tei", **keys), openai_api_key=KEYS["openai"])
    assert response.status_code == 200, response.text
    (asked,) = site.asked
    assert "authorization" not in asked.headers
    assert asked.body == {"inputs": ["tea"], "truncate": True}


async def test_the_operators_key_is_for_whom_the_configuration_names(
    site: ProviderSite, outside: LocalProviders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUR_OPENAI_KEY", KEYS["openai"])
    cards = catalogue(site, entry(site, "openai", "own/gpt", key_env="OUR_OPENAI_KEY"))
    response = await search(Gateway(cards, providers=outside.embed), asks("own/gpt"))
    assert (response.status_code, "not for this caller" in response.text) == (403, True)
    everybody = OperatorKeys({}, frozenset({"*"}))
    response = await search(Gateway(cards, providers=outside.embed, operator_keys=everybody), asks("own/gpt"))
    assert response.status_code == 200, response.text
    site.usual = says(401)
    response = await search(Gateway(cards, providers=outside.embed, operator_keys=everybody), asks("own/gpt"))
    assert (response.status_code, "refused the operator's key" in response.text) == (400, True)
    assert "OUR_OPENAI_KEY" not in response.text


async def test_an_entry_has_prefixes_and_dimensions_of_its_own(site: ProviderSite, outside: LocalProviders) -> None:
    card = entry(site, "tei", "own/tei").model_copy(update={"prefixes": Prefixes(query="query: ")})
    gateway = Gateway(catalogue(site, card), providers=outside.embed)
    await search(gateway, asks("own/tei"))
    assert site.asked[-1].body["inputs"] == ["query: tea"]
    instructed = card.model_copy(
        update={"prefixes": Prefixes(), "instruction": Instruction(form="do {instruction}: ", default="it")}
    )
    await search(Gateway(catalogue(site, instructed), providers=outside.embed), asks("own/tei", instruction="this"))
    assert site.asked[-1].body == {"inputs": ["do this: tea"], "truncate": True}
    wrong = entry(site, "tei", "own/tei", 9)
    response = await search(Gateway(catalogue(site, wrong), providers=outside.embed), asks("own/tei"))
    assert (response.status_code, "not of 9" in response.text) == (503, True)


async def test_equal_inputs_are_sent_once_and_mixed_requests_work(site: ProviderSite, outside: LocalProviders) -> None:
    gateway = Gateway(catalogue(site), providers=outside.embed)
    key = {"openai-api-key": KEYS["openai"]}
    vectors = {"a": {"text": "tea", "model": "openai/m", "options": key}, "b": {"text": "tea", "model": "org/dense"}}
    response = await gateway.put({"points": [{"id": n, "vector": vectors} for n in range(3)]})
    assert response.status_code == 200, response.text
    assert [asked.body["input"] for asked in site.asked] == [["tea"]]
    point = gateway.qdrant.body["points"][2]["vector"]
    assert (len(point["a"]), len(point["b"])) == (8, 4)


async def test_a_key_that_a_provider_repeats_reaches_nobody(site: ProviderSite, made: Gateway) -> None:
    site.usual = echoes
    response = await search(made, asks(), openai_api_key=KEYS["openai"])
    assert response.status_code == 400
    assert "marker" not in response.text


async def test_headers_of_keys_end_here_on_every_route(made: Gateway) -> None:
    headers = {"openai-api-key": "sk-marker", "voyage-api-key": "marker", "x-api-key": "of-a-proxy", "api-key": "k"}
    await made.client.get("/collections/c", headers=headers)
    await made.put({"points": []}, headers=headers)
    names = [{name for name, _ in request.headers} for request in made.qdrant.requests]
    assert [{b"x-api-key", b"api-key"} <= one for one in names] == [True, True]
    assert "marker" not in bodies(made.qdrant)
    context = WithMetadata(("openai-api-key", "sk-marker"), ("x-api-key", "of-a-proxy"))
    await made.grpc.answer("Get", q.GetCollectionInfoRequest(collection_name="c"), context)
    (call,) = made.qdrant.calls
    assert dict(call.metadata).keys() == {"api-key", "x-api-key"}


def test_an_objects_options_and_a_requests_keys_are_not_shown() -> None:
    assert "marker" not in repr(InferenceObject("text", "tea", "m", {"openai-api-key": "marker"}))


async def test_our_own_api_serves_as_an_openai_provider(world: Callable[..., World], site: ProviderSite) -> None:
    key = "k" * 20
    async with listening(world(qdrant_api_key=key)) as address:
        there = {"url": f"{address}/v1", "model": "d/Dense", "key": "other-cluster-api-key"}
        providers = Providers([host_of(address)])
        gateway = Gateway(
            catalogue(site, entry(site, "openai", "other/dense", 4, **there)), providers=LocalProviders(providers).embed
        )
        response = await search(gateway, asks("other/dense"), other_cluster_api_key=key)
        assert response.status_code == 200, response.text
        np.testing.assert_allclose(gateway.qdrant.body["query"], dense("passage: tea"), rtol=1e-6)
        refused = await search(gateway, asks("other/dense"), other_cluster_api_key="x" * 20)
        assert (refused.status_code, "refused the key of the request" in refused.text) == (400, True)
        await providers.close()
