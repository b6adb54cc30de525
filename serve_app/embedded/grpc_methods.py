"""gRPC: which operation a method stands for, how its message becomes a REST model, and the result a message."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from operator import attrgetter
from types import SimpleNamespace
from typing import Any, TypeVar

from google.protobuf.message import Message
from grpc_health.v1.health_pb2 import HealthCheckResponse
from pydantic import BaseModel
from qdrant_client import grpc
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc, grpc_field_type_to_payload_schema
from qdrant_client.http import models

from serve_app.embedded import legacy_grpc
from serve_app.embedded.engine.errors import not_supported
from serve_app.embedded.local import operations
from serve_app.embedded.local.client import Local
from serve_app.embedded.rest_routes import TITLE, VERSION
from serve_app.protocol.grpc_services import response_class

Model = TypeVar("Model", bound=BaseModel)
Fields = Mapping[str, Any]

_CONVERTED: dict[str, Callable[[Any], Any]] = {
    "distance": GrpcToRest.convert_distance,
    "filter": GrpcToRest.convert_filter,
    "ids": lambda ids: [GrpcToRest.convert_point_id(point_id) for point_id in ids],
    "lookup_from": GrpcToRest.convert_lookup_location,
    "metadata": lambda metadata: GrpcToRest.convert_payload(metadata) or None,
    "modifier": GrpcToRest.convert_modifier,
    "multivector_config": GrpcToRest.convert_multivector_config,
    "offset": GrpcToRest.convert_point_id,
    "order_by": GrpcToRest.convert_order_by,
    "params": GrpcToRest.convert_search_params,
    "prefetch": lambda prefetches: [GrpcToRest.convert_prefetch_query(prefetch) for prefetch in prefetches],
    "query": GrpcToRest.convert_query,
    "sparse_vectors_config": GrpcToRest.convert_sparse_vector_config,
    "vectors_config": GrpcToRest.convert_vectors_config,
    "with_lookup": GrpcToRest.convert_with_lookup,
    "with_payload": GrpcToRest.convert_with_payload_selector,
    "with_vectors": GrpcToRest.convert_with_vectors_selector,
}
"""How fields become REST's, by their names in gRPC; the others are the same in both."""

_RENAMED = {"with_vector": "with_vectors", "vectors": "vectors_config", "sparse_vectors": "sparse_vectors_config"}
"""REST's names of fields that gRPC calls differently."""


def _as(model: type[Model], *names: str) -> Callable[[Message], Model]:
    """Reads these fields, named as in REST, into a REST model."""
    return lambda request: model(**{name: _field(request, _RENAMED.get(name, name)) for name in names})


def _field(request: Message, name: str) -> Any:
    descriptor = request.DESCRIPTOR.fields_by_name[name]
    value = getattr(request, name)
    if descriptor.has_presence and not request.HasField(name):
        return None
    return _CONVERTED[name](value) if name in _CONVERTED else value


_SELECTED = ("with_payload", "with_vector")
_MATRIX = ("filter", "sample", "limit", "using")


def _nothing(_: Message) -> None:
    """The request has nothing but the collection's name."""


def _update(variant: str) -> Callable[[Message], models.UpdateOperation]:
    """A request has all the fields that its variant has in a batch of updates: it is converted as if it stood there."""

    def read(request: Message) -> models.UpdateOperation:
        batched: Any = SimpleNamespace(**{"WhichOneof": lambda _: variant, variant: request})
        return GrpcToRest.convert_points_update_operation(batched)

    return read


def _updates(request: Any) -> list[models.UpdateOperation]:
    return [GrpcToRest.convert_points_update_operation(operation) for operation in request.operations]


def _queries(request: Any) -> list[models.QueryRequest]:
    return [GrpcToRest.convert_query_points(query) for query in request.query_points]


def _legacy(read: Callable[[Any], grpc.QueryPoints]) -> Callable[[Any], models.QueryRequest]:
    return lambda request: GrpcToRest.convert_query_points(read(request))


def _legacy_batch(read: Callable[[Any], grpc.QueryPoints], name: str) -> Callable[[Any], list[models.QueryRequest]]:
    return lambda request: [_legacy(read)(one) for one in getattr(request, name)]


def _legacy_groups(read: Callable[[Any], grpc.QueryPointGroups]) -> Callable[[Any], models.QueryGroupsRequest]:
    return lambda request: _query_groups(read(request))


def _aliases(request: Any) -> models.ChangeAliasesOperation:
    return models.ChangeAliasesOperation(
        actions=[GrpcToRest.convert_alias_operations(action) for action in request.actions]
    )


