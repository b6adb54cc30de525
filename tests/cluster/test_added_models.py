"""A model that is added to a running service, under load on another one. By hand, for it starts services of its own:

ADD_MODELS=1 python -m pytest tests/cluster/test_added_models.py
"""

from __future__ import annotations

import base64
import json
import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest

from tests.parity.cases import CASES
from tests.support import fake_hub, own_model
from tests.support.drawings import png
from tests.support.models import entry
from tests.support.running import RunningService

pytestmark = pytest.mark.skipif("ADD_MODELS" not in os.environ, reason="by hand: it starts services of its own")

OLD = "sentence-transformers/all-minilm-l6-v2"


class Load:
    """Requests for vectors of a model, by several threads, until it is ended: how long each took, and failures."""

    def __init__(self, address: str, model: str, threads: int = 2) -> None:
        self._url = f"{address}/v1/embeddings"
        self._model = model
        self._ended = threading.Event()
        self.seconds: list[tuple[float, float]] = []
        self.failures: list[str] = []
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(threads)]
        for thread in self._threads:
            thread.start()

    def _run(self, number: int) -> None:
        with httpx.Client(timeout=60) as client:
            for count in range(1_000_000):
                if self._ended.is_set():
                    return
                began = time.monotonic()
                answer = client.post(self._url, json={"model": self._model, "input": f"text {number} {count}"})
                self.seconds.append((began, time.monotonic() - began))
                if answer.status_code != 200:
                    self.failures.append(f"{answer.status_code} {answer.text[:200]}")
                time.sleep(0.02)

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def between(self, first: float, last: float) -> str:
        """How long requests took that began in a time, in words."""
        taken = np.array([seconds for began, seconds in self.seconds if first <= began < last]) * 1000
        p50, p99 = np.percentile(taken, [50, 99])
        return f"{len(taken)} requests, p50 {p50:.0f} ms, p99 {p99:.0f} ms, most {taken.max():.0f} ms"


def replicas() -> dict[int, str]:
    """The processes of Ray Serve's replicas by their numbers, those of added models left out."""
    found = {process.pid: process.name() for process in psutil.process_iter(["name"])}
    return {pid: name for pid, name in found.items() if name.startswith("ray::ServeReplica") and "added--" not in name}


def state(address: str, name: str) -> dict[str, Any]:
    told = httpx.get(f"{address}/inference/models", timeout=30).json()["result"]["additions"]
    return next((one for one in told if one["name"] == name), {})


