"""The deployment of external providers, against stand-ins that speak their APIs and misbehave."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import orjson
import pytest
from pydantic import SecretStr

from deployments.catalogue.providers import PROVIDERS
from deployments.contract import Batch, Direction, Embeddings, ProviderBatch, ProviderKey, ProviderKind, Target
from deployments.errors import (
    ConfigError,
    DeadlineExceeded,
    InferenceError,
    KeyRefused,
    Kind,
    ModelUnavailable,
    Overloaded,
    UnknownModel,
    WrongInput,
)
from deployments.providers import client
from deployments.providers.providers import Providers
from tests.support.provider_sites import (
    KEYS,
    ProviderSite,
    breaks_off,
    closes,
    echoes,
    hangs,
    says,
    shows,
    vector,
)


@pytest.fixture
async def providers(site: ProviderSite) -> AsyncIterator[Providers]:
    made = Providers([site.host])
    await made.reconfigure({"timeout_s": 5, "failures": 1000})
    yield made
    await made.close()


def call(  # noqa: PLR0913  a test names what it is about
    site: ProviderSite,
    inputs: list[str],
    kind: ProviderKind = "openai",
    *,
    model: str = "m",
    key: str | None = "",
    direction: Direction = "update",
    size: int | None = None,
    **options: Any,
) -> ProviderBatch:
    secret = KEYS.get(kind) if key == "" else key
    shown = ProviderKey("request", SecretStr(secret)) if secret else None
    target = Target(f"{kind}/{model}", f"{kind}/*", kind, site.url(kind), model, size)
    return ProviderBatch(Batch(inputs, direction, options), "text", target, shown)


@pytest.mark.parametrize("kind", PROVIDERS)
async def test_each_provider_gives_the_vectors_of_the_texts_and_its_count_of_tokens(
    kind: ProviderKind, site: ProviderSite, providers: Providers
) -> None:
    result = await providers.embed(call(site, ["one", "two words"], kind))
    assert isinstance(result, Embeddings), result
    named = "search_document" if kind == "cohere" else ""
    np.testing.assert_allclose(result.vectors[1], vector("m", "two words", kind=named), rtol=1e-6)
    expected = {"openai": 3, "openrouter": 6, "jina": 8, "cohere": 10, "tei": 14}
    assert result.tokens.sum() == expected[kind]
    assert site.asked[0].headers.get("authorization") == (f"Bearer {KEYS[kind]}" if kind in KEYS else None)


@pytest.mark.parametrize(("kind", "option"), [(kind, spec.dimensions) for kind, spec in PROVIDERS.items()])
async def test_the_option_of_dimensions_is_each_providers_own(
    kind: ProviderKind, option: str, site: ProviderSite, providers: Providers
) -> None:
    result = await providers.embed(call(site, ["one"], kind, size=8, **{option: 5}))
    assert isinstance(result, Embeddings)
    assert len(result.vectors[0]) == 5


@pytest.mark.parametrize(
    ("status", "headers", "expected", "kind"),
    [
        (400, {}, WrongInput, Kind.BAD_REQUEST),
        (404, {}, UnknownModel, Kind.BAD_REQUEST),
        (413, {}, WrongInput, Kind.BAD_REQUEST),
        (422, {}, WrongInput, Kind.BAD_REQUEST),
        (401, {}, KeyRefused, Kind.BAD_REQUEST),
        (403, {}, KeyRefused, Kind.BAD_REQUEST),
        (402, {}, KeyRefused, Kind.BAD_REQUEST),
        (498, {}, KeyRefused, Kind.BAD_REQUEST),
        (429, {"retry_after": "17"}, Overloaded, Kind.OVERLOADED),
        (424, {}, ModelUnavailable, Kind.UNAVAILABLE),
        (500, {}, ModelUnavailable, Kind.UNAVAILABLE),
        (503, {"retry_after": "17"}, ModelUnavailable, Kind.UNAVAILABLE),
        (302, {"location": "http://127.0.0.1:9/"}, ModelUnavailable, Kind.UNAVAILABLE),
        (204, {}, ModelUnavailable, Kind.UNAVAILABLE),
    ],
)
async def test_what_statuses_mean(  # noqa: PLR0913  a table of four columns
    status: int, headers: dict[str, str], expected: type, kind: Kind, *, site: ProviderSite, providers: Providers
) -> None:
    site.usual = says(status, **headers)
    result = await providers.embed(call(site, ["one"]))
    assert (type(result), result.kind) == (expected, kind)  # type: ignore[union-attr]
    if "retry_after" in headers:
        assert result.retry_after == 17  # type: ignore[union-attr]
    assert len(site.asked) == 1


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_what_may_pass_the_next_time_is_sent_again(
    status: int, site: ProviderSite, providers: Providers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_FIRST_WAIT_S", 0.001)
    site.faults.extend([says(status, retry_after="0"), closes])
    assert isinstance(await providers.embed(call(site, ["one"])), Embeddings)
    assert len(site.asked) == 3


async def test_what_may_have_been_worked_for_is_not_sent_again(site: ProviderSite, providers: Providers) -> None:
    await providers.reconfigure({"timeout_s": 0.3})
    for fault, expected in ((hangs, DeadlineExceeded), (breaks_off, ModelUnavailable), (says(500), ModelUnavailable)):
        site.asked.clear()
        site.faults.append(fault)
        assert type(await providers.embed(call(site, ["one"]))) is expected
        assert len(site.asked) == 1


async def test_a_provider_that_is_not_there_is_unavailable(
    site: ProviderSite, providers: Providers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_FIRST_WAIT_S", 0.001)
    asked = call(site, ["one"])
    await site.close()
    result = await providers.embed(asked)
    assert isinstance(result, ModelUnavailable)
    state = (await providers.states())["openai/*"]
    assert (state.reachable, state.last_error) == (False, "the provider of openai/* cannot be reached")


def data(*indices: Any, size: int = 8) -> Any:
    return {"data": [{"index": index, "embedding": [float(at)] * size} for at, index in enumerate(indices)]}


async def test_vectors_go_where_their_indices_say(site: ProviderSite, providers: Providers) -> None:
    site.usual = shows(data(1, 0))
    result = await providers.embed(call(site, ["a", "b"]))
    assert isinstance(result, Embeddings)
    assert [float(result.vectors[at][0]) for at in range(2)] == [1.0, 0.0]


@pytest.mark.parametrize(
    "content",
    [
        data(0), data(0, 1, 2), data(0, 0), data(0, 1, size=7), data(0, 1, size=0), {}, [], "page", None,
        {"data": [{"index": 0, "embedding": [1.0] * 8}, {"index": 1, "embedding": [1e39] * 8}]},
        {"error": {"message": "an error page with the status of a success"}},
    ],
    ids=str,
)  # fmt: skip
async def test_answers_that_no_vectors_can_be_taken_from_are_the_providers_fault(
    content: Any, site: ProviderSite, providers: Providers
) -> None:
    site.usual = shows(content)
    result = await providers.embed(call(site, ["a", "b"], size=8))
    assert type(result) is ModelUnavailable


@pytest.mark.parametrize(
    "body",
    [b"<html>busy</html>", b"", b"[" * 100_000, b"\xff" * 100, b"[" + b"0," * 10**5],
    ids=["page", "nothing", "deep", "no text", "cut"],
)
async def test_error_pages_with_the_status_of_a_success_are_no_answers(
    body: bytes, site: ProviderSite, providers: Providers
) -> None:
    site.usual = says(200, body)
    assert type(await providers.embed(call(site, ["a"]))) is ModelUnavailable


async def test_an_answer_without_end_or_in_disguise_is_given_up(site: ProviderSite, providers: Providers) -> None:
    site.usual = says(200, b" " * (1024 * 1024 + 32 * 4096 + 1))
    result = await providers.embed(call(site, ["a"]))
    assert "longer answer" in result.message  # type: ignore[union-attr]
    site.usual = says(200, b"x", content_encoding="gzip")
    result = await providers.embed(call(site, ["a"]))
    assert "compressed" in result.message  # type: ignore[union-attr]


async def test_a_provider_that_fails_again_and_again_is_not_asked_for_a_while(
    site: ProviderSite, providers: Providers
) -> None:
    await providers.reconfigure({"failures": 2, "pause_s": 60})
    site.usual = says(500)
    results = [await providers.embed(call(site, ["a"])) for _ in range(4)]
    assert [type(result) for result in results] == [ModelUnavailable] * 4
    assert len(site.asked) == 2
    site.usual = None
    assert isinstance(await providers.embed(call(site, ["a"], key="another-key-of-somebody")), KeyRefused)


async def test_a_limit_holds_for_its_key_alone(site: ProviderSite, providers: Providers) -> None:
    site.faults.append(says(429, retry_after="60"))
    for _ in range(2):
        assert isinstance(await providers.embed(call(site, ["a"], key="another-key-of-somebody")), Overloaded)
    assert isinstance(await providers.embed(call(site, ["a"])), Embeddings)
    assert len(site.asked) == 2


async def test_too_many_calls_to_a_host_are_429(site: ProviderSite, providers: Providers) -> None:
    await providers.reconfigure({"calls": 2, "timeout_s": 0.3})
    site.usual = hangs
    results = await asyncio.gather(*(providers.embed(call(site, ["a"])) for _ in range(3)))
    assert sorted(type(result).__name__ for result in results) == ["DeadlineExceeded", "DeadlineExceeded", "Overloaded"]


async def test_a_host_that_the_configuration_does_not_name_is_not_called(site: ProviderSite) -> None:
    elsewhere = Providers(["api.openai.com"])
    result = await elsewhere.embed(call(site, ["a"]))
    await elsewhere.close()
    assert "does not allow" in result.message  # type: ignore[union-attr]
    assert not site.asked


@pytest.mark.parametrize("fault", [echoes, says(401, b'{"error":{"message":"bad sk-marker-openai-0123456789abcdef"}}')])
async def test_a_provider_that_repeats_the_key_tells_it_to_nobody(
    fault: Any, site: ProviderSite, providers: Providers, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    site.usual = fault
    asked = call(site, ["a"])
    result = await providers.embed(asked)
    assert isinstance(result, InferenceError)
    told = [repr(result), repr(asked), str(asked), caplog.text, repr(await providers.states()), repr(vars(providers))]
    assert "marker" not in "".join(told)
    if isinstance(result, KeyRefused):
        assert "the key of the request" in result.message


async def test_a_providers_words_are_cut_and_have_no_control_characters(
    site: ProviderSite, providers: Providers
) -> None:
    site.usual = says(400, orjson.dumps({"message": "too\x1b[31m long\n" + "x" * 10_000}))
    result = await providers.embed(call(site, ["a"]))
    assert "too [31m long " in result.message  # type: ignore[union-attr]
    assert len(result.message) < 500  # type: ignore[union-attr]


async def test_the_operators_key_is_read_where_it_is_needed(
    site: ProviderSite, providers: Providers, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = call(site, ["a"])
    asked = ProviderBatch(asked.batch, "text", asked.target, ProviderKey("operator", variable="MARKER_KEY"))
    result = await providers.embed(asked)
    assert isinstance(result, ModelUnavailable)
    assert "not in the environment" in result.message
    monkeypatch.setenv("MARKER_KEY", KEYS["openai"])
    assert isinstance(await providers.embed(asked), Embeddings)


async def test_a_bug_is_an_internal_error_that_says_nothing_of_the_call(
    site: ProviderSite, providers: Providers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: Any) -> None:
        raise ZeroDivisionError(KEYS["openai"])

    monkeypatch.setattr(client.Client, "send", broken)
    result = await providers.embed(call(site, ["a"]))
    assert result.kind is Kind.INTERNAL  # type: ignore[union-attr]
    assert "marker" not in repr(result) + caplog.text
    assert "ZeroDivisionError" in caplog.text


async def test_proxies_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert client.proxy_for("https://api.openai.com/v1") is None
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", "tei.internal")
    assert client.proxy_for("https://api.openai.com/v1") == "http://proxy:3128"
    assert client.proxy_for("https://tei.internal:8080/embed") is None
    assert client.proxy_for("http://other/embed") is None


async def test_unknown_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="timeout"):
        await Providers([]).reconfigure({"timeout": 5})


async def test_a_call_that_is_given_up_ends(site: ProviderSite, providers: Providers) -> None:
    site.usual = hangs
    task = asyncio.create_task(providers.embed(call(site, ["a"])))
    while not site.asked:  # noqa: ASYNC110  what is waited for has no event
        await asyncio.sleep(0.01)
    began = time.monotonic()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert time.monotonic() - began < 5
