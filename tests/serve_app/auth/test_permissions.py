"""What routes and methods need: none is forgotten, and nothing that writes passes for reading."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from qdrant_client import grpc as q

from serve_app.auth.permissions import Permission, of_method, of_route, other_collections, other_collections_of_message
from serve_app.embedded import rest_routes
from serve_app.embedded.engine.protocol import WRITES
from serve_app.embedded.grpc_methods import METHODS
from serve_app.inference.places import GRPC_PLACES, REST_PLACES
from serve_app.protocol import grpc_services
from serve_app.protocol.paths import normalized
from tests.support.qdrant_api import READING, ROUTES, filled

MANAGED = """
    PUT /collections/{} | PATCH /collections/{} | DELETE /collections/{} | POST /collections/aliases
    POST /collections/{}/cluster | PUT /collections/{}/shards | POST /collections/{}/shards/delete
    POST /collections/{}/snapshots/upload | PUT /collections/{}/snapshots/recover
    POST /collections/{}/shards/{}/snapshots/upload | PUT /collections/{}/shards/{}/snapshots/recover
    POST /snapshots | DELETE /snapshots/{} | POST /cluster/recover | DELETE /cluster/peer/{}
    PUT /quotas | DELETE /issues
"""
MANAGED_METHODS = """
    Collections/Create Collections/Update Collections/Delete Collections/UpdateAliases
    Collections/UpdateCollectionClusterSetup Collections/CreateShardKey Collections/DeleteShardKey
    Snapshots/CreateFull Snapshots/DeleteFull
