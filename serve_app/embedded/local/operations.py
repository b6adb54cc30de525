"""What can be done with the store: functions of local mode, a collection's name and a REST model, giving a REST model.

Both protocols come here; whatever a function raises is made a refusal by `errors.refusal`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from qdrant_client.http import models

from serve_app.embedded.engine.errors import not_found, wrong_input
from serve_app.embedded.local.checks import check_id, check_payload, check_query, check_vectors
from serve_app.embedded.local.client import Local
from serve_app.embedded.local.collection import Collection

MAX_NAME = 255
"""Bytes in a collection's name, which is a folder's name too."""


def list_collections(local: Local, _: str, __: None) -> models.CollectionsResponse:
    """The names of all collections."""
    return local.get_collections()


def get_collection(local: Local, collection: str, _: None) -> models.CollectionInfo:
    """A collection's status, size and configuration."""
    return local.get_collection(collection)


def collection_exists(local: Local, collection: str, _: None) -> models.CollectionExistence:
    """Whether there is a collection or an alias of that name."""
    return models.CollectionExistence(exists=local.collection_exists(collection))


def create_collection(local: Local, collection: str, request: models.CreateCollection) -> bool:
    """A new collection; what tunes an index is accepted and has no effect."""
    if len(collection.encode()) > MAX_NAME:
        raise wrong_input(f"a collection's name has at most {MAX_NAME} bytes")
    check_payload(request.metadata)
    return local.create_collection(collection, request.vectors, request.sparse_vectors, metadata=request.metadata)


def update_collection(local: Local, collection: str, request: models.UpdateCollection) -> bool:
    """Metadata and the parameters of sparse vectors change; what tunes an index has nothing to tune here."""
    check_payload(request.metadata)
    local.update_collection(collection, request.sparse_vectors, request.metadata, request.vectors)
    return True


def delete_collection(local: Local, collection: str, _: None) -> bool:
    """Whether there was such a collection; there is none afterwards."""
    return local.delete_collection(collection)


def update_aliases(local: Local, _: str, request: models.ChangeAliasesOperation) -> bool:
    """All changes of aliases, or none."""
    return local.update_collection_aliases(request.actions)


def list_aliases(local: Local, _: str, __: None) -> models.CollectionsAliasesResponse:
    """All aliases."""
    return local.get_aliases()


def list_collection_aliases(local: Local, collection: str, _: None) -> models.CollectionsAliasesResponse:
    """The aliases of one collection."""
    local.collection(collection)
    return local.get_collection_aliases(collection)


def create_index(local: Local, collection: str, request: models.CreateFieldIndex) -> models.UpdateResult:
    """Every payload is looked through anyway; only a text index with scoring has an effect."""
    local.create_payload_index(collection, request.field_name, request.field_schema)
    return _completed(local)


def delete_index(local: Local, collection: str, field_name: str) -> models.UpdateResult:
    """See `create_index`."""
    local.delete_payload_index(collection, field_name)
    return _completed(local)


def create_vector_name(
    local: Local, collection: str, request: tuple[str, models.VectorNameConfig]
) -> models.UpdateResult:
    """A new vector name, which no point has a vector for yet."""
    local.create_vector_name(collection, *request)
    return _completed(local)


def delete_vector_name(local: Local, collection: str, vector_name: str) -> models.UpdateResult:
    """A vector name and all its vectors, gone."""
    with local.collection(collection).transaction():
        local.delete_vector_name(collection, vector_name)
    return _completed(local)


def update_points(
    local: Local, collection: str, operations: Sequence[models.UpdateOperation]
) -> list[models.UpdateResult]:
    """All writes of points, one after the other; all are checked before the first is begun."""
    target = local.collection(collection)
    for operation in operations:
        _check(target, operation)
    try:
        with target.transaction():
            local.batch_update_points(collection, operations)
    except KeyError as error:
        raise not_found(f"No point with id {error.args[0]} found") from error
    return [_completed(local) for _ in operations]


def update_points_once(local: Local, collection: str, operation: models.UpdateOperation) -> models.UpdateResult:
    """One write of points."""
    return update_points(local, collection, [operation])[0]


def _check(collection: Collection, operation: models.UpdateOperation) -> None:
    if isinstance(operation, models.SetPayloadOperation):
        check_payload(operation.set_payload.payload, operation.set_payload.key)
    elif isinstance(operation, models.OverwritePayloadOperation):
        check_payload(operation.overwrite_payload.payload)
    elif isinstance(operation, models.UpdateVectorsOperation):
        for vectors in operation.update_vectors.points:
            check_vectors(collection, vectors.vector)
    elif isinstance(operation, models.UpsertOperation):
        for point in _points(operation.upsert):
            check_id(point.id)
            check_vectors(collection, point.vector)
            check_payload(point.payload)


