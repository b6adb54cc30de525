"""REST: which operation a route stands for, how its request is read, and how its answer is written."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

import numpy as np
import orjson
from pydantic import BaseModel, TypeAdapter
from qdrant_client.http import models

from serve_app.embedded import legacy_rest
from serve_app.embedded.engine.errors import not_found, not_supported, wrong_input
from serve_app.embedded.local import operations
from serve_app.embedded.local.client import Local

TITLE = "qdrant - vector search engine (embedded store)"
VERSION = "1.19.0"
"""The version of Qdrant whose API this is; clients compare it with their own."""

Parameters = Mapping[str, str]
Reader = Callable[[Parameters, bytes], Any]
"""Makes an operation's request of the path's parameters and the body."""

FIXED: dict[tuple[str, str], bytes] = {
    ("GET", "/"): orjson.dumps({"title": TITLE, "version": VERSION}),
    ("GET", "/healthz"): b"healthz check passed",
    ("GET", "/livez"): b"healthz check passed",
    ("GET", "/readyz"): b"all shards are ready",
}
"""Answers that are the same always, and not in the shape of the others."""

NOT_HERE = (
    ("/cluster", "a cluster"),
    ("/collections/[^/]+/cluster", "a cluster"),
    ("/collections/[^/]+/optimizations", "optimizations"),
    ("/collections/[^/]+/shards", "shards"),
    ("/collections/[^/]+/snapshots", "snapshots"),
    ("/issues", "issues"),
    ("/metrics", "metrics"),
    ("/quotas", "quotas"),
    ("/snapshots", "snapshots"),
    ("/telemetry", "telemetry"),
)
"""Where Qdrant's routes begin that are not supported, and what they are about."""


def _nothing(_: Parameters, __: bytes) -> None:
    """The request has nothing but the collection's name."""


def _body(schema: Any) -> Reader:
    adapter = TypeAdapter(schema)
    return lambda _, body: adapter.validate_python(_json(body))


def _update(operation: type[BaseModel], name: str) -> Reader:
    """The body is what the operation of this name has in a batch of updates."""
    return lambda _, body: operation.model_validate({name: _json(body)})


def _point_id(parameters: Parameters, _: bytes) -> models.ExtendedPointId:
    text = parameters["id"]
    return int(text) if text.isdecimal() else text


def _field_name(parameters: Parameters, _: bytes) -> str:
    return parameters["field_name"]


def _vector_name(parameters: Parameters, _: bytes) -> str:
    return parameters["vector_name"]


def _new_vector_name(parameters: Parameters, body: bytes) -> tuple[str, models.VectorNameConfig]:
    config: models.VectorNameConfig = TypeAdapter(models.VectorNameConfig).validate_python(_json(body))
    return parameters["vector_name"], config


def _updates(_: Parameters, body: bytes) -> list[models.UpdateOperation]:
    return models.UpdateOperations.model_validate(_json(body)).operations


def _queries(_: Parameters, body: bytes) -> list[models.QueryRequest]:
    return models.QueryRequestBatch.model_validate(_json(body)).searches


def _legacy(query: legacy_rest.Query, model: type[BaseModel] = models.QueryRequest) -> Reader:
    return lambda _, body: legacy_rest.read(_json(body), query, model)


def _legacy_batch(query: legacy_rest.Query) -> Reader:
    return lambda _, body: legacy_rest.read_batch(_json(body), query)


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise wrong_input(f"Format error in JSON body: {error}") from error


_COLLECTION = "/collections/{collection_name}"
_POINTS = _COLLECTION + "/points"

