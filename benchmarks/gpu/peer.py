"""Sentence-transformers in float16 with PyTorch's own fused attention, on the same weights and texts.

In a process of its own, as its users start it: ours keeps tokenizers from starting threads.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_BATCH = 256
_NEEDED = ("torch", "sentence_transformers", "sentence_transformers.models")


def missing() -> str | None:
    """What is not installed of all that it needs."""
    needed = ("torch", "transformers", "sentence_transformers")
    return next((name for name in needed if find_spec(name) is None), None)


def rate(folder: Path, texts: Sequence[str], tokens: int, device: str, seconds: float) -> float:
    """Tokens a second of `encode`, which sorts texts by length; `tokens` is how many all texts have."""
    asked = json.dumps([str(folder), list(texts), tokens, device, seconds])
    environment = {name: value for name, value in os.environ.items() if name != "TOKENIZERS_PARALLELISM"}
    command = [sys.executable, "-m", "benchmarks.gpu.peer"]
    answer = subprocess.run(command, input=asked, capture_output=True, text=True, check=True, env=environment)
    return float(answer.stdout.splitlines()[-1])


def _rate(folder: str, texts: Sequence[str], tokens: int, device: str, seconds: float) -> float:
    model = _load(Path(folder), device)
    model.encode(list(texts[:_BATCH]), batch_size=_BATCH)
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds or not done:
        model.encode(list(texts), batch_size=_BATCH)
        done += tokens
    return done / (time.perf_counter() - began)


def _load(folder: Path, device: str) -> Any:
    torch, library, parts = (importlib.import_module(name) for name in _NEEDED)
    options = {"torch_dtype": torch.float16 if device == "cuda" else torch.float32, "attn_implementation": "sdpa"}
    encoder = parts.Transformer(str(folder), max_seq_length=512, model_args=options)
    pooling = parts.Pooling(encoder.get_word_embedding_dimension(), "mean")
    return library.SentenceTransformer(modules=[encoder, pooling, parts.Normalize()], device=device)


if __name__ == "__main__":
    print(_rate(*json.load(sys.stdin)))