def _points(upsert: models.PointInsertOperations) -> Iterable[models.PointStruct]:
    if isinstance(upsert, models.PointsList):
        return upsert.points
    return Collection._materialize_points(upsert.batch)  # noqa: SLF001  the way in which local mode will read it


def _completed(local: Local) -> models.UpdateResult:
    return models.UpdateResult(operation_id=next(local.operation_ids), status=models.UpdateStatus.COMPLETED)


def retrieve(local: Local, collection: str, request: models.PointRequest) -> list[models.Record]:
    """The points with these ids, as far as there are any."""
    return local.retrieve(
        collection, request.ids, _or(request.with_payload, default=True), request.with_vector or False
    )


def get_point(local: Local, collection: str, point_id: models.ExtendedPointId) -> models.Record:
    """The point with this id, with payload and vectors."""
    found = local.retrieve(collection, [point_id], with_payload=True, with_vectors=True)
    if not found:
        raise not_found(f"Point with id {point_id} does not exists!")
    return found[0]


def scroll(local: Local, collection: str, request: models.ScrollRequest) -> models.ScrollResult:
    """A page of points in the order of their ids, or of a payload field."""
    points, next_page_offset = local.scroll(
        collection,
        scroll_filter=request.filter,
        limit=_or(request.limit, default=10),
        order_by=request.order_by,
        offset=request.offset,
        with_payload=_or(request.with_payload, default=True),
        with_vectors=request.with_vector or False,
    )
    return models.ScrollResult.model_construct(points=points, next_page_offset=next_page_offset)


def count(local: Local, collection: str, request: models.CountRequest) -> models.CountResult:
    """How many points pass a filter."""
    return local.count(collection, request.filter)


def facet(local: Local, collection: str, request: models.FacetRequest) -> models.FacetResponse:
    """The values of a payload field, with how many points have each."""
    return local.facet(collection, request.key, request.filter, _or(request.limit, default=10))


def query_batch(local: Local, collection: str, requests: Sequence[models.QueryRequest]) -> list[models.QueryResponse]:
    """The answers of several queries; all are checked before the first is answered."""
    target = local.collection(collection)
    for request in requests:
        check_query(target, request)
    return local.query_batch_points(collection, requests)


def query(local: Local, collection: str, request: models.QueryRequest) -> models.QueryResponse:
    """The answer of one query."""
    return query_batch(local, collection, [request])[0]


def search(local: Local, collection: str, request: models.QueryRequest) -> list[models.ScoredPoint]:
    """The points of one query's answer."""
    return query(local, collection, request).points


def search_batch(
    local: Local, collection: str, requests: Sequence[models.QueryRequest]
) -> list[list[models.ScoredPoint]]:
    """The points of several queries' answers."""
    return [response.points for response in query_batch(local, collection, requests)]


def query_groups(local: Local, collection: str, request: models.QueryGroupsRequest) -> models.GroupsResult:
    """The answer of one query, in groups of equal payload values."""
    check_query(local.collection(collection), request)
    return local.query_points_groups(
        collection,
        group_by=request.group_by,
        query=request.query,
        using=request.using,
        prefetch=request.prefetch,
        query_filter=request.filter,
        search_params=request.params,
        limit=_or(request.limit, default=10),
        group_size=_or(request.group_size, default=3),
        with_payload=_or(request.with_payload, default=False),
        with_vectors=request.with_vector or False,
        score_threshold=request.score_threshold,
        with_lookup=request.with_lookup,
        lookup_from=request.lookup_from,
    )


def matrix_pairs(
    local: Local, collection: str, request: models.SearchMatrixRequest
) -> models.SearchMatrixPairsResponse:
    """Distances within a sample of points, as pairs."""
    return local.search_matrix_pairs(collection, **_matrix(request))


def matrix_offsets(
    local: Local, collection: str, request: models.SearchMatrixRequest
) -> models.SearchMatrixOffsetsResponse:
    """Distances within a sample of points, as a sparse matrix."""
    return local.search_matrix_offsets(collection, **_matrix(request))


def _matrix(request: models.SearchMatrixRequest) -> dict[str, Any]:
    return {
        "query_filter": request.filter,
        "limit": _or(request.limit, default=3),
        "sample": _or(request.sample, default=10),
        "using": request.using,
    }


def _or(given: Any, *, default: Any) -> Any:
    return default if given is None else given
