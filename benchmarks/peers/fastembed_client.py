"""The client-side way: qdrant-client embeds each text with fastembed, then upserts; here into its own memory."""

from __future__ import annotations

import fastembed_model  # noqa: F401  it makes the model known
from common import NAME, folder, measure
from qdrant_client import QdrantClient, models

POINTS = 64

client = QdrantClient(":memory:")
client.create_collection("c", vectors_config=models.VectorParams(size=384, distance=models.Distance.COSINE))
options = {"specific_model_path": str(folder())}


def upload(texts: list[str]) -> None:
    """Upserts of as many points as the service is sent."""
    for start in range(0, len(texts), POINTS):
        points = [
            models.PointStruct(id=start + number, vector=models.Document(text=text, model=NAME, options=options))
            for number, text in enumerate(texts[start : start + POINTS])
        ]
        client.upsert("c", points)


measure(upload)
