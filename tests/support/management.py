"""The management API without a cluster: fake models, a fake Qdrant, and a ledger on a database of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from deployments.catalogue.card import ImageLimits, ModelCard
from deployments.catalogue.catalogue import Catalogue
from deployments.contract import Batch, Embeddings, Explanation, Model, Running
from deployments.errors import WrongInput
from serve_app.api import rerank
from serve_app.api.health import Health
from serve_app.api.management.routes import Console
from serve_app.api.management.service_health import ServiceHealth
from serve_app.api.openai import OpenAiApi
from serve_app.api.rest import HttpApi
from serve_app.auth.access import Authenticator
from serve_app.batching.router import Call, Router
from serve_app.cluster.additions import Additions
from serve_app.cluster.model_states import ModelState
from serve_app.cluster.served import ServedModels
from serve_app.config.environment import Environment
from serve_app.config.settings import IngressSettings, LiveSettings
from serve_app.embedded.size import StoreSize
from serve_app.embedder import Embedder
from serve_app.ledger.additions import AdditionBoard
from serve_app.ledger.ledger import Ledger
from serve_app.ledger.meter import Meter
from serve_app.ledger.quotas import Quotas, by_catalogue
from serve_app.ledger.switchboard import Switchboard
from serve_app.pipeline import Pipeline
from tests.support import openapi
from tests.support.clusters import FakeCluster
from tests.support.fakes import FakeManyModel, FakeModel, FakeQdrant, FakeReranker, FakeSparseModel, load_images
from tests.support.gateway import all_ready
from tests.support.provider_sites import LocalProviders


def card(name: str, family: str, **fields: Any) -> ModelCard:
    given = {} if family == "bm25" else {"sources": ({"folder": "/nothing", "files": {}},)}
    return ModelCard(name=name, family=family, licence="MIT", model_card_url="-", **given, **fields)  # type: ignore[arg-type]


CARDS = (
    card("d/Dense", "dense", dimensions=4, context_window=8, pooling="mean", matryoshka=[2, 4],
         price_per_million_tokens=2.0,
         aliases=("short",), prefixes={"query": "query: ", "passage": "passage: "}),
    card("s/sparse", "sparse", context_window=8),
    card("b/bm25", "bm25"),
    card("c/clip-text", "clip-text", dimensions=4, context_window=8),
    card("c/clip-vision", "clip-vision", dimensions=4, image_size=2, image_limits=ImageLimits()),
    card("r/reranker", "cross-encoder", context_window=8),
)  # fmt: skip

FAKES: Mapping[str, Callable[[], Any]] = {"sparse": FakeSparseModel, "score": FakeReranker}
"""Models by what they give, if it is not what `FakeModel` does."""


@dataclass
class FakeReplicas:
    """A token is a word. Knows the word of index 7."""

    asked: list[str] = field(default_factory=list)
    rows: list[Sequence[int]] = field(default_factory=list)

    async def running(self, model: str) -> Running:
        self.asked.append(model)
        return Running("cpu", "float32")

    async def explain(self, model: str, batch: Batch, indices: Sequence[Sequence[int]]) -> list[Explanation]:
        explanations = []
        for text, row in zip(batch.inputs, indices, strict=True):
            words = str(text).split(" ")
            starts = [sum(len(word) + 1 for word in words[:position]) for position in range(len(words))]
            spans = [(start, start + len(word)) for start, word in zip(starts, words, strict=True)]
            known = {index: "seven" for index in row if index == 7}
            explanations.append(Explanation(["[CLS]", *words], [None, *spans], spans[-1][1], 3, known))
        return explanations

    async def texts(self, model: str, ids: Sequence[Sequence[int]]) -> list[str]:
        if model != "d/Dense":
            raise WrongInput(f"{model} has no token ids; send texts")
        self.rows += ids
        return [" ".join(map(str, row)) for row in ids]


@dataclass
class FakeConsoleModel(Model):
    """One model of the replicas."""

    replicas: FakeReplicas
    name: str
    call: Call = field(default_factory=FakeModel)

    async def embed(self, batch: Batch) -> Embeddings:
        return await self.call(batch)

    async def running(self) -> Running:
        return await self.replicas.running(self.name)

    async def explain(self, batch: Batch, indices: Sequence[Sequence[int]]) -> list[Explanation]:
        return await self.replicas.explain(self.name, batch, indices)

    async def texts(self, ids: Sequence[Sequence[int]]) -> list[str]:
        return await self.replicas.texts(self.name, ids)


def _added(replicas: FakeReplicas, card: ModelCard) -> FakeConsoleModel:
    return FakeConsoleModel(replicas, card.name, FakeManyModel() if card.heads else FakeModel())


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.content)

    @property
    def result(self) -> Any:
        assert self.status == 200, self.json
        return self.json["result"]


@dataclass
class World:
    """A gateway with a console; `ask` is one HTTP request, whose answer is held against the API's description."""

    http: HttpApi
    settings: LiveSettings
    pipeline: Pipeline
    ledger: Ledger
    switchboard: Switchboard
    qdrant: FakeQdrant
    replicas: FakeReplicas
    states: dict[str, ModelState]
    health: Health
    additions: Additions
    cluster: FakeCluster

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        path, _, query = path.partition("?")
        content = b"" if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
        named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        scope = {
            "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": query.encode(),
            "headers": [*named, (b"content-length", str(len(content)).encode())],
        }  # fmt: skip
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": content}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.http(scope, receive, send)
        said = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        answer = Answer(sent[0]["status"], said, b"".join(message.get("body", b"") for message in sent[1:]))
        openapi.check(answer, method, path)
        return answer

    async def query(self, model: str = "d/Dense", text: str = "hello you", **headers: str) -> Answer:
        """A search in the collection `recipes`."""
        body = {"query": {"text": text, "model": model}, "using": "v"}
        return await self.ask("POST", "/collections/recipes/points/query", body, **headers)


