"""Compressed bodies: what is read of them, what is refused, and that no more is unfolded than is allowed."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable

import pytest

from deployments.errors import InferenceError, MalformedRequest, TooLarge, UnsupportedEncoding
from serve_app.protocol.compression import read_plain
from serve_app.protocol.error_responses import HTTP
from serve_app.protocol.messages import Request
from tests.support.disguises import DISGUISES

BODY = b'{"points": []}'


def request(body: bytes | AsyncIterator[bytes], *encodings: str) -> Request:
    headers = [(b"x-trace", b"1"), *((b"content-encoding", encoding.encode()) for encoding in encodings)]
    return Request("PUT", "/collections/c/points", "", headers, body)


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [("gzip", gzip.compress), ("X-GZIP", gzip.compress), ("deflate", zlib.compress), ("identity", bytes), ("", bytes)],
)
async def test_a_body_is_read_and_no_longer_says_how_it_was_compressed(
    encoding: str, encode: Callable[[bytes], bytes]
) -> None:
    plain = await read_plain(request(encode(BODY), encoding), 100)
    assert plain.body == BODY
    assert [name for name, _ in plain.headers if name != b"content-encoding"] == [b"x-trace"]
    assert plain.encodings == ()


@pytest.mark.parametrize(("encoding", "encode", "status"), DISGUISES)
async def test_what_could_be_read_in_two_ways_is_refused(
    encoding: str, encode: Callable[[bytes], bytes], status: int
) -> None:
    with pytest.raises(InferenceError) as caught:
        await read_plain(request(encode(BODY), encoding), 1000)
    assert HTTP[caught.value.kind] == status


async def test_encodings_in_several_headers_are_all_seen() -> None:
    for encodings in (("identity", "x"), ("x", "identity"), ("gzip", "gzip")):
        with pytest.raises(UnsupportedEncoding):
            await read_plain(request(gzip.compress(BODY), *encodings), 100)


async def test_nothing_is_read_of_a_body_in_an_unknown_encoding() -> None:
    async def parts() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    with pytest.raises(UnsupportedEncoding):
        await read_plain(request(parts(), "x"), 100)


async def test_no_more_is_unfolded_than_is_allowed() -> None:
    bomb = gzip.compress(bytes(100_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            await read_plain(request(bomb, "gzip"), 1_000_000)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


async def test_a_body_that_ends_too_early_is_refused() -> None:
    for cut in (gzip.compress(BODY)[:-4], gzip.compress(BODY)[:5], b""):
        with pytest.raises(MalformedRequest):
            await read_plain(request(cut, "gzip"), 100)
