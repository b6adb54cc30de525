"""Searches and upserts through REST and gRPC by Qdrant's own client; runs in a pod, alone, until /tmp/stop is there.

    python load.py HOST KEY

says `ready` once everything has been answered, and at the end what became of all requests, as JSON.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections import Counter
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from qdrant_client import AsyncQdrantClient, models

MODEL = "sentence-transformers/all-minilm-l6-v2"
COLLECTION = "load"
TEXTS = [
    f"{what} {where}"
    for what in ("a cup of tea", "a red bicycle", "an old violin")
    for where in ("in Paris", "on Mars")
]
STOP = Path("/tmp/stop")
PATIENCE_S = 60
PAUSE_S = 0.1


class Load:
    """Requests that were sent, and how they ended."""

    def __init__(self, host: str, key: str) -> None:
        self.ended: Counter[str] = Counter()
        self.longest: dict[str, float] = {}
        self.told: list[str] = []
        self.clients = {
            way: AsyncQdrantClient(
                url=f"http://{host}:6333",
                api_key=key or None,
                prefer_grpc=way == "gRPC",
                timeout=PATIENCE_S,
                cloud_inference=True,
                check_compatibility=False,
            )
            for way in ("REST", "gRPC")
        }

    async def prepare(self) -> None:
        """A collection with all texts."""
        client = self.clients["REST"]
        if await client.collection_exists(COLLECTION):
            await client.delete_collection(COLLECTION)
        vectors = models.VectorParams(size=384, distance=models.Distance.COSINE)
        await client.create_collection(COLLECTION, vectors_config=vectors)
        for number in range(len(TEXTS)):
            await self.upsert("REST", number)

    async def upsert(self, way: str, number: int) -> bool:
        """One point."""
        point = models.PointStruct(id=number, vector=_document(number), payload={"text": TEXTS[number]})
        answer = await self.clients[way].upsert(COLLECTION, [point], wait=True)
        return answer.status == models.UpdateStatus.COMPLETED

    async def search(self, way: str, number: int) -> bool:
        """Whether a text finds itself."""
        answer = await self.clients[way].query_points(COLLECTION, query=_document(number), limit=1)
        return [point.id for point in answer.points] == [number]

    async def send(self, way: str, what: str) -> None:
        """One request after the other, until the end."""
        ask = self.search if what == "search" else self.upsert
        for number in itertools.cycle(range(len(TEXTS))):
            if STOP.exists():  # noqa: ASYNC240  a moment's work
                return
            await self.count(f"{way} {what}", ask(way, number))
            await asyncio.sleep(PAUSE_S)

    async def count(self, what: str, request: Awaitable[bool]) -> None:
        """Wait for an answer."""
        began = time.monotonic()
        try:
            status = "ok" if await request else "wrong"
        except Exception as error:  # noqa: BLE001  whatever it is, the request has failed
            status = type(error).__name__
            self.told.append(f"{what}: {error!r}"[:400])
        self.ended[status] += 1
        self.longest[what] = max(self.longest.get(what, 0), time.monotonic() - began)

    def outcome(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {"ended": dict(self.ended), "longest": self.longest, "told": self.told[:5]}


def _document(number: int) -> models.Document:
    return models.Document(text=TEXTS[number], model=MODEL)


async def main(host: str, key: str) -> None:
    """Prepare, say so, send."""
    load = Load(host, key)
    await load.prepare()
    print("ready", flush=True)  # noqa: T201  the one who started it waits for that
    ways = [(way, what) for way in load.clients for what in ("search", "search", "upsert")]
    await asyncio.gather(*(load.send(way, what) for way, what in ways))
    print(json.dumps(load.outcome()), flush=True)  # noqa: T201


if __name__ == "__main__":
    STOP.unlink(missing_ok=True)
    asyncio.run(main(*sys.argv[1:]))