ROUTES: dict[tuple[str, str], tuple[Reader, Callable[[Local, str, Any], Any]]] = {
    ("GET", "/collections"): (_nothing, operations.list_collections),
    ("GET", "/aliases"): (_nothing, operations.list_aliases),
    ("POST", "/collections/aliases"): (_body(models.ChangeAliasesOperation), operations.update_aliases),
    ("GET", _COLLECTION): (_nothing, operations.get_collection),
    ("PUT", _COLLECTION): (_body(models.CreateCollection), operations.create_collection),
    ("PATCH", _COLLECTION): (_body(models.UpdateCollection), operations.update_collection),
    ("DELETE", _COLLECTION): (_nothing, operations.delete_collection),
    ("GET", _COLLECTION + "/exists"): (_nothing, operations.collection_exists),
    ("GET", _COLLECTION + "/aliases"): (_nothing, operations.list_collection_aliases),
    ("PUT", _COLLECTION + "/index"): (_body(models.CreateFieldIndex), operations.create_index),
    ("DELETE", _COLLECTION + "/index/{field_name}"): (_field_name, operations.delete_index),
    ("PUT", _COLLECTION + "/vectors/{vector_name}"): (_new_vector_name, operations.create_vector_name),
    ("DELETE", _COLLECTION + "/vectors/{vector_name}"): (_vector_name, operations.delete_vector_name),
    ("GET", _POINTS + "/{id}"): (_point_id, operations.get_point),
    ("POST", _POINTS): (_body(models.PointRequest), operations.retrieve),
    ("PUT", _POINTS): (_update(models.UpsertOperation, "upsert"), operations.update_points_once),
    ("POST", _POINTS + "/delete"): (_update(models.DeleteOperation, "delete"), operations.update_points_once),
    ("PUT", _POINTS + "/vectors"): (
        _update(models.UpdateVectorsOperation, "update_vectors"),
        operations.update_points_once,
    ),
    ("POST", _POINTS + "/vectors/delete"): (
        _update(models.DeleteVectorsOperation, "delete_vectors"),
        operations.update_points_once,
    ),
    ("POST", _POINTS + "/payload"): (_update(models.SetPayloadOperation, "set_payload"), operations.update_points_once),
    ("PUT", _POINTS + "/payload"): (
        _update(models.OverwritePayloadOperation, "overwrite_payload"),
        operations.update_points_once,
    ),
    ("POST", _POINTS + "/payload/delete"): (
        _update(models.DeletePayloadOperation, "delete_payload"),
        operations.update_points_once,
    ),
    ("POST", _POINTS + "/payload/clear"): (
        _update(models.ClearPayloadOperation, "clear_payload"),
        operations.update_points_once,
    ),
    ("POST", _POINTS + "/batch"): (_updates, operations.update_points),
    ("POST", _POINTS + "/scroll"): (_body(models.ScrollRequest), operations.scroll),
    ("POST", _POINTS + "/count"): (_body(models.CountRequest), operations.count),
    ("POST", _COLLECTION + "/facet"): (_body(models.FacetRequest), operations.facet),
    ("POST", _POINTS + "/query"): (_body(models.QueryRequest), operations.query),
    ("POST", _POINTS + "/query/batch"): (_queries, operations.query_batch),
    ("POST", _POINTS + "/query/groups"): (_body(models.QueryGroupsRequest), operations.query_groups),
    ("POST", _POINTS + "/search/matrix/pairs"): (_body(models.SearchMatrixRequest), operations.matrix_pairs),
    ("POST", _POINTS + "/search/matrix/offsets"): (_body(models.SearchMatrixRequest), operations.matrix_offsets),
    ("POST", _POINTS + "/search"): (_legacy(legacy_rest.search), operations.search),
    ("POST", _POINTS + "/search/batch"): (_legacy_batch(legacy_rest.search), operations.search_batch),
    ("POST", _POINTS + "/search/groups"): (
        _legacy(legacy_rest.search, models.QueryGroupsRequest),
        operations.query_groups,
    ),
    ("POST", _POINTS + "/recommend"): (_legacy(legacy_rest.recommend), operations.search),
    ("POST", _POINTS + "/recommend/batch"): (_legacy_batch(legacy_rest.recommend), operations.search_batch),
    ("POST", _POINTS + "/recommend/groups"): (
        _legacy(legacy_rest.recommend, models.QueryGroupsRequest),
        operations.query_groups,
    ),
    ("POST", _POINTS + "/discover"): (_legacy(legacy_rest.discover), operations.search),
    ("POST", _POINTS + "/discover/batch"): (_legacy_batch(legacy_rest.discover), operations.search_batch),
}
"""By method and path: how the request is read, and the operation."""

_PATTERNS = [
    (method, re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", template)), *route)
    for (method, template), route in ROUTES.items()
]
_PATTERNS_NOT_HERE = [(re.compile(f"{beginning}(/.*)?"), what) for beginning, what in NOT_HERE]


def answer(local: Local, method: str, path: str, body: bytes) -> bytes:
    """Carry out a request; the path is percent-encoded. Whatever is wrong with it is raised (see `errors.refusal`)."""
    started = time.perf_counter()
    path = path.rstrip("/") or "/"
    if (method, path) in FIXED:
        return FIXED[method, path]
    for route_method, pattern, read, operate in _PATTERNS:
        match = pattern.fullmatch(path)
        if match and route_method == method:
            parameters = {name: unquote(value) for name, value in match.groupdict().items()}
            result = operate(local, parameters.get("collection_name", ""), read(parameters, body))
            return _encoded(result, time.perf_counter() - started)
    for beginning, what in _PATTERNS_NOT_HERE:
        if beginning.fullmatch(path):
            raise not_supported(what)
    raise not_found("there is no such route")


def _encoded(result: Any, seconds: float) -> bytes:
    content = {"result": result, "status": "ok", "time": seconds}
    with np.errstate(over="ignore"):  # a score beyond float32 becomes infinite, as in Qdrant
        return orjson.dumps(content, default=_fields, option=orjson.OPT_SERIALIZE_NUMPY)


_NULL_IF_ABSENT = {"next_page_offset"}
"""Fields that Qdrant answers even when they have no value; all others it leaves out."""

_FLOAT32 = {"score", "values", "vector"}
"""Fields whose numbers have 32 bits, and as many digits as these need."""


def _fields(model: BaseModel) -> dict[str, Any]:
    """A model's fields. The payload inside is left as it is, with the nulls that it has."""
    return {
        name: _float32(value) if name in _FLOAT32 else value
        for name, value in vars(model).items()
        if value is not None or name in _NULL_IF_ABSENT
    }


def _float32(value: Any) -> Any:
    """A score, a vector, or vectors by name, in numpy; sparse vectors come to `_fields` themselves."""
    if isinstance(value, dict):
        return {name: _float32(vector) for name, vector in value.items()}
    return value if value is None or isinstance(value, BaseModel) else np.float32(value)
