"""Thirteen credentials, fifteen routes: with and without inference objects, the gateway answers as Qdrant does."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from serve_app.auth.access import Authenticator
from serve_app.config import environment
from serve_app.upstream.remote import RemoteQdrant
from tests.support.gateway import Gateway
from tests.support.real_qdrant import RealQdrant
from tests.support.tokens import token

KEY, READ_ONLY = "key-of-the-real-server-7421", "reading-key-of-the-real-server-7421"


def granted(level: str, collection: str = "mine") -> dict[str, str]:
    return bearer({"access": [{"collection": collection, "access": level}]})


def bearer(claims: Any, key: str = KEY) -> dict[str, str]:
    return {"authorization": f"Bearer {token(claims, key.encode()).decode()}"}


CREDENTIALS = {
    "none": {},
    "key": {"api-key": KEY},
    "key as bearer": {"authorization": f"Bearer {KEY}"},
    "read-only key": {"api-key": READ_ONLY},
    "wrong key": {"api-key": "wrong"},
    "token to manage": bearer({"access": "m"}),
    "token to read": bearer({"access": "r"}),
    "token that has expired": bearer({"access": "m", "exp": int(time.time()) - 3600}),
    "token of another key": bearer({"access": "m"}, "another-key-of-nobody-1234"),
    "token to read the collection": granted("r"),
    "token to write the collection": granted("rw"),
    "token to write its points": granted("prw"),
    "token for another collection": granted("rw", "other"),
}
OBJECT, VECTOR = {"text": "tea", "model": "org/dense"}, [0.1, 0.2, 0.3, 0.4]


def routes(vector: Any) -> list[tuple[str, str, Any]]:
    points = {"points": [{"id": 1, "vector": vector}]}
    return [
        ("GET", "/", None),
        ("GET", "/collections", None),
        ("GET", "/aliases", None),
        ("GET", "/telemetry", None),
        ("GET", "/cluster", None),
        ("GET", "/collections/mine", None),
        ("GET", "/collections/mine/snapshots", None),
        ("POST", "/collections/mine/points/scroll", {}),
        ("POST", "/collections/mine/points/query", {"query": vector}),
        ("POST", "/collections/mine/points/query", {"query": vector, "lookup_from": {"collection": "other"}}),
        ("PUT", "/collections/mine/points", points),
        ("POST", "/collections/mine/points/batch", {"operations": [{"upsert": points}]}),
        ("PUT", "/collections/mine/index", {"field_name": "n", "field_schema": "integer"}),
        ("PUT", "/collections/other/points", points),
        ("PATCH", "/collections/mine", {"optimizers_config": {}}),
    ]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, binary: str) -> Any:
    assert binary
    keys = {"SERVICE__API_KEY": KEY, "SERVICE__READ_ONLY_API_KEY": READ_ONLY, "SERVICE__JWT_RBAC": "true"}
    server = RealQdrant(tmp_path_factory.mktemp("keys"), keys).start()
    for name in ("mine", "other"):
        config = {"vectors": {"size": 4, "distance": "Dot"}}
        made = httpx.put(f"{server.url}/collections/{name}", json=config, headers={"api-key": KEY}, timeout=60)
        assert made.status_code == 200, made.text
    yield server
    server.stop()


@pytest.fixture
async def direct(server: RealQdrant) -> AsyncIterator[httpx.AsyncClient]:
    # Qdrant closes a connection on which it refused a body, and does not say so: each request has one of its own.
    limits = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=server.url, timeout=60, limits=limits) as client:
        yield client


@pytest.fixture
async def gateway(server: RealQdrant) -> AsyncIterator[Gateway]:
    keys = {
        "QDRANT_URL": server.url,
        "QDRANT_API_KEY": KEY,
        "QDRANT_READ_ONLY_API_KEY": READ_ONLY,
        "QDRANT_JWT_RBAC": "true",
    }
    upstream = RemoteQdrant([server.url], [server.grpc_url])
    yield Gateway(authenticator=Authenticator(environment.read(keys)), upstream=lambda _: upstream)
    await upstream.close()


@pytest.mark.parametrize("who", CREDENTIALS)
async def test_a_credential_opens_here_what_it_opens_there(
    gateway: Gateway, direct: httpx.AsyncClient, who: str
) -> None:
    clients = ((direct, VECTOR), (gateway.client, VECTOR), (gateway.client, OBJECT))
    statuses = []
    for client, vector in clients:
        answers = [await client.request(m, p, json=body, headers=CREDENTIALS[who]) for m, p, body in routes(vector)]
        statuses.append([answer.status_code for answer in answers])
    assert statuses[1] == statuses[0]
    assert statuses[2] == statuses[0]


async def test_a_body_that_qdrant_refused_costs_nobody_else_an_answer(server: RealQdrant) -> None:
    """Qdrant answers 401 before it has read the body, and closes the connection then."""
    upstream = RemoteQdrant([server.url], [server.grpc_url])
    gateway = Gateway(upstream=lambda _: upstream)
    for _ in range(20):
        refused = await gateway.put({"points": [{"id": 1, "vector": VECTOR}] * 2000}, headers={"api-key": "wrong"})
        assert refused.status_code == 401, refused.text
        written = await gateway.put(
            {"points": [{"id": 1, "vector": VECTOR}]}, "/collections/mine/points", headers={"api-key": KEY}
        )
        assert written.status_code == 200, written.text
    await upstream.close()
