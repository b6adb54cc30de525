"""Calls of a server by gRPC's own library: who gives one up ends it at the server, and a channel ends after its calls.

What an answer or a status brings along is tested in `test_remote`.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from yarl import URL

from serve_app.upstream.grpc_channel import CallError, Channel


class Hanging:
    """A server that answers when it may."""

    def __init__(self) -> None:
        self.asked, self.may, self.given_up = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def answer(self, message: bytes, context: Any) -> bytes:
        self.asked.set()
        try:
            await self.may.wait()
        except asyncio.CancelledError:
            self.given_up.set()
            raise
        return message * 2


@contextlib.asynccontextmanager
async def serving(hanging: Hanging) -> AsyncIterator[Channel]:
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
    handlers = {"Query": grpc.unary_unary_rpc_method_handler(hanging.answer)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("qdrant.Points", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    channel = Channel(URL(f"http://127.0.0.1:{port}"), None)
    yield channel
    await channel.close()
    await server.stop(None)


async def test_megabytes_pass_both_ways() -> None:
    hanging = Hanging()
    hanging.may.set()
    message = random.Random(2).randbytes(20_000_000)
    async with serving(hanging) as channel:
        assert (await channel.call("/qdrant.Points/Query", message, (), None)).message == message * 2


async def test_a_call_that_is_given_up_ends_at_the_server() -> None:
    hanging = Hanging()
    async with serving(hanging) as channel:
        call = asyncio.create_task(channel.call("/qdrant.Points/Query", b"a", (), None))
        await hanging.asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.wait_for(hanging.given_up.wait(), 20)


async def test_so_does_one_whose_time_is_over() -> None:
    hanging = Hanging()
    async with serving(hanging) as channel:
        with pytest.raises(CallError, match="DEADLINE_EXCEEDED"):
            await channel.call("/qdrant.Points/Query", b"a", (), 0.1)
        await asyncio.wait_for(hanging.given_up.wait(), 20)


async def test_a_channel_is_closed_when_its_calls_are_answered() -> None:
    hanging = Hanging()
    async with serving(hanging) as channel:
        call = asyncio.create_task(channel.call("/qdrant.Points/Query", b"a", (), None))
        await hanging.asked.wait()
        await channel.close()
        hanging.may.set()
        assert (await call).message == b"aa"
