"""Searches that were asked before: what is known, to whom, for how long, and what holds nevertheless."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import orjson
import pytest

from serve_app.auth.access import Authenticator
from serve_app.batching.vector_cache import VectorCache
from serve_app.config import environment
from serve_app.config.settings import IngressSettings
from serve_app.ledger.meter import Meter
from serve_app.ledger.quotas import Quota, Quotas
from serve_app.ledger.switchboard import Switchboard
from serve_app.ledger.switches import Switches
from serve_app.observability.metrics import VECTOR_CACHE
from tests.support.cards import CATALOGUE
from tests.support.gateway import Gateway

TEXT = "an unusual question about tea"
HIT = ("org/dense", "hit")


def query(text: str = TEXT, **options: Any) -> dict[str, Any]:
    return {"query": {"text": text, "model": "org/dense", "options": options}}


async def search(gateway: Gateway, body: Any = None, **headers: str) -> Any:
    shown = {name.replace("_", "-"): value for name, value in headers.items()}
    content = orjson.dumps(body or query())
    return await gateway.client.post("/collections/c/points/query", content=content, headers=shown)


def runs(gateway: Gateway) -> int:
    return len(gateway.model.batches)


async def test_a_search_that_was_asked_before_runs_no_model_and_is_answered_the_same() -> None:
    gateway = Gateway(keeps_vectors=True)
    hits = VECTOR_CACHE.values.get(HIT, 0)
    first, second = await search(gateway), await search(gateway)
    assert runs(gateway) == 1
    assert VECTOR_CACHE.values[HIT] == hits + 1
    assert first.json()["usage"] == second.json()["usage"]
    assert gateway.qdrant.requests[0].body == gateway.qdrant.requests[1].body


@pytest.mark.parametrize("other", [query("tea"), query(mrl=2), query(TEXT + " "), {**query(), "limit": 3}])
async def test_only_what_is_the_same_to_the_model_is_known(other: Any) -> None:
    gateway = Gateway(keeps_vectors=True)
    await search(gateway)
    await search(gateway, other)
    sent = gateway.qdrant.body["query"]
    assert runs(gateway) == (1 if other["query"]["text"] == TEXT else 2)
    assert len(sent) == (2 if other["query"]["options"] else 4)


async def test_what_is_stored_is_computed_each_time() -> None:
    gateway = Gateway(keeps_vectors=True)
    point = {"points": [{"id": 1, "vector": {"text": TEXT, "model": "org/dense"}}]}
    for _ in range(2):
        await gateway.put(point)
    await search(gateway)
    assert runs(gateway) == 3


async def test_tenants_share_nothing(tmp_path: Path) -> None:
    gateway = Gateway(keeps_vectors=True, authenticator=tenants(tmp_path))
    for key in ("a" * 20, "b" * 20, "a" * 20):
        assert (await search(gateway, api_key=key)).status_code == 200
    assert runs(gateway) == 2


def tenants(folder: Path) -> Authenticator:
    file = folder / "tenants.yaml"
    entries = [f"{{name: {name}, keys: [{hashlib.sha256(name.encode() * 20).hexdigest()}]}}" for name in "ab"]
    file.write_text(f"tenants: [{', '.join(entries)}]")
    file.chmod(0o600)
    return Authenticator(environment.read({"QDRANT_API_KEY": "k" * 20, "QDRANT_INFERENCE_TENANTS": str(file)}))


async def test_permissions_switches_and_quotas_hold_though_the_vector_is_known(tmp_path: Path) -> None:
    switchboard = Switchboard()
    quotas = Quotas({"a": {"org/dense": Quota(tokens_per_minute=100)}})
    gateway = Gateway(keeps_vectors=True, authenticator=tenants(tmp_path), meter=Meter(quotas, switchboard))
    left = [(await search(gateway, api_key="a" * 20)).headers["x-ratelimit-remaining-tokens"] for _ in range(2)]
    assert int(left[1]) < int(left[0]) < 100
    assert (await search(gateway, api_key="nobody")).status_code == 401
    while (answer := await search(gateway, api_key="a" * 20)).status_code == 200:
        pass
    assert answer.status_code == 429
    assert runs(gateway) == 1
    switchboard.turn(Switches(models=frozenset({"org/dense"})))
    refused = await search(gateway, api_key="b" * 20)
    assert (refused.status_code, "off" in refused.text) == (400, True)


async def test_it_is_bounded_in_bytes_and_zero_keeps_nothing() -> None:
    gateway = Gateway(keeps_vectors=True, settings=IngressSettings(vector_cache_bytes=4000))
    for number in range(40):
        await search(gateway, query(f"{number}"))
    cache: Any = gateway.embedder.vectors
    assert 1 < len(cache._kept) < 8
    assert cache._kept.weight <= 4000
    gateway.settings.replace(IngressSettings(vector_cache_bytes=0))
    assert len(cache._kept) == 0
    before = runs(gateway)
    await search(gateway)
    await search(gateway)
    assert runs(gateway) == before + 2


async def test_no_text_and_no_array_of_a_whole_batch_is_kept() -> None:
    gateway = Gateway(keeps_vectors=True)
    await search(gateway)
    cache: Any = gateway.embedder.vectors
    ((key, (known, _)),) = cache._kept._kept.items()
    assert len(key) == 32
    assert TEXT not in repr(cache.__dict__)
    assert known.vector.base is None
    assert not known.vector.flags.writeable


async def test_another_process_knows_a_text_by_another_digest() -> None:
    keys = set()
    for _ in range(2):
        gateway = Gateway(keeps_vectors=True)
        await search(gateway)
        cache: Any = gateway.embedder.vectors
        keys |= set(cache._kept._kept)
    assert len(keys) == 2


def test_models_whose_files_could_change_without_a_word_are_not_known() -> None:
    cache = VectorCache(Gateway().settings)
    assert cache._origin(CATALOGUE.find("org/dense", ""))
    assert cache._origin(CATALOGUE.find("org/vision", "")) is None