MakeWorld = Callable[..., World]

KEYS = {"qdrant_api_key": "k" * 20, "qdrant_read_only_api_key": "r" * 20, "qdrant_inference_admin_key": "a" * 20}


async def measure_store() -> StoreSize:
    return StoreSize(5 * 2**20, 2**40)


def make_world(
    folder: Path,
    models: Mapping[str, Any] | None = None,
    outside: LocalProviders | None = None,
    external: Sequence[ModelCard] = (),
    *,
    embedded: bool = False,
    **variables: Any,
) -> World:
    """A world with the ledger of a folder, by the variables of the environment; `models` stand in for the fakes.

    `external` are models of the providers that are called by `outside`.
    """
    settings = LiveSettings(IngressSettings(free_tokens_per_month=100))
    catalogue = Catalogue((*CARDS, *external), folder / "models.yaml")
    calls: dict[str, Any] = {one.name: FAKES.get(one.vector_kind, FakeModel)() for one in CARDS}
    calls.update(models or {})
    qdrant = FakeQdrant()
    authenticator = Authenticator(Environment(**variables))
    switchboard = Switchboard()
    replicas, states = FakeReplicas(), {one.name: ModelState("ready", None, 1, 0) for one in catalogue}
    board, cluster = AdditionBoard(), FakeCluster()
    asked = {name: FakeConsoleModel(replicas, name, call) for name, call in calls.items()}
    served = ServedModels(catalogue, asked, board, lambda card, _: _added(replicas, card))

    async def read() -> dict[str, ModelState]:
        return states

    embedder = Embedder(
        catalogue=served.catalogue,
        settings=settings,
        router=Router(served.calls, settings),
        load_images=load_images,
        meter=Meter(Quotas(by_catalogue(authenticator.quotas, catalogue)), switchboard),
        model_states=all_ready,
        providers=outside.embed if outside else None,
    )
    url, waiting = f"sqlite:///{folder / 'ledger.sqlite3'}", embedder.admission.waiting
    ledger = Ledger(embedder.meter, switchboard, url, period_s=3600, waiting=waiting, additions=board)
    additions = Additions(ledger, served, cluster, loads_images=True)
    ask = outside.providers.states if outside else None
    health = Health(qdrant, all_ready)
    glance = ServiceHealth(lambda: health.trouble, qdrant, ledger, read, measure_store if embedded else None)
    console = Console(
        authenticator,
        embedder,
        ledger,
        read,
        served.models,
        additions=additions,
        glance=glance,
        providers=ask,
        grpc_port=7777,
    )
    pipeline = Pipeline(embedder, qdrant)
    others = (console, OpenAiApi(authenticator, embedder, served.models), *rerank.apis(authenticator, embedder))
    http = HttpApi(pipeline, authenticator, others=others)
    return World(http, settings, pipeline, ledger, switchboard, qdrant, replicas, states, health, additions, cluster)


def tenants_file(folder: Path, quotas: str = "") -> Path:
    """A file with two tenants; the key of each is its name ten times."""
    keys = {name: hashlib.sha256(name.encode() * 10).hexdigest() for name in ("shop", "bakery")}
    path = folder / "tenants.yaml"
    path.write_text("tenants:\n" + "".join(f"- {{name: {n}, keys: ['{k}']{quotas}}}\n" for n, k in keys.items()))
    return path
