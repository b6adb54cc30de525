"""What hostile callers try, and what has to come of it."""

from __future__ import annotations

import gzip
import json
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import grpc
import httpx

from tests.support.disguises import DISGUISES


@dataclass(frozen=True)
class Target:
    """A service: where it answers, its keys, a token for the collection `c` alone, its BM25, how much memory it has,
    and how many connections it has to hold."""

    port: int
    key: str
    token: str
    bm25: str
    memory: Callable[[], int]
    reading_key: str = ""
    grpc_port: int = 0
    connections: int = 4096
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "client", httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60))

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        """One request; a body that is not bytes goes as JSON."""
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.request(method, path, content=content, headers=named)


class Outcome(NamedTuple):
    """What came of it. `seconds` of the slowest request; `memory` in bytes that the service has more after it."""

    attack: str
    answer: str
    seconds: float
    memory: int
    held: bool


Attack = Callable[[Target], Iterator[httpx.Response | str]]
"""Yields each answer, or in words what went wrong."""


def unfolding_for_nobody(target: Target) -> Iterator[httpx.Response | str]:
    """Compressed and plain numbers to /inference, without a key."""
    numbers = b'{"inference":"search","inputs":[' + b"0," * 1_000_000 + b"0]}"
    for body, headers in ((gzip.compress(numbers), {"content_encoding": "gzip"}), (numbers[:900_000], {})):
        answer = target.ask("POST", "/inference", body, **headers)
        yield answer if answer.status_code == 401 and len(answer.content) < 500 else f"{answer.status_code}"


def bodies_of_nobody(target: Target) -> Iterator[httpx.Response | str]:
    """Bombs to routes that need no key."""
    bomb = gzip.compress(bytes(200_000_000))
    for method, path in (("OPTIONS", "/collections/x/points"), ("GET", "/"), ("GET", "/healthz")):
        for _ in range(3):
            yield target.ask(method, path, bomb, content_encoding="gzip")


def keys_that_are_none(target: Target) -> Iterator[httpx.Response | str]:
    """Empty, wrong and doubled credentials."""
    for shown in ({}, {"api_key": ""}, {"authorization": "Bearer"}, {"api_key": "x" * 8000}):
        answer = target.ask("GET", "/collections", **shown)
        yield answer if answer.status_code == 401 else f"{answer.status_code}"


def hidden_lookups(target: Target) -> Iterator[httpx.Response | str]:
    """A token for one collection reads another by a lookup that is hidden in an encoding."""
    plain = json.dumps(
        {"vector": [0.1], "limit": 1, "group_by": "a", "group_size": 1, "with_lookup": "secret"}
    ).encode()
    for encoding, encode, status in DISGUISES:
        headers = {"api_key": target.token, "content_encoding": encoding}
        answer = target.ask("POST", "/collections/c/points/search/groups", encode(plain), **headers)
        yield answer if answer.status_code == status else f"{encoding}: {answer.status_code}"


def long_errors(target: Target) -> Iterator[httpx.Response | str]:
    """Lists with a mistake in each item."""
    wrong = [{"model": target.bm25, "input": [what] * times} for what in ({}, []) for times in (200_000, 300_000)]
    stopwords = {"stopwords": {"custom": [1] * 300_000}}
    inputs = [{"data": "a", "data_type": "text", "model": target.bm25, "options": stopwords}]
    for path, body in (
        *(("/v1/embeddings", body) for body in wrong),
        ("/v2/rerank", {"model": target.bm25, "query": "a", "documents": [{}] * 300_000}),
        ("/inference", {"inference": "search", "inputs": [0] * 300_000}),
        ("/inference", {"inference": "search", "inputs": inputs}),
        ("/inference/playground", {"inputs": [{}] * 300_000, "models": [target.bm25]}),
    ):
        answer = target.ask("POST", path, body, api_key=target.key, content_type="application/json")
        yield (
            answer
            if 400 <= answer.status_code < 500 and len(answer.content) < 2500
            else f"{path}: {answer.status_code}"
        )


def costly_options(target: Target) -> Iterator[httpx.Response | str]:
    """BM25's prefixes of one long word, and many stop words."""
    for data, options, status in (
        ("x" * 80_000, {"tokenizer": "prefix"}, 200),
        ("x" * 80_000, {"tokenizer": "prefix", "max_token_len": 80_000}, 400),
        ("tea", {"stopwords": {"custom": [f"word{n}" for n in range(1_000_000)]}}, 400),
    ):
        inputs = [{"data": data, "data_type": "text", "model": target.bm25, "options": options}]
        answer = target.ask("POST", "/inference", {"inference": "update", "inputs": inputs}, api_key=target.key)
        yield answer if answer.status_code == status else f"{answer.status_code}: {answer.text[:80]}"


