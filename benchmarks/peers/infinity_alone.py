"""infinity-emb with its PyTorch engine, in this process."""

from __future__ import annotations

import asyncio

from common import folder, measure
from infinity_emb import AsyncEmbeddingEngine, EngineArgs

engine = AsyncEmbeddingEngine.from_args(
    EngineArgs(model_name_or_path=str(folder()), engine="torch", device="cpu", compile=False, bettertransformer=False)
)


async def embed(texts: list[str]) -> None:
    """All texts in one call; the engine makes its own batches."""
    async with engine:
        await engine.embed(sentences=texts)


measure(lambda texts: asyncio.run(embed(texts)))
