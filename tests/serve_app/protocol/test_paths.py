"""One spelling of each path, and that everything goes by it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as some

from serve_app.api.route_templates import template
from serve_app.auth.permissions import of_route
from serve_app.inference.places import REST_PLACES, rest_place
from serve_app.protocol.paths import climbs, normalized
from tests.support.gateway import UPSERT, Gateway

OPENAPI = orjson.loads((Path(__file__).parents[2] / "data" / "qdrant-openapi.json").read_bytes())
ROUTES = sorted(
    {
        *((m.upper(), path) for path, methods in OPENAPI["paths"].items() for m in methods if m != "parameters"),
        *((method, f"/collections/{{collection_name}}/{below}") for method, below in REST_PLACES),
        ("GET", "/readyz"),
        ("POST", "/inference"),
        ("POST", "/v1/embeddings"),
    }
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/collections/c/points", "/collections/c/points"),
        ("//collections///c/points//", "/collections/c/points"),
        ("/", "/"),
        ("", "/"),
        ("///", "/"),
        ("/%63ollections/c/%70oints", "/collections/c/points"),
        ("/collections/a%20b/points", "/collections/a%20b/points"),
        ("/collections/a%2fb/points", "/collections/a%2Fb/points"),
        ("/collections/%2F%2F/points", "/collections/%2F%2F/points"),
        ("/collections/a+b%2Bc/points", "/collections/a+b+c/points"),
        ("/collections/100%25/points", "/collections/100%25/points"),
        ("/collections/%2570oints", "/collections/%2570oints"),
        ("/collections/50%/points", "/collections/50%25/points"),
        ("/collections/a%3Fb/points", "/collections/a%3Fb/points"),
        ("/collections/%C3%A9/points", "/collections/%C3%A9/points"),
        ("/collections/\u00c3\u00a9/points", "/collections/%C3%A9/points"),
        ("/collections/%FF/points", "/collections/%EF%BF%BD/points"),
        ("/inference", "/inference"),
        ("//inference//", "/inference/"),
        ("/inference/models/", "/inference/models"),
    ],
)
def test_a_path_has_one_spelling(path: str, expected: str) -> None:
    assert normalized(path) == expected
    assert normalized(expected) == expected


def variants(path: str) -> Iterator[str]:
    """Other spellings of a path that Qdrant's server reads as the same."""
    yield path + "/"
    yield path + "//"
    yield "/" + path
    yield path.replace("/", "//")
    yield re.sub(r"[a-z]", lambda letter: f"%{ord(letter.group()):02x}", path)
    yield path.replace("o", "%6F") + "/"


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_what_is_authorized_is_what_is_routed_in_every_spelling(method: str, path: str) -> None:
    path = re.sub(r"{\w+}", "my things", path).replace(" ", "%20")
    plain = normalized(path)
    assert plain == path
    for variant in variants(path):
        spelt = normalized(variant)
        assert spelt in {path, f"{path}/" if path == "/inference" else path}
        assert of_route(method, spelt) == of_route(method, path)
        assert rest_place(method, spelt) == rest_place(method, path)


@given(some.lists(some.text(max_size=4), max_size=4))
def test_segments_keep_what_they_say(names: list[str]) -> None:
    names = [name.encode(errors="replace").decode() for name in names]
    path = "/" + "/".join(quote(name, safe="") for name in names)
    assert normalized(path).rstrip("/").split("/")[1:] == [quote(unquote(n), "!$&'()*+,;=:@") for n in names if n] or (
        normalized(path) == "/"
    )


@pytest.mark.parametrize("path", ["/collections//c//points/", "/%63ollections/c/points", "/collections/%63/poin%74s//"])
async def test_every_spelling_is_embedded_and_forwarded_in_the_one(path: str) -> None:
    gateway = Gateway()
    assert (await gateway.put(UPSERT, path)).status_code == 200
    assert gateway.qdrant.requests[0].path == "/collections/c/points"
    assert len(gateway.qdrant.body["points"][0]["vector"]) == 4
    assert template("PUT", gateway.qdrant.requests[0].path) == "PUT /collections/{collection}/points"


@pytest.mark.parametrize("path", ["/collections/c/index/%2e%2e", "/collections/%2E/points"])
async def test_a_path_that_climbs_is_refused(path: str) -> None:
    gateway = Gateway()
    answer = await gateway.client.request("DELETE", path)
    assert answer.status_code == 400
    assert gateway.qdrant.requests == []
    assert climbs(normalized(path))
    assert not climbs("/collections/a..b/points")
