"""Stand-ins that speak the public HTTP APIs of external providers, all at one server of this process.

Sources: the API references of OpenAI, Cohere (v2), Jina AI, OpenRouter and text-embeddings-inference.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web
from aiohttp.test_utils import TestServer

from deployments.catalogue.card import ModelCard, route
from deployments.catalogue.catalogue import Catalogue
from deployments.catalogue.providers import PREFIXES, PROVIDERS, Endpoint, Prefix, Provider
from deployments.contract import Embeddings, ProviderBatch, ProviderKind
from deployments.errors import InferenceError
from deployments.providers.providers import Providers
from tests.support.cards import CATALOGUE
from tests.support.fakes import dense

KEYS: dict[ProviderKind, str] = {
    "openai": "sk-marker-openai-0123456789abcdef",
    "cohere": "marker-cohere-0123456789abcdef",
    "jina": "jina_marker_0123456789abcdef",
    "openrouter": "sk-or-v1-marker-0123456789abcdef",
}
PATHS: dict[ProviderKind, str] = {
    "openai": "/openai/v1",
    "cohere": "/cohere/v2",
    "jina": "/jina/v1",
    "openrouter": "/openrouter/api/v1",
    "tei": "/tei",
}
SIZES = {"text-embedding-3-large": 3072, "text-embedding-3-small": 1536, "embed-v4.0": 1536, "jina-clip-v2": 1024}
TASKED = "jina-embeddings-v3"
PNG = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAYAAACNMs+9AAAAFUlEQVR42mNk+M9Qz0AEYBxVSF+FAAhKDveksOjm"
    "AAAAAElFTkSuQmCC"
)

Fault = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Asked:
    """One request that came in."""

    kind: ProviderKind
    body: Any
    headers: Mapping[str, str]


def vector(model: str, value: str, dimensions: int | None = None, kind: str = "") -> list[float]:
    """What a stand-in gives for an input (of a kind, where the provider tells queries from passages)."""
    numbers: list[float] = dense(f"{kind}|{value}", dimensions or SIZES.get(model, 8)).tolist()
    return numbers


@dataclass
class ProviderSite:
    """All providers. `faults` answer in place of it, one request each; `usual` stays."""

    asked: list[Asked] = field(default_factory=list)
    faults: deque[Fault] = field(default_factory=deque)
    usual: Fault | None = None
    _server: TestServer | None = None

    async def start(self) -> None:
        app = web.Application(client_max_size=2**26)
        for kind, path in PATHS.items():
            end = "/embed" if kind in {"cohere", "tei"} else "/embeddings"
            app.router.add_post(path + end, self._handler(kind))
        self._server = TestServer(app)
        await self._server.start_server()

    async def close(self) -> None:
        if self._server:
            await self._server.close()

    def url(self, kind: ProviderKind) -> str:
        assert self._server
        return str(self._server.make_url(PATHS[kind]))

    @property
    def host(self) -> str:
        assert self._server
        return f"{self._server.host}:{self._server.port}"

    def _handler(self, kind: ProviderKind) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            body = orjson.loads(await request.read())
            self.asked.append(Asked(kind, body, {name.lower(): value for name, value in request.headers.items()}))
            fault = self.faults.popleft() if self.faults else self.usual
            if fault:
                return await fault(request)
            if kind in KEYS and request.headers.get("authorization") != f"Bearer {KEYS[kind]}":
                return _error(kind, 401, f"Incorrect API key provided: {request.headers.get('authorization')}")
            return _ANSWERS[kind](body)

        return handle


def _error(kind: ProviderKind, status: int, text: str) -> web.Response:
    """An error in the shape of a provider."""
    shapes: dict[ProviderKind, Any] = {
        "openai": {"error": {"message": text, "type": "invalid_request_error", "param": None, "code": None}},
        "openrouter": {"error": {"code": status, "message": text}},
        "cohere": {"id": "1", "message": text},
        "jina": {"detail": text},
        "tei": {"error": text, "error_type": "validation"},
    }
    return web.json_response(shapes[kind], status=status)


def _as_openai(vectors: list[list[float]], model: str, tokens: int) -> web.Response:
    data = [{"object": "embedding", "index": at, "embedding": one} for at, one in enumerate(vectors)]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return web.json_response({"object": "list", "data": data, "model": model, "usage": usage})


def _openai(body: Any) -> web.Response:
    known = {"model", "input", "dimensions", "encoding_format", "user"}
    if unknown := set(body) - known:
        return _error("openai", 400, f"Unrecognized request argument supplied: {unknown.pop()}")
    texts = body["input"]
    if not 1 <= len(texts) <= 2048 or any(not text for text in texts):
        return _error("openai", 400, "'$.input' is invalid.")
    if body["model"] == "no-such-model":
        return _error("openai", 404, "The model 'no-such-model' does not exist")
    vectors = [vector(body["model"], text, body.get("dimensions")) for text in texts]
    return _as_openai(vectors, body["model"], sum(len(text.split()) for text in texts))


def _openrouter(body: Any) -> web.Response:
    values = [one if isinstance(one, str) else one["content"][0]["image_url"]["url"] for one in body["input"]]
    vectors = [vector(body["model"], value, body.get("dimensions")) for value in values]
    return _as_openai(vectors, body["model"], 3 * len(values))


def _jina(body: Any) -> web.Response:
    if body["model"] == "jina-clip-v2" and body.get("task") not in {None, "retrieval.query"}:
        return _error("jina", 422, "task: Input should be 'retrieval.query'")
    values = [one if isinstance(one, str) else one.get("text") or one["image"] for one in body["input"]]
    kind = body.get("task", "")
    vectors = [vector(body["model"], value, body.get("dimensions"), kind) for value in values]
    return _as_openai(vectors, body["model"], 4 * len(values))


def _cohere(body: Any) -> web.Response:
    if "input_type" not in body or body["embedding_types"] != ["float"]:
        return _error("cohere", 400, "invalid request: input_type and embedding_types are required")
    texts, images = body.get("texts", []), body.get("images", [])
    if len(texts) > 96 or len(images) > 1 or any(not image.startswith("data:image/") for image in images):
        return _error("cohere", 400, "invalid request: total number of texts must be at most 96")
    values = [vector(body["model"], one, body.get("output_dimension"), body["input_type"]) for one in texts or images]
    billed = {"input_tokens": 5 * len(texts)} if texts else {"image_tokens": 258}
    return web.json_response(
        {"id": "1", "embeddings": {"float": values}, "texts": texts, "meta": {"billed_units": billed}}
    )


def _tei(body: Any) -> web.Response:
    if len(body["inputs"]) > 32:
        return _error("tei", 413, "batch size 33 > maximum allowed batch size 32")
    vectors = [vector("tei", text, body.get("dimensions")) for text in body["inputs"]]
    return web.json_response(vectors, headers={"x-compute-tokens": str(7 * len(vectors))})


_ANSWERS: dict[ProviderKind, Callable[[Any], web.Response]] = {
    "openai": _openai, "openrouter": _openrouter, "jina": _jina, "cohere": _cohere, "tei": _tei
}  # fmt: skip


def says(status: int, body: bytes = b"", **headers: str) -> Fault:
    """One answer, whatever was asked."""

    async def answer(_: web.Request) -> web.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, body=body, headers=named)

    return answer


def shows(content: Any) -> Fault:
    """An answer with status 200."""
    return says(200, orjson.dumps(content), content_type="application/json")


async def hangs(_: web.Request) -> web.Response:
    """Says nothing for a long time."""
    await asyncio.sleep(60)
    return web.Response()


async def closes(request: web.Request) -> web.Response:
    """Closes the connection without a word."""
    assert request.transport
    request.transport.close()
    return web.Response()


async def breaks_off(request: web.Request) -> web.StreamResponse:
    """Begins its answer, and closes the connection in the middle."""
    response = web.StreamResponse(headers={"content-length": "1000", "content-type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"data": [')
    assert request.transport
    request.transport.close()
    return response


async def echoes(request: web.Request) -> web.Response:
    """Refuses the request, and tells its key, as a careless provider may."""
    return web.json_response({"error": {"message": f"bad {request.headers.get('authorization')}"}}, status=400)


def routes(site: ProviderSite) -> Iterator[ModelCard]:
    """All routes, to the stand-ins."""
    prefix: Prefix
    for prefix, kind in PREFIXES.items():
        yield route(prefix, Endpoint(url=site.url(kind), key=PROVIDERS[kind].key, fetches_images=kind != "cohere"))


def entry(site: ProviderSite, kind: ProviderKind, name: str, dimensions: int = 8, **provider: Any) -> ModelCard:
    """A catalogue's entry of a provider."""
    return ModelCard(
        name=name,
        family="dense",
        dimensions=dimensions,
        licence="-",
        model_card_url="-",
        provider=Provider.model_validate({"kind": kind, "url": site.url(kind), "model": "own", **provider}),
    )


def catalogue(site: ProviderSite, *entries: ModelCard) -> Catalogue:
    """The small catalogue, all routes, and some entries."""
    return Catalogue((*CATALOGUE.cards, *entries, *routes(site)), CATALOGUE.path)


@dataclass
class LocalProviders:
    """The deployment in this process, called as through a handle."""

    providers: Providers
    calls: list[ProviderBatch] = field(default_factory=list)

    async def embed(self, batch: ProviderBatch) -> Embeddings:
        self.calls.append(batch)
        result = await self.providers.embed(batch)
        if isinstance(result, InferenceError):
            raise result
        return result
