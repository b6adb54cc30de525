"""gRPC: the search methods that were there before Query, each read as the query that it stands for."""

from __future__ import annotations

from typing import Any, TypeVar

from serve_app.protocol.qdrant_messages import grpc

Query = TypeVar("Query", grpc.QueryPoints, grpc.QueryPointGroups)


def search(request: Any) -> grpc.QueryPoints:
    """Nearest neighbours of a vector."""
    return _query(grpc.QueryPoints, request, _nearest(request))


def search_groups(request: Any) -> grpc.QueryPointGroups:
    """The same, in groups of equal payload values."""
    return _query(grpc.QueryPointGroups, request, _nearest(request))


def recommend(request: Any) -> grpc.QueryPoints:
    """Points like some and unlike others."""
    return _query(grpc.QueryPoints, request, _recommend(request))


def recommend_groups(request: Any) -> grpc.QueryPointGroups:
    """The same, in groups of equal payload values."""
    return _query(grpc.QueryPointGroups, request, _recommend(request))


def discover(request: Any) -> grpc.QueryPoints:
    """Points on the positive side of pairs, near a target where one is given."""
    pairs = [
        grpc.ContextInputPair(positive=_example(pair.positive), negative=_example(pair.negative))
        for pair in request.context
    ]
    context = grpc.ContextInput(pairs=pairs)
    if not request.HasField("target"):
        return _query(grpc.QueryPoints, request, grpc.Query(context=context))
    target = grpc.DiscoverInput(target=_example(request.target.single), context=context)
    return _query(grpc.QueryPoints, request, grpc.Query(discover=target))


def _query(kind: type[Query], request: Any, query: grpc.Query) -> Query:
    """Most fields have the same names in both; the vector's name is called `vector_name` in searches."""
    same: dict[str, Any] = {
        field.name: value for field, value in request.ListFields() if field.name in kind.DESCRIPTOR.fields_by_name
    }

    if getattr(request, "vector_name", ""):
        same["using"] = request.vector_name
    return kind(**{**same, "limit": request.limit, "query": query})


def _nearest(request: Any) -> grpc.Query:
    if request.HasField("sparse_indices"):
        sparse = grpc.SparseVector(values=request.vector, indices=request.sparse_indices.data)
        return grpc.Query(nearest=grpc.VectorInput(sparse=sparse))
    return grpc.Query(nearest=grpc.VectorInput(dense=grpc.DenseVector(data=request.vector)))


def _recommend(request: Any) -> grpc.Query:
    examples: dict[str, Any] = {
        side: [
            *(grpc.VectorInput(id=point_id) for point_id in getattr(request, side)),
            *(_input(vector) for vector in getattr(request, f"{side}_vectors")),
        ]
        for side in ("positive", "negative")
    }
    strategy = {"strategy": request.strategy} if request.HasField("strategy") else {}
    return grpc.Query(recommend=grpc.RecommendInput(**examples, **strategy))


def _example(example: Any) -> grpc.VectorInput:
    return grpc.VectorInput(id=example.id) if example.HasField("id") else _input(example.vector)


def _input(vector: Any) -> grpc.VectorInput:
    """A vector in the form that queries have; before there were kinds of vectors, its numbers stood in `data`."""
    kind = vector.WhichOneof("vector")
    if kind:
        given: dict[str, Any] = {kind: getattr(vector, kind)}
        return grpc.VectorInput(**given)
    if vector.HasField("indices"):
        return grpc.VectorInput(sparse=grpc.SparseVector(values=vector.data, indices=vector.indices.data))
    return grpc.VectorInput(dense=grpc.DenseVector(data=vector.data))
