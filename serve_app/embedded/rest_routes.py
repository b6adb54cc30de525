"""REST: which operation a route stands for, how its request is read, and how its answer is written."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import numpy as np
import orjson
from grpc import StatusCode

from deployments.errors import MalformedRequest, TooLarge
from serve_app.embedded import legacy_rest, query_parameters
from serve_app.embedded.engine.errors import GrpcError, malformed, not_found, not_supported
from serve_app.embedded.engine.protocol import JSON, WRITES, Engine, carried_out
from serve_app.embedded.not_here import NOT_HERE
from serve_app.protocol import json_text

TITLE = "qdrant - vector search engine (embedded store)"
VERSION = "1.19.0"
"""The version of Qdrant whose API this is; clients compare it with their own."""

_QUERY = "?"
Parameters = Mapping[str, str]
"""Those of the path by name, and the whole query under `_QUERY`."""
Reader = Callable[[Parameters, bytes], Any]
"""Makes an operation's request of the path's parameters and the body."""

FIXED: dict[tuple[str, str], bytes] = {
    ("GET", "/"): orjson.dumps({"title": TITLE, "version": VERSION, "commit": None}),
    ("GET", "/healthz"): b"healthz check passed",
    ("GET", "/livez"): b"healthz check passed",
    ("GET", "/readyz"): b"all shards are ready",
    ("GET", "/cluster"): orjson.dumps({"result": {"status": "disabled"}, "status": "ok", "time": 0.0}),
}
"""Answers that are the same always, and not in the shape of the others."""

PLAIN_TEXT = frozenset(("/healthz", "/livez", "/readyz"))
"""Where the answer is text."""


def _nothing(_: Parameters, __: bytes) -> None:
    """The request has nothing but the collection's name."""


def _body(_: Parameters, body: bytes) -> JSON:
    value = _json(body)
    if not isinstance(value, dict):
        raise malformed("", "expected an object")
    return value


def _parameter(name: str) -> Reader:
    return lambda parameters, _: parameters[name]


def _update(name: str) -> Reader:
    """The body is what the operation of this name has in a batch of updates."""
    return lambda _, body: [{name: _json(body)}]


def _list(name: str) -> Reader:
    """The body has a single list."""

    def read(parameters: Parameters, body: bytes) -> Any:
        value = _body(parameters, body)
        if set(value) != {name} or not isinstance(value[name], list):
            raise malformed(name, "Field required, a list" if name not in value else "expected a list")
        return value[name]

    return read


def _uploaded(parameters: Parameters, body: bytes) -> tuple[bytes, str | None]:
    """The file of a form that has one, and the checksum of the query."""
    boundary, _, rest = body.partition(b"\r\n")
    head, _, content = rest.partition(b"\r\n\r\n")
    file, end, _ = content.rpartition(b"\r\n" + boundary + b"--")
    if not boundary.startswith(b"--") or not end or b"\r\n" + boundary + b"\r\n" in file:
        raise malformed("", "expected a form (multipart/form-data) with one file")
    if b'name="snapshot"' not in head:
        raise malformed("snapshot", "Field required")
    return file, dict(parse_qsl(parameters[_QUERY])).get("checksum")


def _one(parameters: Parameters, body: bytes) -> list[JSON]:
    return [_body(parameters, body)]


def _new_vector_name(parameters: Parameters, body: bytes) -> tuple[str, JSON]:
    return parameters["vector_name"], _body(parameters, body)


def _older_body(read: Callable[[Any], Any]) -> Reader:
    return lambda _, body: read(_json(body))


def _json(body: bytes) -> Any:
    try:
        return json_text.parse(body)
    except MalformedRequest as error:
        raise malformed("", error.message) from error
    except TooLarge as error:
        raise GrpcError(StatusCode.RESOURCE_EXHAUSTED, error.message, HTTPStatus.REQUEST_ENTITY_TOO_LARGE) from error


def _same(result: Any) -> Any:
    return result


def _first(results: Any) -> Any:
    return results[0]


def _first_points(results: Any) -> Any:
    return results[0]["points"]


def _all_points(results: Any) -> Any:
    return [result["points"] for result in results]


@dataclass(frozen=True)
class Route:
    """How a request is read, the engine's operation, and what of its result is answered."""

    read: Reader
    operation: str
    answered: Callable[[Any], Any] = _same


_COLLECTION = "/collections/{collection_name}"
_POINTS = _COLLECTION + "/points"


def _updated(name: str) -> Route:
    return Route(_update(name), "update_points", _first)


def _older(name: str, search: legacy_rest.Search) -> dict[tuple[str, str], Route]:
    return {
        ("POST", f"{_POINTS}/{name}"): Route(
            _older_body(lambda content: [search.read(content)]), "query_batch", _first_points
        ),
        ("POST", f"{_POINTS}/{name}/batch"): Route(_older_body(search.read_batch), "query_batch", _all_points),
        ("POST", f"{_POINTS}/{name}/groups"): Route(_older_body(search.read_groups), "query_groups"),
    }


