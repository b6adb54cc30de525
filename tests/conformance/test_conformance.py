"""Every way in which the official client sends a vector: as an inference object, it is as if the vector were sent."""

from __future__ import annotations

import base64
import io
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from PIL import Image, ImageDraw
from qdrant_client import AsyncQdrantClient, QdrantClient, models

from tests.support import models as late_interaction
from tests.support.keys import KEY
from tests.support.running import RunningService

pytestmark = pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")

MODELS = {
    "dense": "sentence-transformers/all-minilm-l6-v2",
    "bm25": "qdrant/bm25",
    "splade": "starter/splade-tiny",
    "tokens": late_interaction.NAME,
    "caption": "starter/clip-shapes-text",
    "picture": "starter/clip-shapes-vision",
}
TEXTS = (
    "Recipe for baking chocolate chip cookies",
    "How to change the oil of a car",
    "Paris is the capital of France",
    "Bananas are yellow and sweet",
    "Bread is baked in an oven",
    "A history of the Roman empire",
)
Make = Callable[..., Any]
"""Makes what stands for a vector: of a text, for a named vector, to be stored or (`search=True`) to search with."""


def as_object(text: str, name: str, search: bool = False) -> Any:
    if name == "picture":
        return models.Image(image=drawing(text), model=MODELS[name])
    return models.Document(text=text, model=MODELS[name])


def drawing(text: str) -> str:
    """A picture of its own for each text, in base64."""
    image = Image.new("RGB", (80, 60), "white")
    ImageDraw.Draw(image).ellipse((10, 10, 50, 50), fill=(len(text) * 5 % 256, len(text) * 11 % 256, 60))
    file = io.BytesIO()
    image.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


class Raw:
    """Vectors, computed beforehand by the same models."""

    def __init__(self, address: str) -> None:
        self.http = httpx.Client(base_url=address, headers={"api-key": KEY}, timeout=60)
        self.known: dict[Any, Any] = {}

    def __call__(self, text: str, name: str, search: bool = False) -> Any:
        key = text, name, search
        if key not in self.known:
            data, kind = (drawing(text), "image") if name == "picture" else (text, "text")
            asked = {"data": data, "data_type": kind, "model": MODELS[name]}
            body = {"inputs": [asked], "inference": "search" if search else "update"}
            (vector,) = self.http.post("/inference", json=body).json()["embeddings"]
            self.known[key] = models.SparseVector(**vector) if isinstance(vector, dict) else vector
        return self.known[key]


@pytest.fixture(scope="session", params=["embedded", "remote"])
def address(request: pytest.FixtureRequest) -> RunningService:
    running: RunningService = request.getfixturevalue(
        {"embedded": "service", "remote": "remote_service"}[request.param]
    )
    return running


@pytest.fixture(scope="session")
def raw(address: RunningService) -> Iterator[Raw]:
    raw = Raw(address.rest_address)
    yield raw
    raw.http.close()


@pytest.fixture(params=["rest", "grpc"])
def options(request: pytest.FixtureRequest, address: RunningService) -> dict[str, Any]:
    return {
        "url": address.rest_address,
        "grpc_port": address.grpc_port,
        "prefer_grpc": request.param == "grpc",
        "api_key": KEY,
        "cloud_inference": True,
        "check_compatibility": False,
        "timeout": 60,
    }


@pytest.fixture
def client(options: dict[str, Any]) -> Iterator[QdrantClient]:
    client = QdrantClient(**options)
    yield client
    client.close()


def create(client: QdrantClient) -> str:
    name = f"conformance-{uuid.uuid4()}"
    client.create_collection(
        name,
        vectors_config={
            "dense": models.VectorParams(size=384, distance=models.Distance.COSINE),
            "picture": models.VectorParams(size=128, distance=models.Distance.COSINE),
            "caption": models.VectorParams(size=128, distance=models.Distance.COSINE),
            "tokens": models.VectorParams(
                size=late_interaction.DIMENSIONS,
                distance=models.Distance.DOT,
                multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
            ),
        },
        sparse_vectors_config={
            "bm25": models.SparseVectorParams(modifier=models.Modifier.IDF),
            "splade": models.SparseVectorParams(),
        },
    )
    return name


def everything(make: Make, text: str) -> dict[str, Any]:
    return {name: make(text, name) for name in MODELS}


def by_list(client: QdrantClient, collection: str, make: Make) -> None:
    points = [
        models.PointStruct(id=n, vector=everything(make, text), payload={"n": n % 2}) for n, text in enumerate(TEXTS)
    ]
    client.upsert(collection, points)


