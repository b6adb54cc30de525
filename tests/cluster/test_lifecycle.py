"""Start, stop, and what is left in between."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import yaml
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from deployments.catalogue import catalogue
from deployments.contract import Batch
from deployments.families.loading import load_family
from deployments.files.store import ModelStore, cache_folder
from deployments.networks.settings import SessionSettings
from deployments.onboarding.in_process import embed
from serve_app.cli.ports import check_free
from tests.support import own_model
from tests.support.running import RunningService

MINILM = "sentence-transformers/all-minilm-l6-v2"
MARKER = "xyzzy-marker-7351"


def upsert(client: QdrantClient, collection: str, vector: Any) -> None:
    client.upsert(collection, [models.PointStruct(id=1, vector=vector)])


def query(client: QdrantClient, collection: str, vector: Any) -> None:
    client.query_points(collection, query=vector)


def send_marker_everywhere(service: RunningService) -> None:
    """The marker as text, image, URL, option, key and model, in requests that pass and requests that fail."""
    for prefer_grpc in (False, True):
        client = QdrantClient(
            url=service.rest_address,
            grpc_port=service.grpc_port,
            prefer_grpc=prefer_grpc,
            cloud_inference=True,
            api_key=MARKER,
            timeout=60,
        )
        name = f"marker-{prefer_grpc}"
        client.create_collection(name, models.VectorParams(size=384, distance=models.Distance.COSINE))
        for wanted in (
            models.Document(text=MARKER, model=MINILM),
            models.Document(text=MARKER, model="qdrant/bm25"),
            models.Document(text=MARKER, model="starter/splade-tiny"),
            models.Document(text=MARKER, model="starter/clip-shapes-text"),
            models.Document(text=MARKER, model="starter/clip-shapes-vision"),
            models.Document(text="a", model=MINILM, options={"mrl": MARKER}),
            models.Image(image=MARKER, model="starter/clip-shapes-vision"),
            models.Image(image=f"http://127.0.0.1:9/{MARKER}?{MARKER}", model="starter/clip-shapes-vision"),
            models.Image(image=f"ftp://{MARKER}", model="starter/clip-shapes-vision"),
            models.InferenceObject(object=MARKER, model=MINILM),
        ):
            for send in (upsert, query):
                try:
                    send(client, name, wanted)
                except Exception as error:  # noqa: BLE001  most of these have to fail
                    assert "internal error" not in str(error)
        client.close()


@pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")
def test_no_input_is_ever_logged(service: RunningService) -> None:
    send_marker_everywhere(service)
    files = [path for path in [service.output, *service.logs.rglob("*")] if path.is_file()]
    assert len(files) > 5
    assert [path for path in files if MARKER.encode() in path.read_bytes()] == []


def test_a_taken_port_stops_the_start_before_anything_is_started(tmp_path: Path) -> None:
    running = RunningService(tmp_path)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", running.rest_port))
        holder.listen()
        run = subprocess.run(
            [sys.executable, "-m", "serve_app", "up", "--config", str(running.config)],
            env=running.variables, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert run.returncode == 1
    assert f"port {running.rest_port} (REST) is taken by process {os.getpid()}" in run.stderr
    assert "Traceback" not in run.stderr
    assert not (tmp_path / "data").exists()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[RunningService]:
    """A service for one test, which starts and stops it."""
    running = RunningService(tmp_path, models=[MINILM])
    yield running
    if running.process and running.process.poll() is None:
        running.stop()


def expected_vectors(catalogue_file: Path, texts: list[str]) -> Any:
    """The vectors of stored texts, from the model itself."""
    card = catalogue.load(catalogue_file).find("shop/products", "test")
    family = load_family(card, ModelStore(cache_folder()).folder(card), SessionSettings(precision="float32"))
    batch = Batch([f"{card.prefixes.passage}{text}" for text in texts], "update")
    return [embed(family, batch).vectors[position] for position in range(len(texts))]


def models_command(running: RunningService, *arguments: object) -> None:
    """`qdrant-inference models` with the environment of the service."""
    command = [sys.executable, "-m", "serve_app", "models", *(str(argument) for argument in arguments)]
    run = subprocess.run(command, env=running.variables, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr


@pytest.fixture
def products(own: RunningService, tmp_path: Path) -> Iterator[Path]:
    """A catalogue with the starter models and a fine-tuned BERT of 16 dimensions, `shop/products`, from a folder."""
    path = tmp_path / "own.yaml"
    folder = own_model.fine_tuned(tmp_path / "products")
    models_command(own, "add", folder, "--name", "shop/products", "--catalogue", path)
    yield path
    models_command(own, "remove", "shop/products", "--catalogue", path)


def serve_from(running: RunningService, catalogue_file: Path) -> None:
    """What `models add` says to put into the Serve config."""
    config = yaml.safe_load(running.config.read_text())
    (application,) = config["applications"]
    application["args"] = {"catalogue": str(catalogue_file), "models": [MINILM, "shop/products"]}
    application["deployments"].append({"name": "shop--products", "ray_actor_options": {"num_cpus": 0.1}})
    running.config.write_text(yaml.safe_dump(config))


def switch(running: RunningService, *, is_on: bool) -> None:
    """Switch MiniLM, and wait until that has come to every replica."""
    httpx.put(f"{running.rest_address}/inference/settings", json={"models": {MINILM: is_on}}).raise_for_status()
    time.sleep(2)


def test_data_survives_a_restart_a_stop_leaves_nothing_and_an_added_model_is_served_after_it(
    own: RunningService, tmp_path: Path, products: Path
) -> None:
    running = own.start()
    with closing(QdrantClient(url=running.rest_address, cloud_inference=True, check_compatibility=False)) as client:
        client.create_collection("kept", models.VectorParams(size=384, distance=models.Distance.COSINE))
        client.upsert("kept", [models.PointStruct(id=7, vector=models.Document(text="tea", model=MINILM))])
    switch(running, is_on=False)
    os.killpg(running.process.pid, signal.SIGINT)  # as Ctrl-C in a terminal does
    assert running.stop(signal.SIGINT) == 0, running.said
    assert running.left == []
    check_free({str(port): ("", port) for port in running.ports})

    serve_from(running, products)
    running.start()
    with closing(QdrantClient(url=running.rest_address, cloud_inference=True, check_compatibility=False)) as client:
        with pytest.raises(UnexpectedResponse, match="switched off"):
            query(client, "kept", models.Document(text="tea", model=MINILM))
        switch(running, is_on=True)
        found = client.query_points("kept", query=models.Document(text="tea", model=MINILM))
        assert [point.id for point in found.points] == [7]

        client.create_collection("products", models.VectorParams(size=16, distance=models.Distance.COSINE))
        texts = ["a red cup", "oil for cars", "bread"]
        documents = [models.Document(text=text, model="Shop/Products") for text in texts]
        client.upsert("products", [models.PointStruct(id=i, vector=document) for i, document in enumerate(documents)])
        stored = client.retrieve("products", [0, 1, 2], with_vectors=True)
        # The service may run it in bfloat16, where the processor has that.
        np.testing.assert_allclose([point.vector for point in stored], expected_vectors(products, texts), atol=1e-2)
        assert len(client.query_points("products", query=documents[0]).points) == 3
    assert running.stop(signal.SIGTERM) == 0, running.said
    assert running.left == []
    check_free({str(port): ("", port) for port in running.ports})
    assert list(Path(tmp_path).glob("data/**/*.lock")) == []


def test_without_its_variables_serve_run_says_what_is_missing() -> None:
    command = [
        sys.executable, "-c",
        "from serve_app.app import build; build({})",
    ]  # fmt: skip
    plain = {name: value for name, value in os.environ.items() if not name.startswith("RAY_SERVE")}
    run = subprocess.run(command, env=plain, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode != 0
    assert "RAY_SERVE_ENABLE_HA_PROXY=1 and RAY_SERVE_THROUGHPUT_OPTIMIZED=1 and RAY_SERVE_REPLICA_GRPC_" in run.stderr
