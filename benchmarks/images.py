"""How fast do photographs become points, and where does the time go?

JPEGs of 1 to 12 megapixels in upserts of 4, 4 under way at a time, as base64 and by URL from a web server on this
machine, into a store that forgets. The model has the size of CLIP ViT-B/32 and random weights. Beside it, in this
process: what each step takes by itself for one image. (Resizing is part of decoding: a JPEG is decoded at a reduced
scale where that is enough.)
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import orjson
from PIL import Image

from benchmarks import load, processes, random_models, tables
from deployments.catalogue.card import ImageLimits
from deployments.contract import Batch
from deployments.families.loading import load_family
from deployments.images.decoding import decode, from_base64
from deployments.images.fetching import Fetcher
from deployments.images.rules import FetchRules
from deployments.replica.settings import ReplicaSettings
from tests.support.running import RunningService

_SIDES = {"1 megapixel": (1155, 866), "3": (2000, 1500), "6": (2828, 2121), "12": (4000, 3000)}
_DIFFERENT, _POINTS, _AT_A_TIME = 8, 4, 4
_LIMIT = 64 * 1024 * 1024
_HEAD = ("images of", "KB", "as", "images a second", "p50 ms for 4", "ingress ms", "loader ms", "model ms", "Ray ms")
_STEPS = ("images of", "KB", "fetch ms", "base64 ms", "decode and resize ms", "run ms", "of the bare limit")


def main() -> None:
    """Run all of it and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="for each line of the table")
    seconds: float = parser.parse_args().seconds
    tables.show_machine()
    photographs = {
        name: [_photograph(width, height, n) for n in range(_DIFFERENT)] for name, (width, height) in _SIDES.items()
    }
    rows: list[Sequence[object]] = []
    with tempfile.TemporaryDirectory() as folder, _web_server(photographs) as address:
        model = random_models.write_clip_vision(Path(folder, "clip"))
        steps = {name: _steps(model, files, f"{address}/{name[:2].strip()}/0") for name, files in photographs.items()}
        path = random_models.write_catalogue(Path(folder), {random_models.CLIP_VISION: model})
        change = partial(_serve_only, path)
        with processes.stub_store() as environment, processes.service(environment, change) as running:
            best: dict[str, float] = {}
            for name, files in photographs.items():
                urls = [f"{address}/{name[:2].strip()}/{n}" for n in range(_DIFFERENT)]
                encoded = [base64.b64encode(file).decode() for file in files]
                for kind, sources in (("base64", encoded), ("URL", urls)):
                    row = _upserts(running, sources, seconds)
                    rows.append((name, _kilobytes(files), kind, *row))
                    best[name] = max(best.get(name, 0.0), row[0])
    tables.show("Images a second, and processor time for one image", _HEAD, rows)
    limit = {name: _limit(found) for name, found in steps.items()}
    tables.show(
        "One image by itself, and the service's rate to what two cores could do with these steps",
        _STEPS,
        [(name, _kilobytes(photographs[name]), *found, best[name] / limit[name]) for name, found in steps.items()],
    )


def _limit(steps: Sequence[float]) -> float:
    """Images a second if both cores did nothing but decode and run."""
    _, unpack, decoding, run = steps
    return 2000 / (unpack + decoding + run)


def _upserts(running: RunningService, sources: Sequence[str], seconds: float) -> tuple[float, ...]:
    bodies = []
    for first in range(0, _DIFFERENT, _POINTS):
        points = [
            {"id": n, "vector": {"image": source, "model": random_models.CLIP_VISION}}
            for n, source in enumerate(sources[first : first + _POINTS])
        ]
        bodies.append(orjson.dumps({"points": points}))
    connect = load.http(running.rest_port, [load.http_request("PUT", "/collections/c/points", body) for body in bodies])
    load.run(load.offer(connect, _AT_A_TIME, seconds / 5)).expect(200)
    before = processes.spent(running)
    outcome = load.run(load.offer(connect, _AT_A_TIME, seconds)).expect(200)
    used = processes.spent(running).since(before)
    images = len(outcome.seconds) * _POINTS
    model = random_models.CLIP_VISION.replace("/", "--")
    each = (used[name] * 1000 / images for name in ("Ingress", "ImageLoader", model, "Ray"))
    return (outcome.rate * _POINTS, outcome.percentile(50), *each)


def _steps(folder: Path, files: Sequence[bytes], url: str) -> tuple[float, float, float, float]:
    """What each step takes for one image on one core, in milliseconds."""
    settings = ReplicaSettings(streams=1).session().model_copy(update={"threads": 1})
    family = load_family(random_models.card(random_models.CLIP_VISION, folder), folder, settings)
    encoded, limits = base64.b64encode(files[0]).decode(), ImageLimits()
    pixels = decode(files[0], 224, limits)
    batch = family.prepare(Batch([pixels] * _POINTS, "update"))
    return (
        asyncio.run(_fetch(url)),
        _median(lambda: from_base64(encoded, _LIMIT)),
        _median(lambda: decode(files[0], 224, limits)),
        _median(lambda: family.run(batch, np.arange(_POINTS))) / _POINTS,
    )


async def _fetch(url: str) -> float:
    rules = FetchRules.model_validate({"private_hosts": ["127.0.0.1"], "ports": []})
    took = []
    async with Fetcher(rules) as fetcher:
        for _ in range(10):
            began = time.perf_counter()
            await fetcher.fetch(url, _LIMIT)
            took.append(time.perf_counter() - began)
    return float(np.median(took)) * 1000


def _median(step: Callable[[], object]) -> float:
    took = []
    for _ in range(15):
        began = time.perf_counter()
        step()
        took.append(time.perf_counter() - began)
    return float(np.median(took)) * 1000


def _photograph(width: int, height: int, seed: int) -> bytes:
    """A JPEG with about as much detail as a photograph: noise of all sizes on top of each other."""
    random = np.random.default_rng(seed)
    total = np.zeros((height, width, 3), np.float32)
    for divisor, strength in ((2, 6), (8, 20), (64, 40), (400, 60)):
        small = random.normal(0, strength, (height // divisor + 1, width // divisor + 1, 3))
        layer = Image.fromarray(np.clip(small + 128, 0, 255).astype(np.uint8)).resize((width, height))
        total += np.asarray(layer, np.float32) - 128
    file = io.BytesIO()
    Image.fromarray(np.clip(total + 128, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=88)
    return file.getvalue()


def _kilobytes(files: Sequence[bytes]) -> float:
    return float(np.mean([len(file) for file in files])) / 1e3


@contextmanager
def _web_server(photographs: dict[str, list[bytes]]) -> Iterator[str]:
    """Serves all photographs, by their size and number; gives its address."""
    pages = {f"/{name[:2].strip()}/{n}": file for name, files in photographs.items() for n, file in enumerate(files)}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "image/jpeg")
            self.send_header("content-length", str(len(pages[self.path])))
            self.end_headers()
            self.wfile.write(pages[self.path])

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _serve_only(path: Path, application: Any) -> None:
    """Change an application's config so that it serves the random model and no other."""
    application["args"] = {"catalogue": str(path), "models": [random_models.CLIP_VISION]}
    application["deployments"] = [
        entry for entry in application["deployments"] if entry["name"] in {"Ingress", "ImageLoader"}
    ]


if __name__ == "__main__":
    main()
