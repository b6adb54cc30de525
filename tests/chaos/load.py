"""A light and steady load on a service: upserts of points with known ids and vectors, and searches for them.

An upsert that fails is sent again until it is acknowledged, as a careful client would. Every request has an end: one
that is not answered within `PATIENCE_S` hangs.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import grpc
import httpx
from google.protobuf.message import Message
from qdrant_client import grpc as messages

from serve_app.protocol.grpc_services import request_class, response_class
from tests.chaos.known import Content

REQUEST_TIMEOUT_S = 12
"""What the service is configured to give a request."""

PATIENCE_S = REQUEST_TIMEOUT_S + 5
"""After which an answer is late, whatever happens."""

_OK = "ok"
_PAUSE_S = 0.15
_RETRY_S = 0.25
_GOOD_S = 4.0
"""How long nothing may fail for the service to be good again."""
_BAD_FOR_EVER_S = 120.0


@dataclass(frozen=True)
class Sent:
    """One request that was answered, or failed: what it was, when it ended, and how long it took."""

    what: str
    status: str
    ended: float
    seconds: float


@dataclass
class Load:
    """Requests under way and what became of them."""

    rest_address: str
    grpc_address: str
    collections: dict[str, Content]
    """By the collection's name."""
    ids: Callable[[], Iterator[int]] = itertools.count
    points: int = 4
    """In an upsert."""
    patience_s: float = PATIENCE_S
    sent: list[Sent] = field(default_factory=list)
    acknowledged: dict[str, set[int]] = field(default_factory=dict)
    retried: int = 0
    lost_searches: int = 0
    """Searches that were answered with another point than the one that was searched for."""
    _stopping: bool = False

    def __post_init__(self) -> None:
        self.acknowledged = {name: set() for name in self.collections}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Load]:
        """Send until the context ends; what is under way then is waited for."""
        limits = httpx.Limits(max_connections=50, keepalive_expiry=2)
        async with (
            httpx.AsyncClient(base_url=self.rest_address, timeout=None, limits=limits) as http,
            grpc.aio.insecure_channel(self.grpc_address) as channel,
        ):
            tasks = [asyncio.create_task(sender) for sender in self._senders(http, channel)]
            try:
                yield self
            finally:
                self._stopping = True
                await asyncio.gather(*tasks)

    def _senders(self, http: httpx.AsyncClient, channel: grpc.aio.Channel) -> Iterator[Coroutine[Any, Any, None]]:
        for name, content in self.collections.items():
            numbers = self.ids()
            yield self._upsert("upsert", name, numbers, partial(rest_upsert, http, name, content))
            yield self._search("search", name, partial(rest_search, http, name, content))
            if content.kind == "text":
                yield self._upsert("gRPC upsert", name, numbers, partial(grpc_upsert, channel, name, content))
                yield self._search("gRPC search", name, partial(grpc_search, channel, name, content))

    async def _upsert(
        self, what: str, collection: str, numbers: Iterator[int], send: Callable[[Sequence[int]], Awaitable[Any]]
    ) -> None:
        while not self._stopping:
            ids = list(itertools.islice(numbers, self.points))
            while await self._count(what, send(ids)) is None:
                if self._stopping:
                    return
                self.retried += 1
                await asyncio.sleep(_RETRY_S)
            self.acknowledged[collection].update(ids)
            await asyncio.sleep(_PAUSE_S)

    async def _search(self, what: str, collection: str, send: Callable[[int], Awaitable[int]]) -> None:
        content = self.collections[collection]
        while not self._stopping:
            acknowledged = self.acknowledged[collection]
            if acknowledged:
                number = max(acknowledged)
                found = await self._count(what, send(number))
                self.lost_searches += found not in {None, number % len(content.inputs)}
            await asyncio.sleep(_PAUSE_S)

    async def _count(self, what: str, request: Awaitable[Any]) -> Any:
        """What a request was answered with, or None where it failed."""
        answer, status, began = None, _OK, time.monotonic()
        try:
            answer = await asyncio.wait_for(request, self.patience_s)
        except asyncio.TimeoutError:
            status = "hung"
        except httpx.HTTPStatusError as error:
            status = str(error.response.status_code)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            status = "no connection"
        except httpx.TransportError:
            status = "cut off"
        except grpc.aio.AioRpcError as error:
            # As over HTTP: a request that nobody has taken is another thing than one that is cut off.
            refused = "failed to connect" in (error.details() or "").lower()
            status = "no connection" if refused else error.code().name
        ended = time.monotonic()
        self.sent.append(Sent(what, status, ended, ended - began))
        return answer if status == _OK else None

    @property
    def acknowledged_upserts(self) -> int:
        """How many upserts were acknowledged."""
        return sum(one.status == _OK for one in self.sent if "upsert" in one.what)

    @property
    def failures(self) -> Counter[str]:
        """Requests that failed, by status."""
        return Counter(one.status for one in self.sent if one.status != _OK)

    @property
    def longest_s(self) -> float:
        """How long the slowest request took, whatever became of it."""
        return max(one.seconds for one in self.sent)

    async def good_for(self, seconds: float) -> None:
        """Wait until every kind of request has been answered well, and none otherwise, for so long.

        Raises:
            TimeoutError: it does not come to that.
        """
        began = since = time.monotonic()
        kinds = {"upsert", "search", "gRPC upsert", "gRPC search"}
        while time.monotonic() - began < _BAD_FOR_EVER_S:
            await asyncio.sleep(0.2)
            since = max([since, *(one.ended for one in self.sent if one.status != _OK)])
            good = {one.what for one in self.sent if one.status == _OK and one.ended > since}
            if time.monotonic() - since > seconds and good == kinds:
                return
        raise TimeoutError(f"not good again within {_BAD_FOR_EVER_S:.0f} s")

    async def recovers(self, since: float) -> float:
        """Seconds from `since` to the end of the last failure, once nothing fails any more."""
        await self.good_for(_GOOD_S)
        return max([0.0, *(one.ended - since for one in self.sent if one.status != _OK)])


