"""A real Qdrant that asks this service for vectors (`inference.address`), whoever calls it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from serve_app.api.rest import HttpApi
from serve_app.auth.access import Authenticator
from serve_app.config import environment
from tests.support.fakes import dense
from tests.support.gateway import Gateway
from tests.support.real_qdrant import RealQdrant
from tests.support.serving import served_beside
from tests.support.tokens import token

KEY, THEIR_KEY = "key-of-this-service-3318", "key-of-the-real-server-3318"
OBJECT = {"text": "tea", "model": "org/dense"}


@pytest.fixture(scope="module")
def service() -> Iterator[int]:
    """The port of a service that asks for a key."""
    app = HttpApi(Gateway().pipeline, Authenticator(environment.read({"QDRANT_API_KEY": KEY})))
    with served_beside(app) as port:
        yield port


@pytest.fixture(params=["token", "key in the address"])
def server(request: pytest.FixtureRequest, tmp_path: Any, binary: str, service: int) -> Iterator[RealQdrant]:
    assert binary
    by_token = {"INFERENCE__ADDRESS": f"http://127.0.0.1:{service}/inference", "INFERENCE__TOKEN": KEY}
    by_address = {"INFERENCE__ADDRESS": f"http://qdrant:{KEY}@127.0.0.1:{service}/inference"}
    settings = by_token if request.param == "token" else by_address
    keys = {"SERVICE__API_KEY": THEIR_KEY, "SERVICE__JWT_RBAC": "true"}
    server = RealQdrant(tmp_path / "qdrant", {**keys, **settings}).start()
    made = httpx.put(
        f"{server.url}/collections/c",
        json={"vectors": {"a": {"size": 4, "distance": "Dot"}}},
        headers={"api-key": THEIR_KEY},
        timeout=60,
    )
    assert made.status_code == 200, made.text
    yield server
    server.stop()


def test_points_and_queries_are_embedded(server: RealQdrant) -> None:
    with httpx.Client(base_url=server.url, headers={"api-key": THEIR_KEY}, timeout=60) as client:
        points = {"points": [{"id": 1, "vector": {"a": OBJECT}}]}
        written = client.put("/collections/c/points?wait=true", json=points)
        assert written.status_code == 200, written.text
        found = client.get("/collections/c/points/1").json()["result"]["vector"]["a"]
        assert found == pytest.approx(dense("passage: tea").tolist(), rel=1e-5)
        hits = client.post("/collections/c/points/query", json={"query": OBJECT, "using": "a"}).json()["result"]
        expected = float(dense("passage: tea") @ dense("query: tea"))
        assert hits["points"][0]["score"] == pytest.approx(expected, rel=1e-5)


def test_what_the_caller_got_wrong_is_told(server: RealQdrant) -> None:
    points = {"points": [{"id": 1, "vector": {"a": {"text": "tea", "model": "none"}}}]}
    refused = httpx.put(f"{server.url}/collections/c/points", json=points, headers={"api-key": THEIR_KEY}, timeout=60)
    assert refused.status_code == 400
    assert "no model 'none'" in refused.json()["status"]["error"]


def test_a_caller_with_a_jwt_is_served_if_the_key_stands_in_the_address(server: RealQdrant) -> None:
    claims = {"access": "m", "sub": "a-user"}
    shown = {"authorization": f"Bearer {token(claims, THEIR_KEY.encode()).decode()}"}
    points = {"points": [{"id": 1, "vector": {"a": OBJECT}}]}
    answer = httpx.put(f"{server.url}/collections/c/points?wait=true", json=points, headers=shown, timeout=60)
    in_the_address = "INFERENCE__TOKEN" not in server.settings
    assert (answer.status_code == 200) == in_the_address, answer.text