def by_batch_form(client: QdrantClient, collection: str, make: Make) -> None:
    vectors: Any = {name: [make(text, name) for text in TEXTS] for name in MODELS}
    client.upsert(collection, models.Batch(ids=list(range(len(TEXTS))), vectors=vectors))


def by_mixture(client: QdrantClient, collection: str, make: Make) -> None:
    """Raw vectors beside what is to be tested, in one body."""
    points = [
        models.PointStruct(id=1, vector={"dense": [0.5] * 384, "bm25": make(TEXTS[0], "bm25")}),
        models.PointStruct(id=2, vector={"dense": make(TEXTS[1], "dense")}),
        models.PointStruct(id=3, vector={"dense": [0.25] * 384}),
    ]
    client.upsert(collection, points)


def by_update_vectors(client: QdrantClient, collection: str, make: Make) -> None:
    client.upsert(collection, [models.PointStruct(id=n, vector={"dense": [0.1] * 384}) for n in range(3)])
    client.update_vectors(collection, [models.PointVectors(id=n, vector=everything(make, TEXTS[n])) for n in range(3)])


def by_operations(client: QdrantClient, collection: str, make: Make) -> None:
    upsert = models.PointsList(points=[models.PointStruct(id=n, vector=everything(make, TEXTS[n])) for n in range(4)])
    update = models.UpdateVectors(points=[models.PointVectors(id=0, vector={"dense": make(TEXTS[5], "dense")})])
    client.batch_update_points(
        collection,
        [
            models.UpsertOperation(upsert=upsert),
            models.DeleteOperation(delete=models.PointIdsList(points=[3])),
            models.UpdateVectorsOperation(update_vectors=update),
            models.SetPayloadOperation(set_payload=models.SetPayload(payload={"a": 1}, points=[1])),
        ],
    )


@pytest.mark.parametrize("write", [by_list, by_batch_form, by_mixture, by_update_vectors, by_operations])
def test_what_is_stored_is_the_same(client: QdrantClient, raw: Raw, write: Callable[..., None]) -> None:
    stored = []
    for make in (raw, as_object):
        collection = create(client)
        write(client, collection, make)
        points, _ = client.scroll(collection, limit=100, with_vectors=True)
        stored.append([plain(point) for point in points])
        client.delete_collection(collection)
    assert stored[0]
    assert stored[0] == stored[1]


def plain(point: Any) -> dict[str, Any]:
    """A point as JSON, its numbers in the precision of float32."""

    def rounded(value: Any) -> Any:
        if isinstance(value, float):
            return pytest.approx(value, rel=1e-5, abs=1e-6)
        if isinstance(value, dict):
            return {key: rounded(item) for key, item in value.items()}
        return [rounded(item) for item in value] if isinstance(value, list) else value

    content: dict[str, Any] = rounded(point.model_dump(exclude={"version", "shard_key", "order_value"}))
    return content


def in_order(points: list[Any]) -> list[dict[str, Any]]:
    """Points as they were found. The engine has no order among equal scores, which ranks that are fused often give."""
    return [plain(point) for point in sorted(points, key=lambda point: (-round(point.score, 5), point.id))]


def sought(make: Make, text: str, name: str = "dense") -> Any:
    return make(text, name, search=True)


