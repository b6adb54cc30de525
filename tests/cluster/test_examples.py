"""The examples of Qdrant's inference documentation, with the unmodified client, over REST and over gRPC."""

from __future__ import annotations

import base64
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from qdrant_client import QdrantClient, models

from tests.support.drawings import png
from tests.support.running import RunningService

MINILM = "sentence-transformers/all-minilm-l6-v2"


@pytest.fixture(params=["rest", "grpc"])
def client(request: pytest.FixtureRequest, service: RunningService) -> Iterator[QdrantClient]:
    client = QdrantClient(
        url=service.rest_address,
        grpc_port=service.grpc_port,
        prefer_grpc=request.param == "grpc",
        cloud_inference=True,
        timeout=60,
    )
    yield client
    client.close()


@pytest.fixture
def collection(client: QdrantClient) -> Iterator[str]:
    name = f"test-{uuid.uuid4()}"
    yield name
    client.delete_collection(name)


@pytest.fixture
def image_url() -> Iterator[str]:
    """The URL of a blue circle, on a server of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(png("blue"))

        def log_message(self, *_: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/circle.png?token=unlogged-query"
    server.shutdown()
    server.server_close()


def test_a_recipe_is_stored_and_found_by_its_meaning(client: QdrantClient, collection: str) -> None:
    client.create_collection(collection, vectors_config=models.VectorParams(size=384, distance=models.Distance.COSINE))
    recipes = ["Recipe for baking chocolate chip cookies", "How to change the oil of a car", "A history of Rome"]
    client.upsert(
        collection,
        points=[
            models.PointStruct(id=n, payload={"text": text}, vector=models.Document(text=text, model=MINILM))
            for n, text in enumerate(recipes)
        ],
    )
    found = client.query_points(
        collection, query=models.Document(text="How to bake cookies?", model=MINILM.upper()), with_payload=True
    )
    assert found.points[0].payload == {"text": recipes[0]}
    assert found.points[0].score > 0.5 > found.points[1].score


def test_images_are_stored_by_base64_and_by_url_and_found_by_text(
    client: QdrantClient, collection: str, image_url: str
) -> None:
    client.create_collection(collection, vectors_config=models.VectorParams(size=128, distance=models.Distance.COSINE))
    vision = "starter/clip-shapes-vision"
    red = base64.b64encode(png("red")).decode()
    client.upsert(
        collection,
        points=[
            models.PointStruct(id=1, vector=models.Image(image=red, model=vision)),
            models.PointStruct(id=2, vector=models.Image(image=image_url, model=vision)),
        ],
    )
    for caption, expected in (("a red circle on a white background", 1), ("a blue circle on a white background", 2)):
        query = models.Document(text=caption, model="starter/clip-shapes-text")
        assert client.query_points(collection, query=query).points[0].id == expected


def test_dense_and_sparse_models_share_a_hybrid_query(client: QdrantClient, collection: str) -> None:
    client.create_collection(
        collection,
        vectors_config={"dense": models.VectorParams(size=384, distance=models.Distance.COSINE)},
        sparse_vectors_config={
            "bm25": models.SparseVectorParams(modifier=models.Modifier.IDF),
            "splade": models.SparseVectorParams(),
        },
    )
    named = {"dense": MINILM, "bm25": "qdrant/bm25", "splade": "starter/splade-tiny"}
    texts = ["the capital of France is Paris", "bananas are yellow", "Berlin lies on the Spree"]
    client.upsert(
        collection,
        points=[
            models.PointStruct(
                id=n, vector={name: models.Document(text=text, model=model) for name, model in named.items()}
            )
            for n, text in enumerate(texts)
        ],
    )
    answer = client.query_points(
        collection,
        prefetch=[
            models.Prefetch(query=models.Document(text="Which city is France's capital?", model=model), using=name)
            for name, model in named.items()
        ],
        query=models.FusionQuery(fusion=models.Fusion.RRF),
    )
    assert answer.points[0].id == 0


def test_an_unknown_model_is_refused_and_nothing_stored(client: QdrantClient, collection: str) -> None:
    client.create_collection(collection, vectors_config=models.VectorParams(size=384, distance=models.Distance.COSINE))
    points = [
        models.PointStruct(id=1, vector=models.Document(text="a", model=MINILM)),
        models.PointStruct(id=2, vector=models.Document(text="a", model="sentence-transformers/all-minilm")),
    ]
    with pytest.raises(Exception, match=r"points\[1\].*no model .*available: " + MINILM):
        client.upsert(collection, points=points)
    assert client.count(collection).count == 0


def test_a_large_upsert_of_raw_vectors_passes(client: QdrantClient, collection: str) -> None:
    client.create_collection(collection, vectors_config=models.VectorParams(size=1000, distance=models.Distance.COSINE))
    vector = [0.123456789 + n / 1000 for n in range(1000)]
    points = [models.PointStruct(id=n, vector=vector) for n in range(1400)]
    client.upsert(collection, points=points)
    assert client.count(collection).count == 1400
