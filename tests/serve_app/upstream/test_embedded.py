"""The gateway finds the embedded store, also after it has moved, and no other."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from qdrant_client import grpc as q

from deployments.errors import DeadlineExceeded, UpstreamUnavailable
from serve_app.embedded.address import KEY_HEADER, Address
from serve_app.embedded.deployment import Store
from serve_app.protocol.deadlines import TimeLimit
from serve_app.protocol.messages import Call, Request, read
from serve_app.upstream.base import UpstreamStatus
from serve_app.upstream.embedded import EmbeddedQdrant
from serve_app.upstream.remote import RemoteQdrant

LIST = Request("GET", "/collections", "", (), b"")
CREATE = Request("PUT", "/collections/c", "", (), orjson.dumps({"vectors": {"size": 2, "distance": "Dot"}}))
GRPC_LIST = Call("/qdrant.Collections/List")


class Place:
    """A store in a folder that can be replaced as Serve replaces a replica."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)
        self.store = Store(self.folder, "127.0.0.1")
        self.asked = 0

    async def locate(self) -> Address:
        self.asked += 1
        return await self.store.address()

    async def move(self) -> None:
        await self.store._server.stop()
        self.store = Store(self.folder, "127.0.0.1")


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    place = Place(tmp_path / "data")
    yield place
    await place.store._server.stop()


@pytest.fixture
async def qdrant(place: Place) -> AsyncIterator[EmbeddedQdrant]:
    qdrant = EmbeddedQdrant(place.locate)
    yield qdrant
    await qdrant.close()


async def names(qdrant: EmbeddedQdrant) -> list[str]:
    """The collections' names over REST."""
    answer = await qdrant.rest(LIST)
    body = orjson.loads(await read(answer.body) or b"null")
    return [collection["name"] for collection in body["result"]["collections"]]


async def names_by_grpc(qdrant: EmbeddedQdrant) -> list[str]:
    """The same over gRPC."""
    answer = q.ListCollectionsResponse.FromString((await qdrant.grpc(b"", GRPC_LIST)).message)
    return [collection.name for collection in answer.collections]


async def test_a_request_waits_for_the_store_no_longer_than_it_may() -> None:
    qdrant = EmbeddedQdrant(lambda: asyncio.sleep(60, Address("127.0.0.1", 9, 9, "")))
    limit = TimeLimit(until=time.monotonic() + 0.1)
    with pytest.raises(DeadlineExceeded):
        await qdrant.rest(LIST._replace(time=limit))
    with pytest.raises(DeadlineExceeded):
        await qdrant.grpc(b"", GRPC_LIST._replace(time=limit))
    await qdrant.close()


async def test_who_gives_up_leaves_the_question_where_the_store_is_to_the_others(place: Place) -> None:
    asked, came = 0, asyncio.Event()

    async def locate() -> Address:
        nonlocal asked
        asked += 1
        await came.wait()
        return await place.locate()

    qdrant = EmbeddedQdrant(locate)
    for _ in range(3):
        with pytest.raises(DeadlineExceeded):
            await qdrant.rest(LIST._replace(time=TimeLimit(until=time.monotonic() + 0.02)))
    hung_up = asyncio.create_task(names(qdrant))
    await asyncio.sleep(0.01)
    hung_up.cancel()
    came.set()
    assert await names(qdrant) == []
    assert asked == 1
    await qdrant.close()


async def test_a_question_that_fails_is_asked_again(place: Place) -> None:
    answers = [UpstreamUnavailable("it is not there")]

    async def locate() -> Address:
        if answers:
            raise answers.pop()
        return await place.locate()

    qdrant = EmbeddedQdrant(locate)
    with pytest.raises(UpstreamUnavailable):
        await names(qdrant)
    assert await names(qdrant) == []
    await qdrant.close()


async def test_what_its_caller_has_given_up_leaves_the_queue(place: Place, qdrant: EmbeddedQdrant) -> None:
    await names(qdrant)
    busy = threading.Event()
    place.store._server._workers._writer.submit(busy.wait, 10)
    limit = TimeLimit(until=time.monotonic() + 0.2)
    with pytest.raises(DeadlineExceeded):
        await qdrant.rest(CREATE._replace(time=limit))
    await asyncio.sleep(0.1)
    busy.set()
    assert await names(qdrant) == []


async def test_the_store_is_looked_for_once(place: Place, qdrant: EmbeddedQdrant) -> None:
    assert (await qdrant.rest(CREATE)).status == 200
    assert await names(qdrant) == ["c"]
    assert await names_by_grpc(qdrant) == ["c"]
    assert place.asked == 1


@pytest.mark.parametrize("ask", [names, names_by_grpc])
async def test_a_request_follows_a_store_that_has_moved(place: Place, qdrant: EmbeddedQdrant, ask: object) -> None:
    await qdrant.rest(CREATE)
    assert await ask(qdrant) == ["c"]  # type: ignore[operator]
    await place.move()
    assert await ask(qdrant) == ["c"]  # type: ignore[operator]
    assert place.asked == 2


@pytest.mark.parametrize("ask", [names, names_by_grpc])
async def test_a_server_that_wants_another_key_is_not_taken_for_the_store(place: Place, ask: object) -> None:
    address = replace(await place.locate(), key="another")
    wrong = [address]

    async def locate() -> Address:
        return wrong.pop() if wrong else await place.locate()

    qdrant = EmbeddedQdrant(locate)
    with pytest.raises(UpstreamUnavailable):
        await ask(qdrant)  # type: ignore[operator]
    assert await ask(qdrant) == []  # type: ignore[operator]
    await qdrant.close()


async def test_a_caller_cannot_show_a_key_of_its_own(place: Place, qdrant: EmbeddedQdrant) -> None:
    forged = LIST._replace(headers=[(KEY_HEADER.encode(), b"forged")])
    assert (await qdrant.rest(forged)).status == 200
    call = GRPC_LIST._replace(metadata=[(KEY_HEADER, "forged")])
    assert not q.ListCollectionsResponse.FromString((await qdrant.grpc(b"", call)).message).collections
    assert place.asked == 1


async def test_without_the_key_nothing_is_answered(place: Place) -> None:
    address = await place.locate()
    qdrant = RemoteQdrant(
        [f"http://{address.host}:{address.rest_port}"], [f"http://{address.host}:{address.grpc_port}"]
    )
    with pytest.raises(UpstreamUnavailable):
        await qdrant.rest(CREATE)
    with pytest.raises(UpstreamStatus, match="another store"):
        await qdrant.grpc(b"", GRPC_LIST)
    await qdrant.close()
    keyed = EmbeddedQdrant(place.locate)
    assert await names(keyed) == []
    await keyed.close()
