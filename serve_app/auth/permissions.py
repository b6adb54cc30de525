"""What each route and method of Qdrant's APIs need of a credential.

Source: Qdrant 1.19, lib/storage/src/rbac and the handlers in src/actix/api and src/tonic/api.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import Any
from urllib.parse import unquote

from google.protobuf.message import Message

from serve_app.protocol.json_text import contains


class Permission(Enum):
    """What a credential has to allow."""

    NOTHING = "no credential at all"
    LISTING = "any credential: Qdrant leaves out of its answer what the credential may not read"
    READ_ALL = "reading all collections"
    READ = "reading a collection's points and settings"
    READ_EXTRAS = "reading a collection's snapshots and its place in the cluster"
    WRITE = "writing a collection's points"
    WRITE_EXTRAS = "changing a collection's indexes, vectors and snapshots"
    MANAGE = "everything; also what no table here knows"


_REST = {
    Permission.NOTHING: "GET /, GET /healthz, GET /livez, GET /readyz",
    Permission.LISTING: "GET /collections, GET /aliases, GET /issues, GET /telemetry, GET /cluster/telemetry",
    Permission.READ_ALL: """
        GET /cluster, GET /metrics, GET /quotas, GET /snapshots, GET /snapshots/{name}""",
    Permission.READ: """
        GET {c}, GET {c}/aliases, GET {c}/exists, GET {c}/optimizations, GET {c}/shards,
        GET {c}/points/{id}, POST {c}/points, POST {c}/points/scroll, POST {c}/points/count, POST {c}/facet,
        POST {c}/points/query, POST {c}/points/query/batch, POST {c}/points/query/groups,
        POST {c}/points/search, POST {c}/points/search/batch, POST {c}/points/search/groups,
        POST {c}/points/search/matrix/pairs, POST {c}/points/search/matrix/offsets,
        POST {c}/points/recommend, POST {c}/points/recommend/batch, POST {c}/points/recommend/groups,
        POST {c}/points/discover, POST {c}/points/discover/batch""",
    Permission.READ_EXTRAS: """
        GET {c}/cluster, GET {c}/snapshots, GET {c}/snapshots/{name},
        GET {c}/shards/{id}/snapshots, GET {c}/shards/{id}/snapshots/{name}""",
    Permission.WRITE: """
        PUT {c}/points, POST {c}/points/batch, POST {c}/points/delete,
        PUT {c}/points/vectors, POST {c}/points/vectors/delete, POST {c}/points/payload, PUT {c}/points/payload,
        POST {c}/points/payload/delete, POST {c}/points/payload/clear""",
    Permission.WRITE_EXTRAS: """
        PUT {c}/index, DELETE {c}/index/{name}, PUT {c}/vectors/{name}, DELETE {c}/vectors/{name},
        POST {c}/snapshots, DELETE {c}/snapshots/{name},
        GET {c}/shards/{id}/snapshot, POST {c}/shards/{id}/snapshots, DELETE {c}/shards/{id}/snapshots/{name}""",
}
"""Routes by the permission they need, with `{c}` for `/collections/{collection}`; all others need MANAGE."""

_GRPC = {
    Permission.NOTHING: "/qdrant.Qdrant/HealthCheck /grpc.health.v1.Health/Check /grpc.health.v1.Health/List",
    Permission.LISTING: "/qdrant.Collections/List /qdrant.Collections/ListAliases",
    Permission.READ_ALL: "/qdrant.Snapshots/ListFull",
    Permission.READ: """
        /qdrant.Collections/Get /qdrant.Collections/CollectionExists /qdrant.Collections/ListCollectionAliases
        /qdrant.Collections/ListShardKeys /qdrant.Points/Get /qdrant.Points/Scroll /qdrant.Points/Count
        /qdrant.Points/Facet /qdrant.Points/Query /qdrant.Points/QueryBatch /qdrant.Points/QueryGroups
        /qdrant.Points/Search /qdrant.Points/SearchBatch /qdrant.Points/SearchGroups
        /qdrant.Points/SearchMatrixPairs /qdrant.Points/SearchMatrixOffsets
        /qdrant.Points/Recommend /qdrant.Points/RecommendBatch /qdrant.Points/RecommendGroups
        /qdrant.Points/Discover /qdrant.Points/DiscoverBatch""",
    Permission.READ_EXTRAS: "/qdrant.Collections/CollectionClusterInfo /qdrant.Snapshots/List",
    Permission.WRITE: """
        /qdrant.Points/Upsert /qdrant.Points/UpdateBatch /qdrant.Points/Delete /qdrant.Points/UpdateVectors
        /qdrant.Points/DeleteVectors /qdrant.Points/SetPayload /qdrant.Points/OverwritePayload
        /qdrant.Points/DeletePayload /qdrant.Points/ClearPayload""",
    Permission.WRITE_EXTRAS: """
        /qdrant.Points/CreateFieldIndex /qdrant.Points/DeleteFieldIndex /qdrant.Points/CreateVectorName
        /qdrant.Points/DeleteVectorName /qdrant.Snapshots/Create /qdrant.Snapshots/Delete""",
}
"""Methods in the same way."""


def _routes() -> dict[str, list[tuple[re.Pattern[str], Permission, str]]]:
    routes: dict[str, list[tuple[re.Pattern[str], Permission, str]]] = {}
    for permission, text in _REST.items():
        for route in text.split(","):
            method, template = route.split()
            template = template.replace("{c}", "/collections/(?P<collection>[^/]+)")
            pattern = re.compile(re.sub(r"{\w+}", "[^/]+", template))
            shown = re.sub(r"\(\?P<(\w+)>[^)]*\)", r"{\1}", f"{method} {template}")
            routes.setdefault(method, []).append((pattern, permission, shown))
    return routes


_ROUTES = _routes()

_METHODS = {method: permission for permission, text in _GRPC.items() for method in text.split()}


def of_route(method: str, path: str) -> tuple[Permission, str]:
    """The permission that a REST request needs, and on which collection ("" if on none).

    `path` is normalized (`protocol.paths`).
    """
    if method == "OPTIONS":  # a browser asks before it sends its request, and may send no credential
        return Permission.NOTHING, ""
    for pattern, permission, _ in _ROUTES.get(method, ()):
        match = pattern.fullmatch(path)
        if match:
            return permission, unquote(match.groupdict().get("collection", ""))
    return Permission.MANAGE, ""


def template(method: str, path: str) -> str:
    """The route of a REST request without what its caller put there, for logs; `other` if no table here knows it."""
    return next((shown for pattern, _, shown in _ROUTES.get(method, ()) if pattern.fullmatch(path)), "other")


def of_method(method: str) -> Permission:
    """The permission that a gRPC method needs, by its full name."""
    return _METHODS.get(method, Permission.MANAGE)


def may_name_others(body: bytes) -> bool:
    """Whether a JSON body could name another collection, told without parsing it: a letter may be an escape."""
    return any(contains(body, word) for word in (b'"lookup_from"', b'"with_lookup"', b"\\u"))


def other_collections(body: Any) -> Iterator[str]:
    """The collections beside its own that a search reads: `lookup_from` and `with_lookup`, anywhere in a JSON body."""
    waiting = [body]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += [item for item in value if isinstance(item, list | dict)]
        elif isinstance(value, dict):
            waiting += [item for item in value.values() if isinstance(item, list | dict)]
            for found in (value.get("lookup_from"), value.get("with_lookup")):
                name = found.get("collection") if isinstance(found, dict) else found
                if isinstance(name, str):
                    yield name


_LOOKUPS = {"qdrant.LookupLocation": "collection_name", "qdrant.WithLookup": "collection"}


def other_collections_of_message(message: Message) -> Iterator[str]:
    """The same in a gRPC message."""
    waiting = [message]
    while waiting:
        value = waiting.pop()
        if value.DESCRIPTOR.full_name in _LOOKUPS:
            yield getattr(value, _LOOKUPS[value.DESCRIPTOR.full_name])
        for field, child in value.ListFields():
            if field.message_type and not field.message_type.GetOptions().map_entry:
                waiting.extend(child if field.is_repeated else [child])
