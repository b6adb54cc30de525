"""Models of external providers in OpenAI's API and in the console's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from serve_app.api.management import models as described
from tests.support.management import Answer, World
from tests.support.provider_sites import KEYS, PNG, LocalProviders, ProviderSite, entry, routes, says, vector

KEY = {"openai_api_key": KEYS["openai"]}


@pytest.fixture
def here(world: Callable[..., World], site: ProviderSite, outside: LocalProviders) -> World:
    return world(outside=outside, external=[*routes(site), entry(site, "tei", "own/tei")])


async def embed(here: World, model: str, given: Any = "tea", **more: Any) -> Answer:
    headers = {name: more.pop(name) for name in list(more) if name.endswith("_key")}
    return await here.ask("POST", "/v1/embeddings", {"model": model, "input": given, **more}, **headers)


async def test_openais_api_serves_them_under_the_same_names(here: World) -> None:
    answer = (await embed(here, "openai/text-embedding-3-small", ["one", "two words"], dimensions=5, **KEY)).json
    np.testing.assert_allclose(answer["data"][1]["embedding"], vector("", "two words", 5), rtol=1e-6)
    assert (answer["model"], answer["usage"]["total_tokens"]) == ("openai/text-embedding-3-small", 3)
    assert (await embed(here, "own/tei")).status == 200
    query = (await embed(here, "cohere/embed-v4.0", input_type="query", cohere_api_key=KEYS["cohere"])).json
    np.testing.assert_allclose(query["data"][0]["embedding"][:3], vector("embed-v4.0", "tea", None, "search_query")[:3])


@pytest.mark.parametrize(
    ("model", "given", "status", "text"),
    [
        ("openai/m", "tea", 400, "needs a key"),
        ("openai/*", "tea", 404, "for the star"),
        ("openai/no-such-model", "tea", 404, "does not exist"),
        ("own/tei", [1, 2], 400, "token ids are refused"),
    ],
)
async def test_openais_api_says_what_is_wrong(model: str, given: Any, status: int, text: str, here: World) -> None:
    answer = await embed(here, model, given, **(KEY if "no-such" in model else {}))
    assert (answer.status, text in answer.json["error"]["message"]) == (status, True), answer.json


async def test_openais_api_lists_entries_and_no_routes(here: World) -> None:
    names = [one["id"] for one in (await here.ask("GET", "/v1/models")).json["data"]]
    assert names == ["d/Dense", "c/clip-text", "own/tei"]


async def test_the_console_tells_how_providers_are(
    here: World, site: ProviderSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(described, "_PROVIDERS_KEPT_S", 0.0)

    async def models() -> dict[str, Any]:
        return {one["name"]: one for one in (await here.ask("GET", "/inference/models")).result["models"]}

    first = (await models())["openai/*"]
    assert (first["state"], first["external"]["reachable"]) == ("ready", None)
    assert first["external"]["key"] == "openai-api-key"
    assert (first["provider"], first["reads"], first["options"]) == (
        "openai", ["text"], ["dimensions", "mrl", "openai-api-key"]
    )  # fmt: skip
    assert (await models())["cohere/*"]["reads"] == ["text", "image"]
    assert (await models())["d/Dense"]["external"] is None
    site.usual = says(500)
    await embed(here, "openai/m", **KEY)
    here_now = await models()
    failed = here_now["openai/*"]
    assert (failed["state"], failed["reason"]) == ("unreachable", "the provider of openai/* failed (500)")
    assert failed["external"]["last_error_at"] > 0
    assert here_now["own/tei"]["state"] == "ready"
    site.usual = None
    await embed(here, "openai/m", **KEY)
    again = (await models())["openai/*"]
    assert (again["state"], again["reason"], again["external"]["reachable"]) == ("ready", None, True)


async def test_a_providers_models_are_switched_together(here: World) -> None:
    refused = await here.ask("PUT", "/inference/settings", {"models": {"openai/m": False}})
    assert (refused.status, "openai/*" in refused.json["status"]["error"]) == (400, True)
    await here.ask("PUT", "/inference/settings", {"models": {"openai/*": False}})
    answer = await embed(here, "openai/m", **KEY)
    assert "openai/*" in answer.json["error"]["message"]
    assert (await embed(here, "own/tei")).status == 200


async def test_the_playground_tries_them_on_texts_and_images(here: World, site: ProviderSite) -> None:
    options = {"jinaai/jina-clip-v2": {"jina-api-key": KEYS["jina"], "dimensions": 8}}
    body = {
        "inputs": [{"text": "tea"}, {"image": PNG}],
        "models": ["jinaai/jina-clip-v2", "openai/m"],
        "options": options,
    }
    first, second = (await here.ask("POST", "/inference/playground", body, **KEY)).result["models"]
    assert [one["input"] for one in first["outputs"]] == [0, 1]
    assert [len(one["dense"]) for one in first["outputs"]] == [8, 8]
    assert first["outputs"][0]["tokens"] is None
    assert [one["input"] for one in second["outputs"]] == [0]
    assert len(site.asked) == 3


async def test_usage_lists_them_by_account(here: World) -> None:
    await embed(here, "openai/m", "two words", **KEY)
    await here.ledger.tick()
    rows = (await here.ask("GET", "/inference/usage?from=2020-01-01&group_by=model")).result["rows"]
    assert [(row["model"], row["tokens"]) for row in rows] == [("openai/*", 2)]