async def rest_upsert(http: httpx.AsyncClient, collection: str, content: Content, ids: Sequence[int]) -> bool:
    """Upsert points over REST."""
    body = {"points": [content.point(number) for number in ids]}
    answer = await http.put(f"/collections/{collection}/points?wait=true", json=body)
    answer.raise_for_status()
    return bool(answer.json()["result"]["status"] == "completed")


async def rest_search(http: httpx.AsyncClient, collection: str, content: Content, number: int) -> int:
    """The payload of the point that is most like another one's input, over REST."""
    body = {"query": content.wanted(number), "limit": 1, "with_payload": True}
    answer = await http.post(f"/collections/{collection}/points/query", json=body)
    answer.raise_for_status()
    return int(answer.json()["result"]["points"][0]["payload"]["k"])


async def grpc_upsert(channel: grpc.aio.Channel, collection: str, content: Content, ids: Sequence[int]) -> bool:
    """The same over gRPC."""
    points = [_message(content, number) for number in ids]
    request = messages.UpsertPoints(collection_name=collection, wait=True, points=points)
    answer: Any = await _call(channel, "/qdrant.Points/Upsert", request)
    return bool(answer.result.status == messages.UpdateStatus.Completed)


def _message(content: Content, number: int) -> messages.PointStruct:
    return messages.PointStruct(
        id=messages.PointId(num=number),
        vectors=messages.Vectors(vector=messages.Vector(document=_document(content, number))),
        payload={"k": messages.Value(integer_value=number % len(content.inputs))},
    )


def _document(content: Content, number: int) -> messages.Document:
    return messages.Document(text=content.wanted(number)["text"], model=content.model)


async def grpc_search(channel: grpc.aio.Channel, collection: str, content: Content, number: int) -> int:
    """The same over gRPC."""
    document = _document(content, number)
    query = messages.Query(nearest=messages.VectorInput(document=document))
    everything = messages.WithPayloadSelector(enable=True)
    request = messages.QueryPoints(collection_name=collection, query=query, limit=1, with_payload=everything)
    answer: Any = await _call(channel, "/qdrant.Points/Query", request)
    return int(answer.result[0].payload["k"].integer_value)


async def _call(channel: grpc.aio.Channel, method: str, request: Message) -> Message:
    write, read = request_class(method).SerializeToString, response_class(method).FromString
    invoke: Any = channel.unary_unary(method, write, read)
    answer: Message = await invoke(request)
    return answer
