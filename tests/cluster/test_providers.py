"""A service in front of our own `/v1/embeddings`, as an external provider. By hand, for it starts a service of its own:

IN_FRONT_OF_ANOTHER=1 python -m pytest tests/cluster/test_providers.py
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import yaml
from qdrant_client import QdrantClient, models
from qdrant_client.context_headers import headers

from deployments.catalogue.catalogue import HOME
from tests.support.example_programs import TOOLCHAINS, run
from tests.support.examples import fill
from tests.support.running import RunningService

pytestmark = [
    pytest.mark.skipif("IN_FRONT_OF_ANOTHER" not in os.environ, reason="by hand: it starts another service"),
    pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection"),
]

MODEL = "sentence-transformers/all-minilm-l6-v2"
KEY = "k-0123456789-marker-0123456789"
TEXTS = ["Recipe for baking chocolate chip cookies", "Mission to Mars", "Changing the oil of a car"]


def configured(running: RunningService) -> RunningService:
    """The service, not started yet, with models that are its own again, by way of its API."""
    address = f"127.0.0.1:{running.rest_port}"
    entry = {
        "family": "dense", "dimensions": 384, "licence": "-", "model_card_url": "-", "price_per_million_tokens": 1.0
    }  # fmt: skip
    there = {"kind": "openai", "url": f"http://{address}/v1", "model": MODEL}
    entries = [
        {**entry, "name": "again/with-operators-key", "provider": {**there, "key_env": "AGAIN_KEY"}},
        {**entry, "name": "again/with-callers-key", "provider": {**there, "key": "again-api-key"}},
        {
            **entry,
            "name": "again/nowhere",
            "provider": {**there, "url": "http://127.0.0.1:9/v1", "key_env": "AGAIN_KEY"},
        },
    ]
    catalogue = running.folder / "models.yaml"
    include = [str(HOME / "configs" / "models" / "starter.yaml")]
    catalogue.write_text(yaml.safe_dump({"include": include, "models": entries}))
    config = yaml.safe_load(running.config.read_text())
    (application,) = config["applications"]
    providers = {"hosts": [address, "127.0.0.1:9"], "operator_keys_for": ["*"], "routes": {"openai": None}}
    application["args"] = {"catalogue": str(catalogue), "providers": providers}
    application["deployments"].append({"name": "Providers", "ray_actor_options": {"num_cpus": 0.1}})
    running.config.write_text(yaml.safe_dump(config))
    return running


@pytest.fixture(scope="module")
def in_front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    variables = {"QDRANT_API_KEY": KEY, "AGAIN_KEY": KEY}
    running = configured(RunningService(tmp_path_factory.mktemp("in-front"), variables)).start()
    yield running
    assert running.stop() == 0, running.said
    assert running.left == []


@pytest.fixture
def client(in_front: RunningService) -> Iterator[QdrantClient]:
    with_key: dict[str, Any] = {"url": in_front.rest_address, "grpc_port": in_front.grpc_port, "api_key": KEY}
    made = QdrantClient(**with_key, https=False, cloud_inference=True, timeout=60)
    yield made
    made.close()


def test_a_cluster_in_front_of_another_gives_the_same_vectors(client: QdrantClient) -> None:
    size = models.VectorParams(size=384, distance=models.Distance.DOT)
    names = {"own": MODEL, "operator": "again/with-operators-key", "caller": "again/with-callers-key"}
    client.create_collection("same", vectors_config=dict.fromkeys(names, size))
    points = [
        models.PointStruct(
            id=n, vector={name: models.Document(text=text, model=model) for name, model in names.items()}, payload={}
        )
        for n, text in enumerate(TEXTS)
    ]
    with headers({"again-api-key": KEY}):
        client.upsert("same", points, wait=True)
    for point in client.retrieve("same", range(len(TEXTS)), with_vectors=True):
        vectors: Any = point.vector
        for name in names:
            np.testing.assert_allclose(vectors[name], vectors["own"], atol=2e-3)
    wanted = models.Document(text=TEXTS[1], model="again/with-operators-key")
    assert client.query_points("same", query=wanted, using="operator", limit=1).points[0].id == 1


def models_of(client: httpx.Client) -> dict[str, Any]:
    return {one["name"]: one for one in client.get("/inference/models").json()["result"]["models"]}


def test_states_and_errors_are_told(in_front: RunningService) -> None:
    with httpx.Client(base_url=in_front.rest_address, headers={"api-key": KEY}, timeout=60) as client:
        body = {"query": {"text": "tea", "model": "again/nowhere"}, "using": "own"}
        answer = client.post("/collections/same/points/query", json=body)
        assert (answer.status_code, "cannot be reached" in answer.text) == (503, True), answer.text
        deadline = time.monotonic() + 30
        while (described := models_of(client))["again/nowhere"]["state"] == "unknown" and time.monotonic() < deadline:
            time.sleep(0.5)  # a busy controller's answer comes with a later one
        assert described["again/nowhere"]["state"] == "unreachable"
        assert described["again/with-operators-key"]["state"] == "ready"
        assert described["openai/*"]["external"]["key"] == "openai-api-key"


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("language", ["python", *TOOLCHAINS])
def test_the_consoles_examples_run_with_the_callers_key(
    in_front: RunningService, tmp_path: Path, language: str
) -> None:
    tool, prepare, file, command = TOOLCHAINS.get(language, (sys.executable, lambda *_: None, "a.py", [sys.executable]))
    if not shutil.which(tool):
        pytest.skip(f"there is no {tool}")
    with httpx.Client(base_url=in_front.rest_address, headers={"api-key": KEY}, timeout=60) as client:
        models = client.get("/inference/models").json()["result"]["models"]
        asked = {"name": "again/with-callers-key", "language": language, "collection": f"example-{language}"}
        place = {"grpcPort": in_front.grpc_port, "needsKey": True}
        ((install, program),) = fill(in_front.rest_address, models, [{**asked, **place}])
        prepare(tmp_path, install)
        (tmp_path / file).write_text(program + "\n")
        keys = {"QDRANT_API_KEY": KEY, "AGAIN_API_KEY": KEY}
        assert "cookies" in run([*command, *([file] if tool == sys.executable else [])], tmp_path, keys)


def test_no_key_is_in_any_log(in_front: RunningService) -> None:
    files = [path for path in in_front.logs.rglob("*") if path.is_file()]
    assert files
    found = [path for path in [*files, Path(in_front.output)] if b"0123456789-marker" in path.read_bytes()]
    assert found == []
