"""Requests that no client would send, made from a seed: over HTTP, over bare connections, and over gRPC."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import grpc
import httpx

from serve_app.inference.places import GRPC_PLACES, REST_PLACES
from tests.support import hostile_images

_METHODS = ("GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS")
_PATHS = (
    "/",
    "/collections",
    "/inference",
    "/telemetry",
    "/a/b/../../c",
    "/collections/%00",
    "/collections/%2F/points",
)
_URLS = (
    "http://127.0.0.1:1/x",
    "http://169.254.169.254/",
    "file:///etc/passwd",
    "http://[::1]/",
    "http://user@a/",
    "//",
)
_FILES = """PNG without pixels, PNG with a zip archive for pixels, PNG with a negative size, JPEG without a scan,
    GIF without a frame, BMP without pixels, WebP without a picture, PostScript, TIFF named image/jpeg"""
_HOSTILE = [hostile_images.REFUSED[name.strip()]() for name in _FILES.split(",")]
_IMAGES = [*(base64.b64encode(file).decode() for file in _HOSTILE), *_URLS]
_HANGS_S = 30.0
_ANSWERS = {*range(200, 500), 501}
"""501: what the embedded store lacks."""

Way = Callable[[httpx.AsyncClient, grpc.aio.Channel], Awaitable[None]]


@dataclass
class Garbage:
    """Sends nonsense. `refused` counts what was answered, `wrong` tells what was answered in a way it should not."""

    rest_port: int
    grpc_address: str
    collection: str
    model: str
    image_model: str
    random: random.Random
    refused: int = 0
    wrong: list[str] = field(default_factory=list)

    async def keep_sending(self, stop: asyncio.Event, pause_s: float) -> None:
        """One thing after the other."""
        ways: Sequence[Way] = (self._spoiled, self._anywhere, self._image, self._torn, self._rpc)
        address = f"http://127.0.0.1:{self.rest_port}"
        async with (
            httpx.AsyncClient(base_url=address, timeout=_HANGS_S) as http,
            grpc.aio.insecure_channel(self.grpc_address) as channel,
        ):
            while not stop.is_set():
                way = self.random.choice(ways)
                try:
                    await way(http, channel)
                except httpx.HTTPError as error:
                    self.wrong.append(f"{way.__name__}: {type(error).__name__}")
                await asyncio.sleep(pause_s)

    async def _spoiled(self, http: httpx.AsyncClient, _: Any) -> None:
        """A sound request, of which a part is replaced by random bytes."""
        method, route = self.random.choice(list(REST_PLACES))
        wanted = {"text": "x" * self.random.choice([0, 1, 30, 3000]), "model": self.model, "options": {}}
        body = json.dumps({"points": [{"id": 1, "vector": wanted}], "query": wanted, "searches": [{"query": wanted}]})
        data = bytearray(body.encode())
        start = self.random.randrange(len(data))
        data[start : start + self.random.randrange(12)] = self.random.randbytes(self.random.randrange(6))
        await self._send(http, method, f"/collections/{self.collection}/{route}", bytes(data))

    async def _anywhere(self, http: httpx.AsyncClient, _: Any) -> None:
        """Random bytes to any path by any method."""
        path = self.random.choice([*_PATHS, f"/{self.random.randbytes(4).hex()}"])
        body = self.random.randbytes(self.random.choice([0, 9, 9000]))
        await self._send(http, self.random.choice(_METHODS), path, body)

    async def _image(self, http: httpx.AsyncClient, _: Any) -> None:
        """Hostile files and URLs that lead inside."""
        body = {"query": {"image": self.random.choice(_IMAGES), "model": self.image_model}}
        await self._send(http, "POST", f"/collections/{self.collection}/points/query", json.dumps(body).encode())

    async def _torn(self, http: httpx.AsyncClient, channel: Any) -> None:
        """A caller that goes away in the middle of its request, or talks no HTTP at all."""
        head = b"PUT /collections/x/points HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n"
        with suppress(OSError):
            _reader, writer = await asyncio.open_connection("127.0.0.1", self.rest_port)
            sent = head + b"{", head[: self.random.randrange(60)], self.random.randbytes(200)
            writer.write(self.random.choice(sent))
            await writer.drain()
            writer.transport.abort()

    async def _rpc(self, _: httpx.AsyncClient, channel: grpc.aio.Channel) -> None:
        """Random bytes to a method of gRPC."""
        method = self.random.choice([*GRPC_PLACES, "/qdrant.Points/Nothing"])
        invoke: Any = channel.unary_unary(method, request_serializer=None, response_deserializer=None)
        try:
            await invoke(self.random.randbytes(self.random.randrange(60)), timeout=_HANGS_S)
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
                self.wrong.append(f"{method} hung")
        self.refused += 1

    async def _send(self, http: httpx.AsyncClient, method: str, path: str, body: bytes) -> None:
        answer = await http.request(method, path, content=body, headers={"content-type": "application/json"})
        self.refused += 1
        if answer.status_code not in _ANSWERS:
            self.wrong.append(f"{method} {path}: {answer.status_code}")