def added(address: str, body: dict[str, Any], name: str) -> list[str]:
    """Add a model and wait until it is ready; the states that it went through."""
    answer = httpx.post(f"{address}/inference/models", json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    states: list[str] = []
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        now = state(address, name)
        states += [now["state"]] if now["state"] not in states else []
        assert now["state"] != "failed", now
        if now["state"] == "ready":
            return states
        time.sleep(0.1)
    raise AssertionError(states)


def embedded(address: str, model: str, text: str = "hello") -> np.ndarray:
    answer = httpx.post(f"{address}/v1/embeddings", json={"model": model, "input": text}, timeout=90)
    assert answer.status_code == 200, answer.text
    return np.array(answer.json()["data"][0]["embedding"])


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return own_model.fine_tuned(tmp_path / "ours")


@pytest.fixture
def hub(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    files = {p.relative_to(checkpoint).as_posix(): p.read_bytes() for p in checkpoint.rglob("*") if p.is_file()}
    with fake_hub.running({"shop/products": files}) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield


@pytest.fixture
def served(tmp_path: Path) -> Iterator[list[RunningService]]:
    """Services one after the other, on the same data."""
    made: list[RunningService] = []
    yield made
    for service in made:
        service.stop()


def started(served: list[RunningService], folder: Path, models: Sequence[str] = (OLD,)) -> str:
    served.append(RunningService(folder, models=models))
    return served[-1].start().rest_address


@pytest.mark.usefixtures("hub")
def test_others_notice_nothing_and_it_survives_a_restart(served: list[RunningService], tmp_path: Path) -> None:
    address = started(served, tmp_path)
    before = replicas()
    embedded(address, OLD)
    load, times = Load(address, OLD), [time.monotonic()]
    time.sleep(8)
    times.append(time.monotonic())
    states = added(address, {"hub": "shop/products"}, "shop/products")
    times.append(time.monotonic())
    vector = embedded(address, "shop/products")  # from zero
    times.append(time.monotonic())
    time.sleep(5)
    assert httpx.delete(f"{address}/inference/models/shop/products", timeout=30).status_code == 200
    times.append(time.monotonic())
    time.sleep(5)
    load.end()
    times.append(time.monotonic())
    phases = ("before", "while added", "from zero", "after", "taken away")
    for phase, first, last in zip(phases, times, times[1:], strict=False):
        print(f"{phase}: {last - first:.1f} s, {load.between(first, last)}")  # noqa: T201  for who runs it by hand
    print(states)  # noqa: T201
    assert not load.failures
    assert replicas() == before, "a replica of another model was replaced"
    refused = httpx.post(f"{address}/v1/embeddings", json={"model": "shop/products", "input": "a"}, timeout=30)
    assert refused.status_code in {400, 404}
    assert added(address, {"hub": "shop/products"}, "shop/products")[-1] == "ready"
    assert np.allclose(embedded(address, "shop/products"), vector, atol=1e-5)
    served[-1].stop()
    again = started(served, tmp_path)
    assert np.allclose(embedded(again, "shop/products"), vector, atol=1e-5)
    gone = httpx.delete(f"{again}/inference/models/shop/products?files=true", timeout=60)
    assert gone.status_code == 200, gone.text


def asked(address: str, kind: str, data: str, model: str) -> httpx.Response:
    body = {"inputs": [{"data": data, "data_type": kind, "model": model}], "inference": "update"}
    return httpx.post(f"{address}/inference", json=body, timeout=90)


def vector(address: str, kind: str, data: str, model: str) -> object:
    """What a model gives, rounded: a run may differ in the last bits."""
    answer = asked(address, kind, data, model)
    assert answer.status_code == 200, answer.text
    (found,) = json.loads(answer.text, parse_float=lambda number: round(float(number), 4))["embeddings"]
    return found


MANY, PICTURES = (next(case for case in CASES if case.card.name == f"random/{name}") for name in ("bge-m3", "siglip"))
OF_CLIP = ("starter/clip-shapes-text", "starter/clip-shapes-vision")
"""What is served for the sake of its image loader."""


def test_several_vectors_and_pictures_are_added_and_survive_a_restart(
    served: list[RunningService], tmp_path: Path
) -> None:
    address = started(served, tmp_path, OF_CLIP)
    for case in (MANY, PICTURES):
        states = added(address, {"entry": entry(tmp_path / "models" / case.card.deployment, case)}, case.card.name)
        assert states[-1] == "ready"
    name = MANY.card.name
    names = [name, f"{name}-sparse", f"{name}-colbert"]
    wanted = [("text", "hello world", model) for model in (*names, PICTURES.card.name)]
    wanted.append(("image", base64.b64encode(png("red")).decode(), PICTURES.card.name))
    before = [vector(address, *one) for one in wanted]
    served[-1].stop()
    again = started(served, tmp_path, OF_CLIP)
    assert [vector(again, *one) for one in wanted] == before
    gone = httpx.delete(f"{again}/inference/models/{name}-colbert?files=true", timeout=60).json()["result"]
    assert gone["models"] == names
    assert httpx.delete(f"{again}/inference/models/{PICTURES.card.name}", timeout=60).status_code == 200
    for kind, data, model in wanted:
        assert asked(again, kind, data, model).status_code == 400, model
    listed = httpx.get(f"{again}/inference/models", timeout=30).json()["result"]["models"]
    assert {one["name"] for one in listed} == set(OF_CLIP)