def many_conditions(target: Target) -> Iterator[httpx.Response | str]:
    """Filters with a key that may only read: 0.6 MB of nothing and of conditions, and as many as are read."""
    condition = {"key": "number", "range": {"gt": -1}}
    for conditions, status in (([{}] * 200_000, 400), ([condition] * 16_000, 400), ([condition] * 1000, 200)):
        body = {"limit": 1, "filter": {"must": conditions}}
        answer = target.ask("POST", "/collections/c/points/scroll", body, api_key=target.reading_key)
        yield answer if answer.status_code == status and len(answer.content) < 2500 else f"{answer.status_code}"


def long_names(target: Target) -> Iterator[httpx.Response | str]:
    """Names of half a megabyte, above many values and in what is wrong."""
    name = "n" * 500_000
    for points in (
        {"batch": {"ids": [], "vectors": {name: [{}] * 100_000}}, "model": 1},
        {"points": [{"id": 1, "vector": {name: {"text": 1, "model": name}}}]},
    ):
        answer = target.ask("PUT", "/collections/c/points", points, api_key=target.key)
        yield answer if answer.status_code < 500 and len(answer.content) < 2500 else f"{answer.status_code}"


def messages_of_nobody(target: Target) -> Iterator[httpx.Response | str]:
    """gRPC messages of 64 MB without a key and with a wrong one."""
    for method, wanted in (("Points/Upsert", "UNAUTHENTICATED"), ("Qdrant/HealthCheck", "OK")):
        for key in ("", "wrong"):
            if (said := _said(target, method, bytes(64_000_000), key)) != wanted:
                yield f"{method}: {said}"
    yield target.ask("GET", "/collections", api_key=target.key)


def messages_of_fields(target: Target) -> Iterator[httpx.Response | str]:
    """gRPC messages with a key of nothing but points that have nothing, and texts: as many as are read, and more."""
    point, query = b"\x1a\x00", b"\x12\x00"
    for method, part, times in (
        ("Points/Upsert", point, 400_000),
        ("Points/Upsert", point, 10_000_000),
        ("Points/QueryBatch", query, 400_000),
    ):
        said = _said(target, method, b"\x0a\x01c" + part * times, target.key)
        if said not in {"INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"}:
            yield f"{method}: {said}"
    yield target.ask("GET", "/collections", api_key=target.key)


def _said(target: Target, method: str, message: bytes, key: str) -> str:
    """The status that a call ends with."""
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(f"127.0.0.1:{target.grpc_port}", options) as channel:
        ask = channel.unary_unary(f"/qdrant.{method}", request_serializer=bytes, response_deserializer=bytes)
        try:
            ask(message, metadata=(("api-key", key),) if key else (), timeout=60)
        except grpc.RpcError as error:
            return str(error.code().name)  # type: ignore[attr-defined]
        return "OK"


def silent_callers(target: Target) -> Iterator[httpx.Response | str]:
    """Thousands of heads, bodies and messages that are never whole: others are answered, and the connections end."""
    settings = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
    half_a_frame = bytes([0, 0, 99, 1, 4, 0, 0, 0, 1]) + b"\x83"
    sent = (
        (target.port, b"GET / HTTP/1.1\r\nx-a: "),
        (target.port, b"POST /inference HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{"),
        (target.grpc_port, settings + half_a_frame),
    )
    held = []
    try:
        for number in range(target.connections):
            port, part = sent[number % len(sent)]
            held.append(socket.create_connection(("127.0.0.1", port)))
            held[-1].sendall(part)
        yield target.ask("GET", "/collections", api_key=target.key)
        deadline = time.monotonic() + 25
        for connection in held:
            connection.settimeout(max(0.01, deadline - time.monotonic()))
            while _is_open(connection):
                pass
    except TimeoutError:
        yield "a connection was still open after 25 s"
    finally:
        for connection in held:
            connection.close()


def _is_open(connection: socket.socket) -> bool:
    """Wait for what comes next; an end, also a rough one, is no more open."""
    try:
        return bool(connection.recv(1000))
    except ConnectionError:
        return False


QUICK: Sequence[Attack] = (
    unfolding_for_nobody,
    bodies_of_nobody,
    keys_that_are_none,
    hidden_lookups,
    long_errors,
    costly_options,
    long_names,
)
"""Those that need no HAProxy in front."""

ALL: Sequence[Attack] = (*QUICK, many_conditions, messages_of_fields, messages_of_nobody, silent_callers)


def attempt(attack: Attack, target: Target) -> Outcome:
    """Try an attack."""
    name = " ".join(str(attack.__doc__).split())
    before, slowest, answers = target.memory(), 0.0, []
    answering = attack(target)
    while True:
        began = time.perf_counter()
        try:
            answers.append(next(answering))
        except StopIteration:
            break
        slowest = max(slowest, time.perf_counter() - began)
    wrong = [answer for answer in answers if isinstance(answer, str)]
    statuses = sorted({answer.status_code for answer in answers if not isinstance(answer, str)})
    said = "; ".join(wrong) or " ".join(map(str, statuses))
    return Outcome(name, said, slowest, target.memory() - before, not wrong)
