"""Qdrant servers elsewhere, over HTTP for REST and over gRPC for gRPC."""

from __future__ import annotations

import logging
import math
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
from typing_extensions import override
from yarl import URL

from deployments.errors import ConfigError, DeadlineExceeded, UpstreamUnavailable
from serve_app.protocol.deadlines import TimeLimit
from serve_app.protocol.messages import Call, Reply, Request, Response
from serve_app.upstream.base import BrokenOffError, NotReached, Upstream, UpstreamStatus
from serve_app.upstream.grpc_channel import CallError, Channel
from serve_app.upstream.http_client import HttpClient, NotSentError, TimeOverError

log = logging.getLogger("ray.serve")

_CONNECT_S = 5.0
_PASSED_OVER_S = 2.0
"""How long a node that could not be reached is tried after the others only."""


@dataclass
class _Node:
    client: HttpClient
    name: str
    passed_over_until: float = 0.0

    def pass_over(self) -> None:
        """Ask the others first for a while."""
        self.passed_over_until = time.monotonic() + _PASSED_OVER_S


class Turns:
    """Nodes of one cluster, which take turns."""

    def __init__(self, urls: Sequence[URL], context: ssl.SSLContext) -> None:
        self._nodes = [_Node(HttpClient(url, context), f"{url.host}:{url.port}") for url in urls]
        self._next = 0

    def order(self) -> list[_Node]:
        """All nodes, the one whose turn it is first, and those last that could not be reached a moment ago."""
        self._next = (self._next + 1) % len(self._nodes)
        now = time.monotonic()
        rotated = self._nodes[self._next :] + self._nodes[: self._next]
        return sorted(rotated, key=lambda node: node.passed_over_until > now)

    def close(self) -> None:
        """End all connections."""
        for node in self._nodes:
            node.client.close()


class RemoteQdrant(Upstream):
    """The nodes of a Qdrant cluster by their addresses, for example `http://localhost:6333`; those for gRPC likewise.

    They take turns. One to which no connection comes about is passed over; a request that a node may have seen is
    never sent again.
    """

    def __init__(self, urls: Sequence[str], grpc_urls: Sequence[str], certificates: Path | None = None) -> None:
        """`certificates` (PEM) are of the authorities that are trusted instead of the system's.

        Raises:
            ConfigError: the certificates cannot be read.
        """
        trusted = _read(certificates) if certificates else None
        self._nodes = Turns([URL(url) for url in urls], _context(certificates, trusted))
        by_http2 = _context(certificates, trusted)
        by_http2.set_alpn_protocols(["h2"])
        self._channels = [Channel(URL(url), by_http2) for url in grpc_urls]
        self._next = 0

    @override
    async def rest(self, request: Request) -> Response:
        for node in self._nodes.order():
            try:
                answer = await node.client.send(request)
            except NotSentError as error:
                node.pass_over()
                log.warning("Qdrant at %s cannot be reached: %s", node.name, error)
            except BrokenOffError as error:
                raise UpstreamUnavailable("Qdrant broke off before it answered") from error
            except TimeOverError as error:
                raise _late(error.waited_s) from error
            else:
                return answer if isinstance(answer.body, bytes) else answer._replace(body=_whole(answer.body))
        raise NotReached("Qdrant cannot be reached")

    @override
    async def grpc(self, message: bytes, call: Call) -> Reply:
        channel = await self._connected(call.time)
        began, left_s = time.monotonic(), call.time.left_s
        try:
            return await channel.call(call.method, message, call.metadata, left_s if left_s < math.inf else None)
        except CallError as error:
            if error.code is grpc.StatusCode.UNAVAILABLE and not error.is_told:
                raise UpstreamUnavailable("Qdrant cannot be reached") from error
            if error.code is grpc.StatusCode.DEADLINE_EXCEEDED and not error.is_told:
                raise _late(time.monotonic() - began) from error
            raise UpstreamStatus(error.code, error.details, error.metadata) from error

    async def _connected(self, limit: TimeLimit) -> Channel:
        """The channel of the node whose turn it is, or of the next one that has a connection."""
        self._next = (self._next + 1) % len(self._channels)
        for channel in self._channels[self._next :] + self._channels[: self._next]:
            if await channel.connects(min(_CONNECT_S, limit.left_s)):
                return channel
        raise NotReached("Qdrant cannot be reached")

    @override
    async def close(self) -> None:
        self._nodes.close()
        for channel in self._channels:
            await channel.close()


async def _whole(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        async for part in body:
            yield part
    except BrokenOffError as error:
        raise UpstreamUnavailable("Qdrant broke off in the middle of its answer") from error
    except TimeOverError as error:
        raise _late(error.waited_s) from error


def _late(waited_s: float) -> DeadlineExceeded:
    return DeadlineExceeded(
        f"Qdrant did not answer within {waited_s:.1f} s, what was left of the time for the request (timeout_s or "
        "qdrant_timeout_s, or the caller's own); it may still carry it out"
    )


def _read(certificates: Path) -> bytes:
    try:
        return certificates.read_bytes()
    except OSError as error:
        raise ConfigError(f"QDRANT_CA_FILE: {error}") from error


def _context(certificates: Path | None, trusted: bytes | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=trusted.decode() if trusted else None)
    except (ssl.SSLError, ValueError) as error:
        raise ConfigError(f"QDRANT_CA_FILE: {certificates} holds no certificates in PEM format") from error
