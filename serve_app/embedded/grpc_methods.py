"""gRPC: which operation a method stands for, how its message is read, and the result a message."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from grpc_health.v1.health_pb2 import HealthCheckResponse

from serve_app.embedded import grpc_read, grpc_write, legacy_grpc
from serve_app.embedded.engine.errors import malformed, not_supported
from serve_app.embedded.engine.protocol import WRITES, Engine, Waiting, carried_out
from serve_app.embedded.rest_routes import TITLE, VERSION
from serve_app.protocol.grpc_services import response_class
from serve_app.protocol.qdrant_messages import grpc

Fields = Mapping[str, Any]


@dataclass(frozen=True)
class Method:
    """How a message is read, the engine's operation, and the fields of the response (its time apart)."""

    read: Callable[[Any], Any]
    operation: str
    written: Callable[[Any], Fields]


def _nothing(_: Message) -> None:
    """The request has nothing but the collection's name."""


def _done(result: Any) -> Fields:
    return {"result": bool(result)}


def _updated(result: Any) -> Fields:
    return {"result": grpc_write.update(result)}


def _first_updated(results: Any) -> Fields:
    return _updated(results[0])


def _all_updated(results: Any) -> Fields:
    return {"result": [grpc_write.update(result) for result in results]}


def _hits(results: Any) -> Fields:
    return {"result": [grpc_write.scored(point) for point in results[0]["points"]]}


def _many_hits(results: Any) -> Fields:
    return {
        "result": [
            grpc.BatchResult(result=[grpc_write.scored(point) for point in result["points"]]) for result in results
        ]
    }


def _records(results: Any) -> Fields:
    return {"result": [grpc_write.record(point) for point in results]}


def _update(name: str) -> Method:
    return Method(lambda request: [{name: grpc_read.body(request)}], "update_points", _first_updated)


def _query(read: Callable[[Any], Message] = lambda request: request) -> Method:
    return Method(lambda request: [grpc_read.body(read(request))], "query_batch", _hits)


def _queries(name: str, read: Callable[[Any], Message] = lambda request: request) -> Method:
    def each(request: Any) -> Iterator[Any]:
        for one in getattr(request, name):
            grpc_read.counted.count()
            yield grpc_read.body(read(one))

    return Method(lambda request: list(each(request)), "query_batch", _many_hits)


def _groups(read: Callable[[Any], Message] = lambda request: request) -> Method:
    return Method(lambda request: grpc_read.body(read(request)), "query_groups", grpc_write.groups)


def _new_index(request: Any) -> Any:
    read: dict[str, Any] = {"field_name": request.field_name}
    if request.HasField("field_index_params"):
        read["field_schema"] = grpc_read.read(request.field_index_params)
    elif request.HasField("field_type"):
        read["field_schema"] = grpc_read.body(request)["field_type"]
    return read


def _new_vector_name(request: Any) -> tuple[str, Any]:
    kind = request.WhichOneof("vector_config")
    if kind is None:
        raise malformed("vector_config", "Field required")
    return request.vector_name, {kind.removesuffix("_config"): grpc_read.body(getattr(request, kind))}


