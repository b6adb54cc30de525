"""The demo's two collections: their vectors, and what goes into them."""

from __future__ import annotations

import uuid

from qdrant_client import QdrantClient, models

from serve_app.demo.corpus import Docstring
from serve_app.demo.drawings import Scene, encoded, thumbnail

TEXTS = "python-docs"
IMAGES = "shapes"

TEXT_MODELS = {
    "dense": "sentence-transformers/all-minilm-l6-v2",
    "bm25": "qdrant/bm25",
    "splade": "starter/splade-tiny",
}
"""The model behind each named vector of the texts."""

VISION_MODEL = "starter/clip-shapes-vision"
CAPTION_MODEL = "starter/clip-shapes-text"


def create(client: QdrantClient) -> None:
    """Create the collections that are missing; those that are there already stay as they are."""
    if not client.collection_exists(TEXTS):
        client.create_collection(
            TEXTS,
            vectors_config={"dense": models.VectorParams(size=384, distance=models.Distance.COSINE)},
            sparse_vectors_config={
                "bm25": models.SparseVectorParams(modifier=models.Modifier.IDF),
                "splade": models.SparseVectorParams(),
            },
        )
    if not client.collection_exists(IMAGES):
        client.create_collection(IMAGES, vectors_config=models.VectorParams(size=128, distance=models.Distance.COSINE))


def text_point(docstring: Docstring) -> models.PointStruct:
    """One text, to be embedded by three models."""
    return models.PointStruct(
        id=docstring.id,
        vector={name: models.Document(text=docstring.text, model=model) for name, model in TEXT_MODELS.items()},
        payload={
            "name": docstring.name,
            "kind": docstring.kind,
            "module": docstring.module,
            "summary": docstring.summary,
            "text": docstring.text,
        },
    )


def image_point(scene: Scene) -> models.PointStruct:
    """One drawing, to be embedded by the vision model; the console shows its thumbnail."""
    drawing = scene.draw()
    return models.PointStruct(
        id=str(uuid.uuid5(uuid.NAMESPACE_OID, scene.caption)),
        vector=models.Image(image=encoded(drawing), model=VISION_MODEL),
        payload={
            "caption": scene.caption,
            "shape": scene.shape,
            "colour": scene.colour,
            "background": scene.background,
            "thumbnail": thumbnail(drawing),
        },
    )
