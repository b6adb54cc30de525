"""What stands on every answer: each header once, and a body compressed as its caller asks."""

from __future__ import annotations

import gzip
import zlib

import orjson
import pytest

from tests.support.gateway import UPSERT, Gateway

LONG = {"result": [{"id": number, "score": 0.5} for number in range(200)], "status": "ok", "time": 0.0}


async def raw(gateway: Gateway, accept: str | None) -> tuple[str | None, bytes]:
    headers = {"accept-encoding": accept} if accept is not None else {}
    request = gateway.client.build_request("PUT", "/collections/c/points", content=orjson.dumps(UPSERT))
    request.headers.pop("accept-encoding", None)
    request.headers.update(headers)
    answer = await gateway.client.send(request, stream=True)
    body = b"".join([part async for part in answer.aiter_raw()])
    assert int(answer.headers["content-length"]) == len(body)
    return answer.headers.get("content-encoding"), body


@pytest.mark.parametrize(
    ("accept", "encoding"),
    [
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "gzip"),
        ("deflate", "deflate"),
        ("gzip;q=0.5, deflate;q=0.8", "deflate"),
        ("*", "gzip"),
        ("br", None),
        ("identity", None),
        ("identity;q=1, gzip;q=0.5", None),
        ("gzip;q=0", None),
        ("gzip;q=x", None),
        ("", None),
        (None, None),
    ],
)
async def test_an_answer_of_ours_is_compressed_as_its_caller_asks(accept: str | None, encoding: str | None) -> None:
    gateway = Gateway()
    gateway.qdrant.answer = LONG
    said, body = await raw(gateway, accept)
    assert said == encoding
    unpack = {"gzip": gzip.decompress, "deflate": zlib.decompress, None: bytes}[encoding]
    assert orjson.loads(unpack(body))["result"] == LONG["result"]


async def test_a_short_answer_and_one_that_is_compressed_already_stay_as_they_are() -> None:
    gateway = Gateway()
    assert (await raw(gateway, "gzip"))[0] is None
    gateway.qdrant.answer = LONG
    gateway.qdrant.headers = [(b"content-encoding", b"br")]
    answer = await gateway.client.get("/collections", headers={"accept-encoding": "gzip"})
    assert answer.headers.get_list("content-encoding") == ["br"]


async def test_what_the_server_writes_itself_is_not_written_twice() -> None:
    gateway = Gateway()
    gateway.qdrant.headers = [(b"date", b"Thu, 01 Jan 2026 00:00:00 GMT"), (b"Server", b"proxy"), (b"x-a", b"1")]
    answer = await gateway.client.get("/collections")
    assert "date" not in answer.headers
    assert "server" not in answer.headers
    assert answer.headers["x-a"] == "1"
