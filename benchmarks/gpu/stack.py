"""How near does this software come to what a GPU can do?

Tokens a second at texts of 16, 128 and 512 tokens, for models of the size of all-MiniLM-L6-v2, bge-base and
mxbai-large (random weights) in float16: through the bare session, and through the whole stack with upserts of 32,768
tokens into a store that forgets. The card's limit is its peak for dense float16 matrix products by its data sheet,
divided by the floating point operations that a token takes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from benchmarks import load, processes, random_models, tables
from benchmarks.gpu import bare, runs
from benchmarks.gpu.texts import Texts
from deployments.families.loading import load_family
from deployments.replica.settings import ReplicaSettings
from tests.support.running import RunningService

_PEAKS = {"H200": 989.5, "H100": 989.5, "A100": 312.0, "L40S": 362.0, "L4": 121.0, "A10": 125.0, "T4": 65.0}
"""TFLOPS of dense float16 with tensor cores, by NVIDIA's data sheets (the SXM form of H100, H200 and A100)."""
TEXTS = Texts()
_LENGTHS = (16, 128, 512)
_BUDGET, _AT_A_TIME = 16_384, 16
_HEAD = (
    "model",
    "tokens a text",
    "bare tokens/s",
    "stack tokens/s",
    "stack to bare",
    "limit tokens/s",
    "bare to limit",
)


def measure(seconds: float, provider: str, models: Sequence[str]) -> None:
    """Run all of it and print the table; `seconds` is for each cell of it."""
    name = bare.card_name(provider)
    peak = next((peak for part, peak in _PEAKS.items() if part in name), None)
    tables.show_machine()
    print(f"GPU: {name}, {peak or '?'} TFLOPS in float16.")
    settings = ReplicaSettings(provider=provider, token_budget=_BUDGET)
    rows: list[Sequence[object]] = []
    for name in models:
        with tempfile.TemporaryDirectory() as folder:
            model = random_models.write_bert(Path(folder, "model"), random_models.BERTS[name])
            family = load_family(random_models.card(name, model), model, settings.session())
            alone = [runs.session_rate(family, TEXTS.of(n, 4 * _BUDGET // n), settings, seconds) for n in _LENGTHS]
            path = random_models.write_catalogue(Path(folder), {name: model})
            change = partial(_serve_only, path, name, settings)
            with processes.stub_store() as environment, processes.service(environment, change) as running:
                stack = [_through_the_stack(running, name, length, seconds) for length in _LENGTHS]
        for length, session, whole in zip(_LENGTHS, alone, stack, strict=True):
            limit = peak * 1e12 / random_models.BERTS[name].flops(length) if peak else None
            share = session / limit if limit else ""
            rows.append((name, length, session, whole, whole / session, limit or "", share))
    tables.show("Tokens a second", _HEAD, rows)


def _through_the_stack(running: RunningService, name: str, length: int, seconds: float) -> float:
    """Tokens a second of upserts; all texts of a request are different."""
    bodies, texts_each = [], 2 * _BUDGET // length
    for _ in range(_AT_A_TIME):
        texts = TEXTS.of(length, texts_each)
        points = [{"id": n, "vector": {"text": text, "model": name}} for n, text in enumerate(texts)]
        bodies.append(load.http_request("PUT", "/collections/c/points", orjson.dumps({"points": points})))
    connect = load.http(running.rest_port, bodies)
    load.run(load.offer(connect, _AT_A_TIME, seconds / 5)).expect(200)
    return float(load.run(load.offer(connect, _AT_A_TIME, seconds)).expect(200).rate) * texts_each * length


def _serve_only(path: Path, name: str, settings: ReplicaSettings, application: Any) -> None:
    """Change an application's config so that it serves this model, on the GPU, and no other."""
    application["args"] = {"catalogue": str(path), "models": [name]}
    ingress = processes.deployment(application, "Ingress")
    ingress["user_config"] = {**ingress.get("user_config", {}), "coalescing": {"inputs": 256, "characters": 131_072}}
    ingress["user_config"]["queue_tokens"] = 10_000_000
    actor: dict[str, Any] = {"num_cpus": 1, "num_gpus": 1} if settings.provider == "cuda" else {"num_cpus": 1}
    model = {
        "name": name.replace("/", "--"),
        "ray_actor_options": actor,
        "user_config": settings.model_dump(mode="json"),
    }
    application["deployments"] = [ingress, model]