ROUTES: dict[tuple[str, str], Route] = {
    ("GET", "/collections"): Route(_nothing, "list_collections"),
    ("GET", "/aliases"): Route(_nothing, "list_aliases"),
    ("POST", "/collections/aliases"): Route(_body, "update_aliases"),
    ("GET", _COLLECTION): Route(_nothing, "get_collection"),
    ("PUT", _COLLECTION): Route(_body, "create_collection"),
    ("PATCH", _COLLECTION): Route(_body, "update_collection"),
    ("DELETE", _COLLECTION): Route(_nothing, "delete_collection"),
    ("GET", _COLLECTION + "/exists"): Route(_nothing, "collection_exists"),
    ("GET", _COLLECTION + "/aliases"): Route(_nothing, "list_collection_aliases"),
    ("PUT", _COLLECTION + "/index"): Route(_body, "create_index"),
    ("DELETE", _COLLECTION + "/index/{field_name}"): Route(_parameter("field_name"), "delete_index"),
    ("PUT", _COLLECTION + "/vectors/{vector_name}"): Route(_new_vector_name, "create_vector_name"),
    ("DELETE", _COLLECTION + "/vectors/{vector_name}"): Route(_parameter("vector_name"), "delete_vector_name"),
    ("GET", _POINTS + "/{id}"): Route(_parameter("id"), "get_point"),
    ("POST", _POINTS): Route(_body, "retrieve"),
    ("PUT", _POINTS): _updated("upsert"),
    ("POST", _POINTS + "/delete"): _updated("delete"),
    ("PUT", _POINTS + "/vectors"): _updated("update_vectors"),
    ("POST", _POINTS + "/vectors/delete"): _updated("delete_vectors"),
    ("POST", _POINTS + "/payload"): _updated("set_payload"),
    ("PUT", _POINTS + "/payload"): _updated("overwrite_payload"),
    ("POST", _POINTS + "/payload/delete"): _updated("delete_payload"),
    ("POST", _POINTS + "/payload/clear"): _updated("clear_payload"),
    ("POST", _POINTS + "/batch"): Route(_list("operations"), "update_points"),
    ("POST", _POINTS + "/scroll"): Route(_body, "scroll"),
    ("POST", _POINTS + "/count"): Route(_body, "count"),
    ("POST", _COLLECTION + "/facet"): Route(_body, "facet"),
    ("POST", _POINTS + "/query"): Route(_one, "query_batch", _first),
    ("POST", _POINTS + "/query/batch"): Route(_list("searches"), "query_batch"),
    ("POST", _POINTS + "/query/groups"): Route(_body, "query_groups"),
    ("POST", _POINTS + "/search/matrix/pairs"): Route(_body, "matrix_pairs"),
    ("POST", _POINTS + "/search/matrix/offsets"): Route(_body, "matrix_offsets"),
    ("GET", _COLLECTION + "/snapshots"): Route(_nothing, "list_snapshots"),
    ("POST", _COLLECTION + "/snapshots"): Route(_nothing, "create_snapshot"),
    ("GET", _COLLECTION + "/snapshots/{snapshot_name}"): Route(_parameter("snapshot_name"), "snapshot_file"),
    ("DELETE", _COLLECTION + "/snapshots/{snapshot_name}"): Route(_parameter("snapshot_name"), "delete_snapshot"),
    ("PUT", _COLLECTION + "/snapshots/recover"): Route(_body, "recover_snapshot"),
    ("POST", _COLLECTION + "/snapshots/upload"): Route(_uploaded, "upload_snapshot"),
    **_older("search", legacy_rest.SEARCH),
    **_older("recommend", legacy_rest.RECOMMEND),
    **_older("discover", legacy_rest.DISCOVER),
}
"""By method and path."""
del ROUTES["POST", f"{_POINTS}/discover/groups"]  # which Qdrant never had

_PATTERNS = [
    (method, re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", template)), route)
    for (method, template), route in ROUTES.items()
]
_PATTERNS_NOT_HERE = [(re.compile(f"{beginning}(/.*)?"), what) for beginning, what in NOT_HERE]


def _found(method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    for route_method, pattern, route in _PATTERNS:
        match = pattern.fullmatch(path) if route_method == method else None
        if match:
            return route, {name: unquote(value) for name, value in match.groupdict().items()}
    return None


def writes(method: str, path: str) -> bool:
    """Whether a request changes something."""
    found = _found(method, path.rstrip("/"))
    return found is not None and found[0].operation in WRITES


def file(engine: Engine, method: str, path: str) -> Path | None:
    """The file that a request is about, if it is about one."""
    found = _found(method, path.rstrip("/"))
    if found is None or found[0].operation != "snapshot_file":
        return None
    return engine.snapshot_file(found[1]["collection_name"], found[1]["snapshot_name"])


def answer(engine: Engine, method: str, path: str, query: str, body: bytes) -> bytes:
    """Carry out a request; the path is percent-encoded. Whatever is wrong with it is raised (see `errors.refusal`)."""
    started = time.perf_counter()
    path = path.rstrip("/") or "/"
    if (method, path) in FIXED:
        return FIXED[method, path]
    found = _found(method, path)
    if found is not None:
        route, parameters = found
        waiting = query_parameters.read(route.operation, query)
        collection, request = parameters.get("collection_name", ""), route.read({**parameters, _QUERY: query}, body)
        result = carried_out(engine, route.operation, collection, request, waiting)
        if isinstance(result, Path):
            return result.read_bytes()
        return _encoded(route.answered(result), time.perf_counter() - started)
    for beginning, what in _PATTERNS_NOT_HERE:
        if beginning.fullmatch(path):
            raise not_supported(what)
    raise not_found("there is no such route")


def _encoded(result: Any, seconds: float) -> bytes:
    content = {"result": result, "status": "ok", "time": seconds}
    with np.errstate(over="ignore"):  # a score beyond float32 becomes infinite, as in Qdrant
        return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
