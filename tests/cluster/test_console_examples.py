"""The console's examples, as the page fills them in, run as somebody would who copied them.

C# needs the .NET SDK and is not run. Go, Java and Rust are run where COMPILED_EXAMPLES is set, as `make test-examples`
does: their clients are fetched and compiled first, which takes minutes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import urllib.request
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from qdrant_client import QdrantClient, models

from tests.support import examples
from tests.support.example_programs import TOOLCHAINS, run, send
from tests.support.examples import LANGUAGES
from tests.support.models import RERANKER
from tests.support.running import RunningService

pytestmark = pytest.mark.timeout(1200)

EXPECTED = {
    "sentence-transformers/all-minilm-l6-v2": "cookies",
    "qdrant/bm25": "cookies",
    "starter/splade-tiny": "cookies",
    "random/colbert": "",  # its weights are random
    "starter/clip-shapes-text": "red circle",
    "starter/clip-shapes-vision": "red circle",
}

IN_A_COLLECTION = {
    "sentence-transformers/all-minilm-l6-v2": "minilm",
    "qdrant/bm25": "bm25",
    "starter/splade-tiny": "splade",
    "random/colbert": "colbert",
    "starter/clip-shapes-text": "clip",
    "starter/clip-shapes-vision": "clip",
}
"""The vectors of a collection that is there."""


@dataclass(frozen=True)
class Filler:
    """Fills in examples for a service and its models."""

    service: RunningService
    models: Sequence[Any]

    def fill(self, asked: Sequence[Mapping[str, Any]]) -> list[list[str]]:
        """The codes of each example that is asked for: `name` of the model, `language`, and what `valuesFor` takes."""
        return examples.fill(self.service.rest_address, self.models, asked)

    def __call__(
        self, model: str, language: str, collection: str, existing: str | Mapping[str, str] | None = None
    ) -> list[str]:
        """The codes of one example, as the page shows them."""
        asked = {"name": model, "language": language, "collection": collection, "grpcPort": self.service.grpc_port}
        (codes,) = self.fill([{**asked, "needsKey": False, **({} if existing is None else {"existing": existing})}])
        return codes


@pytest.fixture(scope="module")
def filled(service: RunningService) -> Filler:
    with urllib.request.urlopen(f"{service.rest_address}/inference/models") as response:
        return Filler(service, json.load(response)["result"]["models"])


@pytest.fixture(scope="module")
def client(service: RunningService) -> Iterator[QdrantClient]:
    client = QdrantClient(url=service.rest_address, check_compatibility=False)
    yield client
    client.close()


@pytest.fixture
def collection(client: QdrantClient) -> Iterator[str]:
    """The name of a collection that is not there yet."""
    name = f"example-{uuid.uuid4().hex[:8]}"
    yield name
    client.delete_collection(name)


@pytest.fixture
def shelf(client: QdrantClient) -> Iterator[str]:
    """A collection with a vector for each model."""
    name = f"shelf-{uuid.uuid4().hex[:8]}"
    sizes = {"minilm": 384, "clip": 128, "colbert": 12}
    several = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
    vectors = {
        vector: models.VectorParams(
            size=size, distance=models.Distance.COSINE, multivector_config=several if vector == "colbert" else None
        )
        for vector, size in sizes.items()
    }
    sparse = {"bm25": models.SparseVectorParams(modifier=models.Modifier.IDF), "splade": models.SparseVectorParams()}
    client.create_collection(name, vectors, sparse_vectors_config=sparse)
    yield name
    client.delete_collection(name)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_example_is_filled_and_shows_no_key(filled: Filler, language: str) -> None:
    asked = [
        {"name": model, "language": language, "collection": "books", "grpcPort": 6334, "needsKey": key, **existing}
        for model in EXPECTED
        for key in (False, True)
        for existing in ({}, {"existing": ""}, {"existing": "my-vector"})
    ]
    for question, codes in zip(asked, filled.fill(asked), strict=True):
        text = "\n".join(codes)
        assert question["name"] in text
        assert "books" in text
        assert not re.search(r"\{\{[#^/\w]|undefined|\bnull\b", text)
        assert bool(re.search("QDRANT_API_KEY|YOUR_API_KEY", text)) == question["needsKey"]
        assert ("my-vector" in text) == (question.get("existing") == "my-vector")


@pytest.mark.parametrize("model", EXPECTED)
def test_http(filled: Filler, collection: str, model: str) -> None:
    answers = [send(code) for code in filled(model, "http", collection)]
    assert EXPECTED[model] in answers[-1]["result"]["points"][0]["payload"]["text"]


@pytest.mark.parametrize("model", EXPECTED)
def test_http_in_a_collection_that_is_there(filled: Filler, shelf: str, model: str) -> None:
    answers = [send(code) for code in filled(model, "http", shelf, IN_A_COLLECTION[model])]
    assert len(answers) == 2
    assert EXPECTED[model] in answers[-1]["result"]["points"][0]["payload"]["text"]


@pytest.mark.parametrize("model", EXPECTED)
def test_curl(filled: Filler, collection: str, model: str, tmp_path: Path) -> None:
    if not shutil.which("curl"):
        pytest.skip("there is no curl")
    answers = [json.loads(run(["sh", "-c", code], tmp_path)) for code in filled(model, "curl", collection)]
    assert [answer["status"] for answer in answers] == ["ok"] * 3
    assert EXPECTED[model] in answers[-1]["result"]["points"][0]["payload"]["text"]
    assert run(["sh", "-c", filled(model, "curl", collection)[0]], tmp_path) == ""  # it is there: nothing is created


@pytest.mark.parametrize("model", EXPECTED)
def test_python(filled: Filler, collection: str, shelf: str, model: str, tmp_path: Path) -> None:
    for place in ((collection,), (collection,), (shelf, IN_A_COLLECTION[model])):  # it runs a second time, too
        _, program = filled(model, "python", *place)
        assert EXPECTED[model] in run([sys.executable, "-c", program], tmp_path)


MINILM, BM25, SPLADE = list(EXPECTED)[:3]


def test_hybrid_examples(filled: Filler, client: QdrantClient, collection: str, shelf: str, tmp_path: Path) -> None:
    there = {"dense": "minilm", "sparse": "splade"}
    for model, place, existing in ((BM25, collection, None), (MINILM, collection, None), (SPLADE, shelf, there)):
        _, program = filled(model, "hybrid/python", place, existing)
        assert "cookies" in run([sys.executable, "-c", program], tmp_path)
    client.delete_collection(collection)
    answers = [send(code) for code in filled(MINILM, "hybrid/http", collection)]
    assert "cookies" in answers[-1]["result"]["points"][0]["payload"]["text"]
    if shutil.which("curl"):
        created, *others = (run(["sh", "-c", code], tmp_path) for code in filled(MINILM, "hybrid/curl", collection))
        assert created == ""
        assert "cookies" in others[-1]


def test_the_client_of_openai(filled: Filler, collection: str, tmp_path: Path) -> None:
    pytest.importorskip("openai")
    _, program = filled(MINILM, "openai", collection)
    assert "384" in run([sys.executable, "-c", program], tmp_path)


@pytest.mark.parametrize("language", TOOLCHAINS)
def test_the_other_languages(filled: Filler, client: QdrantClient, shelf: str, tmp_path: Path, language: str) -> None:
    tool, prepare, file, command = TOOLCHAINS[language]
    if not shutil.which(tool):
        pytest.skip(f"there is no {tool}")
    if language != "typescript" and not os.environ.get("COMPILED_EXAMPLES"):
        pytest.skip("takes minutes: make test-examples")
    new = f"example-{language}"
    prepare(tmp_path, filled(MINILM, language, new)[0])
    asked = [(model, language, place) for model in EXPECTED for place in ((new,), (shelf, IN_A_COLLECTION[model]))]
    asked.append((MINILM, f"hybrid/{language}", (new,)))
    for model, template, place in asked:
        (tmp_path / file).write_text(filled(model, template, *place)[1] + "\n")
        try:
            for _ in range(2 if model == MINILM else 1):  # it survives a second run
                assert EXPECTED[model] in run(command, tmp_path), (model, template, place)
        finally:
            client.delete_collection(new)


@pytest.mark.parametrize("language", TOOLCHAINS)
def test_reranking_in_the_other_languages(filled: Filler, tmp_path: Path, language: str) -> None:
    tool, prepare, file, command = TOOLCHAINS[language]
    if not shutil.which(tool):
        pytest.skip(f"there is no {tool}")
    if language != "typescript" and not os.environ.get("COMPILED_EXAMPLES"):
        pytest.skip("takes minutes: make test-examples")
    *install, program = filled(RERANKER.card.name, f"rerank/{language}", "")
    prepare(tmp_path, "".join(install) or "true")
    (tmp_path / file).write_text(program + "\n")
    scores = [float(line.split(" ", 1)[0]) for line in run(command, tmp_path).splitlines()]
    assert len(scores) == 2
    assert scores == sorted(scores, reverse=True)
