"""What a replica holds after a burst of long texts, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest

from deployments.catalogue.card import ModelCard
from tests.support import tiny

WORDS, BUDGET = 16000, 2048
"""A score for each of many words: a chunk takes 130 MB, though the model is small and quick."""

BURST = """
import asyncio, json, sys
import psutil
from deployments.catalogue.card import ModelCard
from deployments.contract import Batch
from deployments.replica import worker
from deployments.replica.replica import ModelReplica

async def resident():
    await asyncio.sleep(1)
    return psutil.Process().memory_info().rss

async def main(card, folder, provider, budget):
    worker._IDLE_S = 0.2
    replica = ModelReplica(ModelCard.model_validate_json(card), folder)
    await replica.reconfigure({"provider": provider, "token_budget": int(budget)})
    await replica.embed(Batch(["a short text"] * 8, "search"))
    before = await resident()
    await replica.embed(Batch(["text " * 100] * 256, "update"))
    print(json.dumps({"before": before, "after": await resident()}))
    replica.close()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("provider", ["cpu", "openvino"])
def test_after_a_burst_of_long_texts_memory_is_what_it_was(tmp_path: Path, provider: str) -> None:
    if provider == "openvino" and "OpenVINOExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("the installed onnxruntime has no OpenVINO")
    tensors = tiny.bert_tensors(WORDS) | tiny.masked_language_head(WORDS)
    tensors["cls.predictions.bias"][100:] = -1000  # as of a trained model, few weights of a text are above zero
    tiny.write(tmp_path, tensors, vocab_size=WORDS)
    tiny.word_pieces().save(str(tmp_path / "tokenizer.json"))
    sources = [{"folder": str(tmp_path), "files": {"config.json": {}}}]
    card = ModelCard.model_validate(
        {
            "name": "a/b",
            "family": "sparse",
            "context_window": 64,
            "licence": "x",
            "model_card_url": "x",
            "sources": sources,
        }
    )
    arguments = [sys.executable, "-c", BURST, card.model_dump_json(), str(tmp_path), provider, str(BUDGET)]
    result = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    resident = json.loads(result.stdout)
    assert resident["after"] <= 1.2 * resident["before"]