def _new_index(request: Any) -> models.CreateFieldIndex:
    schema: models.PayloadFieldSchema | None = None
    if request.HasField("field_index_params"):
        schema = GrpcToRest.convert_payload_schema_params(request.field_index_params)
    elif request.HasField("field_type"):
        schema = GrpcToRest.convert_payload_schema_type(grpc_field_type_to_payload_schema(request.field_type))
    return models.CreateFieldIndex(field_name=request.field_name, field_schema=schema)


def _new_vector_name(request: Any) -> tuple[str, models.VectorNameConfig]:
    if request.HasField("sparse_config"):
        sparse = _as(models.SparseVectorConfig, "modifier")(request.sparse_config)
        return request.vector_name, models.SparseVectorNameConfig(sparse=sparse)
    dense = _as(models.DenseVectorConfig, "size", "distance", "multivector_config")(request.dense_config)
    return request.vector_name, models.DenseVectorNameConfig(dense=dense)


def _result(convert: Callable[[Any], Any]) -> Callable[[Any], Fields]:
    return lambda result: {"result": convert(result)}


def _results(convert: Callable[[Any], Any]) -> Callable[[Any], Fields]:
    return lambda results: {"result": [convert(result) for result in results]}


def _record(record: models.Record) -> grpc.RetrievedPoint:
    record.payload = record.payload or {}  # the conversion does not take None
    return RestToGrpc.convert_record(record)


def _page(page: models.ScrollResult) -> Fields:
    following = page.next_page_offset
    return {
        "result": [_record(record) for record in page.points],
        "next_page_offset": None if following is None else RestToGrpc.convert_extended_point_id(following),
    }


def _hits(response: models.QueryResponse) -> list[grpc.ScoredPoint]:
    return [RestToGrpc.convert_scored_point(point) for point in response.points]


def _groups(result: models.GroupsResult) -> grpc.GroupsResult:
    for group in result.groups:
        if group.lookup is not None:
            group.lookup.payload = group.lookup.payload or {}
    return RestToGrpc.convert_groups_result(result)


def _alias_list(response: models.CollectionsAliasesResponse) -> Fields:
    return {"aliases": [RestToGrpc.convert_alias_description(alias) for alias in response.aliases]}


def _collections(response: models.CollectionsResponse) -> Fields:
    return {"collections": [grpc.CollectionDescription(name=found.name) for found in response.collections]}


_query_groups = _as(
    models.QueryGroupsRequest,
    *("query", "using", "prefetch", "filter", "params", "score_threshold", "lookup_from"),
    *("group_by", "group_size", "limit", "with_lookup"),
    *_SELECTED,
)

_ONE_QUERY = operations.query, _result(_hits)
_MANY_QUERIES = operations.query_batch, _results(lambda response: grpc.BatchResult(result=_hits(response)))
_IN_GROUPS = operations.query_groups, _result(_groups)
_ONE_UPDATE = operations.update_points_once, _result(RestToGrpc.convert_update_result)
_DONE = _result(bool)
_UPDATED = _result(RestToGrpc.convert_update_result)

Read = Callable[[Any], Any]
Operate = Callable[[Local, str, Any], Any]
Write = Callable[[Any], Fields]