"""


def test_the_routes_that_only_the_full_key_opens_are_these() -> None:
    managed = {
        " ".join((m, re.sub(r"{\w+}", "{}", p))) for m, p in ROUTES if of_route(m, filled(p))[0] is Permission.MANAGE
    }
    assert managed == {line.strip() for line in re.split(r"[|\n]", MANAGED) if line.strip()}


def test_the_methods_that_only_the_full_key_opens_are_these() -> None:
    managed = {method for method in grpc_services._METHODS if of_method(method) is Permission.MANAGE}
    assert managed == {f"/qdrant.{name}" for name in MANAGED_METHODS.split()}


@pytest.mark.parametrize(("method", "path"), sorted(ROUTES))
def test_a_route_of_a_collection_names_it(method: str, path: str) -> None:
    need, collection = of_route(method, path.replace("{collection_name}", "my%20things"))
    of_one = need in {Permission.READ, Permission.READ_EXTRAS, Permission.WRITE, Permission.WRITE_EXTRAS}
    assert collection == ("my things" if of_one else "")
    assert of_one <= ("{collection_name}" in path)


def test_what_changes_something_in_the_embedded_store_is_not_reading() -> None:
    for (method, path), route in rest_routes.ROUTES.items():
        assert (of_route(method, filled(path))[0] in READING) != (route.operation in WRITES), (method, path)
    for method, known in METHODS.items():
        assert (of_method(method) in READING) != (known.operation in WRITES), method


def test_rest_and_grpc_need_the_same_for_the_same() -> None:
    needs: dict[Any, set[Permission]] = {}
    for (method, path), route in rest_routes.ROUTES.items():
        needs.setdefault(route.operation, set()).add(of_route(method, filled(path))[0])
    for method, known in METHODS.items():
        needs.setdefault(known.operation, set()).add(of_method(method))
    assert {operation: found for operation, found in needs.items() if len(found) > 1} == {}


def test_every_place_of_inference_objects_needs_what_its_direction_does() -> None:
    expected = {"update": Permission.WRITE, "search": Permission.READ}
    for (method, tail), place in REST_PLACES.items():
        assert of_route(method, f"/collections/c/{tail}") == (expected[place.direction], "c")
    for name, direction in GRPC_PLACES.items():
        assert of_method(name) is expected[direction]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "//collections/c/points"),
        ("PUT", "/collections/c/%70oints"),
        ("PUT", "/Collections/c/points"),
        ("PUT", "/collections/c/points/unknown"),
        ("PUT", "/collections//points"),
        ("GET", "/readyz/../collections"),
        ("GET", "/healthz%2f..%2fcollections"),
        ("GET", "/dashboard/../collections/c"),
        ("POST", "/healthz"),
        ("HEAD", "/collections"),
        ("get", "/collections"),
        ("TRACE", "/"),
        ("GET", "/new-in-some-later-version"),
    ],
)
def test_what_nobody_knows_needs_the_full_key(method: str, path: str) -> None:
    assert of_route(method, path) == (Permission.MANAGE, "")
    assert of_method("/qdrant.Points/NewInSomeLaterVersion") is Permission.MANAGE


def test_a_slash_at_the_end_changes_nothing() -> None:
    assert of_route("PUT", normalized("/collections/c/points//")) == (Permission.WRITE, "c")


PIECES = [
    "collections",
    "c",
    "%63",
    "..",
    "",
    "points",
    "payload",
    "index",
    "vectors",
    "delete",
    "aliases",
    "batch",
    "1",
]


@given(
    some.sampled_from(["GET", "PUT", "POST", "PATCH", "DELETE"]),
    some.lists(some.sampled_from(PIECES), max_size=5).map(lambda parts: "/collections/" + "/".join(parts)),
)
def test_no_spelling_of_a_path_gets_a_write_past_as_a_read(method: str, path: str) -> None:
    path = normalized(path)
    need, collection = of_route(method, path)
    for route_method, pattern, route in rest_routes._PATTERNS:
        match = pattern.fullmatch(path)
        if match and route_method == method:
            assert (need in READING) != (route.operation in WRITES)
            assert need is Permission.MANAGE or collection in {"", "c", "..", *PIECES}
            return


def test_other_collections_are_found_at_any_depth() -> None:
    body = {
        "prefetch": [{"prefetch": {"query": 1, "lookup_from": {"collection": "a"}}}],
        "lookup_from": {"collection": "b", "vector": "v"},
        "searches": [{"with_lookup": "c"}, {"with_lookup": {"collection": "d", "with_payload": False}}],
        "query": {"nearest": [0.1] * 10},
    }
    assert set(other_collections(body)) == {"a", "b", "c", "d"}
    assert list(other_collections({"lookup_from": 5, "with_lookup": {"collection": ["a"]}})) == []
    deep: Any = {"lookup_from": {"collection": "deep"}}
    for _ in range(5000):
        deep = [deep]
    assert list(other_collections(deep)) == ["deep"]


def test_other_collections_are_found_in_messages() -> None:
    inner = q.PrefetchQuery(lookup_from=q.LookupLocation(collection_name="a"))
    one = q.QueryPoints(
        prefetch=[q.PrefetchQuery(prefetch=[inner])],
        lookup_from=q.LookupLocation(collection_name="b"),
        query=q.Query(nearest=q.VectorInput(document=q.Document(text="t", options={"k": q.Value(string_value="v")}))),
    )
    groups = q.QueryPointGroups(with_lookup=q.WithLookup(collection="c"))
    assert set(other_collections_of_message(q.QueryBatchPoints(query_points=[one]))) == {"a", "b"}
    assert list(other_collections_of_message(groups)) == ["c"]


def test_every_field_that_names_another_collection_is_known() -> None:
    """A newer proto may bring a new one, and the table of lookups would not know it."""
    naming = set()
    for name in grpc_services._METHODS:
        ahead = [grpc_services.request_class(name).DESCRIPTOR]
        seen = {ahead[0].full_name}
        while ahead:
            message = ahead.pop()
            if any(re.search("collection", field.name) for field in message.fields):
                naming.add((of_method(name), message.full_name))
            for field in message.fields:
                if field.message_type and field.message_type.full_name not in seen:
                    seen.add(field.message_type.full_name)
                    ahead.append(field.message_type)
    inside_reads = {
        message
        for need, message in naming
        if need in READING and not re.search("(Points|Groups|Request|Counts)$", message)
    }
    assert inside_reads == {"qdrant.LookupLocation", "qdrant.WithLookup"}