METHODS: dict[str, Method] = {
    f"/qdrant.{name}": method
    for name, method in {
        "Collections/List": Method(_nothing, "list_collections", grpc_write.collections),
        "Collections/Get": Method(_nothing, "get_collection", grpc_write.collection),
        "Collections/Create": Method(grpc_read.body, "create_collection", _done),
        "Collections/Update": Method(grpc_read.body, "update_collection", _done),
        "Collections/Delete": Method(_nothing, "delete_collection", _done),
        "Collections/CollectionExists": Method(
            _nothing,
            "collection_exists",
            lambda result: {"result": grpc.CollectionExists(exists=result["exists"])},
        ),
        "Collections/UpdateAliases": Method(grpc_read.body, "update_aliases", _done),
        "Collections/ListAliases": Method(_nothing, "list_aliases", grpc_write.aliases),
        "Collections/ListCollectionAliases": Method(_nothing, "list_collection_aliases", grpc_write.aliases),
        "Points/CreateFieldIndex": Method(_new_index, "create_index", _updated),
        "Points/DeleteFieldIndex": Method(lambda request: request.field_name, "delete_index", _updated),
        "Points/CreateVectorName": Method(_new_vector_name, "create_vector_name", _updated),
        "Points/DeleteVectorName": Method(lambda request: request.vector_name, "delete_vector_name", _updated),
        "Points/Upsert": _update("upsert"),
        "Points/Delete": _update("delete"),
        "Points/UpdateVectors": _update("update_vectors"),
        "Points/DeleteVectors": _update("delete_vectors"),
        "Points/SetPayload": _update("set_payload"),
        "Points/OverwritePayload": _update("overwrite_payload"),
        "Points/DeletePayload": _update("delete_payload"),
        "Points/ClearPayload": _update("clear_payload"),
        "Points/UpdateBatch": Method(
            lambda request: list(grpc_read.updates(request.operations)), "update_points", _all_updated
        ),
        "Points/Get": Method(grpc_read.body, "retrieve", _records),
        "Points/Scroll": Method(grpc_read.body, "scroll", grpc_write.page),
        "Points/Count": Method(
            grpc_read.body, "count", lambda result: {"result": grpc.CountResult(count=result["count"])}
        ),
        "Points/Facet": Method(grpc_read.body, "facet", grpc_write.facet),
        "Points/Query": _query(),
        "Points/QueryBatch": _queries("query_points"),
        "Points/QueryGroups": _groups(),
        "Points/Search": _query(legacy_grpc.search),
        "Points/SearchBatch": _queries("search_points", legacy_grpc.search),
        "Points/SearchGroups": _groups(legacy_grpc.search_groups),
        "Points/Recommend": _query(legacy_grpc.recommend),
        "Points/RecommendBatch": _queries("recommend_points", legacy_grpc.recommend),
        "Points/RecommendGroups": _groups(legacy_grpc.recommend_groups),
        "Points/Discover": _query(legacy_grpc.discover),
        "Points/DiscoverBatch": _queries("discover_points", legacy_grpc.discover),
        "Points/SearchMatrixPairs": Method(grpc_read.body, "matrix_pairs", grpc_write.pairs),
        "Points/SearchMatrixOffsets": Method(grpc_read.body, "matrix_offsets", grpc_write.offsets),
        "Snapshots/Create": Method(
            _nothing, "create_snapshot", lambda result: {"snapshot_description": grpc_write.snapshot(result)}
        ),
        "Snapshots/List": Method(
            _nothing,
            "list_snapshots",
            lambda result: {"snapshot_descriptions": [grpc_write.snapshot(one) for one in result]},
        ),
        "Snapshots/Delete": Method(lambda request: request.snapshot_name, "delete_snapshot", lambda _: {}),
    }.items()
}
"""By full name."""


def writes(method: str) -> bool:
    """Whether a call changes something."""
    return method in METHODS and METHODS[method].operation in WRITES


def answer(engine: Engine, method: str, request: Message) -> Message:
    """Carry out a call. Whatever is wrong with it is raised (see `errors.refusal`)."""
    started = time.perf_counter()
    if method == "/qdrant.Qdrant/HealthCheck":
        return grpc.HealthCheckReply(title=TITLE, version=VERSION)
    if method == "/grpc.health.v1.Health/Check":
        return HealthCheckResponse(status=HealthCheckResponse.SERVING)
    if method not in METHODS:
        raise not_supported(f"the method {method}")
    known = METHODS[method]
    grpc_read.counted.begin()
    collection = getattr(request, "collection_name", "")
    result = carried_out(engine, known.operation, collection, known.read(request), _waiting(request))
    return response_class(method)(**known.written(result), time=time.perf_counter() - started)


def _waiting(request: Any) -> Waiting:
    fields = request.DESCRIPTOR.fields_by_name
    has_timeout = "timeout" in fields and request.HasField("timeout")
    return Waiting("wait" in fields and request.wait, request.timeout if has_timeout else None)
