"""The table of places against Qdrant's own schemas: a place that is new there has to be decided on here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from google.protobuf.descriptor import Descriptor
from qdrant_client.grpc import collections_service_pb2, points_service_pb2, qdrant_pb2, snapshots_service_pb2

from deployments.catalogue.languages import STEMMER_CODES, STOPWORD_CODES
from serve_app.inference.field_aliases import FIELD_ALIASES
from serve_app.inference.find_proto import HOLDERS
from serve_app.inference.places import GRPC_PLACES, REST_PLACES, SCHEMAS, rest_place

OPENAPI: dict[str, Any] = orjson.loads((Path(__file__).parents[2] / "data" / "qdrant-openapi.json").read_bytes())
DEFINITIONS: dict[str, Any] = OPENAPI["components"]["schemas"]
OBJECTS = {"Document", "Image", "InferenceObject"}
OLDER_SEARCHES = {f"{name}Request" for name in ("Discover", "Recommend", "RecommendGroups", "Search", "SearchGroups")}
"""Schemas that Qdrant still takes, and whose document has them no more."""
SERVICES = (points_service_pb2, collections_service_pb2, snapshots_service_pb2, qdrant_pb2)


def named_in(schema: Any) -> Iterator[str]:
    """The schemas that a schema names directly, at any depth."""
    if isinstance(schema, list):
        for item in schema:
            yield from named_in(item)
    elif isinstance(schema, dict):
        for key, value in schema.items():
            if key == "$ref":
                yield value.rpartition("/")[2]
            else:
                yield from named_in(value)


def leading() -> set[str]:
    """The schemas below which an inference object may stand; all others (filters, formulas) need no walk."""
    found, before = set(OBJECTS), 0
    while len(found) > before:
        before = len(found)
        found |= {name for name, schema in DEFINITIONS.items() if not found.isdisjoint(named_in(schema))}
    return found


LEADING = leading()


def walk(schema: Any, path: str, above: tuple[str, ...]) -> Iterator[str]:
    """Every path below a schema at which an inference object may stand; recursion stops at its second round."""
    if not isinstance(schema, dict):
        return
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name in OBJECTS:
            yield path
        elif name in LEADING and above.count(name) < 2:
            yield from walk(DEFINITIONS[name], path, (*above, name))
    for variant in [*schema.get("anyOf", []), *schema.get("oneOf", []), *schema.get("allOf", [])]:
        yield from walk(variant, path, above)
    for key, value in schema.get("properties", {}).items():
        yield from walk(value, f"{path}.{key}", above)
    yield from walk(schema.get("items"), f"{path}[]", above)
    yield from walk(schema.get("additionalProperties"), f"{path}.*", above)


def table_paths(name: str, path: str, above: tuple[str, ...]) -> Iterator[str]:
    schema = SCHEMAS[name]
    if schema.vector:
        yield path
    for key, target in schema.fields.items():
        if above.count(target) < 4:
            yield from table_paths(target, f"{path}.{key}", (*above, target))
    if schema.items and above.count(schema.items) < 4:
        yield from table_paths(schema.items, f"{path}[]", (*above, schema.items))
    if schema.names:
        yield from table_paths(schema.names, f"{path}.*", (*above, schema.names))


def routes() -> Iterator[tuple[str, str, Any]]:
    for path, operations in OPENAPI["paths"].items():
        for method, operation in operations.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            if body:
                yield method.upper(), path, body


def test_every_route_with_inference_objects_is_in_the_table_and_no_other() -> None:
    found = {(method, path) for method, path, body in routes() if any(walk(body, "", ()))}
    assert found == {(method, f"/collections/{{collection_name}}/{below}") for method, below in REST_PLACES}


@pytest.mark.parametrize("key", REST_PLACES)
def test_the_table_reaches_every_place_of_the_schema(key: tuple[str, str]) -> None:
    method, below = key
    body = OPENAPI["paths"][f"/collections/{{collection_name}}/{below}"][method.lower()]["requestBody"]
    expected = set(walk(body["content"]["application/json"]["schema"], "", ()))
    assert expected
    assert expected <= set(table_paths(REST_PLACES[key].schema, "", ()))


def test_every_name_that_stands_for_a_field_is_a_name_for_one_of_its_schema() -> None:
    for schema in FIELD_ALIASES.keys() - OLDER_SEARCHES:
        aliases = FIELD_ALIASES[schema]
        known = DEFINITIONS[schema]["properties"]
        assert set(aliases.values()) <= set(known), schema
        assert set(aliases).isdisjoint(known), schema


def test_no_other_name_stands_for_a_field_that_names_a_collection() -> None:
    """What permissions look for (`permissions.other_collections`) has one name each."""
    renamed = {name for aliases in FIELD_ALIASES.values() for name in aliases.values()}
    assert renamed.isdisjoint({"lookup_from", "with_lookup", "collection"})


def test_languages_may_be_named_by_their_codes() -> None:
    snowball, stopwords = (DEFINITIONS[name]["enum"] for name in ("SnowballLanguage", "Language"))
    assert sorted(STEMMER_CODES.values()) == sorted(snowball)
    assert sorted(STOPWORD_CODES.values()) == sorted(stopwords)


def reaches(descriptor: Descriptor, seen: set[str]) -> bool:
    if descriptor.full_name in {"qdrant.Document", "qdrant.Image", "qdrant.InferenceObject"}:
        return True
    if descriptor.full_name in seen:
        return False
    seen.add(descriptor.full_name)
    return any(reaches(field.message_type, seen) for field in descriptor.fields if field.message_type)


def test_every_grpc_method_with_inference_objects_is_in_the_table_and_no_other() -> None:
    methods = [m for module in SERVICES for s in module.DESCRIPTOR.services_by_name.values() for m in s.methods]
    found = {f"/{m.containing_service.full_name}/{m.name}" for m in methods if reaches(m.input_type, set())}
    assert found == set(GRPC_PLACES)


def test_inference_objects_stand_only_in_the_messages_that_can_be_filled() -> None:
    pool = points_service_pb2.DESCRIPTOR.pool
    holders = {
        message.full_name
        for file in ("points.proto", "points_service.proto")
        for message in pool.FindFileByName(file).message_types_by_name.values()
        for field in message.fields
        if field.message_type and field.message_type.name in OBJECTS
    }
    assert holders == HOLDERS


@pytest.mark.parametrize(
    ("method", "path", "found"),
    [
        ("PUT", "/collections/c/points", True),
        ("PUT", "/collections/a%2Fb/points", True),
        ("POST", "/collections/c/points", False),
        ("POST", "/collections/c/points/query", True),
        ("POST", "/collections/c/points/query/groups", True),
        ("POST", "/collections/points/query", False),
        ("GET", "/", False),
    ],
)
def test_a_route_is_known_by_method_and_path(method: str, path: str, found: bool) -> None:
    assert (rest_place(method, path) is not None) == found