QUERIES: dict[str, Callable[[Make], dict[str, Any]]] = {
    "nearest": lambda make: {"query": sought(make, "baking"), "using": "dense"},
    "nearest, bm25": lambda make: {"query": sought(make, "oil of cars", "bm25"), "using": "bm25"},
    "nearest, splade": lambda make: {"query": sought(make, "capital", "splade"), "using": "splade"},
    "nearest, late interaction": lambda make: {"query": sought(make, "baking bread", "tokens"), "using": "tokens"},
    "nearest, a picture": lambda make: {"query": sought(make, "a picture", "picture"), "using": "picture"},
    "nearest picture of a caption": lambda make: {"query": sought(make, "a red circle", "caption"), "using": "picture"},
    "late interaction over candidates": lambda make: {
        "prefetch": models.Prefetch(query=sought(make, "baking"), using="dense", limit=4),
        "query": sought(make, "baking", "tokens"),
        "using": "tokens",
    },
    "nearest as an object": lambda make: {
        "query": models.NearestQuery(nearest=sought(make, "fruit")),
        "using": "dense",
    },
    "mmr": lambda make: {
        "query": models.NearestQuery(nearest=sought(make, "baking"), mmr=models.Mmr(diversity=0.5, candidates_limit=5)),
        "using": "dense",
    },
    "recommend": lambda make: {
        "query": models.RecommendQuery(
            recommend=models.RecommendInput(positive=[sought(make, "baking"), 3], negative=[sought(make, "cars")])
        ),
        "using": "dense",
    },
    "recommend, best score": lambda make: {
        "query": models.RecommendQuery(
            recommend=models.RecommendInput(
                positive=[sought(make, "baking")],
                negative=[sought(make, "cars")],
                strategy=models.RecommendStrategy.BEST_SCORE,
            )
        ),
        "using": "dense",
    },
    "discover": lambda make: {
        "query": models.DiscoverQuery(
            discover=models.DiscoverInput(
                target=sought(make, "food"),
                context=[models.ContextPair(positive=sought(make, "baking"), negative=sought(make, "cars"))],
            )
        ),
        "using": "dense",
    },
    "context": lambda make: {
        "query": models.ContextQuery(
            context=[models.ContextPair(positive=sought(make, "baking"), negative=sought(make, "cars"))]
        ),
        "using": "dense",
    },
    "relevance feedback": lambda make: {
        "query": models.RelevanceFeedbackQuery(
            relevance_feedback=models.RelevanceFeedbackInput(
                target=sought(make, "food"),
                feedback=[
                    models.FeedbackItem(example=sought(make, "baking"), score=0.9),
                    models.FeedbackItem(example=sought(make, "cars"), score=0.1),
                ],
                strategy=models.NaiveFeedbackStrategy(naive=models.NaiveFeedbackStrategyParams(a=1.0, b=1.0, c=1.0)),
            )
        ),
        "using": "dense",
    },
    "prefetch and fusion": lambda make: {
        "prefetch": [models.Prefetch(query=sought(make, "baking bread", name), using=name) for name in MODELS],
        "query": models.FusionQuery(fusion=models.Fusion.RRF),
    },
    "nested prefetch": lambda make: {
        "prefetch": models.Prefetch(
            prefetch=models.Prefetch(query=sought(make, "bread", "splade"), using="splade", limit=5),
            query=sought(make, "bread", "bm25"),
            using="bm25",
            limit=4,
        ),
        "query": sought(make, "sweet"),
        "using": "dense",
    },
}


@pytest.fixture
def filled(client: QdrantClient, raw: Raw) -> Iterator[str]:
    collection = create(client)
    by_list(client, collection, raw)
    yield collection
    client.delete_collection(collection)


@pytest.mark.parametrize("kind", QUERIES)
def test_what_is_found_is_the_same(client: QdrantClient, raw: Raw, filled: str, kind: str) -> None:
    found = [client.query_points(filled, **QUERIES[kind](make)).points for make in (raw, as_object)]
    assert found[0]
    assert in_order(found[0]) == in_order(found[1])


def test_batches_and_groups_of_queries_find_the_same(client: QdrantClient, raw: Raw, filled: str) -> None:
    batches, groups = [], []
    for make in (raw, as_object):
        requests = [
            models.QueryRequest(query=sought(make, "baking"), using="dense", limit=3),
            models.QueryRequest(query=sought(make, "cars", "bm25"), using="bm25", limit=3),
            models.QueryRequest(query=[0.1] * 384, using="dense", limit=3),
        ]
        answers = client.query_batch_points(filled, requests)
        batches.append([[plain(point) for point in answer.points] for answer in answers])
        grouped = client.query_points_groups(filled, group_by="n", query=sought(make, "baking"), using="dense")
        groups.append([(group.id, [plain(point) for point in group.hits]) for group in grouped.groups])
    assert len(batches[0]) == 3
    assert len(groups[0]) == 2
    assert batches[0] == batches[1]
    assert groups[0] == groups[1]


async def test_the_async_client_stores_and_finds_the_same(options: dict[str, Any], raw: Raw) -> None:
    client = AsyncQdrantClient(**options)
    found = []
    for make in (raw, as_object):
        collection = f"conformance-{uuid.uuid4()}"
        await client.create_collection(
            collection, vectors_config=models.VectorParams(size=384, distance=models.Distance.COSINE)
        )
        points = [models.PointStruct(id=n, vector=make(text, "dense")) for n, text in enumerate(TEXTS)]
        await client.upsert(collection, points)
        answer = await client.query_points(collection, query=sought(make, "baking"), with_vectors=True)
        found.append([plain(point) for point in answer.points])
        await client.delete_collection(collection)
    await client.close()
    assert len(found[0]) == len(TEXTS)
    assert found[0] == found[1]