METHODS: dict[str, tuple[Read, Operate, Write]] = {
    "/qdrant.Collections/List": (_nothing, operations.list_collections, _collections),
    "/qdrant.Collections/Get": (
        _nothing,
        operations.get_collection,
        _result(RestToGrpc.convert_collection_info),
    ),
    "/qdrant.Collections/Create": (
        _as(models.CreateCollection, "vectors", "sparse_vectors", "metadata"),
        operations.create_collection,
        _DONE,
    ),
    "/qdrant.Collections/Update": (GrpcToRest.convert_update_collection, operations.update_collection, _DONE),
    "/qdrant.Collections/Delete": (_nothing, operations.delete_collection, _DONE),
    "/qdrant.Collections/CollectionExists": (
        _nothing,
        operations.collection_exists,
        _result(lambda existence: grpc.CollectionExists(exists=existence.exists)),
    ),
    "/qdrant.Collections/UpdateAliases": (_aliases, operations.update_aliases, _DONE),
    "/qdrant.Collections/ListAliases": (_nothing, operations.list_aliases, _alias_list),
    "/qdrant.Collections/ListCollectionAliases": (_nothing, operations.list_collection_aliases, _alias_list),
    "/qdrant.Points/CreateFieldIndex": (_new_index, operations.create_index, _UPDATED),
    "/qdrant.Points/DeleteFieldIndex": (attrgetter("field_name"), operations.delete_index, _UPDATED),
    "/qdrant.Points/CreateVectorName": (_new_vector_name, operations.create_vector_name, _UPDATED),
    "/qdrant.Points/DeleteVectorName": (attrgetter("vector_name"), operations.delete_vector_name, _UPDATED),
    "/qdrant.Points/Upsert": (_update("upsert"), *_ONE_UPDATE),
    "/qdrant.Points/Delete": (_update("delete_points"), *_ONE_UPDATE),
    "/qdrant.Points/UpdateVectors": (_update("update_vectors"), *_ONE_UPDATE),
    "/qdrant.Points/DeleteVectors": (_update("delete_vectors"), *_ONE_UPDATE),
    "/qdrant.Points/SetPayload": (_update("set_payload"), *_ONE_UPDATE),
    "/qdrant.Points/OverwritePayload": (_update("overwrite_payload"), *_ONE_UPDATE),
    "/qdrant.Points/DeletePayload": (_update("delete_payload"), *_ONE_UPDATE),
    "/qdrant.Points/ClearPayload": (_update("clear_payload"), *_ONE_UPDATE),
    "/qdrant.Points/UpdateBatch": (
        _updates,
        operations.update_points,
        _results(RestToGrpc.convert_update_result),
    ),
    "/qdrant.Points/Get": (_as(models.PointRequest, "ids", *_SELECTED), operations.retrieve, _results(_record)),
    "/qdrant.Points/Scroll": (
        _as(models.ScrollRequest, "filter", "offset", "limit", "order_by", *_SELECTED),
        operations.scroll,
        _page,
    ),
    "/qdrant.Points/Count": (
        _as(models.CountRequest, "filter"),
        operations.count,
        _result(RestToGrpc.convert_count_result),
    ),
    "/qdrant.Points/Facet": (
        _as(models.FacetRequest, "key", "filter", "limit"),
        operations.facet,
        lambda response: {"hits": [RestToGrpc.convert_facet_value_hit(hit) for hit in response.hits]},
    ),
    "/qdrant.Points/Query": (GrpcToRest.convert_query_points, *_ONE_QUERY),
    "/qdrant.Points/QueryBatch": (_queries, *_MANY_QUERIES),
    "/qdrant.Points/QueryGroups": (_query_groups, *_IN_GROUPS),
    "/qdrant.Points/Search": (_legacy(legacy_grpc.search), *_ONE_QUERY),
    "/qdrant.Points/SearchBatch": (_legacy_batch(legacy_grpc.search, "search_points"), *_MANY_QUERIES),
    "/qdrant.Points/SearchGroups": (_legacy_groups(legacy_grpc.search_groups), *_IN_GROUPS),
    "/qdrant.Points/Recommend": (_legacy(legacy_grpc.recommend), *_ONE_QUERY),
    "/qdrant.Points/RecommendBatch": (_legacy_batch(legacy_grpc.recommend, "recommend_points"), *_MANY_QUERIES),
    "/qdrant.Points/RecommendGroups": (_legacy_groups(legacy_grpc.recommend_groups), *_IN_GROUPS),
    "/qdrant.Points/Discover": (_legacy(legacy_grpc.discover), *_ONE_QUERY),
    "/qdrant.Points/DiscoverBatch": (_legacy_batch(legacy_grpc.discover, "discover_points"), *_MANY_QUERIES),
    "/qdrant.Points/SearchMatrixPairs": (
        _as(models.SearchMatrixRequest, *_MATRIX),
        operations.matrix_pairs,
        _result(RestToGrpc.convert_search_matrix_pairs),
    ),
    "/qdrant.Points/SearchMatrixOffsets": (
        _as(models.SearchMatrixRequest, *_MATRIX),
        operations.matrix_offsets,
        _result(RestToGrpc.convert_search_matrix_offsets),
    ),
}
"""By full name: how the request is read, the operation, and the fields of the response (its time apart)."""


def answer(local: Local, method: str, request: Message) -> Message:
    """Carry out a call. Whatever is wrong with it is raised (see `errors.refusal`)."""
    started = time.perf_counter()
    if method == "/qdrant.Qdrant/HealthCheck":
        return grpc.HealthCheckReply(title=TITLE, version=VERSION)
    if method == "/grpc.health.v1.Health/Check":
        return HealthCheckResponse(status=HealthCheckResponse.SERVING)
    if method not in METHODS:
        raise not_supported(f"the method {method}")
    read, operate, write = METHODS[method]
    result = operate(local, getattr(request, "collection_name", ""), read(request))
    return response_class(method)(**write(result), time=time.perf_counter() - started)
