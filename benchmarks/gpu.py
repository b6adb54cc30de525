"""How near does this software come to what a GPU can do?

Tokens a second at texts of 16, 128 and 512 tokens, for models of the size of all-MiniLM-L6-v2, bge-base and
mxbai-large (random weights) in float16: through the bare session, and through the whole stack with upserts of 32,768
tokens into a store that forgets. The card's limit is its peak for dense float16 matrix products by its data sheet,
divided by the floating point operations that a token takes.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from benchmarks import load, processes, random_models, tables
from deployments.contract import Batch
from deployments.families.chunks import cut
from deployments.families.loading import load_family
from deployments.replica.settings import ReplicaSettings
from tests.support.running import RunningService

_PEAKS = {"H200": 989.5, "H100": 989.5, "A100": 312.0, "L40S": 362.0, "L4": 121.0, "A10": 125.0, "T4": 65.0}
"""TFLOPS of dense float16 with tensor cores, by NVIDIA's data sheets (the SXM form of H100, H200 and A100)."""
_LENGTHS = (16, 128, 512)
_BUDGET, _AT_A_TIME = 16_384, 16
_SPECIAL = 2  # tokens that the tokenizer puts around a text
_HEAD = (
    "model",
    "tokens a text",
    "bare tokens/s",
    "stack tokens/s",
    "stack to bare",
    "limit tokens/s",
    "bare to limit",
)


def main() -> None:
    """Run all of it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="for each cell of the table")
    parser.add_argument("--provider", default="cuda", choices=["cuda", "openvino", "cpu"], help="others: to try it out")
    parser.add_argument("--models", nargs="+", default=list(random_models.BERTS), choices=list(random_models.BERTS))
    asked = parser.parse_args()
    card, peak = _card() if asked.provider == "cuda" else ("no GPU", None)
    tables.show_machine()
    print(f"GPU: {card}, {peak or '?'} TFLOPS in float16.")
    settings = ReplicaSettings(provider=asked.provider, token_budget=_BUDGET)
    rows: list[Sequence[object]] = []
    for name in asked.models:
        with tempfile.TemporaryDirectory() as folder:
            model = random_models.write_bert(Path(folder, "model"), random_models.BERTS[name])
            bare = [_bare(name, model, settings, length, asked.seconds) for length in _LENGTHS]
            path = random_models.write_catalogue(Path(folder), {name: model})
            change = partial(_serve_only, path, name, settings)
            with processes.forgetful_store() as environment, processes.service(environment, change) as running:
                stack = [_through_the_stack(running, name, length, asked.seconds) for length in _LENGTHS]
        for length, alone, whole in zip(_LENGTHS, bare, stack, strict=True):
            limit = peak * 1e12 / random_models.BERTS[name].flops(length) if peak else None
            rows.append((name, length, alone, whole, whole / alone, limit or "", alone / limit if limit else ""))
    tables.show("Tokens a second", _HEAD, rows)


def _card() -> tuple[str, float | None]:
    """The GPU's name, and its peak in TFLOPS where it is known."""
    asked = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader", "--id=0"]
    name = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    return name, next((peak for part, peak in _PEAKS.items() if part in name.split() or part in name), None)


def _text(length: int, number: int) -> str:
    """A text of so many tokens, special ones included; no two numbers give the same."""
    return " ".join([*str(number).zfill(6)[-6:].translate(_LETTERS), *["word"] * (length - _SPECIAL - 6)])


_LETTERS = str.maketrans("0123456789", "abcdefghij")


def _bare(name: str, folder: Path, settings: ReplicaSettings, length: int, seconds: float) -> float:
    """Tokens a second of the session alone, in chunks as the replica cuts them."""
    family = load_family(random_models.card(name, folder), folder, settings.session())
    prepared = family.prepare(Batch([_text(length, n) for n in range(4 * settings.token_budget // length)], "update"))
    if int(prepared.tokens[0]) != length:
        raise RuntimeError(f"a text of {length} tokens has {prepared.tokens[0]}")
    chunks = list(cut(prepared.tokens, settings.token_budget))
    run = partial(family.run, prepared)
    tokens, began = 0, 0.0
    with ThreadPoolExecutor(settings.streams) as streams:
        list(streams.map(run, chunks))
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            list(streams.map(run, chunks))
            tokens += int(np.sum(prepared.tokens))
    return tokens / (time.perf_counter() - began)


def _through_the_stack(running: RunningService, name: str, length: int, seconds: float) -> float:
    """Tokens a second of upserts; all texts of a request are different."""
    bodies, texts_each = [], 2 * _BUDGET // length
    for request in range(_AT_A_TIME):
        texts = [_text(length, request * texts_each + n) for n in range(texts_each)]
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


if __name__ == "__main__":
    main()
