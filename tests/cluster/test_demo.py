"""The demo, with the real models."""

from __future__ import annotations

import json
import re
import time
import urllib.request
import uuid
from collections import Counter
from collections.abc import Iterator
from io import StringIO

import pytest
from qdrant_client import QdrantClient, models
from rich.console import Console

from serve_app.demo import walkthrough
from serve_app.demo.collections import CAPTION_MODEL, IMAGES, TEXT_MODELS, TEXTS, VISION_MODEL
from serve_app.demo.corpus import standard_library
from serve_app.demo.drawings import encoded, scenes
from tests.support.running import RunningService

SCENES = scenes(100, seed=0)


@pytest.fixture
def client(service: RunningService) -> Iterator[QdrantClient]:
    client = QdrantClient(url=service.rest_address, cloud_inference=True, timeout=60, check_compatibility=False)
    yield client
    client.close()


@pytest.fixture
def gallery(client: QdrantClient) -> Iterator[str]:
    """A collection of 100 drawings of different scenes."""
    name = f"gallery-{uuid.uuid4()}"
    client.create_collection(name, vectors_config=models.VectorParams(size=128, distance=models.Distance.COSINE))
    images = [models.Image(image=encoded(scene.draw()), model=VISION_MODEL) for scene in SCENES]
    client.upsert(name, [models.PointStruct(id=number, vector=image) for number, image in enumerate(images)])
    yield name
    client.delete_collection(name)


def test_at_least_90_of_100_captions_find_their_drawing_first(client: QdrantClient, gallery: str) -> None:
    documents = [models.Document(text=scene.caption, model=CAPTION_MODEL) for scene in SCENES]
    answers = client.query_batch_points(gallery, [models.QueryRequest(query=query, limit=1) for query in documents])
    first = [SCENES[int(answer.points[0].id)] for answer in answers]
    assert sum(found == asked for found, asked in zip(first, SCENES, strict=True)) >= 90


def test_the_demo_tells_its_story_and_can_be_run_again(
    service: RunningService, client: QdrantClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [text for text in standard_library() if text.module in {"random", "zipfile", "copy"}]
    monkeypatch.setattr(walkthrough, "standard_library", lambda: texts)
    before = used(service)
    first, second, third = (Console(file=StringIO(), width=200, highlight=False) for _ in range(3))
    for console in (first, second, third):
        walkthrough.tell(service.rest_address, console, lambda _, __, console=console: console is third)
    said, skipped, again = (console.file.getvalue() for console in (first, second, third))  # type: ignore[attr-defined]
    assert client.count(TEXTS).count == len(texts)
    assert client.count(IMAGES).count == walkthrough.DRAWINGS
    for model in (*TEXT_MODELS.values(), VISION_MODEL):
        assert model in said
    assert "zipfile.ZipFile" in said
    assert scenes(walkthrough.DRAWINGS, walkthrough.SEED)[0].caption in said
    assert [text.count("already: skipped") for text in (said, skipped, again)] == [0, 2, 0]
    assert "zipfile.ZipFile" in skipped
    wanted = {model: tokens + printed(again)[model] for model, tokens in printed(said).items()}
    assert wanted.keys() == {*TEXT_MODELS.values(), VISION_MODEL}
    deadline = time.monotonic() + 5
    while (now := used(service) - before) != wanted and time.monotonic() < deadline:
        time.sleep(0.2)
    assert now == wanted


def printed(said: str) -> dict[str, int]:
    """The tokens by model that the demo says its uploads took."""
    rows = re.findall(r"│ (\S+/\S+) +│ +([\d,]+) │", said)
    return {model: int(tokens.replace(",", "")) for model, tokens in rows}


def used(service: RunningService) -> Counter[str]:
    """The tokens by model that were stored with, by the ledger."""
    url = f"{service.rest_address}/inference/usage?group_by=model,operation"
    with urllib.request.urlopen(url) as response:
        rows = json.load(response)["result"]["rows"]
    return Counter({row["model"]: row["tokens"] for row in rows if row["operation"] == "update"})
